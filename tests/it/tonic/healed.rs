//! Calls of every kind that outlive their token.

use bytes::Bytes;
use tonic::{Code, codegen::tokio_stream};
use tower_oauth::service::Repeat;

use super::{Digest, Orders, Refuse, Scene, fed, message};

const KIB: usize = 1024;

/// A refusal in the headers, sooner and later.
const REFUSALS: [Refuse; 4] = [
    Refuse::Late,
    Refuse::After(0),
    Refuse::After(10 * KIB),
    Refuse::Gateway,
];

#[tokio::test]
async fn a_unary_call_is_sent_again_whole() {
    for refuse in REFUSALS {
        let scene = Scene::after_a_rollover(refuse).await;
        let order = message(40 * KIB);
        let answer = scene.api().place(order.clone()).await.unwrap();
        let digest = Digest::of([&order]);
        assert_eq!(answer, digest.to_string(), "{refuse:?}");
        assert_eq!(scene.server.whole(), [digest]);
        assert_eq!(scene.counted(), (1, 1, 2));
    }
}

#[tokio::test]
async fn a_stream_of_requests_that_holds_until_it_is_refused_is_sent_again_whole() {
    for refuse in [Refuse::After(0), Refuse::After(10 * KIB), Refuse::Gateway] {
        let scene = Scene::after_a_rollover(refuse).await;
        let mut api = scene.api();
        let (feed, stream) = fed();
        let call = tokio::spawn(async move { api.import(stream).await });
        let orders = [message(10 * KIB), message(0), message(30 * KIB)];
        feed.send(orders[0].clone()).unwrap();
        scene.server.wait_until(|it| it.refused == 1).await;
        for order in &orders[1..] {
            feed.send(order.clone()).unwrap();
        }
        drop(feed);
        let digest = Digest::of(&orders);
        assert_eq!(call.await.unwrap().unwrap(), digest.to_string());
        assert_eq!(scene.server.whole(), [digest], "{refuse:?}");
        assert_eq!(scene.counted(), (1, 1, 2));
    }
}

#[tokio::test]
async fn a_stream_of_responses_that_has_not_begun_is_begun_anew() {
    for refuse in REFUSALS {
        let scene = Scene::after_a_rollover(refuse).await;
        let order = message(20 * KIB);
        let mut answers = scene.api().watch(order.clone()).await.unwrap();
        let digest = Digest::of([&order]);
        for _ in 0..3 {
            let answer = answers.message().await.unwrap().unwrap();
            assert_eq!(answer, digest.to_string(), "{refuse:?}");
        }
        assert_eq!(answers.message().await.unwrap(), None);
        assert_eq!(scene.counted(), (1, 1, 2));
    }
}

#[tokio::test]
async fn both_streams_of_a_call_go_on_behind_its_refusal() {
    for refuse in [Refuse::After(0), Refuse::After(10 * KIB), Refuse::Gateway] {
        let scene = Scene::after_a_rollover(refuse).await;
        let (feed, stream) = fed();
        feed.send(message(10 * KIB)).unwrap();
        let mut answers = scene.api().trade(stream).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), "10240");
        for octets in [7, 70_000, 0] {
            feed.send(message(octets)).unwrap();
            let answer = answers.message().await.unwrap().unwrap();
            assert_eq!(answer, octets.to_string(), "{refuse:?}");
        }
        drop(feed);
        assert_eq!(answers.message().await.unwrap(), None);
        assert_eq!(scene.counted(), (1, 1, 2));
    }
}

#[tokio::test]
async fn a_call_too_long_to_keep_is_refused_and_the_next_has_a_new_token() {
    let scene = Scene::after_a_rollover(Refuse::After(100 * KIB)).await;
    let mut api = scene.api();
    let orders = vec![message(50 * KIB); 3];
    let refused = api.import(tokio_stream::iter(orders.clone())).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("replay_limit"), "{refused}");
    assert_eq!(scene.server.whole(), []);

    scene.renewed(2).await;
    let answer = api.import(tokio_stream::iter(orders.clone())).await;
    let digest = Digest::of(&orders);
    assert_eq!(answer.unwrap(), digest.to_string());
    assert_eq!(scene.server.whole(), [digest]);
    assert_eq!(scene.counted(), (1, 1, 2));
}

#[tokio::test]
async fn a_call_that_must_not_be_sent_twice_is_not() {
    let scene = Scene::after_a_rollover(Refuse::Late).await;
    let layer = scene.layer().replay_limit(0);
    let refused = scene.api_with(layer).place(message(10)).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(scene.server.counters().refused, 1);
}

#[tokio::test]
async fn nor_is_one_that_says_so_itself() {
    let scene = Scene::after_a_rollover(Refuse::Late).await;
    let mut request = tonic::Request::new(message(10));
    request.extensions_mut().insert(Repeat::Never);
    let refused = scene.api().place(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(
        refused.message().contains("must not be sent twice"),
        "{refused}"
    );
    scene.renewed(2).await;
    assert_eq!(scene.counted(), (1, 0, 2));
    scene.api().place(message(10)).await.unwrap();
    assert_eq!(scene.counted(), (1, 1, 2));
}

#[tokio::test]
async fn a_stream_of_responses_that_has_begun_is_not_repeated() {
    let scene = Scene::after_a_rollover(Refuse::InTrailers).await;
    let mut api = scene.api();
    let mut answers = api.watch(Bytes::from("orders")).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), "so far, so good");
    let refused = answers.message().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(scene.counted(), (1, 0, 1));

    // The next call heals itself.
    scene.server.refuse(Refuse::Late);
    api.place(Bytes::from("an order")).await.unwrap();
    assert_eq!(scene.counted(), (2, 1, 2));
}

#[tokio::test]
async fn a_client_that_names_its_origin_needs_no_other() {
    let scene = Scene::after_a_rollover(Refuse::Late).await;
    let origin = scene.server.origin();
    let origins = tower_oauth::service::AllowedOrigins::new([origin]).unwrap();
    let layer = tower_oauth::OAuthLayer::new(scene.handle.clone(), origins);
    let service = tower::Layer::layer(&layer, scene.channel.clone());
    let mut api = Orders::with_origin(service.clone(), origin.parse().unwrap());
    api.place(Bytes::from("an order")).await.unwrap();
    assert_eq!(scene.counted(), (1, 1, 2));

    let mut nowhere = Orders::new(service);
    let refused = nowhere.place(Bytes::new()).await.unwrap_err();
    assert!(refused.message().contains("without_authority"), "{refused}");
    assert_eq!(scene.counted(), (1, 1, 2));
}
