//! Both servers send back every credential that they get, in all the places that end up in logs.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth::{
    client_auth::ClientSecretBasic,
    grant::ClientCredentialsBuilder,
    refresh::TokenHandle,
    service::{Error, OAuth, Rejected},
    testing::{Answer, Refusal},
    tls::TrustAnchors,
};

use super::{By, Collector, SECRET, Secrets, Version, World, assert_unseen, client};

/// A token that a server gave in an answer that is none.
const UNUSED: &str = "a-token-in-an-answer-that-is-none";

#[tokio::test(flavor = "multi_thread")]
async fn client_secret_basic_leaks_nothing() {
    drive(By::Secret).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn private_key_jwt_leaks_nothing() {
    drive(By::Assertion).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_client_auth_leaks_nothing() {
    drive(By::Certificate).await;
}

async fn drive(by: By) {
    for version in Version::ALL {
        let scene = Scene::new(by, version).await;
        scene.success().await;
        for hostile in [false, true] {
            scene.world.server.set_hostile(hostile);
            scene.world.resource.set_hostile(hostile);
            scene.refusals().await;
            scene.odd_answers().await;
            scene.fetch_fails().await;
        }
        scene.echoed_everywhere().await;
        scene.transport_fails().await;
        scene.formatted();
        assert_unseen(&scene.secrets());
    }
    // They did say something.
    let crates = Collector::listening().crates();
    for name in ["rustls", "h2", "hyper_util", "tower_oauth"] {
        assert!(crates.contains(name), "{name} is not among {crates:?}");
    }
}

struct Scene {
    collector: &'static Collector,
    world: World,
    by: By,
    version: Version,
    /// The tokens that never came to the resource.
    tokens: Arc<Mutex<Vec<String>>>,
}

type Api = OAuth<client::HttpsClient<Full<Bytes>>>;

impl Scene {
    async fn new(by: By, version: Version) -> Self {
        Self {
            collector: Collector::listening(),
            world: World::new().await,
            by,
            version,
            tokens: Arc::default(),
        }
    }

    /// All that the servers got, and what it was made of.
    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.text("the client secret", SECRET);
        secrets.text("a token never used", UNUSED);
        secrets.key(self.world.keystore.key_pem());
        let bearer = |field: &str| field.split_once(' ').unwrap().1.to_owned();
        for request in self.world.server.requests() {
            if let Some(field) = request.headers().get("authorization") {
                secrets.text("Basic", &bearer(field.to_str().unwrap()));
            }
            if let Some(assertion) = request.parameter("client_assertion") {
                secrets.text("an assertion", assertion);
            }
        }
        for call in self.world.resource.calls() {
            secrets.text("an access token", &bearer(call.authorization().unwrap()));
        }
        for token in &*self.tokens.lock().unwrap() {
            secrets.text("an access token", token);
        }
        secrets
    }

    fn source(&self) -> ClientCredentialsBuilder {
        self.world.source(self.by).extra_parameter("pin", SECRET)
    }

    fn api(&self, handle: TokenHandle) -> Api {
        let client = client::https(&self.world.pki, Some(&self.world.keystore), self.version);
        self.world.layer(handle).layer(client)
    }

    /// Calls, and sees everything that comes of it.
    async fn call(&self, api: &Api) -> Option<Response<Incoming>> {
        let outcome = self.world.call(api).await;
        self.collector.debug(api);
        self.collector.debug(&api.handle().status());
        match outcome {
            Ok(mut response) => {
                if let Some(rejected) = response.extensions().get::<Rejected>() {
                    self.collector.error(rejected);
                    self.collector.debug(rejected.reason());
                    self.collector.debug(rejected.refusal());
                }
                // The head is the server's own; what was added to it is ours.
                self.collector.debug(response.extensions());
                response.body_mut().collect().await.unwrap();
                Some(response)
            }
            Err(error) => {
                self.collector.error(&error);
                None
            }
        }
    }

    async fn success(&self) {
        let handle = self.world.handle(self.source());
        let api = self.api(handle.clone());
        for _ in 0..2 {
            let response = self.call(&api).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let token = handle.token().await.unwrap();
            self.collector.debug(&token);
            self.collector.debug(token.access_token());
            self.collector.debug(&token.authorization());
            self.world.server.rollover();
        }
        self.collector.debug(&self.world.layer(handle.clone()));
        handle.close();
        assert!(self.call(&api).await.is_none());
    }

    /// A resource that refuses every token, in every shape, as a response and as an error.
    async fn refusals(&self) {
        self.world.resource.refuse_all(true);
        for refusal in [
            Refusal::InvalidToken401,
            Refusal::Bare401,
            Refusal::Bare401NoHeader,
            Refusal::InvalidToken403,
            Refusal::InsufficientScope403,
            Refusal::GrpcUnauthenticated,
        ] {
            self.world.resource.set_refusal(refusal);
            let handle = self.world.handle(self.source());
            let api = self.api(handle.clone());
            self.call(&api).await.unwrap();
            // The second token is refused as well, and the third call meets a cool-down.
            self.call(&api).await.unwrap();
            self.call(&api).await.unwrap();

            let client = client::https(&self.world.pki, None, self.version);
            let layer = self.world.layer(handle).rejection_as_error();
            let outcome = layer.layer(client).oneshot(self.world.order()).await;
            if let Err(error) = outcome {
                assert!(matches!(error, Error::Rejected(_)), "{error}");
                self.collector.error(&error);
            }
        }
        self.world.resource.set_refusal(Refusal::default());
        self.world.resource.refuse_all(false);
    }

    /// The token that was just sent, and the one before, in every part of a challenge.
    async fn echoed_everywhere(&self) {
        for challenge in [
            |token: &str| format!(r#"Bearer realm="{token}", error="{token}", scope="x {token}""#),
            |token: &str| format!(r#"Bearer error="{token}", error_uri="https://x/?{token}""#),
            |token: &str| format!(r#"Bearer error="invalid_token", error_description="{token}""#),
            |token: &str| format!("Bearer {token}"),
            |token: &str| format!(r#"{token} realm="x""#),
        ] {
            let tokens = Arc::clone(&self.tokens);
            let echo = service_fn(move |request: Request<Full<Bytes>>| {
                let sent = request.headers()["authorization"].to_str().unwrap();
                let token = sent["Bearer ".len()..].to_owned();
                let mut tokens = tokens.lock().unwrap();
                let earlier = tokens.last().unwrap_or(&token).clone();
                tokens.push(token.clone());
                let response = Response::builder()
                    .status(StatusCode::UNAUTHORIZED)
                    .header("www-authenticate", challenge(&earlier))
                    .header("www-authenticate", challenge(&token))
                    .body(());
                async { Ok::<_, Infallible>(response.unwrap()) }
            });
            let handle = self.world.handle(self.source());
            handle.ready().await.unwrap();
            let layer = self.world.layer(handle).rejection_as_error();
            for _ in 0..3 {
                let outcome = layer.layer(echo.clone()).oneshot(self.world.order()).await;
                if let Err(error) = outcome {
                    self.collector.error(&error);
                }
            }
        }
    }

    /// Answers of the authorization server that are no tokens.
    async fn odd_answers(&self) {
        let json = |status, text: String| Answer::json(status, text);
        let (bad, ok) = (StatusCode::BAD_REQUEST, StatusCode::OK);
        let secret = serde_json::to_string(SECRET).unwrap();
        for answer in [
            json(bad, r#"{"error":"invalid_client"}"#.to_owned()),
            json(
                bad,
                format!(
                    r#"{{"error":{secret},"error_uri":{secret},"error_description":{secret}}}"#
                ),
            ),
            json(bad, format!(r#"{{"error":{{"code":{secret}}}}}"#)),
            json(StatusCode::UNAUTHORIZED, "{}".to_owned()),
            Answer::new(StatusCode::FOUND),
            Answer::new(StatusCode::PERMANENT_REDIRECT).header(
                "location",
                format!("https://{UNUSED}@as.example/{UNUSED}?{UNUSED}"),
            ),
            Answer::new(StatusCode::INTERNAL_SERVER_ERROR).body("<html>"),
            Answer::new(StatusCode::TOO_MANY_REQUESTS).header("retry-after", UNUSED),
            Answer::new(ok).body("<html>"),
            json(ok, "{}".to_owned()),
            json(
                ok,
                format!(r#"{{"access_token":"{UNUSED}\r\n","token_type":"Bearer"}}"#),
            ),
            json(
                ok,
                format!(r#"{{"access_token":"{UNUSED}","token_type":"mac"}}"#),
            ),
            json(
                ok,
                format!(r#"{{"access_token":["{UNUSED}"],"token_type":"Bearer"}}"#),
            ),
            json(
                ok,
                format!(r#"{{"access_token":"{UNUSED}","access_token":"{UNUSED}"}}"#),
            ),
            json(ok, format!(r#"{{"access_token":"{UNUSED}"#)),
            json(ok, format!(r#"{{"access_token":{UNUSED}}}"#)),
            json(ok, format!(r#"["{UNUSED}"]"#)),
            json(
                ok,
                format!(r#"{{"access_token":"x","token_type":{secret}}}"#),
            ),
            json(
                ok,
                format!(
                    r#"{{"access_token":"{UNUSED}-good","token_type":"Bearer","scope":{secret}}}"#
                ),
            ),
        ] {
            self.collector.debug(&answer);
            self.world.server.answer_next(1, answer);
            let handle = self.world.handle(self.source());
            if let Err(error) = handle.ready().await {
                self.collector.error(&error);
            }
            // A second call is told of the first one's failure.
            self.call(&self.api(handle)).await;
        }
    }

    /// A refused token, and no other to be had.
    async fn fetch_fails(&self) {
        let api = self.api(self.world.handle(self.source()));
        self.call(&api).await.unwrap();
        self.world.server.rollover();
        let answer = Answer::json(StatusCode::BAD_REQUEST, r#"{"error":"invalid_scope"}"#);
        self.world.server.answer_next(1, answer);
        let response = self.call(&api).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        // And one more, in the back-off.
        self.call(&api).await.unwrap();
    }

    /// Connections that don't come about, and a credential that is wrong.
    async fn transport_fails(&self) {
        self.world.server.take_down();
        self.world.resource.take_down();
        let api = self.api(self.world.handle(self.source()));
        assert!(self.call(&api).await.is_none());
        self.world.server.bring_up();
        let api = self.api(self.world.handle(self.source()));
        assert!(self.call(&api).await.is_none());
        self.world.resource.bring_up();

        let stranger = World::new().await;
        let trust = TrustAnchors::from_pem(stranger.pki.ca_pem().as_bytes()).unwrap();
        let untrusting = self.world.handle(self.source().trust(trust));
        self.collector.error(&untrusting.ready().await.unwrap_err());

        let wrong = ClientSecretBasic::new(SECRET).without_form_encoding();
        let wrong = self.world.source_with(self.by.client_id(), wrong);
        let wrong = self.world.handle(wrong);
        self.collector.error(&wrong.ready().await.unwrap_err());
    }

    /// The servers are formatted in users' tests.
    fn formatted(&self) {
        self.collector.debug(&self.world.server);
        self.collector.debug(&self.world.resource);
        self.collector.debug(&self.world.server.requests());
        self.collector.debug(&self.world.resource.calls());
    }
}
