//! What the caller of a generated client is told.

use std::{error::Error as _, io};

use bytes::Bytes;
use tonic::{Code, Status, transport::Endpoint};
use tower::Layer;
use tower_oauth::{Error, ErrorKind, TokenError, grant::Fetched, service::RejectedReason};

use super::{Orders, Refuse, Scene};
use crate::support::token;

const RETRY_INFO: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";

fn has_retry_info(status: &Status) -> bool {
    let mut windows = status.details().windows(RETRY_INFO.len());
    windows.any(|window| window == RETRY_INFO)
}

fn order() -> Bytes {
    Bytes::from("an order")
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_unavailable_and_says_until_when() {
    let scene = Scene::new().await;
    let cause = io::Error::from(io::ErrorKind::ConnectionRefused);
    let error = TokenError::new(ErrorKind::Transport, "nobody answers");
    scene.world.fail(error.with_source(cause));
    let first = scene.api().place(order()).await.unwrap_err();
    assert_eq!(first.code(), Code::Unavailable);
    assert_eq!(first.message(), "no access token: nobody answers");
    let Some(Error::Token(found)) = Error::find_in(&first) else {
        panic!("{first:?}");
    };
    assert!(found.source().unwrap().is::<io::Error>());

    // In the back-off.
    let second = scene.api().place(order()).await.unwrap_err();
    assert_eq!(second.code(), Code::Unavailable);
    assert!(has_retry_info(&second));
    assert_eq!(scene.counted(), (0, 0, 1));
}

#[tokio::test]
async fn without_the_layer_tonic_knows_nothing_of_it() {
    let scene = Scene::new().await;
    scene.world.down();
    let service = scene.layer().layer(scene.channel.clone());
    let unknown = Orders::new(service).place(order()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unknown);
    assert!(Error::find_in(&unknown).is_some());
}

/// Every token is refused.
async fn refused_for_ever(refuse: Refuse) -> Scene {
    let scene = Scene::after_a_rollover(refuse).await;
    scene.world.answer(|_| Ok(Fetched::new(token(0))));
    scene
}

#[tokio::test]
async fn a_final_refusal_says_what_to_change_and_what_the_server_said() {
    let scene = refused_for_ever(Refuse::Late).await;
    let refused = scene.api().place(order()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let told = refused.message();
    assert!(told.starts_with(scene.server.origin()), "{told}");
    assert!(told.contains("audience"), "{told}");
    // From its `grpc-message`.
    assert!(told.ends_with(": token unknown)"), "{told}");
    assert!(!format!("{refused} {refused:?}").contains("token-"));
    assert!(refused.metadata().is_empty());
    let Some(Error::Rejected(rejected)) = Error::find_in(&refused) else {
        panic!("{refused:?}");
    };
    assert!(matches!(rejected.reason(), RejectedReason::Again));
    assert_eq!(scene.counted(), (2, 0, 2));

    // In the cool-down.
    let refused = scene.api().place(order()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(has_retry_info(&refused));
    assert_eq!(scene.counted(), (3, 0, 2));
}

#[tokio::test]
async fn a_gateways_401_says_the_same() {
    let scene = refused_for_ever(Refuse::Gateway).await;
    let refused = scene.api().place(order()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("audience"), "{refused}");
}

#[tokio::test]
async fn a_refusal_during_an_outage_of_the_authorization_server_says_so() {
    let scene = Scene::after_a_rollover(Refuse::Late).await;
    scene.world.down();
    let refused = scene.api().place(order()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let told = refused.message();
    assert!(
        told.contains("no newer token could be had: nobody answers"),
        "{told}"
    );
    assert_eq!(scene.counted(), (1, 0, 2));
}

#[tokio::test]
async fn a_refusal_that_is_no_error_of_ours_is_the_servers_own() {
    let scene = refused_for_ever(Refuse::Late).await;
    let origins = super::origins(&scene);
    let layer = tower_oauth::OAuthLayer::new(scene.handle.clone(), origins);
    let refused = scene.api_with(layer).place(order()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.message(), "token unknown");
    assert!(refused.metadata().contains_key("x-got"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let mut scene = Scene::new().await;
    let nowhere = Endpoint::from_static("http://127.0.0.1:0");
    scene.channel = nowhere.connect_lazy();
    let failed = scene.api().place(order()).await.unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable);
    assert!(Error::find_in(&failed).is_none());
}
