//! What callers are told when the server's own credential was the trouble.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn, timeout::error::Elapsed,
};
use tower_oauth::{
    ErrorKind, ManualClock, TokenError,
    server::{UpstreamBody, UpstreamErrorsLayer},
    service::{Error, OAuthLayer, Rejected},
};

use super::{Upstream, fine, refused};
use crate::support::{Body, World, origins, request, request_to};

type Answer = Response<UpstreamBody<Full<Bytes>>>;

/// The answer has this status and `Retry-After`, and tells nothing else.
#[track_caller]
fn assert_bare(answer: &Answer, status: StatusCode, retry_after: Option<&str>) {
    assert_eq!(answer.status(), status);
    let mut headers = HeaderMap::new();
    if let Some(seconds) = retry_after {
        headers.insert("retry-after", seconds.parse().unwrap());
    }
    assert_eq!(answer.headers(), &headers);
    assert!(http_body::Body::is_end_stream(answer.body()));
    let size = http_body::Body::size_hint(answer.body());
    assert_eq!(size.exact(), Some(0));
    assert!(answer.extensions().get::<Rejected>().is_none());
}

/// The reason that the server's log is told.
fn reason(answer: &Answer) -> &Error {
    answer.extensions().get::<Arc<Error>>().unwrap()
}

async fn answer_of<S>(stack: S) -> Answer
where
    S: Service<http::Request<Body>, Response = Answer, Error = BoxError>,
{
    stack.oneshot(request()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn no_token_is_a_503_that_says_in_whole_seconds_when_to_come_again() {
    let world = World::new();
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let asked = TokenError::new(ErrorKind::Rejected, "a secret reason").temporary(true);
    world.fail(asked.with_retry_after(Duration::from_secs(90)));
    let upstream = Upstream::new(fine);
    let stack = ServiceBuilder::new()
        .layer(UpstreamErrorsLayer::new().clock(clock.clone()))
        .layer(OAuthLayer::new(
            world.builder().clock(clock.clone()).build(),
            origins(),
        ))
        .service(upstream.clone());
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let answer = answer_of(stack.clone()).await;
    assert_bare(&answer, unavailable, Some("90"));
    assert!(matches!(reason(&answer), Error::Token(_)));
    for (later, seconds) in [
        (Duration::from_millis(1), "90"),
        (Duration::from_millis(999), "89"),
        (Duration::from_millis(88_001), "1"),
    ] {
        clock.advance(later);
        assert_bare(&answer_of(stack.clone()).await, unavailable, Some(seconds));
    }
    assert_eq!(world.fetches(), 1);
    assert!(upstream.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_closed_handle_is_a_503_that_can_be_tried_again() {
    let world = World::new();
    let layer = world.layer();
    layer.handle().close();
    let stack = ServiceBuilder::new()
        .layer(UpstreamErrorsLayer::new())
        .layer(layer)
        .service(Upstream::new(fine));
    let answer = answer_of(stack).await;
    assert_bare(&answer, StatusCode::SERVICE_UNAVAILABLE, Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_final_rejection_is_a_502_whether_it_comes_as_a_response_or_as_an_error() {
    let world = World::new();
    for layer in [world.layer(), world.layer().rejection_as_error()] {
        let upstream = Upstream::new(refused);
        let stack = ServiceBuilder::new()
            .layer(UpstreamErrorsLayer::new())
            .layer(layer)
            .service(upstream.clone());
        let answer = answer_of(stack).await;
        assert_bare(&answer, StatusCode::BAD_GATEWAY, None);
        assert!(matches!(reason(&answer), Error::Rejected(_)));
        assert_eq!(upstream.seen().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_an_origin_that_gets_no_token_is_a_502() {
    let world = World::new();
    let upstream = Upstream::new(fine);
    let answer = ServiceBuilder::new()
        .layer(UpstreamErrorsLayer::new())
        .layer(world.layer())
        .service(upstream.clone())
        .oneshot(request_to("https://foreign.example/"))
        .await
        .unwrap();
    assert_bare(&answer, StatusCode::BAD_GATEWAY, None);
    assert!(matches!(reason(&answer), Error::Origin(_)));
    assert!(upstream.seen().is_empty());
}

/// What the upstream answers, with all fields and trailers that are about a credential.
fn chatty(status: u16, challenge: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("a body"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = about_a_credential();
    if !challenge.is_empty() {
        response
            .headers_mut()
            .append("www-authenticate", challenge.parse().unwrap());
    }
    response
}

fn about_a_credential() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [
        "authentication-info",
        "proxy-authenticate",
        "proxy-authentication-info",
        "dpop-nonce",
        "dpop_nonce",
    ] {
        headers.append(name, "internal".parse().unwrap());
    }
    headers.append("etag", "kept".parse().unwrap());
    headers
}

#[tokio::test]
async fn a_challenge_never_comes_down() {
    let scope = "Bearer error=\"insufficient_scope\", scope=\"orders.write\"";
    for (status, challenge, seen) in [
        (401, "", 502),
        (401, "Bearer", 502),
        (401, "DPoP error=\"use_dpop_nonce\"", 502),
        (407, "", 502),
        (403, scope, 502),
        (400, "Bearer error=\"invalid_request\"", 502),
        (403, "", 403),
        (404, "", 404),
        (500, "Bearer", 500),
        (200, "Bearer", 200),
    ] {
        let upstream = service_fn(async |_: http::Request<Body>| {
            let headers = about_a_credential();
            let body = chatty(status, challenge);
            let with = async move { Some(Ok(headers)) };
            Ok::<_, BoxError>(body.map(|body| Box::pin(body.with_trailers(with))))
        });
        let stack = UpstreamErrorsLayer::new().layer(upstream);
        let answer = stack.oneshot(request()).await.unwrap();
        assert_eq!(answer.status(), seen, "{status} {challenge}");
        let passed = seen != 502;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap();
        let names = |fields: &HeaderMap| fields.keys().map(ToString::to_string).collect();
        let kept: Vec<String> = names(&head.headers);
        let trailers: Option<Vec<String>> = body.trailers().map(names);
        if passed {
            assert_eq!(kept, ["etag"], "{status} {challenge}");
            assert_eq!(trailers.unwrap(), ["etag"]);
            assert_eq!(body.to_bytes(), "a body");
        } else {
            assert!(kept.is_empty(), "{status} {challenge}: {kept:?}");
            assert_eq!(trailers, None);
            assert!(body.to_bytes().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_hides_in_a_200_or_a_400_is_a_502() {
    for (status, name, value) in [
        (200, "grpc-status", "16"),
        (400, "www-authenticate", "Bearer error=\"invalid_token\""),
    ] {
        let world = World::new();
        let stack = ServiceBuilder::new()
            .layer(UpstreamErrorsLayer::new())
            .layer(world.layer())
            .service(service_fn(async |_: http::Request<Body>| {
                let response = Response::builder().status(status).header(name, value);
                Ok::<_, BoxError>(response.body(Full::<Bytes>::from("a body")).unwrap())
            }));
        let answer = stack.oneshot(request()).await.unwrap();
        assert_bare(&answer, StatusCode::BAD_GATEWAY, None);
    }
}

#[tokio::test(start_paused = true)]
async fn ours_is_found_in_what_other_layers_make_of_it() {
    let (down, up) = (World::new(), World::new());
    down.down();
    // A layer around another, a timeout and a buffer.
    let stack = ServiceBuilder::new()
        .layer(UpstreamErrorsLayer::new())
        .buffer(1)
        .timeout(Duration::from_secs(60))
        .layer(up.layer().replace_authorization())
        .timeout(Duration::from_secs(60))
        .layer(down.layer().replace_authorization())
        .service(Upstream::new(fine));
    let answer = answer_of(stack).await;
    assert_bare(&answer, StatusCode::SERVICE_UNAVAILABLE, Some("1"));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_another_kind_passes_unchanged() {
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    let stuck = service_fn(async |_: http::Request<Body>| {
        std::future::pending::<Result<Response<Full<Bytes>>, BoxError>>().await
    });
    let error = ServiceBuilder::new()
        .layer(UpstreamErrorsLayer::new())
        .layer(layer)
        .timeout(Duration::from_secs(3))
        .service(stuck)
        .oneshot(request())
        .await
        .unwrap_err();
    let error = error.downcast::<Error>().unwrap();
    let Error::Inner(inner) = *error else {
        panic!("{error:?}");
    };
    assert!(inner.is::<Elapsed>(), "{inner}");

    let outside = ServiceBuilder::new()
        .layer(UpstreamErrorsLayer::new())
        .timeout(Duration::from_secs(3))
        .service(stuck)
        .oneshot(request())
        .await;
    assert!(outside.unwrap_err().is::<Elapsed>());
}
