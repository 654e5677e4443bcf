//! What a layer keeps of all bodies together.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth::{
    BoxError,
    body::{Budget, ReplayBody},
    service::{Error, OAuthLayer, Rejected, RejectedReason},
};

use crate::support::{World, request};

type Streaming = ReplayBody<Full<Bytes>>;

/// A service of streams that reads them whole before it answers.
fn reading(
    world: &World,
    layer: &OAuthLayer,
) -> impl Service<
    Request<Streaming>,
    Response = Response<&'static str>,
    Error = Error,
    Future: Send + 'static,
> + Clone
+ use<> {
    let resource = world.resource();
    layer.layer(service_fn(move |request: Request<Streaming>| {
        let resource = resource.clone();
        async move {
            let (head, body) = request.into_parts();
            let body: Full<Bytes> = body.collect().await?.to_bytes().into();
            Ok::<_, BoxError>(resource.oneshot(Request::from_parts(head, body)).await?)
        }
    }))
}

/// "an order", eight octets.
fn stream() -> Request<Streaming> {
    request().map(ReplayBody::new)
}

#[tokio::test(start_paused = true)]
async fn what_would_exceed_the_budget_is_sent_once_and_told_why_it_is_not_sent_again() {
    let world = World::new();
    let budget = Budget::new(12);
    let layer = world.layer().replay_budget(budget.clone());
    layer.handle().ready().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    world.rollover();
    let api = reading(&world, &layer);
    let held = tokio::spawn(api.clone().oneshot(stream()));
    sleep(Duration::from_millis(10)).await;
    assert_eq!((world.sends(), budget.used()), (1, 8));

    let response = api.clone().oneshot(stream()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let told: &Rejected = response.extensions().get().unwrap();
    assert!(
        matches!(told.reason(), RejectedReason::BudgetSpent),
        "{told:?}"
    );
    assert!(told.hint().contains("replay_budget"), "{told}");
    assert_eq!(budget.used(), 8, "what it had taken is free");

    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(budget.used(), 0);
    assert_eq!(world.sends(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_budget_serves_the_services_of_a_layer_and_the_layers_it_is_given_to() {
    let world = World::new();
    let budget = Budget::new(100);
    let layers = [0, 1].map(|_| world.layer().replay_budget(budget.clone()));
    let mut calls = Vec::new();
    for layer in &layers {
        layer.handle().ready().await.unwrap();
        world.hang();
        world.rollover();
        for layer in [layer, &layer.clone()] {
            calls.push(tokio::spawn(reading(&world, layer).oneshot(stream())));
        }
        sleep(Duration::from_secs(1)).await;
        world.latency(Duration::ZERO);
    }
    assert_eq!(budget.used(), 4 * 8);
    for call in calls {
        call.abort();
        let _ = call.await;
    }
    assert_eq!(budget.used(), 0, "nothing is kept for who has gone");
}

#[tokio::test(start_paused = true)]
async fn an_accepted_body_is_kept_no_longer_however_long_the_finished_future_is() {
    let world = World::new();
    let budget = Budget::new(100);
    let layer = world.layer().replay_budget(budget.clone());
    // It answers before it has read to the end.
    let mut api = layer.layer(service_fn(|request: Request<Streaming>| async {
        let mut body = request.into_body();
        body.frame().await.unwrap()?;
        Ok::<_, BoxError>(Response::new(body))
    }));
    let mut call = pin!(api.call(stream()));
    let _response = (&mut call).await.unwrap();
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_is_kept_no_longer_when_there_is_no_second_send() {
    let world = World::new();
    let budget = Budget::new(100);
    let layer = world.layer().replay_budget(budget.clone());
    // It refuses a token that was fetched for this very request.
    let mut api = layer.layer(service_fn(|request: Request<Streaming>| async {
        let mut body = request.into_body();
        body.frame().await.unwrap()?;
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        Ok::<_, BoxError>(response)
    }));
    let mut call = pin!(api.call(stream()));
    let response = (&mut call).await.unwrap();
    let told: &Rejected = response.extensions().get().unwrap();
    assert!(matches!(told.reason(), RejectedReason::Fresh), "{told:?}");
    assert_eq!(budget.used(), 0);
}
