//! Many calls at once.

use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::{Api, By, Version, World};

const LATENCY: Duration = Duration::from_millis(200);

type Body = http_body_util::Full<bytes::Bytes>;

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_http1_calls_share_one_fetch_and_one_more_after_a_rollover() {
    // A socket at either end of each connection is more than many systems allow at first.
    rlimit::increase_nofile_limit(4096).unwrap();
    let world = World::new().await;
    let api = world.api(Version::Http1, world.source(By::Assertion));
    rollover(&world, &api, 500).await;
    assert!(world.resource.counters().connections >= 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_calls_on_one_http2_connection_do_the_same() {
    let world = World::new().await;
    let api = world.api(Version::Http2, world.source(By::Certificate));
    // The connection is there before the crowd: a pool without one may open several.
    let without_token = api.get_ref().request(world.order()).await.unwrap();
    assert_eq!(without_token.status(), StatusCode::UNAUTHORIZED);
    rollover(&world, &api, 2000).await;
    assert_eq!(world.resource.counters().connections, 1);
}

/// First calls, all at once; then calls that are held at the resource while the server forgets
/// their token.
async fn rollover(world: &World, api: &Api<Body>, size: u64) {
    let before = world.resource.counters();
    world.server.set_latency(LATENCY);
    all_succeed(send(world, api, size)).await;
    assert_eq!(world.token_requests(), 1);
    assert_eq!(world.resource.counters().accepted, size);

    world.resource.hold();
    let calls = send(world, api, size);
    world.resource.wait_until_held(calls.len()).await;
    world.server.rollover();
    world.resource.release();
    all_succeed(calls).await;
    assert_eq!(world.token_requests(), 2);
    let counters = world.resource.counters();
    assert_eq!(counters.accepted, 2 * size);
    assert_eq!(counters.refused - before.refused, size);
}

fn send(world: &World, api: &Api<Body>, size: u64) -> JoinSet<StatusCode> {
    (0..size)
        .map(|_| {
            let call = api.clone().oneshot(world.order());
            async { call.await.unwrap().status() }
        })
        .collect()
}

async fn all_succeed(mut calls: JoinSet<StatusCode>) {
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap(), StatusCode::OK);
    }
}
