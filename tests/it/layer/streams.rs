//! Bodies that can't be cloned.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::{runtime::Builder, time::sleep};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth::{
    BoxError,
    body::ReplayBody,
    refresh::TokenHandle,
    service::{Error, RejectedReason},
};

use super::{assert_original, told};
use crate::support::{World, layer, request};

/// A service of streams that reads them whole before it answers.
fn streaming(
    world: &World,
    handle: TokenHandle,
    limit: usize,
) -> impl Service<
    Request<ReplayBody<Full<bytes::Bytes>>>,
    Response = Response<&'static str>,
    Error = Error,
    Future: Send,
> + Clone
+ Send
+ use<> {
    let resource = world.resource();
    layer(handle)
        .replay_limit(limit)
        .layer(service_fn(move |request: Request<ReplayBody<_>>| {
            let resource = resource.clone();
            async move {
                let (head, body) = request.into_parts();
                let body: Full<bytes::Bytes> = body.collect().await?.to_bytes().into();
                Ok::<_, BoxError>(resource.oneshot(Request::from_parts(head, body)).await?)
            }
        }))
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_sent_once_and_the_token_replaced_for_the_next_call() {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    let api = streaming(&world, handle.clone(), 4);
    let stream = || request().map(ReplayBody::new);
    let response = api.clone().oneshot(stream()).await.unwrap();
    assert_original(&response, |it| matches!(it, RejectedReason::NotRepeatable));
    assert!(told(&response).hint().contains("replay_limit"));
    assert_eq!(world.sends(), 1);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.fetches(), 2);
    let response = api.oneshot(stream()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!((world.fetches(), world.sends()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_within_the_limit_is_sent_twice() {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    let response = streaming(&world, handle, 8).oneshot(request().map(ReplayBody::new));
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.sends(), 2);
}

/// A refused call has made the handle fetch a token; a call that can be sent once only comes then.
async fn unrepeatable_during_a_replacement(latency: u64) -> (StatusCode, usize) {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    world.latency(Duration::from_secs(latency));
    let repeatable = layer(handle.clone()).layer(world.resource());
    let held = tokio::spawn(repeatable.oneshot(request()));
    sleep(Duration::from_millis(500)).await;
    assert_eq!((world.underway(), world.sends()), (1, 1));

    let api = streaming(&world, handle, 0);
    let call = tokio::spawn(api.oneshot(request().map(ReplayBody::new)));
    sleep(Duration::from_millis(400)).await;
    assert_eq!(world.sends(), 1, "it doesn't wait");
    sleep(Duration::from_millis(1700)).await;
    // Two seconds are over.
    assert!(call.is_finished());
    let status = call.await.unwrap().unwrap().status();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
    (status, world.fetches())
}

#[tokio::test(start_paused = true)]
async fn a_call_that_can_be_sent_once_waits_for_a_replacement_under_way() {
    let told = unrepeatable_during_a_replacement(1).await;
    assert_eq!(told, (StatusCode::OK, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_can_be_sent_once_waits_two_seconds_at_most() {
    let told = unrepeatable_during_a_replacement(10).await;
    assert_eq!(told, (StatusCode::UNAUTHORIZED, 2));
}

#[test]
fn a_call_that_can_be_sent_once_does_not_wait_where_there_is_no_timer() {
    let world = World::new();
    let handle = world.handle();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    world.latency(Duration::ZERO);
    runtime.block_on(handle.ready()).unwrap();
    world.rollover();
    world.hang();

    // Outside of it; the fetches go there.
    let mut cx = Context::from_waker(Waker::noop());
    let held = layer(handle.clone()).layer(world.resource());
    let mut held = pin!(held.oneshot(request()));
    assert!(held.as_mut().poll(&mut cx).is_pending());
    let call = streaming(&world, handle, 0).oneshot(request().map(ReplayBody::new));
    let Poll::Ready(response) = pin!(call).poll(&mut cx) else {
        panic!("it waits");
    };
    assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
}
