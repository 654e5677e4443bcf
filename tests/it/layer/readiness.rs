//! Which service is polled ready, which is called, and when.

use std::{
    convert::Infallible,
    future::{self, Future, Ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::sleep,
};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, buffer::BufferLayer,
    limit::ConcurrencyLimitLayer, timeout::error::Elapsed,
};
use tower_oauth::service::Error;

use crate::support::{Body, Resource, World, refusal, request};

/// A service that must be polled ready before each call. A clone must be polled itself.
struct Strict {
    inner: Resource,
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            ready: false,
        }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called unready");
        self.inner.call(request)
    }
}

fn strict(world: &World) -> Strict {
    Strict {
        inner: world.resource(),
        ready: false,
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_that_was_polled_ready_is_the_one_called() {
    let world = World::new();
    let mut api = world.layer().layer(strict(&world));
    // With a wait, without one, and twice because of a refusal.
    for rollover in [false, false, true] {
        if rollover {
            world.rollover();
        }
        let response = api.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(world.sends(), 4);
}

/// A hundred calls at once, a rollover, and a hundred more.
async fn assert_served<S, F>(world: &World, api: S)
where
    S: Service<Request<Body>, Response = Response<&'static str>, Future = F> + Clone,
    S: Send + 'static,
    S::Error: std::fmt::Debug + Send,
    F: Future<Output = Result<S::Response, S::Error>> + Send,
{
    for _ in 0..2 {
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            calls.spawn(api.clone().oneshot(request()));
        }
        while let Some(response) = calls.join_next().await {
            assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
        }
        world.rollover();
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_share_a_place_for_one_inside_the_layer() {
    let world = World::new();
    let api = ServiceBuilder::new()
        .layer(world.layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(strict(&world));
    assert_served(&world, api).await;
}

#[tokio::test(start_paused = true)]
async fn calls_share_a_place_for_one_around_the_layer() {
    let world = World::new();
    let api = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(world.layer())
        .service(strict(&world));
    assert_served(&world, api).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_token_does_not_stall_a_buffer() {
    let world = World::new();
    world.latency(Duration::from_secs(5));
    let api = ServiceBuilder::new()
        .layer(BufferLayer::new(1))
        .layer(world.layer())
        .service(strict(&world));
    let waiting = tokio::spawn(api.clone().oneshot(request()));
    sleep(Duration::from_secs(1)).await;
    // One who needs no token is not kept waiting by one who does.
    let mut own = request();
    let value = "Basic own".parse().unwrap();
    own.headers_mut().insert("authorization", value);
    let response = tokio::time::timeout(Duration::from_secs(1), api.oneshot(own));
    let response = response.await.expect("the buffer is stalled").unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_the_layer_covers_the_wait_for_a_token() {
    let world = World::new();
    world.hang();
    let mut api = ServiceBuilder::new()
        .timeout(Duration::from_secs(3))
        .layer(world.layer())
        .service(strict(&world));
    let error: BoxError = api
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(world.sends(), 0);
}

#[tokio::test(start_paused = true)]
async fn readiness_is_the_inner_services_whatever_the_token_does() {
    let world = World::new();
    let mut api = world.layer().layer(strict(&world));
    assert_ready(&mut api, "before the first call");
    world.hang();
    let call = tokio::spawn(api.clone().oneshot(request()));
    sleep(Duration::from_secs(1)).await;
    assert_ready(&mut api, "during a hanging fetch");
    call.await.unwrap().unwrap_err();
    assert_ready(&mut api, "in a back-off");
    let error = api.ready().await.unwrap().call(request()).await;
    assert!(matches!(error, Err(Error::Token(_))));
    api.handle().close();
    assert_ready(&mut api, "with a closed handle");
    let error = api.ready().await.unwrap().call(request()).await;
    assert!(matches!(error, Err(Error::Token(_))));
}

#[track_caller]
fn assert_ready(api: &mut impl Service<Request<Body>>, when: &str) {
    let ready = api.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(ready, Poll::Ready(Ok(()))), "{when}");
}

/// A service whose clones fail to become ready once `broken`.
#[derive(Clone)]
struct Breaking {
    polls: Arc<AtomicUsize>,
    broken: Arc<AtomicBool>,
}

impl Service<Request<Body>> for Breaking {
    type Response = Response<&'static str>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.polls.fetch_add(1, SeqCst);
        Poll::Ready(match self.broken.load(SeqCst) {
            false => Ok(()),
            true => Err(std::io::Error::other("the connection is gone")),
        })
    }

    fn call(&mut self, _request: Request<Body>) -> Self::Future {
        self.broken.store(true, SeqCst);
        future::ready(Ok(refusal()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_fails_before_the_second_send_loses_the_original() {
    // A known limit: `tower::retry` asks for readiness before it hands over what is held.
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    let mut api = layer.layer(Breaking {
        polls: Arc::default(),
        broken: Arc::default(),
    });
    let error = api
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap_err();
    let Error::Inner(inner) = error else {
        panic!("{error:?}");
    };
    assert_eq!(inner.to_string(), "the connection is gone");
}

type Acquiring = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// A service with one place, which the caller frees by dropping the response.
struct Kept {
    place: Arc<Semaphore>,
    acquiring: Option<Acquiring>,
    permit: Option<OwnedSemaphorePermit>,
    resource: Resource,
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        Self {
            place: Arc::clone(&self.place),
            acquiring: None,
            permit: None,
            resource: self.resource.clone(),
        }
    }
}

impl Service<Request<Body>> for Kept {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.permit.is_none() {
            let place = &self.place;
            let acquiring = self
                .acquiring
                .get_or_insert_with(|| Box::pin(Arc::clone(place).acquire_owned()));
            self.permit = Some(ready!(acquiring.as_mut().poll(cx)).unwrap());
            self.acquiring = None;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let permit = self.permit.take().expect("it was polled ready");
        let response = self.resource.call(request).into_inner();
        future::ready(response.map(|mut response| {
            response.extensions_mut().insert(Arc::new(permit));
            response
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_the_held_response_keeps_is_waited_for_until_the_caller_gives_up() {
    // The other known limit: what is held is dropped when the second send begins, not before.
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    world.rollover();
    let place = Arc::new(Semaphore::new(1));
    let mut api = ServiceBuilder::new()
        .timeout(Duration::from_secs(3))
        .layer(layer)
        .service(Kept {
            place: Arc::clone(&place),
            acquiring: None,
            permit: None,
            resource: world.resource(),
        });
    let error = api
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(place.available_permits(), 1);
    // The token was replaced meanwhile.
    let response = api.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
