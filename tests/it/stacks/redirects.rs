//! A follower of redirects above and below, and servers that send it where the token may not go.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{
    Request, Response, StatusCode, Uri,
    header::{AUTHORIZATION, LOCATION},
};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::follow_redirect::{
    FollowRedirectLayer,
    policy::{Limited, Policy, PolicyExt, Standard, clone_body_fn},
};
use tower_oauth::service::{
    AllowedOrigins, Error, ForeignOrigin, OAuthLayer, Rejected, RejectedReason,
};

use crate::support::{Body, World, refusal};

const API: &str = "https://api.example/orders";

/// Where nothing of ours may go: the same host at another port, another host, and in the clear.
const HOSTILE: [&str; 3] = [
    "https://api.example:444/orders",
    "https://evil.example/orders",
    "http://api.example/orders",
];

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    uri: Uri,
    /// The token, or any proof of possessing it.
    credential: bool,
    body: Bytes,
}

/// The API, which sends every call elsewhere, and who is there and refuses it.
#[derive(Clone)]
struct Servers {
    location: &'static str,
    status: StatusCode,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Servers {
    fn new(location: &'static str, status: StatusCode) -> Self {
        Self {
            location,
            status,
            seen: Arc::default(),
        }
    }

    fn service(
        &self,
    ) -> impl Service<Request<Body>, Response = Response<&'static str>, Error = Infallible> + Clone + use<>
    {
        let this = self.clone();
        service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let at_home = head.uri == API;
                this.seen.lock().unwrap().push(Seen {
                    uri: head.uri,
                    credential: head.headers.contains_key(AUTHORIZATION)
                        || head.headers.contains_key("dpop"),
                    body,
                });
                if !at_home {
                    return Ok(refusal());
                }
                let response = Response::builder()
                    .status(this.status)
                    .header(LOCATION, this.location);
                Ok(response.body("go there").unwrap())
            }
        })
    }

    /// What came to the API, and what went elsewhere.
    fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        let seen = self.seen.lock().unwrap();
        seen.iter().cloned().partition(|it| it.uri == API)
    }
}

/// The ways to send a call elsewhere, each with a call that a follower follows.
fn ways() -> impl Iterator<Item = (&'static str, StatusCode, Request<Body>)> {
    HOSTILE.into_iter().flat_map(|location| {
        [
            (StatusCode::FOUND, Request::post(API).body("an order")),
            (StatusCode::SEE_OTHER, Request::post(API).body("an order")),
            (StatusCode::TEMPORARY_REDIRECT, Request::get(API).body("")),
            (StatusCode::PERMANENT_REDIRECT, Request::get(API).body("")),
        ]
        .map(|(status, request)| (location, status, request.unwrap().map(Full::from)))
    })
}

fn origins(foreign: ForeignOrigin) -> AllowedOrigins {
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    origins.foreign(foreign)
}

#[tokio::test(start_paused = true)]
async fn a_redirect_follower_above_has_every_hop_checked_and_goes_elsewhere_without_the_token() {
    for (location, status, request) in ways() {
        let world = World::new();
        let servers = Servers::new(location, status);
        let origins = origins(ForeignOrigin::SendWithout);
        let response = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(OAuthLayer::new(world.handle(), origins))
            .service(servers.service())
            .oneshot(request)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.extensions().get::<Rejected>().is_none());
        let (home, elsewhere) = servers.seen();
        assert!(home[0].credential && home.len() == 1, "{home:?}");
        let [elsewhere] = &elsewhere[..] else {
            panic!("{location} {status}: {elsewhere:?}");
        };
        assert!(!elsewhere.credential, "{location} {status}");
        assert!(elsewhere.body.is_empty(), "{location} {status}");
        assert_eq!(world.fetches(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_follower_above_ends_in_an_error_where_foreign_origins_are_refused() {
    for (location, status, request) in ways() {
        let world = World::new();
        let servers = Servers::new(location, status);
        let origins = origins(ForeignOrigin::Refuse);
        let error = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(OAuthLayer::new(world.handle(), origins))
            .service(servers.service())
            .oneshot(request)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Origin(_)), "{error:?}");
        let (home, elsewhere) = servers.seen();
        assert_eq!((home.len(), elsewhere.len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_follower_below_takes_the_token_off_and_no_401_from_elsewhere_is_a_rejection() {
    for (location, status, request) in ways() {
        let world = World::new();
        let servers = Servers::new(location, status);
        let layer = OAuthLayer::new(world.handle(), origins(ForeignOrigin::Refuse));
        layer.handle().ready().await.unwrap();
        let response = ServiceBuilder::new()
            .layer(layer)
            .layer(FollowRedirectLayer::new())
            .service(servers.service())
            .oneshot(request)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.extensions().get::<Rejected>().is_none());
        let (home, elsewhere) = servers.seen();
        assert!(home[0].credential && home.len() == 1, "{home:?}");
        let [elsewhere] = &elsewhere[..] else {
            panic!("{location} {status}: {elsewhere:?}");
        };
        assert!(!elsewhere.credential, "{location} {status}");
        assert!(elsewhere.body.is_empty(), "{location} {status}");
        assert_eq!(world.fetches(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_follower_below_that_filters_no_credentials_carries_the_token_off() {
    let world = World::new();
    let servers = Servers::new(HOSTILE[1], StatusCode::FOUND);
    let follower = FollowRedirectLayer::with_policy(Limited::default());
    let request = Request::get(API).body(Full::default()).unwrap();
    ServiceBuilder::new()
        .layer(world.layer())
        .layer(follower)
        .service(servers.service())
        .oneshot(request)
        .await
        .unwrap();
    let (_, elsewhere) = servers.seen();
    assert!(elsewhere[0].credential);
}

/// A policy that sends the body again where a redirect asks for it.
fn taking_the_body<E>() -> impl Policy<Body, E> + Clone {
    Standard::default().and::<_, Body, E>(clone_body_fn(|body: &Body| Some(body.clone())))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_a_redirect_followers_policy_takes_elsewhere_goes_there_once() {
    for location in HOSTILE {
        for above in [true, false] {
            let world = World::new();
            let servers = Servers::new(location, StatusCode::PERMANENT_REDIRECT);
            let layer = OAuthLayer::new(world.handle(), origins(ForeignOrigin::SendWithout));
            layer.handle().ready().await.unwrap();
            let request = Request::post(API).body(Full::from("an order")).unwrap();
            let response = if above {
                let stack = ServiceBuilder::new()
                    .layer(FollowRedirectLayer::with_policy(taking_the_body()))
                    .layer(layer);
                stack.service(servers.service()).oneshot(request).await
            } else {
                let stack = ServiceBuilder::new()
                    .layer(layer)
                    .layer(FollowRedirectLayer::with_policy(taking_the_body()));
                stack.service(servers.service()).oneshot(request).await
            };
            assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
            let (home, elsewhere) = servers.seen();
            assert_eq!(home.len(), 1);
            let [elsewhere] = &elsewhere[..] else {
                panic!("{location} {above}: {elsewhere:?}");
            };
            assert!(!elsewhere.credential, "{location} {above}");
            assert_eq!(elsewhere.body, "an order");
            assert_eq!(world.fetches(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_came_back_from_elsewhere_is_not_sent_that_way_again() {
    let world = World::new();
    let layer = OAuthLayer::new(world.handle(), origins(ForeignOrigin::SendWithout));
    layer.handle().ready().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&seen);
    let servers = service_fn(move |request: Request<Body>| {
        let location = match request.uri().to_string().as_str() {
            API => Some("https://evil.example/orders"),
            "https://evil.example/orders" => Some("https://api.example/back"),
            _ => None,
        };
        let response = match location {
            Some(location) => Response::builder()
                .status(StatusCode::TEMPORARY_REDIRECT)
                .header(LOCATION, location)
                .body("go there")
                .unwrap(),
            None => refusal(),
        };
        paths.lock().unwrap().push(request.uri().to_string());
        async move { Ok::<_, Infallible>(response) }
    });
    let stack = ServiceBuilder::new()
        .layer(layer)
        .layer(FollowRedirectLayer::with_policy(taking_the_body()));
    let request = Request::post(API).body(Full::from("an order")).unwrap();
    let response = stack.service(servers).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert!(matches!(rejected.reason(), RejectedReason::Redirected));
    let once = [
        API,
        "https://evil.example/orders",
        "https://api.example/back",
    ];
    assert_eq!(*seen.lock().unwrap(), once);
}
