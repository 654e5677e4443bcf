//! A caller's own `Authorization`.

use std::sync::{Arc, Mutex};

use http::{Request, StatusCode, header::AUTHORIZATION};
use tower::{Layer, ServiceExt};
use tower_oauth::service::OAuthLayer;

use crate::support::{Body, World, refusal, request};

fn own() -> Request<Body> {
    let mut request = request();
    let headers = request.headers_mut();
    headers.append(AUTHORIZATION, "Basic abc".parse().unwrap());
    headers.append(AUTHORIZATION, "Negotiate def".parse().unwrap());
    request
}

async fn call(world: &World, layer: OAuthLayer) -> (StatusCode, bool, Vec<Vec<String>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let api = layer.layer(world.resource_that({
        let seen = Arc::clone(&seen);
        move |request| {
            let values = request.headers().get_all(AUTHORIZATION).iter();
            let values = values.map(|value| value.to_str().unwrap().to_owned());
            seen.lock().unwrap().push(values.collect());
            refusal()
        }
    }));
    let response = api.oneshot(own()).await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (response.status(), response.extensions().is_empty(), seen)
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_credential_is_sent_alone_and_its_refusal_passed_through() {
    let world = World::new();
    // Not even a source that hangs is waited for.
    world.hang();
    let (status, untouched, seen) = call(&world, world.layer()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(untouched);
    assert_eq!(seen, [["Basic abc", "Negotiate def"]]);
    assert_eq!(world.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_replaces_every_credential_of_the_caller() {
    let world = World::new();
    let layer = world.layer().replace_authorization();
    layer.handle().ready().await.unwrap();
    let (status, untouched, seen) = call(&world, layer).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!untouched);
    assert_eq!(seen, [["Bearer token-1"], ["Bearer token-2"]]);
}
