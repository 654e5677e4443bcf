//! A token source that panics with a secret in its hands.

use std::{convert::Infallible, panic};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth::{
    SecretString, TokenError,
    grant::{Fetched, TokenSource},
    refresh::TokenHandle,
    service::{AllowedOrigins, OAuthLayer},
    token::{AccessToken, Cause},
};

use super::{Collector, Secrets, assert_unseen};

const HELD: &str = "a secret that was held in a panic";
const THROWN: &str = "what was thrown, and no hook told of";

#[derive(Debug)]
struct Panics {
    #[expect(dead_code, reason = "it is only formatted")]
    secret: SecretString,
    token: AccessToken,
    silently: bool,
}

impl TokenSource for Panics {
    async fn fetch(&self, _: Cause) -> Result<Fetched, TokenError> {
        if self.silently {
            // The payload itself is the secret, and the hook doesn't run.
            panic::resume_unwind(Box::new(THROWN.to_owned()));
        }
        let fetched = Fetched::new(self.token.clone());
        panic!("{self:?} {self:#?} {fetched:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_source_tells_nothing_of_what_it_held() {
    let collector = Collector::listening();
    let mut secrets = Secrets::default();
    secrets.text("what was held", HELD);
    secrets.text("what was thrown", THROWN);
    for silently in [false, true] {
        let source = Panics {
            secret: HELD.into(),
            token: AccessToken::new(HELD.replace(' ', "-")).unwrap(),
            silently,
        };
        secrets.text("the token", source.token.expose());
        let handle = TokenHandle::new(source);
        let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
        let api = OAuthLayer::new(handle.clone(), origins).layer(service_fn(
            |_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(())) },
        ));
        let request = Request::get("https://api.example/").body(Full::default());
        let error = api.oneshot(request.unwrap()).await.unwrap_err();
        collector.error(&error);
        collector.debug(&handle);
        collector.debug(&handle.status());
    }
    let panicked = |text: &str| text.contains("Panics { secret: [redacted]");
    let seen = |collector: &Collector| collector.records().iter().any(|it| panicked(&it.text));
    assert!(seen(collector), "the panic was not seen");
    assert_unseen(&secrets);
}
