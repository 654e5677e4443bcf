//! Layers that choose or hide the service below.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use http::{Request, Response, StatusCode};
use tokio::task::JoinSet;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, balance::p2c::Balance, buffer::BufferLayer,
    discover::ServiceList, load::Constant, util::BoxCloneSyncService,
};

use crate::support::{Body, Resource, World, layer, request};

/// One of several servers of an API.
#[derive(Clone)]
struct Endpoint {
    calls: Arc<AtomicUsize>,
    resource: Resource,
}

impl Endpoint {
    fn new(world: &World) -> Self {
        Self {
            calls: Arc::default(),
            resource: world.resource(),
        }
    }
}

impl Service<Request<Body>> for Endpoint {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = <Resource as Service<Request<Body>>>::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.resource.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, SeqCst);
        self.resource.call(request)
    }
}

/// A hundred calls, a rollover, and a hundred more: two tokens in all, and both endpoints called.
async fn assert_shared<S>(world: &World, stack: S, endpoints: &[Endpoint; 2])
where
    S: Service<Request<Body>, Response = Response<&'static str>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug + Send,
{
    for _ in 0..2 {
        let mut calls = JoinSet::new();
        for _ in 0..100 {
            calls.spawn(stack.clone().oneshot(request()));
        }
        while let Some(response) = calls.join_next().await {
            assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
        }
        world.rollover();
    }
    assert_eq!(world.fetches(), 2);
    for endpoint in endpoints {
        assert!(endpoint.calls.load(SeqCst) > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn balanced_endpoints_below_share_one_layer() {
    let world = World::new();
    let endpoints = [Endpoint::new(&world), Endpoint::new(&world)];
    let list = endpoints.clone().map(|it| Constant::new(it, 1));
    let stack = ServiceBuilder::new()
        .layer(world.layer())
        .layer(BufferLayer::new(8))
        .service(Balance::new(ServiceList::new(list)));
    assert_shared(&world, stack, &endpoints).await;
}

#[tokio::test(start_paused = true)]
async fn a_balance_above_has_layers_that_share_the_handle() {
    let world = World::new();
    let handle = world.handle();
    let endpoints = [Endpoint::new(&world), Endpoint::new(&world)];
    let list = endpoints
        .clone()
        .map(|it| Constant::new(layer(handle.clone()).layer(it), 1));
    let stack = ServiceBuilder::new()
        .layer(BufferLayer::new(8))
        .service(Balance::new(ServiceList::new(list)));
    assert_shared(&world, stack, &endpoints).await;
}

#[tokio::test(start_paused = true)]
async fn a_box_changes_nothing_above_or_below() {
    let world = World::new();
    let endpoint = Endpoint::new(&world);
    let above = ServiceBuilder::new()
        .boxed_clone_sync()
        .layer(world.layer())
        .service(endpoint.clone());
    assert_shared(&world, above, &[endpoint.clone(), endpoint]).await;

    // A box's future isn't `Sync`, which the builder wants of what it boxes; the box itself doesn't.
    let world = World::new();
    let endpoint = Endpoint::new(&world);
    let below = world
        .layer()
        .layer(BoxCloneSyncService::new(endpoint.clone()));
    let both = BoxCloneSyncService::new(below);
    assert_shared(&world, both, &[endpoint.clone(), endpoint]).await;
}
