//! A profile's file changes while calls go on.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::sync::mpsc;
use tower::{ServiceBuilder, ServiceExt};
use tower_oauth::{
    ManualClock, TokenError,
    events::Event,
    profile::{ApiClient, HotProfile},
    service::OAuth,
    testing::{Client, ClientPem, FakeAuthorizationServer, FakeResource, Pki},
};

type Api = HotProfile<OAuth<ApiClient<Full<Bytes>>>>;

/// What is said of the file, and that a new token came.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Changed,
    Refused(String),
}

struct World {
    clock: ManualClock,
    server: FakeAuthorizationServer,
    resource: FakeResource,
    file: PathBuf,
    api: Api,
    invoices: ClientPem,
    events: mpsc::UnboundedReceiver<Seen>,
    fetching: Arc<AtomicBool>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.file.parent().unwrap());
    }
}

impl World {
    async fn new() -> Self {
        Self::with_poll_interval(Duration::from_secs(60)).await
    }

    async fn with_poll_interval(poll_interval: Duration) -> Self {
        let pki = Pki::new().unwrap();
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let (orders, invoices) = (
            pki.client("orders").unwrap(),
            pki.client("invoices").unwrap(),
        );
        let register = |name: &str, pem: &ClientPem| {
            Client::private_key_jwt(name, pem.public_key_pem()).unwrap()
        };
        let server = FakeAuthorizationServer::builder(&pki)
            .clock(clock.clone())
            .client(register("orders", &orders))
            .client(register("invoices", &invoices));
        let server = server.start().await.unwrap();
        let resource = FakeResource::builder(&pki).trusting(&server);
        let resource = resource.start().await.unwrap();
        let port = server.issuer().rsplit(':').next().unwrap();
        let directory = std::env::temp_dir().join(format!("tower-oauth-hot-profile-{port}"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("ca.crt"), pki.ca_pem()).unwrap();
        for (name, pem) in [("orders", &orders), ("invoices", &invoices)] {
            fs::write(directory.join(format!("{name}.key")), pem.key_pem()).unwrap();
        }
        let file = directory.join("profile.toml");
        fs::write(&file, profile(&server, &resource, "orders")).unwrap();
        let (told, events) = mpsc::unbounded_channel();
        let fetching = Arc::<AtomicBool>::default();
        let begun = Arc::clone(&fetching);
        let api = HotProfile::builder(&file)
            .clock(clock.clone())
            .poll_interval(poll_interval)
            .observer(move |event: &Event<'_>| {
                let seen = match event {
                    Event::ProfileChanged => Seen::Changed,
                    Event::ProfileRefused { error, .. } => Seen::Refused(error_chain(error)),
                    Event::FetchStarted { .. } => return begun.store(true, SeqCst),
                    Event::FetchSucceeded { .. } | Event::FetchFailed { .. } => {
                        return begun.store(false, SeqCst);
                    }
                    _ => return,
                };
                let _ = told.send(seen);
            })
            .build(|profile, layer| {
                Ok(ServiceBuilder::new()
                    .layer(layer)
                    .service(profile.api_client()?))
            })
            .unwrap();
        Self {
            clock,
            server,
            resource,
            file,
            api,
            invoices,
            events,
            fetching,
        }
    }

    fn write(&self, text: &str) {
        fs::write(&self.file, text).unwrap();
    }

    fn profile(&self, client: &str) -> String {
        profile(&self.server, &self.resource, client)
    }

    /// Sends a call through a clone, as most people do.
    async fn call(&self) -> StatusCode {
        let request = Request::get(self.resource.uri("/orders"));
        let request = request.body(Full::default()).unwrap();
        let response = self.api.clone().oneshot(request).await.unwrap();
        response.status()
    }

    /// Whose token the last call had.
    fn last_client(&self) -> String {
        let requests = self.server.requests();
        let last = requests.last().unwrap().parameters().to_vec();
        last.into_iter()
            .find(|(name, _)| name == "client_id")
            .unwrap()
            .1
    }

    /// Lets time pass until the watcher says something.
    async fn next(&mut self) -> Seen {
        loop {
            tokio::select! {
                biased;
                seen = self.events.recv() => return seen.unwrap(),
                // The server's answer takes no time.
                () = tokio::task::yield_now(), if self.fetching.load(SeqCst) => {}
                () = tokio::task::yield_now() => self.clock.advance(Duration::from_millis(500)),
            }
        }
    }
}

fn error_chain(error: &TokenError) -> String {
    let mut chain = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        chain += &format!(": {error}");
        next = error.source();
    }
    chain
}

fn profile(server: &FakeAuthorizationServer, resource: &FakeResource, client: &str) -> String {
    format!(
        "issuer = {:?}\ntoken_endpoint = {:?}\nclient_id = {client:?}\n\
         token_endpoint_auth_method = \"private_key_jwt\"\nassertion.key_file = \"{client}.key\"\n\
         authorization_server.truststore.path = \"ca.crt\"\napi.truststore.path = \"ca.crt\"\n\
         api.allowed_origins = [{:?}]\n",
        server.issuer(),
        server.token_endpoint(),
        resource.origin(),
    )
}

#[tokio::test]
async fn a_changed_profile_is_taken_as_a_whole_and_the_old_token_is_renewed_no_more() {
    let mut world = World::new().await;
    assert_eq!(world.call().await, StatusCode::OK);
    assert_eq!(world.last_client(), "orders");

    world.write(&world.profile("invoices"));
    assert_eq!(world.next().await, Seen::Changed);
    assert_eq!(world.api.profile().client_id(), "invoices");
    assert_eq!(world.call().await, StatusCode::OK);
    assert_eq!(world.last_client(), "invoices");
    assert_eq!(world.server.counters().token_requests, 2);

    // A day on, only the new client's token has been renewed.
    let before = world.server.requests().len();
    world.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(world.call().await, StatusCode::OK);
    for request in &world.server.requests()[before..] {
        let client = request
            .parameters()
            .iter()
            .find(|(name, _)| name == "client_id");
        assert_eq!(client.unwrap().1, "invoices");
    }
}

#[tokio::test]
async fn a_profile_that_makes_no_sense_leaves_the_old_one_in_use() {
    let mut world = World::new().await;
    assert_eq!(world.call().await, StatusCode::OK);
    let good = world.profile("orders");
    for (broken, says) in [
        (good.replace("client_id", "client_identity"), "no such key"),
        (good.replace("orders.key", "nowhere.key"), "nowhere.key"),
        (good[..good.len() / 2].to_owned(), ""),
        (String::new(), "client_id"),
    ] {
        world.write(&broken);
        match world.next().await {
            Seen::Refused(error) => assert!(error.contains(says), "{error}"),
            Seen::Changed => panic!("taken: {broken}"),
        }
        assert!(world.api.refused().is_some());
        assert_eq!(world.call().await, StatusCode::OK);
        assert_eq!(world.api.profile().client_id(), "orders");
    }
    fs::remove_file(&world.file).unwrap();
    assert!(matches!(world.next().await, Seen::Refused(_)));
    assert_eq!(world.call().await, StatusCode::OK);
    assert_eq!(world.server.counters().token_requests, 1);
}

#[tokio::test]
async fn a_profile_that_gets_no_token_is_tried_until_it_does() {
    let mut world = World::new().await;
    assert_eq!(world.call().await, StatusCode::OK);
    world
        .server
        .register(Client::client_secret_basic("invoices", "not yet"));
    world.write(&world.profile("invoices"));
    assert!(matches!(world.next().await, Seen::Refused(_)));
    assert_eq!(world.call().await, StatusCode::OK);
    assert_eq!(world.api.profile().client_id(), "orders");

    let key = world.invoices.public_key_pem();
    world
        .server
        .register(Client::private_key_jwt("invoices", key).unwrap());
    assert_eq!(world.next().await, Seen::Changed);
    assert!(world.api.refused().is_none());
    assert_eq!(world.call().await, StatusCode::OK);
    assert_eq!(world.last_client(), "invoices");
}

#[tokio::test]
async fn a_word_by_hand_is_enough() {
    // By itself it would not look again while the test lasts.
    let mut world = World::with_poll_interval(Duration::from_secs(u64::from(u32::MAX))).await;
    assert_eq!(world.call().await, StatusCode::OK);
    world.write(&world.profile("invoices"));
    world.api.reload();
    assert_eq!(world.next().await, Seen::Changed);
}

#[tokio::test]
async fn the_watcher_ends_with_the_last_clone() {
    let mut world = World::new().await;
    assert_eq!(world.call().await, StatusCode::OK);
    let another = HotProfile::builder(&world.file).build(|profile, layer| {
        Ok(ServiceBuilder::new()
            .layer(layer)
            .service(profile.api_client()?))
    });
    drop(std::mem::replace(&mut world.api, another.unwrap()));
    // Whoever holds the observer holds the other end.
    assert_eq!(world.events.recv().await, None);
}
