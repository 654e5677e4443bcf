//! `grpc-timeout` counts for a call as a whole.

use std::time::Duration;

use bytes::Bytes;
use tokio::time;
use tonic::{Code, Request};

use super::{Refuse, Scene};

const MINUTE: Duration = Duration::from_secs(60);

fn order() -> Request<Bytes> {
    let mut request = Request::new(Bytes::from("an order"));
    request.set_timeout(MINUTE);
    request
}

#[tokio::test]
async fn a_second_send_has_the_deadline_of_the_first() {
    let scene = Scene::after_a_rollover(Refuse::Late).await;
    scene.api().place(order()).await.unwrap();
    let timeouts = scene.server.timeouts();
    let [Some(first), Some(second)] = timeouts.as_slice() else {
        panic!("{timeouts:?}");
    };
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_call_past_its_deadline_leaves_the_server() {
    let scene = Scene::after_a_rollover(Refuse::Late).await;
    scene.server.hold();
    let mut api = scene.api();
    let call = tokio::spawn(async move { api.place(order()).await });
    scene.server.wait_until(|it| it.accepted == 1).await;
    time::pause();
    time::advance(MINUTE).await;
    let late = call.await.unwrap().unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    scene.server.wait_until(|it| it.open == 0).await;
    assert_eq!(scene.counted(), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_wait_for_a_token_too() {
    let scene = Scene::new().await;
    // The fetch is given half a minute.
    scene.world.latency(MINUTE / 3);
    let mut request = order();
    request.set_timeout(MINUTE / 6);
    let late = scene.api().place(request).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(late.message(), "no response within the call's 10s");
    // The fetch goes on for the others.
    assert_eq!(scene.world.underway(), 1);
    assert_eq!(scene.counted(), (0, 0, 1));
    scene.handle.ready().await.unwrap();
    assert_eq!(scene.world.fetches(), 1);
}
