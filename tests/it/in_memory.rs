//! The layer over services that are functions, with tokio's clock paused.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::{sync::Barrier, time::sleep};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth::{
    ErrorKind, TokenError,
    grant::{Fetched, TokenSource},
    refresh::TokenHandle,
    service::{AllowedOrigins, Error, OAuthLayer, Rejected, RejectedCause},
    token::{AccessToken, Cause},
};

type Body = Full<Bytes>;

/// An authorization server and the resources that believe it.
#[derive(Clone)]
struct World(Arc<Inner>);

struct Inner {
    fetches: AtomicUsize,
    calls: AtomicUsize,
    /// Tokens with a lower number are refused.
    valid_from: AtomicU64,
    latency: Mutex<Duration>,
    lifetime: Mutex<Duration>,
    down: AtomicBool,
    panics: AtomicBool,
}

impl World {
    fn new() -> Self {
        Self(Arc::new(Inner {
            fetches: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            valid_from: AtomicU64::new(0),
            latency: Mutex::new(Duration::from_millis(100)),
            lifetime: Mutex::new(Duration::from_secs(3600)),
            down: AtomicBool::new(false),
            panics: AtomicBool::new(false),
        }))
    }

    fn fetches(&self) -> usize {
        self.0.fetches.load(SeqCst)
    }

    fn calls(&self) -> usize {
        self.0.calls.load(SeqCst)
    }

    /// All tokens so far are refused from now on.
    fn rollover(&self) {
        self.0.valid_from.store(self.fetches() as u64 + 1, SeqCst);
    }

    fn set_latency(&self, latency: Duration) {
        *self.0.latency.lock().unwrap() = latency;
    }

    fn set_lifetime(&self, lifetime: Duration) {
        *self.0.lifetime.lock().unwrap() = lifetime;
    }

    fn accepts(&self, request: &Request<Body>) -> bool {
        let number = request
            .headers()
            .get("authorization")
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer token-"))
            .and_then(|number| number.parse::<u64>().ok());
        number.is_some_and(|number| number >= self.0.valid_from.load(SeqCst))
    }

    fn answer(&self, request: &Request<Body>) -> Response<&'static str> {
        self.0.calls.fetch_add(1, SeqCst);
        if self.accepts(request) {
            return Response::new("fine");
        }
        refusal()
    }
}

fn refusal() -> Response<&'static str> {
    Response::builder()
        .status(StatusCode::UNAUTHORIZED)
        .header("www-authenticate", "Bearer error=\"invalid_token\"")
        .body("who are you?")
        .unwrap()
}

impl TokenSource for World {
    async fn fetch(&self, _cause: Cause) -> Result<Fetched, TokenError> {
        let number = self.0.fetches.fetch_add(1, SeqCst) + 1;
        let latency = *self.0.latency.lock().unwrap();
        sleep(latency).await;
        assert!(!self.0.panics.load(SeqCst), "the source was told to panic");
        if self.0.down.load(SeqCst) {
            return Err(TokenError::new(ErrorKind::Transport, "nobody answers"));
        }
        let token = AccessToken::new(format!("token-{number}"))?;
        Ok(Fetched::new(token).expires_in(*self.0.lifetime.lock().unwrap()))
    }
}

fn layer(world: &World) -> OAuthLayer {
    let origins = AllowedOrigins::new(["https://api.example", "https://b.example"]).unwrap();
    OAuthLayer::new(world.clone(), origins)
}

fn request() -> Request<Body> {
    Request::post("https://api.example/orders")
        .body(Full::from("an order"))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_first_calls_make_one_token_request() {
    let world = World::new();
    let resource = world.clone();
    let api = layer(&world).layer(service_fn(move |request: Request<Body>| {
        let response = resource.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    }));
    let calls: Vec<_> = (0..10_000)
        .map(|_| tokio::spawn(api.clone().oneshot(request())))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!((world.fetches(), world.calls()), (1, 10_000));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_refused_calls_make_one_more_token_request() {
    let world = World::new();
    let resource = world.clone();
    let barrier = Arc::new(Barrier::new(10_001));
    let held = Arc::clone(&barrier);
    let holding = Arc::new(AtomicBool::new(false));
    let hold = Arc::clone(&holding);
    let mut api = layer(&world).layer(service_fn(move |request: Request<Body>| {
        let (resource, held) = (resource.clone(), Arc::clone(&held));
        let first = hold.load(SeqCst);
        async move {
            if first {
                held.wait().await;
            }
            Ok::<_, Infallible>(resource.answer(&request))
        }
    }));
    api.ready().await.unwrap().call(request()).await.unwrap();

    holding.store(true, SeqCst);
    let calls: Vec<_> = (0..10_000)
        .map(|_| tokio::spawn(api.clone().oneshot(request())))
        .collect();
    sleep(Duration::from_secs(1)).await;
    holding.store(false, SeqCst);
    world.rollover();
    barrier.wait().await;
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.fetches(), 2);
    assert_eq!(world.calls(), 1 + 2 * 10_000);
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_refuses_every_token_gets_two_sends_and_the_caller_the_reason() {
    let world = World::new();
    let seen = world.clone();
    let api = layer(&world).layer(service_fn(move |_: Request<Body>| {
        seen.0.calls.fetch_add(1, SeqCst);
        async { Ok::<_, Infallible>(refusal()) }
    }));
    // The first call waits for its token: the refused token was fetched for it.
    let response = api.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(*response.body(), "who are you?");
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert!(
        matches!(rejected.cause(), RejectedCause::Fresh),
        "{rejected:?}"
    );
    assert!(rejected.hint().contains("audience"), "{rejected}");
    assert_eq!((world.fetches(), world.calls()), (1, 1));

    sleep(Duration::from_secs(2)).await;
    let response = api.clone().oneshot(request()).await.unwrap();
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert!(
        matches!(rejected.cause(), RejectedCause::Again),
        "{rejected:?}"
    );
    assert_eq!((world.fetches(), world.calls()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_gives_the_caller_the_original_401() {
    let world = World::new();
    let resource = world.clone();
    let mut api = layer(&world).layer(service_fn(move |request: Request<Body>| {
        let response = resource.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    }));
    api.ready().await.unwrap().call(request()).await.unwrap();
    world.rollover();
    world.0.down.store(true, SeqCst);
    let response = api.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers().contains_key("www-authenticate"));
    assert_eq!(*response.body(), "who are you?");
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert!(
        matches!(rejected.cause(), RejectedCause::NoToken(_)),
        "{rejected:?}"
    );
    assert_eq!(world.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_of_life_and_two_of_latency_serve_every_caller() {
    let world = World::new();
    world.set_latency(Duration::from_secs(2));
    world.set_lifetime(Duration::from_secs(1));
    let resource = world.clone();
    let api = layer(&world).layer(service_fn(move |request: Request<Body>| {
        let response = resource.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    }));
    let mut calls = Vec::new();
    for _ in 0..200 {
        calls.push(tokio::spawn(api.clone().oneshot(request())));
        sleep(Duration::from_millis(100)).await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert!(world.fetches() <= 12, "{}", world.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_panicking_source_is_an_error_and_the_next_attempt_works() {
    let world = World::new();
    world.0.panics.store(true, SeqCst);
    let handle = TokenHandle::new(world.clone());
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    world.0.panics.store(false, SeqCst);
    // Nobody asks again: it becomes ready by itself.
    sleep(Duration::from_secs(2)).await;
    assert!(handle.status().usable);
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_after_the_last_handle() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    assert_eq!(tasks(), 0);
    let world = World::new();
    let handle = TokenHandle::new(world.clone());
    assert_eq!(tasks(), 0);
    handle.ready().await.unwrap();
    assert_eq!(tasks(), 1);
    let clone = handle.clone();
    drop(handle);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks(), 1);
    drop(clone);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tasks(), 0);
    assert_eq!(Arc::strong_count(&world.0), 1);
}

#[tokio::test(start_paused = true)]
async fn a_down_authorization_server_does_not_take_a_valid_token_away() {
    let world = World::new();
    world.set_lifetime(Duration::from_secs(100));
    let resource = world.clone();
    let mut api = layer(&world).layer(service_fn(move |request: Request<Body>| {
        let response = resource.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    }));
    api.ready().await.unwrap().call(request()).await.unwrap();
    world.0.down.store(true, SeqCst);
    sleep(Duration::from_secs(88)).await;
    assert!(world.fetches() > 1);
    api.ready().await.unwrap().call(request()).await.unwrap();

    sleep(Duration::from_secs(30)).await;
    let calls = world.calls();
    let error = api
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap_err();
    let Error::Token(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.retry_at().is_some());
    assert_eq!(world.calls(), calls);

    world.0.down.store(false, SeqCst);
    sleep(Duration::from_secs(31)).await;
    api.ready().await.unwrap().call(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
#[cfg(feature = "tower-http")]
async fn a_401_from_where_a_redirect_led_is_no_rejection() {
    let world = World::new();
    let resource = world.clone();
    let follow = tower_http::follow_redirect::FollowRedirectLayer::new();
    let api = layer(&world).layer(follow.layer(service_fn(move |request: Request<Body>| {
        let mut response = resource.answer(&request);
        if request.uri().host() == Some("api.example") {
            *response.status_mut() = StatusCode::SEE_OTHER;
            let elsewhere = "https://elsewhere.example/".parse().unwrap();
            response.headers_mut().insert("location", elsewhere);
        } else {
            assert!(!request.headers().contains_key("authorization"));
        }
        async move { Ok::<_, Infallible>(response) }
    })));
    let response = api.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.extensions().get::<Rejected>().is_none());
    assert_eq!((world.fetches(), world.calls()), (1, 2));
}
