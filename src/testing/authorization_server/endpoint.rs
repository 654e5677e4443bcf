use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::json;

use super::{
    Shared, State,
    client::{Client, Credential},
    credentials::{self, Presented, Proof},
    fault::Fault,
    metadata,
    record::TokenRequest,
};
use crate::testing::{
    answer::{Answer, AnswerBody},
    echo, lock,
    net::{Handler, Peer},
};

pub(super) const TOKEN: &str = "/oauth2/token";
pub(super) const INTROSPECTION: &str = "/oauth2/introspect";
pub(super) const REVOCATION: &str = "/oauth2/revoke";

/// More than any request for a token needs.
const BODY_LIMIT: usize = 256 * 1024;

impl Handler for Shared {
    async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return Answer::new(StatusCode::PAYLOAD_TOO_LARGE).into_response(),
        };
        let answer = match head.uri.path() {
            TOKEN => self.token(&head, body, peer).await,
            INTROSPECTION => self.introspection(&head, body, peer),
            REVOCATION => self.revocation(&head, body, peer).await,
            path if metadata::is_asked_for(path) => self.metadata(&head).await,
            _ => Answer::new(StatusCode::NOT_FOUND),
        };
        let mut response = answer.into_response();
        // Hyper would put the machine's time there.
        let now = UNIX_EPOCH + self.tokens.clock().now().wall;
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(now)) {
            response.headers_mut().entry(header::DATE).or_insert(date);
        }
        response
    }
}

impl Shared {
    /// The token endpoint (RFC 6749 section 3.2).
    async fn token(&self, head: &request::Parts, body: Bytes, peer: &Peer) -> Answer {
        let request = TokenRequest::new(head, &body, peer);
        let (latency, scripted) = lock(&self.state).arrived(&request);
        tokio::time::sleep(latency).await;
        self.gate.pass().await;

        let answer = scripted.unwrap_or_else(|| match self.grant(&request) {
            Ok(answer) => answer,
            Err(fault) => {
                lock(&self.state).counters.rejected += 1;
                fault.into_answer()
            }
        });
        if lock(&self.state).hostile {
            echo::into(
                answer,
                &echo::credentials(request.headers(), request.parameters()),
            )
        } else {
            answer
        }
    }

    fn grant(&self, request: &TokenRequest) -> Result<Answer, Fault> {
        check_form(request)?;
        let client = self.authenticate(request)?;
        match request.value("grant_type") {
            Some("client_credentials") => {}
            Some(_) => {
                let why = "this server grants client_credentials only";
                return Err(Fault::new("unsupported_grant_type", why));
            }
            None => return Err(Fault::invalid_request("the grant_type is missing")),
        }
        let scope = granted_scope(&client, request.value("scope"))?;
        let bound_to = match (client.bound_tokens, request.certificate_thumbprint()) {
            (false, _) => None,
            (true, Some(thumbprint)) => Some(thumbprint.to_owned()),
            (true, None) => {
                let why = "tokens of this client are bound to a certificate, and there is none";
                return Err(Fault::invalid_request(why));
            }
        };

        let (lifetime, one_token) = {
            let state = lock(&self.state);
            (state.lifetime, state.one_token)
        };
        if one_token {
            self.tokens.revoke_all_of(&client.id);
        }
        let token = self.tokens.mint(&client.id, &scope, bound_to, lifetime);
        let token = token.map_err(|_| {
            Fault::new("server_error", "there is no randomness")
                .with_status(StatusCode::INTERNAL_SERVER_ERROR)
        })?;
        lock(&self.state).counters.issued += 1;

        let mut body = json!({ "access_token": token, "token_type": "Bearer" });
        if let Some(lifetime) = lifetime {
            body["expires_in"] = lifetime.as_secs().into();
        }
        if !scope.is_empty() {
            body["scope"] = scope.into();
        }
        Ok(Answer::json(StatusCode::OK, body.to_string()).header("cache-control", "no-store"))
    }

    /// The introspection endpoint (RFC 7662), for any registered client.
    fn introspection(&self, head: &request::Parts, body: Bytes, peer: &Peer) -> Answer {
        let request = TokenRequest::new(head, &body, peer);
        let checked = check_form(&request).and_then(|()| self.authenticate(&request));
        if let Err(fault) = checked {
            return fault.into_answer();
        }
        let issued = self.tokens.find(request.value("token").unwrap_or_default());
        let body = match issued {
            None => json!({ "active": false }),
            Some(issued) => {
                let mut body = json!({
                    "active": true,
                    "client_id": issued.client_id,
                    "scope": issued.scope,
                    "token_type": "Bearer",
                });
                if let Some(expires_at) = issued.expires_at {
                    body["exp"] = expires_at.into();
                }
                if let Some(thumbprint) = issued.bound_to {
                    body["cnf"] = json!({ "x5t#S256": thumbprint });
                }
                body
            }
        };
        Answer::json(StatusCode::OK, body.to_string()).header("cache-control", "no-store")
    }

    /// The revocation endpoint (RFC 7009), for the client's own tokens.
    async fn revocation(&self, head: &request::Parts, body: Bytes, peer: &Peer) -> Answer {
        let request = TokenRequest::new(head, &body, peer);
        let scripted = {
            let mut state = lock(&self.state);
            state.revocation_requests.push(request.clone());
            state.revocation.clone()
        };
        self.gate.pass().await;
        let revoked = || {
            check_form(&request)?;
            let client = self.authenticate(&request)?;
            let token = request.value("token");
            let token = token.ok_or(Fault::invalid_request("the token is missing"))?;
            if self.tokens.revoke(token, &client.id) {
                // Also for a token that isn't known (section 2.2).
                return Ok(Answer::new(StatusCode::OK));
            }
            let why = "the token is another client's";
            Err(Fault::new("unauthorized_client", why))
        };
        scripted.unwrap_or_else(|| revoked().unwrap_or_else(Fault::into_answer))
    }

    fn authenticate(&self, request: &TokenRequest) -> Result<Arc<Client>, Fault> {
        let Presented { client_id, proof } = Presented::read(request)?;
        let client = lock(&self.state).clients.get(&client_id).cloned();
        let proved = client
            .ok_or("the client is unknown")
            .and_then(|client| self.prove(&client, &proof).map(|()| client));
        proved.map_err(|why| match proof {
            Proof::Basic(_) => Fault::invalid_client(why).challenging(),
            _ => Fault::invalid_client(why),
        })
    }

    fn prove(&self, client: &Client, proof: &Proof<'_>) -> Result<(), &'static str> {
        match (&client.credential, proof) {
            (Credential::Basic(secret), Proof::Basic(sent)) if secret.expose() == sent => Ok(()),
            (Credential::Post(secret), Proof::Post(sent)) if secret.expose() == *sent => Ok(()),
            (Credential::Basic(_), Proof::Basic(_)) | (Credential::Post(_), Proof::Post(_)) => {
                Err("the client secret is wrong")
            }
            (Credential::Certificates(leaves), Proof::Certificate(sent)) => {
                let why = "the client certificate is not the registered one";
                let good = leaves.iter().any(|leaf| leaf == sent);
                if good { Ok(()) } else { Err(why) }
            }
            (Credential::None, Proof::None | Proof::Certificate(_)) => Ok(()),
            (_, Proof::None) => Err("there is no client authentication"),
            (
                credential @ (Credential::Key(_) | Credential::Secret(_)),
                Proof::Assertion(assertion),
            ) => {
                let now = self.tokens.clock().now().wall.as_secs();
                match credential {
                    Credential::Secret(secret) => {
                        assertion.verify_with_secret(secret.expose(), &self.issuer, now)?;
                    }
                    Credential::Key(key) => assertion.verify(key, &self.issuer, now)?,
                    _ => return Err("the client has nothing to make assertions with"),
                }
                let used = (client.id.clone(), assertion.jti().to_owned());
                let first_use = lock(&self.state).used.insert(used);
                let why = "the assertion was used before (jti)";
                if first_use { Ok(()) } else { Err(why) }
            }
            _ => Err("the client is registered for another method of authentication"),
        }
    }
}

impl State {
    /// Counts and records a token request. Returns how long it takes, and its answer when that is
    /// scripted.
    fn arrived(&mut self, request: &TokenRequest) -> (Duration, Option<Answer>) {
        self.requests.push(request.clone());
        self.counters.token_requests += 1;
        if let Ok(method) = credentials::method(request) {
            self.counters.count_method(method);
        }
        let scripted = self.scripted.pop_front();
        self.counters.scripted += u64::from(scripted.is_some());
        (self.latency, scripted)
    }
}

/// The rules for any request to this server (RFC 6749 section 3.2 and appendix B).
fn check_form(request: &TokenRequest) -> Result<(), Fault> {
    if request.method() != Method::POST {
        let fault = Fault::invalid_request("the method is not POST");
        return Err(fault.with_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let essence = content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if !essence
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(Fault::invalid_request("the content is not a form"));
    }
    if request.has_duplicates() {
        return Err(Fault::invalid_request("a parameter came twice"));
    }
    Ok(())
}

/// The scope granted for the one asked for (RFC 6749 section 3.3).
fn granted_scope(client: &Client, asked: Option<&str>) -> Result<String, Fault> {
    let words = |scopes: &BTreeSet<String>| {
        scopes
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    match (asked, &client.scopes) {
        (None, None) => Ok(String::new()),
        (None, Some(allowed)) => Ok(words(allowed)),
        (Some(asked), None) => Ok(asked.to_owned()),
        (Some(asked), Some(allowed)) => {
            if asked.split(' ').all(|scope| allowed.contains(scope)) {
                Ok(asked.to_owned())
            } else {
                let why = "the client may not have one of these scopes";
                Err(Fault::new("invalid_scope", why))
            }
        }
    }
}
