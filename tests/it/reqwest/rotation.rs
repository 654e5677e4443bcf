//! Tokens that are bound to a certificate, which changes while calls go on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use http::StatusCode;
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::{sync::watch, task::JoinSet};
use tower_oauth::{
    BoxError, Error, ErrorKind,
    adapter::reqwest::{OAuthMiddleware, tls_backend},
    keystore::{ClientIdentity, RotatingIdentity},
    testing::{ClientPem, FakeResourceBuilder},
    tls::TlsConfig,
};

use super::{chain::Probe, world::layer};
use crate::rotation::world::{World, trust};

const WORKERS: usize = 8;
const ROTATIONS: usize = 5;

/// Makes clients, and counts them.
fn factory(
    world: &World,
) -> (
    impl Fn(&ClientIdentity) -> Result<Client, BoxError> + Send + Sync + use<>,
    Arc<AtomicUsize>,
) {
    let (trust, made) = (trust(&world.pki), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&made);
    let make = move |identity: &ClientIdentity| {
        counted.fetch_add(1, SeqCst);
        let tls = tls_backend(&TlsConfig::new(trust.clone()).identity(identity))?;
        let client = Client::builder().no_proxy().tls_backend_preconfigured(tls);
        Ok(client.build()?)
    };
    (make, made)
}

fn api<E: Into<BoxError>>(
    world: &World,
    make: impl Fn(&ClientIdentity) -> Result<Client, E> + Send + Sync + 'static,
) -> ClientWithMiddleware {
    let layer = layer(world.handle.clone(), world.resource.origin());
    let oauth = OAuthMiddleware::rotating(layer, &world.identity, make).unwrap();
    // What the chain is built around shows no certificate: nothing may go through it.
    ClientBuilder::new(super::world::client(&world.pki))
        .with(oauth)
        .build()
}

async fn call(api: &ClientWithMiddleware, url: &str) -> Result<(), String> {
    let response = api.post(url).body("an order").send().await;
    let response = response.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let text = response
        .text()
        .await
        .map_err(|error| format!("{error:?}"))?;
    match status {
        StatusCode::OK => Ok(()),
        status => Err(format!("{status} {text}")),
    }
}

/// Clients that call all the time.
struct Load {
    workers: JoinSet<Result<(), String>>,
    calls: Vec<watch::Receiver<usize>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start(api: &ClientWithMiddleware, url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut workers, mut calls) = (JoinSet::new(), Vec::new());
        for _ in 0..WORKERS {
            let (count, counted) = watch::channel(0);
            calls.push(counted);
            let (api, url, stop) = (api.clone(), url.to_owned(), Arc::clone(&stop));
            workers.spawn(async move {
                while !stop.load(SeqCst) {
                    call(&api, &url).await?;
                    count.send_modify(|calls| *calls += 1);
                }
                Ok(())
            });
        }
        Self {
            workers,
            calls,
            stop,
        }
    }

    /// Waits until each call that has begun by now has ended.
    async fn turn(&mut self) {
        for calls in &mut self.calls {
            let next = *calls.borrow() + 2;
            let done = calls.wait_for(|calls| *calls >= next).await;
            done.expect("a worker stopped: a call has failed");
        }
    }

    async fn end(mut self) {
        self.stop.store(true, SeqCst);
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap().unwrap();
        }
    }
}

type Terms = fn(FakeResourceBuilder<'_>) -> FakeResourceBuilder<'_>;

#[tokio::test(flavor = "multi_thread")]
async fn no_call_notices_that_the_certificate_changes() {
    let all: [Terms; 3] = [|it| it.http1_only(), |it| it, |it| it.tls12_only()];
    for terms in all {
        hammer(World::with_resource(terms).await).await;
    }
}

async fn hammer(mut world: World) {
    let (make, made) = factory(&world);
    let api = api(&world, make);
    let url = world.resource.uri("/orders").to_string();
    let mut load = Load::start(&api, &url);
    for turn in 0..ROTATIONS {
        load.turn().await;
        let old = world.now.clone();
        let next = next(&world, turn);
        world.rotate(next).await;
        // Calls that began with the old pair may end with it.
        load.turn().await;
        let mark = world.mark().await;
        load.turn().await;
        assert_eq!(world.handshakes_since(mark, &old), 0);
    }
    load.end().await;
    let counters = world.resource.counters();
    // The mark's own calls have no token, and no other was refused.
    assert_eq!(
        (counters.mismatched, counters.refused),
        (0, ROTATIONS as u64)
    );
    // One token for each identity, and a client; one more was made to see that it can be.
    assert_eq!(world.server.counters().token_requests, 1 + ROTATIONS as u64);
    assert_eq!(made.load(SeqCst), 2 + ROTATIONS);

    // Connections of identities that nobody needs any more are gone.
    let last = world.handshakes_since(0, &world.now) as u64;
    call(&api, &url).await.unwrap();
    while world.resource.counters().open_connections > last {
        tokio::task::yield_now().await;
    }
    drop(api);
    while world.resource.counters().open_connections > 0 {
        tokio::task::yield_now().await;
    }
}

/// Every other one is renewed for the same key.
fn next(world: &World, turn: usize) -> ClientPem {
    match turn % 2 {
        0 => world.pki.client("orders").unwrap(),
        _ => world.pki.renewed(&world.now, "orders").unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollover_of_bound_tokens_is_healed() {
    let world = World::new().await;
    let api = api(&world, factory(&world).0);
    let url = world.resource.uri("/orders").to_string();
    call(&api, &url).await.unwrap();
    world.server.rollover();
    call(&api, &url).await.unwrap();
    assert_eq!(world.server.counters().token_requests, 2);
    assert_eq!(world.resource.counters().mismatched, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_the_end_of_the_chain() {
    let world = World::new().await;
    let layer = layer(world.handle.clone(), world.resource.origin());
    let oauth = OAuthMiddleware::rotating(layer, &world.identity, factory(&world).0).unwrap();
    let below = Probe::default();
    let api = ClientBuilder::new(super::world::client(&world.pki))
        .with(oauth)
        .with(below.clone())
        .build();
    let url = world.resource.uri("/orders").to_string();
    call(&api, &url).await.unwrap();
    assert!(below.tokens().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_be_made_is_an_error_at_build() {
    let world = World::new().await;
    let layer = layer(world.handle.clone(), world.resource.origin());
    let oauth = OAuthMiddleware::rotating(layer, &world.identity, |_| Err("no such luck"));
    let error = oauth.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "no such luck");
}

#[tokio::test(flavor = "multi_thread")]
async fn later_it_is_one_of_the_call() {
    let world = World::new().await;
    let (make, made) = factory(&world);
    let api = api(&world, move |identity: &ClientIdentity| {
        match made.load(SeqCst) {
            0 => make(identity),
            _ => Err("no such luck".into()),
        }
    });
    let url = world.resource.uri("/orders").to_string();
    let error = api.post(&url).send().await.unwrap_err();
    let reqwest_middleware::Error::Middleware(error) = error else {
        panic!("{error:?}");
    };
    let Some(Error::Inner(error)) = error.downcast_ref() else {
        panic!("{error:?}");
    };
    assert_eq!(error.to_string(), "no such luck");
    assert_eq!(world.resource.counters().calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_serves_all_identities_where_tokens_are_bound_to_none() {
    let world = World::with_resource(|it| it).await;
    let identity = world.identity.current();
    let client = factory(&world).0(&identity).unwrap();
    let layer = layer(world.handle.clone(), world.resource.origin());
    let fixed = RotatingIdentity::fixed(identity);
    let make = move |_: &ClientIdentity| Ok::<_, BoxError>(client.clone());
    let oauth = OAuthMiddleware::rotating(layer, fixed, make).unwrap();
    let api = ClientBuilder::new(super::world::client(&world.pki)).with(oauth);
    let url = world.resource.uri("/orders").to_string();
    call(&api.build(), &url).await.unwrap();
}
