//! Which responses are rejections.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};
use tokio::time::sleep;
use tower::{Layer, ServiceExt};
use tower_oauth::{
    challenge::{ByErrorCode, Classify, Meaning},
    service::{OAuthLayer, Rejected},
};

use crate::support::{World, request};

type Headers = &'static [(&'static str, &'static str)];

fn response(status: u16, headers: Headers) -> Response<&'static str> {
    let mut response = Response::new("no");
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(*name, value.parse().unwrap());
    }
    response
}

/// What a call gets whose first token is refused like this.
async fn call(
    status: u16,
    headers: Headers,
    with: impl FnOnce(OAuthLayer) -> OAuthLayer,
) -> (World, Response<&'static str>) {
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    // Out of the way of every floor.
    sleep(Duration::from_secs(10)).await;
    world.rollover();
    let tokens = world.clone();
    let api = with(layer).layer(world.resource_that(
        move |request| match tokens.accepts(request) {
            true => Response::new("fine"),
            false => response(status, headers),
        },
    ));
    let response = api.oneshot(request()).await.unwrap();
    (world, response)
}

#[tokio::test(start_paused = true)]
async fn a_rejection_of_any_shape_is_healed() {
    const CASES: &[(u16, Headers)] = &[
        (401, &[]),
        (401, &[("www-authenticate", "Bearer")]),
        (
            401,
            &[("www-authenticate", "Bearer error=\"invalid_token\"")],
        ),
        (401, &[("www-authenticate", "Basic realm=x")]),
        (
            403,
            &[("www-authenticate", "Bearer error=\"invalid_token\"")],
        ),
        (
            400,
            &[("www-authenticate", "Bearer error=\"invalid_token\"")],
        ),
        (200, &[("grpc-status", "16")]),
    ];
    for (status, headers) in CASES {
        let (world, response) = call(*status, headers, |layer| layer).await;
        assert_eq!(*response.body(), "fine", "{status} {headers:?}");
        assert_eq!((world.fetches(), world.sends()), (2, 2));
        assert!(response.extensions().get::<Rejected>().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_blames_something_else_is_passed_through() {
    const CASES: &[(u16, Headers)] = &[
        (
            403,
            &[(
                "www-authenticate",
                "Bearer error=\"insufficient_scope\", scope=\"a\"",
            )],
        ),
        (
            401,
            &[("www-authenticate", "Bearer error=\"insufficient_scope\"")],
        ),
        (
            400,
            &[("www-authenticate", "Bearer error=\"invalid_request\"")],
        ),
        (403, &[]),
        (
            407,
            &[("proxy-authenticate", "Bearer error=\"invalid_token\"")],
        ),
        (503, &[("retry-after", "10")]),
        (
            404,
            &[("www-authenticate", "Bearer error=\"invalid_token\"")],
        ),
        (
            401,
            &[(
                "www-authenticate",
                "Bearer error=\"insufficient_claims\", claims=\"eyJhIjp7fX0=\"",
            )],
        ),
        (
            401,
            &[
                ("www-authenticate", "DPoP error=\"use_dpop_nonce\""),
                ("dpop-nonce", "n-1"),
            ],
        ),
        (
            401,
            &[(
                "www-authenticate",
                "Bearer error=\"insufficient_user_authentication\"",
            )],
        ),
        (200, &[("grpc-status", "7")]),
    ];
    for (status, headers) in CASES {
        let (world, passed) = call(*status, headers, |layer| layer).await;
        let original = response(*status, headers);
        assert_eq!(passed.status(), original.status());
        assert_eq!(passed.headers(), original.headers());
        assert_eq!(passed.body(), original.body());
        assert!(passed.extensions().is_empty(), "{status} {headers:?}");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            (world.fetches(), world.sends()),
            (1, 1),
            "{status} {headers:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_the_users_own_has_the_say() {
    let gateway = |status: StatusCode, headers: &HeaderMap| match status {
        StatusCode::FORBIDDEN => Meaning::TokenRejected,
        _ => ByErrorCode.classify(status, headers),
    };
    let (world, response) = call(403, &[], |layer| layer.classify(gateway)).await;
    assert_eq!(*response.body(), "fine");
    assert_eq!(world.fetches(), 2);

    let never = |_: StatusCode, _: &HeaderMap| Meaning::Other;
    let (world, response) = call(401, &[], |layer| layer.classify(never)).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!((world.fetches(), world.sends()), (1, 1));
}

#[cfg(feature = "tower-http")]
#[tokio::test(start_paused = true)]
async fn a_401_from_where_a_redirect_led_is_no_rejection() {
    use http::header::{AUTHORIZATION, LOCATION};

    let world = World::new();
    let resource = world.resource_that(|request| {
        let mut response = crate::support::refusal();
        if request.uri().host() == Some("api.example") {
            *response.status_mut() = StatusCode::SEE_OTHER;
            let elsewhere = "https://elsewhere.example/".parse().unwrap();
            response.headers_mut().insert(LOCATION, elsewhere);
        } else {
            assert!(!request.headers().contains_key(AUTHORIZATION));
        }
        response
    });
    let follow = tower_http::follow_redirect::FollowRedirectLayer::new();
    let api = world.layer().layer(follow.layer(resource));
    let response = api.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.extensions().get::<Rejected>().is_none());
    assert_eq!((world.fetches(), world.sends()), (1, 2));
}
