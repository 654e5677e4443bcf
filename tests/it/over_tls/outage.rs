//! The authorization server is down for a while.

use std::time::Duration;

use http::StatusCode;
use tokio::sync::mpsc;
use tower::Layer;
use tower_oauth::{ErrorKind, events::Event, refresh::TokenHandle, service::Error};

use super::{By, Version, World, client};

/// The longest back-off after a failure that may pass by itself.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_down_authorization_server_takes_no_valid_token_away_and_heals_by_itself() {
    let world = World::new().await;
    let (ends, mut fetches) = mpsc::unbounded_channel();
    let handle = TokenHandle::builder(world.source(By::Certificate).build().unwrap())
        .clock(world.clock.clone())
        .observer(move |event: &Event<'_>| match event {
            // Nobody listens any more once the test is over.
            Event::FetchSucceeded { .. } => drop(ends.send(true)),
            Event::FetchFailed { .. } => drop(ends.send(false)),
            _ => {}
        })
        .build();
    let api = world
        .layer(handle.clone())
        .layer(client::https(&world.pki, None, Version::Http1));
    world.call(&api).await.unwrap();
    assert_eq!(fetches.recv().await, Some(true));

    // It can't be renewed, but is good for another 50 seconds.
    world.server.take_down();
    world.clock.advance(Duration::from_secs(3540));
    assert_eq!(fetches.recv().await, Some(false));
    let response = world.call(&api).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);

    // It isn't any more. A call may still meet an attempt under way; after it, it is told at once
    // when the next one is made.
    world.clock.advance(Duration::from_secs(50));
    let calls = world.resource.counters().calls;
    loop {
        let Err(Error::Token(error)) = world.call(&api).await else {
            panic!("the token has expired");
        };
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        assert!(error.is_temporary(), "{error}");
        if error.retry_at().is_some() {
            break;
        }
    }
    assert!(!handle.status().usable);
    assert!(handle.status().last_error.is_some());
    assert_eq!(world.resource.counters().calls, calls);

    // Nobody calls, and it becomes ready. An attempt that met the outage may still end.
    world.server.bring_up();
    loop {
        world.clock.advance(LONGEST_BACK_OFF);
        if fetches.recv().await == Some(true) {
            break;
        }
    }
    let response = world.call(&api).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.resource.counters().calls, calls + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_against_a_down_server_fails_and_becomes_ready_without_traffic() {
    let world = World::new().await;
    world.server.take_down();
    let handle = world.handle(world.source(By::Secret));
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");

    // The one who arrives is the background's own attempt.
    world.server.hold();
    world.server.bring_up();
    world.clock.advance(LONGEST_BACK_OFF);
    world.server.wait_until_held(1).await;
    world.server.release();
    handle.ready().await.unwrap();
    assert_eq!(world.token_requests(), 1);
}
