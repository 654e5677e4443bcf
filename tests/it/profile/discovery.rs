//! How metadata is found and believed.

use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use tower_oauth::{ManualClock, grant::TokenSource, testing::Answer, token::Cause};

use super::world::{World, token};

/// A profile of a server that says itself where its token endpoint is, with this line.
fn text(world: &World, line: &str) -> String {
    let endpoint = format!("token_endpoint = \"{}\"", world.server.token_endpoint());
    let issuer = format!("issuer = \"{}\"", world.server.issuer());
    world.with_secret().replace(&endpoint, &issuer) + line + "\n"
}

/// The places where a profile with this line looks for metadata.
async fn places(world: &World, line: &str) -> Vec<String> {
    let before = world.server.metadata_requests().len();
    world.server.answer_next(1, token("a"));
    // Whether it comes to a token is another question.
    let _ = world.fetch(&text(world, line)).await;
    let requests = world.server.metadata_requests();
    requests[before..]
        .iter()
        .map(|uri| uri.path().to_owned())
        .collect()
}

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPEN_ID: &str = "/.well-known/openid-configuration";

pub(crate) async fn well_known(world: &World) {
    assert_eq!(places(world, "").await, [OAUTH]);
    assert_eq!(
        places(world, "discovery.well_known = [\"open_id\"]").await,
        [OPEN_ID]
    );
}

pub(crate) async fn next_on_client_errors(world: &World) {
    world
        .server
        .set_metadata(OAUTH, Answer::new(StatusCode::FORBIDDEN));
    assert_eq!(places(world, "").await, [OAUTH]);
    let line = "discovery.next_on_client_errors = true";
    assert_eq!(places(world, line).await, [OAUTH, OPEN_ID]);
}

pub(crate) async fn endpoint_hosts(world: &World) {
    // The issuer is whom it was asked of; only its endpoints are elsewhere.
    let issuer = format!("\"{}\"", world.server.issuer());
    let elsewhere = world.server.metadata().replace("127.0.0.1", "localhost");
    let elsewhere = elsewhere.replace(&issuer.replace("127.0.0.1", "localhost"), &issuer);
    let elsewhere = Answer::json(StatusCode::OK, elsewhere);
    world.server.set_metadata(OAUTH, elsewhere);
    world.server.answer_next(1, token("a"));
    let error = world.fetch(&text(world, "")).await.err().unwrap();
    assert!(error.to_string().contains("localhost"), "{error}");
    let line = "discovery.endpoint_hosts = [\"localhost\"]";
    world.fetch(&text(world, line)).await.unwrap();
}

pub(crate) async fn renew_after(world: &World) {
    let profile = world
        .load(&text(world, "discovery.renew_after = \"5m\""))
        .unwrap();
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let source = profile.source_builder().unwrap().clock(clock.clone());
    let source = source.build().unwrap();
    let fetch = async || {
        world.server.answer_next(1, token("a"));
        source.fetch(Cause::Cold).await.unwrap();
    };
    let before = world.server.metadata_requests().len();
    fetch().await;
    clock.advance(Duration::from_secs(4 * 60));
    fetch().await;
    assert_eq!(world.server.metadata_requests().len(), before + 1);
    clock.advance(Duration::from_secs(2 * 60));
    world.server.hold();
    // One asks for a token, the other for metadata.
    let both = async {
        world.server.wait_until_held(2).await;
        world.server.release();
    };
    tokio::join!(fetch(), both);
    assert_eq!(world.server.metadata_requests().len(), before + 2);
}
