//! The same on several threads at once, where nothing takes any time.

use std::time::Duration;

use http::StatusCode;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_oauth::ErrorKind;

use crate::support::{World, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_thousand_calls_around_a_rollover_make_one_more_token_request() {
    let world = World::new();
    world.latency(Duration::ZERO);
    let api = world.layer().layer(world.resource());
    api.handle().ready().await.unwrap();
    let mut calls = JoinSet::new();
    for call in 0..5000 {
        if call == 1000 {
            world.rollover();
        }
        calls.spawn(api.clone().oneshot(request()));
    }
    while let Some(response) = calls.join_next().await {
        assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handle_that_is_closed_while_it_is_asked_leaves_nobody_waiting() {
    for _ in 0..500 {
        let world = World::new();
        world.latency(Duration::ZERO);
        let handle = world.handle();
        let mut callers = JoinSet::new();
        for _ in 0..4 {
            let handle = handle.clone();
            callers.spawn(async move { handle.token().await.map(drop) });
        }
        handle.close();
        while let Some(told) = callers.join_next().await {
            if let Err(error) = told.unwrap() {
                assert_eq!(error.kind(), ErrorKind::Closed);
            }
        }
    }
}
