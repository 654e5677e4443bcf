//! What is known of a server is kept and renewed, and no fetch waits for that.

use std::{
    sync::Mutex,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;
use tower_oauth::{
    BoxError, ManualClock,
    client_auth::NoClientAuth,
    discovery::Discovery,
    grant::ClientCredentials,
    refresh::TokenHandle,
    testing::Answer,
    transport::{HttpClient, TokenTransport},
};

use super::{
    OAUTH, World,
    world::{fetch, listen},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PAUSE: Duration = Duration::from_secs(60);

/// More exchanges than can pass while another one is under way.
const MANY: usize = 1000;

#[tokio::test]
async fn callers_and_clones_that_come_at_once_share_one_request() {
    let world = World::new().await;
    world.server.hold();
    let source = world.source().build().unwrap();
    let handles: Vec<_> = (0..4)
        .map(|_| {
            TokenHandle::builder(source.clone())
                .clock(world.clock.clone())
                .build()
        })
        .collect();
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..40 {
        let handle = handles[number % handles.len()].clone();
        callers.spawn(async move { handle.ready().await });
    }
    world.server.wait_until_held(1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.asked(), [OAUTH]);
    world.server.release();
    while let Some(ready) = callers.join_next().await {
        ready.unwrap().unwrap();
    }
    assert_eq!(world.asked(), [OAUTH]);
    assert_eq!(world.token_requests(), 4);
}

#[tokio::test]
async fn metadata_is_kept_for_a_day_and_then_renewed() {
    let world = World::new().await;
    let source = world.source().build().unwrap();
    fetch(&source).await.unwrap();
    world.clock.advance(DAY - PAUSE);
    fetch(&source).await.unwrap();
    assert_eq!(world.asked().len(), 1);

    let moved = format!("{}?moved", world.server.token_endpoint());
    world.publish(json!({"token_endpoint": moved}));
    world.clock.advance(PAUSE);
    // The first of these starts the renewal, and one of the next knows what it brought.
    let mut fetches = 0;
    while world.server.requests().last().unwrap().uri().query() != Some("moved") {
        fetch(&source).await.unwrap();
        fetches += 1;
        assert!(fetches < MANY);
    }
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test]
async fn a_renewal_that_names_another_host_changes_nothing_but_is_told() {
    let world = World::new().await;
    let server = Discovery::new(world.server.issuer()).endpoint_host("localhost");
    let source = world.source_of(server).build().unwrap();
    let mut told = listen(&source);
    fetch(&source).await.unwrap();

    world.publish(json!({"token_endpoint": world.elsewhere()}));
    world.clock.advance(DAY);
    fetch(&source).await.unwrap();
    let kept = world.server.issuer();
    let named = kept.replace("127.0.0.1", "localhost");
    assert_eq!(told.recv().await.unwrap(), format!("moved: {kept} {named}"));
    fetch(&source).await.unwrap();
    for request in world.server.requests() {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        assert!(host.starts_with("127.0.0.1:"), "{host}");
    }
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test]
async fn a_renewal_that_fails_keeps_what_is_known_and_is_tried_again() {
    let world = World::new().await;
    let source = world.source().build().unwrap();
    let mut told = listen(&source);
    fetch(&source).await.unwrap();

    world.publish(json!({"issuer": "https://evil.example"}));
    world.clock.advance(DAY);
    fetch(&source).await.unwrap();
    let event = told.recv().await.unwrap();
    assert!(
        event.contains("another issuer, https://evil.example"),
        "{event}"
    );
    fetch(&source).await.unwrap();
    assert_eq!(world.asked().len(), 2, "not at once");

    let answer = Answer::new(StatusCode::SERVICE_UNAVAILABLE);
    world.server.set_metadata(OAUTH, answer);
    world.clock.advance(PAUSE);
    fetch(&source).await.unwrap();
    let event = told.recv().await.unwrap();
    assert!(
        event.starts_with("not renewed: ") && event.contains("answered 503"),
        "{event}"
    );
    assert_eq!(world.asked().len(), 3);
    assert_eq!(world.token_requests(), 4);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_looked_for_anew() {
    let world = World::new().await;
    let gone = format!("{}/old", world.server.token_endpoint());
    world.publish(json!({"token_endpoint": gone}));
    let source = world.source().build().unwrap();
    let error = fetch(&source).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));

    world.publish(json!({}));
    fetch(&source).await.unwrap_err();
    assert_eq!(world.asked().len(), 1, "not at once");
    world.clock.advance(PAUSE);
    let mut fetches = 0;
    while fetch(&source).await.is_err() {
        fetches += 1;
        assert!(fetches < MANY);
    }
    assert_eq!(world.asked().len(), 2);
}

/// Answers the first request for metadata, no other one, and each for a token.
struct MetadataOnce(Mutex<bool>);

impl TokenTransport for MetadataOnce {
    async fn send(&self, request: Request<Bytes>, _: usize) -> Result<Response<Bytes>, BoxError> {
        if request.uri().path() == "/token" {
            let token = json!({"access_token": "t0ken", "token_type": "Bearer"});
            return Ok(Response::new(token.to_string().into()));
        }
        if std::mem::replace(&mut *self.0.lock().unwrap(), true) {
            return std::future::pending().await;
        }
        let document = json!({
            "issuer": "https://as.example",
            "token_endpoint": "https://as.example/token",
        });
        Ok(Response::new(document.to_string().into()))
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_renewal() {
    let clock = ManualClock::new(UNIX_EPOCH);
    let transport = MetadataOnce(Mutex::new(false));
    let source = ClientCredentials::from_issuer("https://as.example")
        .client_id("orders")
        .auth(NoClientAuth::new())
        .http_client(HttpClient::from_transport(transport))
        .clock(clock.clone())
        .build()
        .unwrap();
    fetch(&source).await.unwrap();
    clock.advance(DAY);
    for _ in 0..3 {
        fetch(&source).await.unwrap();
    }
}
