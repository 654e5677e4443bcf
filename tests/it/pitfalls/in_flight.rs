//! Requests that are long under way.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response, StatusCode};
use tokio::{task::JoinSet, time::sleep};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};
use tower_oauth::{Error, TokenHandle, token::Cause};

use crate::support::{Body, World, layer, refusal, request};

/// How many seconds a request is under way.
const SLOW: &str = "x-slow";

/// A layer over a resource that looks at the token when the request arrives.
fn slow(
    handle: &TokenHandle,
    accepts: impl Fn(&Request<Body>) -> bool + Clone + Send + 'static,
) -> BoxCloneService<Request<Body>, Response<&'static str>, Error> {
    let resource = service_fn(move |request: Request<Body>| {
        let accepts = accepts.clone();
        async move {
            let under_way = request.headers()[SLOW].to_str().unwrap().parse().unwrap();
            sleep(Duration::from_secs(under_way)).await;
            Ok::<_, Infallible>(match accepts(&request) {
                true => Response::new("fine"),
                false => refusal(),
            })
        }
    });
    BoxCloneService::new(layer(handle.clone()).layer(resource))
}

fn taking(seconds: u64) -> Request<Body> {
    let mut request = request();
    request.headers_mut().insert(SLOW, seconds.into());
    request
}

#[tokio::test(start_paused = true)]
async fn staggered_401s_about_an_old_token_mint_nothing() {
    let world = World::new();
    let handle = world.handle();
    let api = slow(&handle, {
        let world = world.clone();
        move |request| world.accepts(request)
    });
    handle.ready().await.unwrap();

    // All are sent with the first token, and refused one by one over ten minutes: each when a
    // cool-down would long be over.
    let mut calls = JoinSet::new();
    for call in 0..100 {
        calls.spawn(api.clone().oneshot(taking(1 + 6 * call)));
    }
    // Lets them all be sent.
    sleep(Duration::from_millis(1)).await;
    world.rollover();
    while let Some(response) = calls.join_next().await {
        assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.fetches(), 2, "{:?}", world.causes());
    assert_eq!(handle.status().generation.map(u64::from), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_under_way_is_replaced_without_another_fetch() {
    let world = World::new();
    world.lifetime(Duration::from_secs(100));
    let handle = world.handle();
    // The first token has expired when the request arrives, and the second hasn't.
    let api = slow(&handle, |request| {
        request.headers()["authorization"] != "Bearer token-1"
    });
    handle.ready().await.unwrap();
    // It is due after 65 seconds at the earliest.
    sleep(Duration::from_secs(60)).await;
    let response = api.oneshot(taking(41)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let causes = world.causes();
    let renewals = causes[1..].iter().all(|it| *it == Cause::Scheduled);
    assert!(causes.len() > 1 && renewals, "{causes:?}");
}
