//! Requests that say themselves how often they may be sent.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::{Layer, ServiceBuilder, ServiceExt, retry::RetryLayer, service_fn};
use tower_oauth::{
    BoxError,
    body::ReplayBody,
    refresh::TokenHandle,
    service::{AttachLayer, Rejected, RejectedReason, Repeat, RetryOnUnauthorized},
};

use crate::support::{Body, World, layer, origins, refusal, request};

fn never() -> Request<Body> {
    let mut request = request();
    request.extensions_mut().insert(Repeat::Never);
    request
}

async fn revoked(world: &World) -> TokenHandle {
    let handle = world.handle();
    handle.ready().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    world.rollover();
    handle
}

fn told<B>(response: &Response<B>) -> &Rejected {
    response.extensions().get().expect("it was rejected")
}

#[track_caller]
fn assert_forbidden(response: &Response<&'static str>) {
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.body(), refusal().body());
    let told = told(response);
    assert!(
        matches!(told.reason(), RejectedReason::Forbidden),
        "{told:?}"
    );
    assert!(told.hint().contains("must not be sent twice"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_must_not_be_sent_twice_is_sent_once_and_the_next_has_a_newer_token() {
    let world = World::new();
    let api = layer(revoked(&world).await).layer(world.resource());
    let response = api.clone().oneshot(never()).await.unwrap();
    assert_forbidden(&response);
    assert_eq!(world.sends(), 1);
    // It waited for nobody, but the token is on its way.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.fetches(), 2);
    let response = api.oneshot(never()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!((world.fetches(), world.sends()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn the_policy_by_hand_sends_it_once_too() {
    let world = World::new();
    let handle = revoked(&world).await;
    let api = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryOnUnauthorized::new(handle.clone())))
        .layer(AttachLayer::new(handle.clone(), origins()))
        .service(world.resource());
    let response = api.clone().oneshot(never()).await.unwrap();
    assert_forbidden(&response);
    assert_eq!(world.sends(), 1);
    let response = api.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn it_first_waits_for_a_replacement_under_way() {
    let world = World::new();
    let handle = revoked(&world).await;
    world.latency(Duration::from_secs(1));
    let api = layer(handle).layer(world.resource());
    let healed = tokio::spawn(api.clone().oneshot(request()));
    sleep(Duration::from_millis(500)).await;
    assert_eq!((world.underway(), world.sends()), (1, 1));
    let response = api.oneshot(never()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(healed.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!((world.fetches(), world.sends()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_layer_further_in_sees_it_too() {
    let world = World::new();
    let api = layer(world.handle()).layer(service_fn(|request: Request<Body>| async move {
        let seen = request.extensions().get().copied();
        Ok::<_, BoxError>(Response::new(seen))
    }));
    let response = api.oneshot(never()).await.unwrap();
    assert_eq!(response.into_body(), Some(Repeat::Never));
}

/// The outcome of a call with eight octets in a stream, through a layer that keeps `limit`, when
/// the request says something else.
async fn streamed(limit: usize, within: usize) -> (StatusCode, usize) {
    let world = World::new();
    let resource = world.resource();
    let api = layer(revoked(&world).await)
        .replay_limit(limit)
        .layer(service_fn(
            move |request: Request<ReplayBody<Full<Bytes>>>| {
                let resource = resource.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body: Full<Bytes> = body.collect().await?.to_bytes().into();
                    Ok::<_, BoxError>(resource.oneshot(Request::from_parts(head, body)).await?)
                }
            },
        ));
    let mut request = request().map(ReplayBody::new);
    request.extensions_mut().insert(Repeat::Within(within));
    let response = api.oneshot(request).await.unwrap();
    (response.status(), world.sends())
}

#[tokio::test(start_paused = true)]
async fn a_request_can_have_more_or_less_of_its_body_kept() {
    let refused = StatusCode::UNAUTHORIZED;
    assert_eq!(streamed(4, 8).await, (StatusCode::OK, 2));
    assert_eq!(streamed(8, 4).await, (refused, 1));
    assert_eq!(streamed(8, 0).await, (refused, 1));
    assert_eq!(streamed(0, 8).await, (StatusCode::OK, 2));
}
