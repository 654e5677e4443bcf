//! The caller reads the whole original 401, its head and its slow body, whenever there was no
//! second send.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tower::{Layer, ServiceExt};
use tower_oauth::{
    body::ReplayBody,
    service::{OAuthLayer, Rejected, RejectedReason},
    testing::{Answer, Refusal},
};

use super::{
    Api, By, Version, World, client,
    stream::{Feed, Stream, stream},
};

/// More than fits into a connection that nobody reads from.
static REFUSAL: [u8; 512 * 1024] = [b'n'; 512 * 1024];

/// A world whose refusals are long and stop half-way, and a client that sends streams.
struct Scene {
    world: World,
    api: Api<ReplayBody<Stream>>,
}

impl Scene {
    async fn new(version: Version, layer: impl FnOnce(OAuthLayer) -> OAuthLayer) -> Self {
        let world = World::new().await;
        let refusal = Answer::new(StatusCode::UNAUTHORIZED)
            .header("www-authenticate", "Bearer error=\"invalid_token\"")
            .header("x-trace", "original")
            .body(Bytes::from_static(&REFUSAL));
        world.resource.set_refusal(Refusal::Custom(refusal));
        let layer = layer(world.layer(world.handle(world.source(By::Assertion))));
        let api = layer.layer(client::https(&world.pki, None, version));
        let scene = Self { world, api };

        let (feed, response) = scene.send();
        drop(feed);
        assert_eq!(response.await.status(), StatusCode::OK);
        scene.world.resource.hold_refusal_bodies();
        scene
    }

    /// Sends a stream, of which nothing is there yet.
    fn send(&self) -> (Feed, impl Future<Output = Response<Incoming>> + use<>) {
        let (feed, body) = stream();
        let request = Request::post(self.world.resource.uri("/orders"))
            .body(ReplayBody::new(body))
            .unwrap();
        let call = self.api.clone().oneshot(request);
        (feed, async { call.await.unwrap() })
    }

    /// Reads the refusal to its end; returns why it was not healed.
    async fn read(&self, response: Response<Incoming>) -> RejectedReason {
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["x-trace"], "original");
        assert!(response.headers().contains_key("www-authenticate"));
        let rejected = response.extensions().get::<Rejected>().unwrap();
        let cause = rejected.reason().clone();

        let mut body = response.into_body();
        let mut read = Vec::new();
        while read.len() < REFUSAL.len() / 2 {
            let frame = body.frame().await.unwrap().unwrap();
            read.extend(frame.into_data().unwrap());
        }
        self.world.resource.release_refusal_bodies();
        read.extend(body.collect().await.unwrap().to_bytes());
        assert!(read == REFUSAL, "{} octets were read", read.len());
        cause
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_401_is_readable_when_the_fetch_fails() {
    for version in Version::ALL {
        let scene = Scene::new(version, |layer| layer).await;
        let world = &scene.world;
        world.server.rollover();
        let broken = Answer::new(StatusCode::SERVICE_UNAVAILABLE);
        world.server.answer_next(1, broken);
        // The request is still being sent when the refusal comes, and more of it is there before
        // it is known that it won't be sent again.
        world.resource.refuse_early(true);
        world.server.hold();
        let (feed, response) = scene.send();
        feed.data("an order ");
        let response = tokio::spawn(response);
        world.server.wait_until_held(1).await;
        // An HTTP/1.1 server that has answered cuts a connection on which more comes, and what
        // wasn't read yet of the answer with it.
        if version == Version::Http2 {
            feed.data("of many parts");
        }
        world.server.release();
        let cause = scene.read(response.await.unwrap()).await;
        drop(feed);
        assert!(matches!(cause, RejectedReason::NoToken(_)), "{cause:?}");
        assert_eq!(world.resource.counters().refused, 1, "{version:?}");
        assert_eq!(world.token_requests(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_401_is_readable_in_a_cool_down() {
    for version in Version::ALL {
        let scene = Scene::new(version, |layer| layer).await;
        let world = &scene.world;
        world.resource.refuse_all(true);
        world.resource.refuse_early(true);
        // Each fresh token that is refused doubles the cool-down: it outgrows any slow machine.
        loop {
            world.resource.hold_refusal_bodies();
            let before = world.resource.counters().refused;
            let (feed, response) = scene.send();
            feed.data("an order");
            let response = response.await;
            let sends = world.resource.counters().refused - before;
            let cause = scene.read(response).await;
            drop(feed);
            match cause {
                RejectedReason::Again => assert_eq!(sends, 2, "{version:?}"),
                RejectedReason::CoolDown { .. } => {
                    assert_eq!(sends, 1, "{version:?}");
                    break;
                }
                cause => panic!("{version:?} {cause:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_401_is_readable_when_the_body_was_too_long_to_keep() {
    for version in Version::ALL {
        let scene = Scene::new(version, |layer| layer.replay_limit(8)).await;
        let world = &scene.world;
        world.server.rollover();
        let (feed, response) = scene.send();
        feed.data("an order of many parts");
        drop(feed);
        let cause = scene.read(response.await).await;
        assert!(matches!(cause, RejectedReason::NotRepeatable), "{cause:?}");
        assert_eq!(world.resource.counters().refused, 1, "{version:?}");

        // The refusal was not for nothing: the next request has a newer token.
        let (feed, response) = scene.send();
        feed.data("an order of many parts");
        drop(feed);
        assert_eq!(response.await.status(), StatusCode::OK);
        assert_eq!(world.token_requests(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_body_is_sent_again_whole() {
    for version in Version::ALL {
        let scene = Scene::new(version, |layer| layer).await;
        let world = &scene.world;
        world.server.rollover();
        let (feed, response) = scene.send();
        feed.data("an order ");
        feed.data("of many parts");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("42"));
        feed.trailers(trailers.clone());
        drop(feed);
        assert_eq!(response.await.status(), StatusCode::OK);

        let calls = world.resource.calls();
        let [_, refused, accepted] = calls.as_slice() else {
            panic!("{version:?} {calls:?}");
        };
        assert_ne!(refused.authorization(), accepted.authorization());
        let body = accepted.body().unwrap();
        assert!(body.is(b"an order of many parts"), "{version:?}");
        if version == Version::Http2 {
            assert_eq!(body.trailers(), Some(&trailers));
        }
    }
}
