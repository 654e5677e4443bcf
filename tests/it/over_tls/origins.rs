//! Where the token doesn't go.

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use tower::ServiceExt;
use tower_oauth::{
    service::{AllowedOrigins, Error, ForeignOrigin, OAuthLayer},
    testing::FakeResource,
};

use super::{By, Version, World, client};

fn request(uri: impl Into<Uri>) -> Request<Full<Bytes>> {
    Request::get(uri.into()).body(Full::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_foreign_origin_or_in_the_clear() {
    let world = World::new().await;
    let foreign = FakeResource::builder(&world.pki).start().await.unwrap();
    let api = world.api(Version::Http1, world.source(By::Assertion));
    let in_the_clear = world.resource.uri("/orders").to_string();
    let in_the_clear: Uri = in_the_clear.replace("https://", "http://").parse().unwrap();
    let mut misnamed = request(world.resource.uri("/orders"));
    misnamed
        .headers_mut()
        .insert("host", HeaderValue::from_static("api.example"));
    for (request, says) in [
        (request(foreign.uri("/orders")), foreign.origin()),
        (request(in_the_clear), "http://127.0.0.1"),
        (request(Uri::from_static("/orders")), "without_authority"),
        (misnamed, "Host"),
    ] {
        let Err(Error::Origin(error)) = api.clone().oneshot(request).await else {
            panic!("the token may go there");
        };
        assert!(error.to_string().contains(says), "{error}");
    }

    let listed = AllowedOrigins::new(["http://api.example"]).unwrap();
    let layer = OAuthLayer::new(world.handle(world.source(By::Assertion)), listed);
    let api = tower::Layer::layer(&layer, client::https(&world.pki, None, Version::Http1));
    let request = request(Uri::from_static("http://api.example/orders"));
    let Err(Error::Origin(error)) = api.oneshot(request).await else {
        panic!("the token may go there");
    };
    assert!(error.to_string().contains("in the clear"), "{error}");

    assert_eq!(world.token_requests(), 0);
    assert_eq!(world.resource.counters().connections, 0);
    assert_eq!(foreign.counters().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_origin_gets_the_request_without_the_token_when_asked_for() {
    let world = World::new().await;
    let foreign = FakeResource::builder(&world.pki).start().await.unwrap();
    let origins = AllowedOrigins::new([world.resource.origin()])
        .unwrap()
        .foreign(ForeignOrigin::SendWithout);
    let layer = OAuthLayer::new(world.handle(world.source(By::Assertion)), origins);
    let api = tower::Layer::layer(&layer, client::https(&world.pki, None, Version::Http1));
    let response = api.oneshot(request(foreign.uri("/orders"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(foreign.calls()[0].authorization(), None);
    assert_eq!(foreign.counters().calls, 1);
    assert_eq!(world.token_requests(), 0);
}
