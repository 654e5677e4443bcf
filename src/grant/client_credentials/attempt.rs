//! One request to the server, and what comes of it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Response, header::DATE};

use super::{ClientCredentials, Parameters, keys::Set};
use crate::{
    client_auth::{Answered, AuthContext, Refused},
    discovery::Endpoints,
    error::{ErrorKind, TokenError},
    protocol::{Received, TokenAnswer, TokenRequest},
    token::AccessToken,
};

/// No token came of it.
struct Miss {
    error: TokenError,
    /// The method has something else to say.
    again: bool,
}

impl From<TokenError> for Miss {
    fn from(error: TokenError) -> Self {
        Self {
            error,
            again: false,
        }
    }
}

impl ClientCredentials {
    /// Asks for a token: once, and once more if the server doesn't know the client and the method has
    /// something else to say.
    pub(super) async fn ask(
        &self,
        set: &Set,
        endpoints: &Endpoints,
    ) -> Result<TokenAnswer, TokenError> {
        let answer = match self.attempt(set, endpoints).await {
            Err(Miss { again: true, .. }) => self.attempt(set, endpoints).await,
            answer => answer,
        };
        answer.map_err(|miss| miss.error)
    }

    async fn attempt(&self, set: &Set, endpoints: &Endpoints) -> Result<TokenAnswer, Miss> {
        let endpoint = &endpoints.called;
        let context = self.context(set, endpoints, endpoint);
        let request = self.request(&context).await?;
        let sent = self.wall();
        let answer = set
            .client
            .send(request.to_http(endpoint), endpoint, &self.limits)
            .await?;
        let received = self.wall();
        let credentials = request.credentials();
        let error = match self.received(&answer, &context, &credentials).read() {
            Ok(answer) => {
                self.skew.accepted();
                return Ok(answer);
            }
            Err(refusal) => TokenError::from(refusal),
        };
        // A code inside a 5xx is no verdict.
        let verdict = !error.is_temporary();
        let again = verdict && error.oauth_error() == Some("invalid_client") && {
            let refused = Refused {
                context: &context,
                request: &request,
                answered: date(answer.headers()).map(|date| Answered {
                    sent,
                    received,
                    date,
                }),
                observer: &*self.observer(),
            };
            self.auth.reconsider(&refused).await
        };
        // Without a word of OAuth it may be no token endpoint any more.
        if verdict && error.oauth_error().is_none() {
            self.server.doubt();
        }
        Err(Miss {
            error: self.explain(error, &context),
            again,
        })
    }

    /// Tells the server that this token isn't needed any more.
    pub(super) async fn give_back(
        &self,
        token: &AccessToken,
        set: &Set,
        endpoints: &Endpoints,
    ) -> Result<(), TokenError> {
        let endpoint = endpoints.revocation.as_ref().ok_or_else(|| {
            TokenError::new(
                ErrorKind::Configuration,
                "the server's revocation endpoint isn't known",
            )
            .with_hint(
                "set `revocation_endpoint`; beside `from_issuer`, the server's metadata would have \
                 to name one on a host that is vouched for",
            )
        })?;
        let context = self.context(set, endpoints, endpoint);
        let mut request = TokenRequest::revocation(token.expose());
        request.add_headers(&self.extra_headers);
        self.auth.authenticate(&context, &mut request).await?;
        let answer = set
            .client
            .send(request.to_http(endpoint), endpoint, &self.limits)
            .await?;
        let credentials = request.credentials();
        let received = self.received(&answer, &context, &credentials);
        let error = match received.acknowledged() {
            Ok(()) => return Ok(()),
            Err(refusal) => TokenError::from(refusal),
        };
        Err(match error.oauth_error() {
            None if !error.is_temporary() => error.with_hint(
                "is this the revocation endpoint? compare it with `revocation_endpoint` in the \
                 server's metadata",
            ),
            _ => self.explain(error, &context),
        })
    }

    async fn request(&self, context: &AuthContext<'_>) -> Result<TokenRequest, TokenError> {
        let mut request = TokenRequest::new("client_credentials");
        let Parameters {
            scope,
            resources,
            audiences,
            extra,
        } = &self.parameters;
        request.set("scope", &scope.to_string());
        for resource in resources {
            request.append("resource", resource);
        }
        for audience in audiences {
            request.append("audience", audience);
        }
        for (name, value) in extra {
            request.set_secret(name.clone(), value.expose());
        }
        request.add_headers(&self.extra_headers);
        self.auth.authenticate(context, &mut request).await?;
        Ok(request)
    }

    fn received<'a>(
        &self,
        answer: &'a Response<Bytes>,
        context: &'a AuthContext<'_>,
        credentials: &'a [&'a [u8]],
    ) -> Received<'a> {
        Received {
            from: context.token_endpoint().origin(),
            status: answer.status(),
            headers: answer.headers(),
            body: answer.body(),
            credentials,
            now: self.wall(),
        }
    }

    fn wall(&self) -> SystemTime {
        self.clock.now().wall_after(Duration::ZERO)
    }

    /// When it is the credential that the server doesn't like, the method knows best what to look
    /// at. Some servers have only a status for it, or `invalid_grant` for a missing certificate.
    fn explain(&self, error: TokenError, context: &AuthContext<'_>) -> TokenError {
        let credential = match error.oauth_error() {
            Some(code) => matches!(code, "invalid_client" | "invalid_grant"),
            None => error
                .status()
                .is_some_and(|status| matches!(status.as_u16(), 401 | 403)),
        };
        if !credential || error.is_temporary() {
            return error;
        }
        match (self.auth.hint(context), self.server.hint()) {
            (Some(hint), Some(more)) => error.with_hint(format!("{hint}; {more}")),
            (Some(hint), None) => error.with_hint(hint),
            (None, Some(hint)) => error.with_hint(hint),
            (None, None) => error,
        }
    }
}

/// What time it is at the server.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let date = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(date).ok()
}
