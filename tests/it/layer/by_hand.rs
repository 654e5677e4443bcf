//! The parts of the layer, put together by hand.

use std::{future, time::Duration};

use http::{Request, Response, StatusCode};
use tokio::time::sleep;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    retry::{Policy, RetryLayer},
};
use tower_oauth::{
    ErrorKind, TokenError,
    refresh::TokenHandle,
    service::{AttachLayer, Error, RejectedReason, RetryOnUnauthorized},
};

use super::{assert_reason, told};
use crate::support::{Body, Resource, Watcher, World, origins, refusal, request};

async fn revoked(world: &World) -> TokenHandle {
    let handle = world.handle();
    handle.ready().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    world.rollover();
    handle
}

fn stack(
    handle: &TokenHandle,
    resource: Resource,
) -> impl Service<Request<Body>, Response = Response<&'static str>, Error = Error, Future: Send>
+ Clone
+ use<> {
    ServiceBuilder::new()
        .layer(RetryLayer::new(RetryOnUnauthorized::new(handle.clone())))
        .layer(AttachLayer::new(handle.clone(), origins()))
        .service(resource)
}

#[tokio::test(start_paused = true)]
async fn the_policy_around_the_other_layer_heals() {
    let world = World::new();
    let handle = revoked(&world).await;
    let response = stack(&handle, world.resource()).oneshot(request()).await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);
    assert_eq!((world.fetches(), world.sends()), (2, 2));
}

/// A policy that retries nothing.
#[derive(Clone)]
struct Never;

impl Policy<Request<Body>, Response<&'static str>, Error> for Never {
    type Future = future::Ready<()>;

    fn retry(
        &mut self,
        _request: &mut Request<Body>,
        _result: &mut Result<Response<&'static str>, Error>,
    ) -> Option<Self::Future> {
        None
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn another_policy_in_its_place_sees_one_send() {
    let world = World::new();
    let handle = revoked(&world).await;
    let api = ServiceBuilder::new()
        .layer(RetryLayer::new(Never))
        .layer(AttachLayer::new(handle.clone(), origins()))
        .service(world.resource());
    let response = api.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(world.sends(), 1);
    // The token is replaced all the same.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(u64::from(handle.token().await.unwrap().generation()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_is_the_error_of_the_call() {
    let world = World::new();
    let handle = revoked(&world).await;
    world.down();
    let api = stack(&handle, world.resource());
    let error = api.clone().oneshot(request()).await.unwrap_err();
    assert!(matches!(error, Error::Token(_)));
    assert_eq!(error.to_string(), "no access token: nobody answers");
    assert_eq!((world.fetches(), world.sends()), (2, 1));
    // What is known at once is told with the original response.
    let response = api.oneshot(request()).await.unwrap();
    assert_eq!(*response.body(), "who are you?");
    assert_reason(&response, |it| matches!(it, RejectedReason::BackOff { .. }));
    assert_eq!((world.fetches(), world.sends()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_refuses_every_token_sees_two_sends() {
    let world = World::new();
    let handle = revoked(&world).await;
    let api = stack(&handle, world.resource_that(|_| refusal()));
    let response = api.clone().oneshot(request()).await.unwrap();
    assert_reason(&response, |it| matches!(it, RejectedReason::Again));
    assert_eq!((world.fetches(), world.sends()), (2, 2));
    let response = api.oneshot(request()).await.unwrap();
    assert_reason(&response, |it| {
        matches!(it, RejectedReason::CoolDown { .. })
    });
    assert_eq!((world.fetches(), world.sends()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_first_token_that_is_refused_is_not_replaced() {
    let world = World::new();
    let api = stack(&world.handle(), world.resource_that(|_| refusal()));
    let response = api.oneshot(request()).await.unwrap();
    assert_reason(&response, |it| matches!(it, RejectedReason::Fresh));
    assert_eq!((world.fetches(), world.sends()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn any_inner_error_will_do() {
    let world = World::new();
    let handle = revoked(&world).await;
    // Between the two, errors are of another type.
    let api = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryOnUnauthorized::new(handle.clone())))
        .timeout(Duration::from_secs(60))
        .layer(AttachLayer::new(handle.clone(), origins()))
        .service(world.resource());
    assert_eq!(
        api.oneshot(request()).await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_told_without_a_policy_is_not_about_the_body() {
    let world = World::new();
    let watcher = Watcher::default();
    let handle = world.builder().observer(watcher.clone()).build();
    handle.ready().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    world.rollover();
    let api = AttachLayer::new(handle, origins()).layer(world.resource());
    let response = api.clone().oneshot(request()).await.unwrap();
    assert_reason(&response, |it| matches!(it, RejectedReason::NotRetried));
    assert_eq!(watcher.warnings(), [told(&response).hint()]);
    assert!(!told(&response).hint().contains("body"));

    world.fail(TokenError::new(ErrorKind::Rejected, "invalid_client").temporary(false));
    sleep(Duration::from_secs(3)).await;
    world.rollover();
    api.clone().oneshot(request()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let response = api.oneshot(request()).await.unwrap();
    assert_reason(&response, |it| matches!(it, RejectedReason::BackOff { .. }));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_policy_reaches_the_resource() {
    let world = World::new();
    let handle = revoked(&world).await;
    let tokens = world.clone();
    let resource = world.resource_that(move |request| {
        assert!(request.extensions().is_empty());
        match tokens.accepts(request) {
            true => Response::new("fine"),
            false => refusal(),
        }
    });
    let response = stack(&handle, resource).oneshot(request()).await.unwrap();
    assert_eq!(*response.body(), "fine");
}
