//! What a caller finds in an error.

use std::{fmt, time::Duration};

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next, Result};
use tower_oauth::{
    Error, ErrorKind,
    adapter::reqwest::OAuthMiddleware,
    client_auth::TlsClientAuth,
    grant::{ClientCredentials, Fetched},
    refresh::TokenHandle,
    service::RejectedReason,
    testing::Pki,
};

use super::{
    plain::{Plain, refusal},
    world::{api, layer, plain_client, trust},
};
use crate::support::{World, token};

/// A server that refuses everybody, and one call with the middleware's error.
struct Scene {
    world: World,
    server: Plain,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new();
        world.latency(Duration::ZERO);
        let server = Plain::start(|_| async { Ok(refusal()) }).await;
        Self { world, server }
    }

    fn handle(&self) -> TokenHandle {
        self.world.handle()
    }
}

fn ours(error: &reqwest_middleware::Error) -> &Error {
    let reqwest_middleware::Error::Middleware(error) = error else {
        panic!("it comes from below: {error:?}");
    };
    error.downcast_ref().expect("ours")
}

#[tokio::test]
async fn no_token_is_an_error_with_all_that_is_known_of_it() {
    let scene = Scene::new().await;
    scene.world.down();
    let layer = layer(scene.handle(), &scene.server.origin());
    let api = api(plain_client(), layer);
    let error = api.get(scene.server.url("/")).send().await.unwrap_err();
    let Error::Token(token) = ours(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(token.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains("nobody answers"), "{error}");
    assert!(scene.server.calls().is_empty());
}

#[tokio::test]
async fn a_foreign_origin_and_a_foreign_host_are_errors_and_nothing_is_sent() {
    let scene = Scene::new().await;
    let foreign = layer(scene.handle(), "https://api.example");
    let url = scene.server.url("/");
    let error = api(plain_client(), foreign).get(&url).send().await;
    let error = error.unwrap_err();
    assert!(matches!(ours(&error), Error::Origin(_)), "{error:?}");

    let own = api(
        plain_client(),
        layer(scene.handle(), &scene.server.origin()),
    );
    let error = own.get(&url).header("host", "api.example").send().await;
    let error = error.unwrap_err();
    assert!(matches!(ours(&error), Error::Origin(_)), "{error:?}");
    assert!(error.to_string().contains("Host header"), "{error}");
    assert!(scene.server.calls().is_empty());
    assert_eq!(scene.world.fetches(), 0);
}

#[tokio::test]
async fn a_rejection_can_be_an_error() {
    let scene = Scene::new().await;
    let handle = scene.handle();
    handle.ready().await.unwrap();
    let layer = layer(handle, &scene.server.origin()).rejection_as_error();
    let api = api(plain_client(), layer);
    let error = api.get(scene.server.url("/")).send().await.unwrap_err();
    let Error::Rejected(rejected) = ours(&error) else {
        panic!("{error:?}");
    };
    assert!(matches!(rejected.reason(), RejectedReason::Again));
    assert!(error.to_string().contains("audience"), "{error}");
    assert_eq!(scene.server.calls().len(), 2);
}

#[tokio::test]
async fn the_error_of_a_middleware_below_comes_back_as_it_is() {
    let scene = Scene::new().await;
    let layer = layer(scene.handle(), &scene.server.origin());
    let api = ClientBuilder::new(plain_client())
        .with(OAuthMiddleware::new(layer).unwrap())
        .with(Failing)
        .build();
    let error = api.get(scene.server.url("/")).send().await.unwrap_err();
    let reqwest_middleware::Error::Middleware(error) = error else {
        panic!("{error:?}");
    };
    assert!(error.is::<OutOfOrder>());
}

struct Failing;

#[derive(Debug)]
struct OutOfOrder;

impl fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of order")
    }
}

impl std::error::Error for OutOfOrder {}

#[async_trait::async_trait]
impl Middleware for Failing {
    async fn handle(&self, _: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        Err(reqwest_middleware::Error::middleware(OutOfOrder))
    }
}

#[test]
fn tokens_of_a_certificate_are_refused_at_build() {
    let pki = Pki::new().unwrap();
    let identity = pki.client("orders").unwrap().identity().unwrap();
    let source = ClientCredentials::builder("https://as.example/token")
        .client_id("orders")
        .auth(TlsClientAuth::new(identity))
        .trust(trust(&pki))
        .build()
        .unwrap();
    let layer = layer(source.into(), "https://api.example");
    let error = OAuthMiddleware::new(layer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.hint().unwrap().contains("OAuthMiddleware::rotating"));
}

#[tokio::test]
async fn where_that_is_not_known_by_then_the_first_call_is_refused_and_the_next_build() {
    let pki = Pki::new().unwrap();
    let identity = pki.client("orders").unwrap().identity().unwrap();
    let scene = Scene::new().await;
    scene.world.answer(move |number| {
        let identity = identity.clone();
        Ok(Fetched::new(token(number)).identity(identity))
    });
    let layer = layer(scene.handle(), &scene.server.origin());
    let api = api(plain_client(), layer.clone());
    let error = api.get(scene.server.url("/")).send().await.unwrap_err();
    let Error::Token(error) = ours(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(scene.server.calls().is_empty());
    let error = OAuthMiddleware::new(layer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}
