//! A client whose files change, and both servers.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tower::{Layer, ServiceExt};
use tower_oauth::{
    ManualClock,
    client_auth::{ClientAuth, TlsClientAuth},
    events::Event,
    grant::{ClientCredentials, ClientCredentialsBuilder},
    keystore::RotatingIdentity,
    refresh::TokenHandle,
    service::{AllowedOrigins, OAuth, OAuthLayer},
    testing::{Client, ClientPem, FakeAuthorizationServer, FakeResource, FakeResourceBuilder, Pki},
    tls::{HyperClient, RotatingClient, TrustAnchors},
    token::Cause,
};

const ID: &str = "orders";

pub(crate) type Body = Full<Bytes>;
pub(crate) type Api = OAuth<RotatingClient<HyperClient<Body>>>;

/// What an observer was told, as far as identities are concerned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Rotated(String),
    Refused,
    ReloadFailed(String),
    Expiring(Duration),
    Misbound,
}

pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) clock: ManualClock,
    pub(crate) files: Files,
    pub(crate) server: FakeAuthorizationServer,
    pub(crate) resource: FakeResource,
    pub(crate) identity: RotatingIdentity,
    pub(crate) handle: TokenHandle,
    pub(crate) events: mpsc::UnboundedReceiver<Seen>,
    pub(crate) now: ClientPem,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_resource(|resource| resource).await
    }

    pub(crate) async fn with_resource(
        terms: impl FnOnce(FakeResourceBuilder<'_>) -> FakeResourceBuilder<'_>,
    ) -> Self {
        let auth = |identity, _: &str| TlsClientAuth::new(identity);
        Self::build(terms, auth, |source, _| source).await
    }

    pub(crate) async fn build<A: ClientAuth>(
        terms: impl FnOnce(FakeResourceBuilder<'_>) -> FakeResourceBuilder<'_>,
        auth: impl FnOnce(RotatingIdentity, &str) -> A,
        settings: impl FnOnce(ClientCredentialsBuilder, &RotatingIdentity) -> ClientCredentialsBuilder,
    ) -> Self {
        let pki = Pki::new().unwrap();
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let now = pki.client(ID).unwrap();
        let files = Files::new(&now);
        let server = FakeAuthorizationServer::builder(&pki)
            .allow_self_signed()
            .client(registration(&now))
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        let resource = FakeResource::builder(&pki).trusting(&server);
        let resource = terms(resource.require_client_certificate());
        let resource = resource.start().await.unwrap();
        let identity = RotatingIdentity::builder()
            .clock(clock.clone())
            .pem_files(files.certificate(), files.key())
            .unwrap();
        let source = ClientCredentials::builder(server.token_endpoint())
            .client_id(ID)
            .auth(auth(identity.clone(), server.issuer()))
            .trust(trust(&pki))
            .clock(clock.clone());
        let (told, events) = mpsc::unbounded_channel();
        let handle = TokenHandle::builder(settings(source, &identity).build().unwrap())
            .clock(clock.clone())
            .observer(move |event: &Event<'_>| {
                // The test may be over.
                let _ = seen(event).map(|it| told.send(it));
            })
            .build();
        Self {
            pki,
            clock,
            files,
            server,
            resource,
            identity,
            handle,
            events,
            now,
        }
    }

    /// A client of the resource: the same token, connections of its own.
    pub(crate) fn api(&self) -> Api {
        let client = RotatingClient::hyper(trust(&self.pki), &self.identity).unwrap();
        let origins = AllowedOrigins::new([self.resource.origin()]).unwrap();
        OAuthLayer::new(self.handle.clone(), origins).layer(client)
    }

    pub(crate) async fn call(&self, api: &Api) {
        let status = call(api, self.order()).await;
        assert_eq!(status, Ok(StatusCode::OK));
    }

    pub(crate) fn order(&self) -> Request<Body> {
        Request::post(self.resource.uri("/orders"))
            .body(Full::from("an order"))
            .unwrap()
    }

    /// The server accepts this certificate beside the current one.
    pub(crate) fn accept(&self, next: &ClientPem) {
        let next = registration(&self.now)
            .also_certificate(next.certificate_pem())
            .unwrap();
        self.server.register(next);
    }

    /// Has the files looked at. What was tried a moment ago is a while ago then.
    pub(crate) fn reload(&self) {
        self.clock.advance(Duration::from_secs(2));
        self.handle.reload();
    }

    /// Puts another identity into the files, which the server accepts as well, and waits until it
    /// is in use.
    pub(crate) async fn rotate(&mut self, next: ClientPem) {
        self.accept(&next);
        self.adopt(next).await;
    }

    /// Puts another identity into the files, and waits until it is in use.
    pub(crate) async fn adopt(&mut self, next: ClientPem) {
        self.files.write(&next);
        self.reload();
        self.until(&Seen::Rotated(next.thumbprint().into())).await;
        self.now = next;
    }

    /// Waits for an event; no other one may come before.
    pub(crate) async fn until(&mut self, expected: &Seen) {
        let seen = self.events.recv().await;
        assert_eq!(seen.as_ref(), Some(expected));
    }

    /// Lets time pass, call after call, until there is an event.
    pub(crate) async fn calling_until_an_event(&mut self, api: &Api) -> Seen {
        for _ in 0..1000 {
            self.call(api).await;
            if let Ok(seen) = self.events.try_recv() {
                return seen;
            }
            self.clock.advance(Duration::from_secs(1));
        }
        panic!("nothing has happened");
    }

    /// A mark in the resource's log: whatever arrives there from now on has a higher number.
    pub(crate) async fn mark(&self) -> u64 {
        let marker = self.pki.client("marker").unwrap();
        let client = RotatingClient::hyper(trust(&self.pki), marker.identity().unwrap()).unwrap();
        client.oneshot(self.order()).await.unwrap();
        let handshakes = self.resource.handshakes();
        let own = |it: &&_| {
            let it: &tower_oauth::testing::Handshake = it;
            it.certificate_thumbprint() == Some(marker.thumbprint())
        };
        handshakes.iter().find(own).unwrap().arrival()
    }

    /// How many connections that arrived after the mark show this certificate.
    pub(crate) fn handshakes_since(&self, mark: u64, shown: &ClientPem) -> usize {
        let handshakes = self.resource.handshakes();
        let counted = handshakes.iter().filter(|it| {
            it.arrival() > mark && it.certificate_thumbprint() == Some(shown.thumbprint())
        });
        counted.count()
    }
}

pub(crate) async fn call(api: &Api, order: Request<Body>) -> Result<StatusCode, String> {
    let response = api.clone().oneshot(order).await;
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = response.into_body().collect().await;
    body.map_err(|error| error.to_string())?;
    Ok(status)
}

pub(crate) fn trust(pki: &Pki) -> TrustAnchors {
    TrustAnchors::from_pem(pki.ca_pem().as_bytes()).unwrap()
}

fn registration(certificate: &ClientPem) -> Client {
    let client = Client::tls_client_auth(ID, certificate.certificate_pem());
    client.unwrap().bind_tokens()
}

fn seen(event: &Event<'_>) -> Option<Seen> {
    Some(match event {
        Event::IdentityRotated { thumbprint, .. } => {
            Seen::Rotated(thumbprint.unwrap_or_default().into())
        }
        Event::FetchFailed {
            cause: Cause::Rotation,
            ..
        } => Seen::Refused,
        Event::ReloadFailed { error, .. } => Seen::ReloadFailed(error.to_string()),
        Event::CertificateExpiring { left, .. } => Seen::Expiring(*left),
        Event::TokenMisbound { .. } => Seen::Misbound,
        _ => return None,
    })
}

// ===== impl Files =====

/// The client's certificate and key, in a directory of their own.
pub(crate) struct Files(PathBuf);

impl Files {
    fn new(pem: &ClientPem) -> Self {
        let name = format!("tower-oauth-{}", pem.thumbprint());
        let files = Self(std::env::temp_dir().join(name));
        fs::create_dir(&files.0).unwrap();
        files.write(pem);
        files
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.join("client.crt")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("client.key")
    }

    pub(crate) fn write(&self, pem: &ClientPem) {
        self.write_certificate(pem.certificate_pem());
        self.write_key(pem.key_pem());
    }

    pub(crate) fn write_certificate(&self, pem: &str) {
        fs::write(self.certificate(), pem).unwrap();
    }

    pub(crate) fn write_key(&self, pem: &str) {
        fs::write(self.key(), pem).unwrap();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// ===== impl Load =====

/// Clients that call all the time.
pub(crate) struct Load {
    workers: Vec<Worker>,
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

struct Worker {
    pings: mpsc::UnboundedSender<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), String>>,
}

impl Load {
    pub(crate) fn start(world: &World, api: &Api, workers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicU64::new(0));
        let worker = |_| {
            let (pings, mut pinged) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
            let (api, order) = (api.clone(), world.order());
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            let task = tokio::spawn(async move {
                while !stop.load(SeqCst) {
                    while let Ok(ping) = pinged.try_recv() {
                        let _ = ping.send(());
                    }
                    match call(&api, order.clone()).await {
                        Ok(StatusCode::OK) => calls.fetch_add(1, SeqCst),
                        failed => return Err(format!("{failed:?}")),
                    };
                }
                Ok(())
            });
            Worker { pings, task }
        };
        Self {
            workers: (0..workers).map(worker).collect(),
            stop,
            calls,
        }
    }

    /// Waits until each call that has begun by now has ended.
    pub(crate) async fn turn(&self) {
        for worker in &self.workers {
            let (ping, pong) = oneshot::channel();
            let _ = worker.pings.send(ping);
            pong.await.expect("a worker stopped: a call has failed");
        }
    }

    /// Ends the load; returns how many calls there were, all of them answered with 200.
    pub(crate) async fn end(self) -> u64 {
        self.stop.store(true, SeqCst);
        for worker in self.workers {
            worker.task.await.unwrap().unwrap();
        }
        self.calls.load(SeqCst)
    }
}
