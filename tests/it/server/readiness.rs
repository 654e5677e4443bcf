//! What a probe is told.

use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::ServiceExt;
use tower_oauth::{refresh::TokenHandle, server::Readiness};

use crate::support::World;

async fn ask(handle: &TokenHandle, method: Method) -> Response<Full<bytes::Bytes>> {
    let request = Request::builder().method(method).body(()).unwrap();
    let answer = Readiness::new(handle.clone()).oneshot(request).await;
    answer.unwrap()
}

async fn assert_told(handle: &TokenHandle, status: StatusCode, token: &str) {
    let answer = ask(handle, Method::GET).await;
    assert_eq!(answer.status(), status, "{token}");
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let ready = status == StatusCode::OK;
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told, serde_json::json!({"ready": ready, "token": token}));
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_told_what_a_call_would_meet_and_changes_nothing() {
    let world = World::new();
    let handle = world.handle();
    assert_told(&handle, StatusCode::OK, "unfetched").await;
    assert_eq!(world.fetches(), 0);

    // While the first fetch runs, a call waits, and isn't known to fail.
    let first = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ready().await }
    });
    sleep(Duration::from_millis(50)).await;
    assert_eq!(world.underway(), 1);
    assert_told(&handle, StatusCode::OK, "unfetched").await;
    first.await.unwrap().unwrap();
    assert_told(&handle, StatusCode::OK, "usable").await;

    // A renewal that fails takes nothing away, until the token's end.
    world.down();
    handle.refresh();
    sleep(Duration::from_secs(60)).await;
    assert!(handle.status().last_error.is_some());
    assert_told(&handle, StatusCode::OK, "usable").await;
    sleep(Duration::from_secs(2 * 3600)).await;
    assert_told(&handle, StatusCode::SERVICE_UNAVAILABLE, "unavailable").await;

    // Nobody need call for it to come back.
    world.up();
    sleep(Duration::from_secs(60)).await;
    assert_told(&handle, StatusCode::OK, "usable").await;

    handle.close();
    assert_told(&handle, StatusCode::SERVICE_UNAVAILABLE, "closed").await;
}

#[tokio::test]
async fn a_probe_by_head_gets_the_same_head_and_no_body() {
    let handle = World::new().handle();
    let (get, head) = (
        ask(&handle, Method::GET).await,
        ask(&handle, Method::HEAD).await,
    );
    assert_eq!(get.status(), head.status());
    assert_eq!(get.headers(), head.headers());
    let length = head.headers()["content-length"].to_str().unwrap();
    let body = get.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(length, body.len().to_string());
    let body = head.into_body().collect().await.unwrap().to_bytes();
    assert!(body.is_empty());
}

#[tokio::test]
async fn a_probe_by_another_method_is_told_which_ones_there_are() {
    let handle = World::new().handle();
    for method in [Method::POST, Method::PUT, Method::OPTIONS] {
        let answer = ask(&handle, method).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], "GET, HEAD");
    }
}
