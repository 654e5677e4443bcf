//! How metadata is found and believed.

use http::StatusCode;
use tower_oauth::testing::Answer;

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
    let fetched = world.fetch(&text(world, line)).await;
    if fetched.is_err() {
        world.request(&world.with_secret()).await;
    }
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
    let document = || Answer::json(StatusCode::OK, world.server.metadata());
    world
        .server
        .set_metadata(OAUTH, Answer::new(StatusCode::FORBIDDEN));
    assert_eq!(places(world, "").await, [OAUTH]);
    let line = "discovery.next_on_client_errors = true";
    assert_eq!(places(world, line).await, [OAUTH, OPEN_ID]);
    world.server.set_metadata(OAUTH, document());
}

pub(crate) async fn endpoint_hosts(world: &World) {
    let document = world.server.metadata();
    let elsewhere = document.replace("127.0.0.1", "elsewhere.invalid");
    // The issuer is whom it was asked of; only the endpoint is elsewhere.
    let issuer = world.server.issuer();
    let elsewhere = elsewhere.replace(
        &format!("\"{}\"", issuer.replace("127.0.0.1", "elsewhere.invalid")),
        &format!("\"{issuer}\""),
    );
    world
        .server
        .set_metadata(OAUTH, Answer::json(StatusCode::OK, elsewhere));
    let failure = |line: &str| {
        let text = text(world, line);
        async move { world.fetch(&text).await.err().unwrap() }
    };
    let refused = failure("").await;
    let believed = failure("discovery.endpoint_hosts = [\"elsewhere.invalid\"]").await;
    // A believed address is called, and nobody is there.
    assert_ne!(refused.kind(), believed.kind(), "{refused}\n{believed}");
    world
        .server
        .set_metadata(OAUTH, Answer::json(StatusCode::OK, document));
}

pub(crate) async fn renew_after(world: &World) {
    let profile = |line: &str| world.load(&text(world, line)).unwrap();
    // Nobody waits for a renewal: that it was asked for is all there is to see.
    let source = profile("discovery.renew_after = \"1ms\"").source().unwrap();
    let before = world.server.metadata_requests().len();
    for _ in 0..50 {
        world.server.answer_next(1, token("a"));
        tower_oauth::grant::TokenSource::fetch(&source, tower_oauth::token::Cause::Cold)
            .await
            .unwrap();
    }
    assert!(world.server.metadata_requests().len() > before + 1);
}
