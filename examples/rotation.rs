//! Fifty certificates in a row, under load: the client's files change while calls go on, against
//! servers that check every token against the certificate of its connection.
//!
//! `cargo run --release --example rotation` prints a table, and fails if a call
//! failed, if a token went out over a connection of another certificate, or if a connection that
//! was made after a rotation shows the certificate from before, or if memory or connections grow
//! from rotation to rotation.

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::{
    error::Error,
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use peak_alloc::PeakAlloc;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tower::{Layer, ServiceExt};
use tower_oauth::{
    ManualClock,
    client_auth::TlsClientAuth,
    events::Event,
    grant::ClientCredentials,
    keystore::RotatingIdentity,
    refresh::TokenHandle,
    service::{AllowedOrigins, OAuth, OAuthLayer},
    testing::{Answer, Client, ClientPem, FakeAuthorizationServer, FakeResource, Pki},
    tls::{HyperClient, RotatingClient, TrustAnchors},
};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const ROTATIONS: usize = 50;
const WORKERS: usize = 3;
const ID: &str = "orders-service";

type Failure = Box<dyn Error + Send + Sync>;
type Body = Full<Bytes>;
type Api = OAuth<RotatingClient<HyperClient<Body>>>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let mut world = World::new().await?;
    let load = Load::start(&world);
    load.turn().await?;
    let mut counts = vec![Counts::default(); world.resources.len()];
    let mut levels = Vec::new();
    for turn in 1..=ROTATIONS {
        let before = world.now.clone();
        world.rotate(turn, &load).await?;
        // A call that began with the old pair may end with it.
        load.turn().await?;
        let marks = world.marks().await?;
        load.turn().await?;
        load.turn().await?;
        for ((counts, resource), mark) in counts.iter_mut().zip(&world.resources).zip(marks) {
            counts.old += resource.handshakes_since(mark, &before);
            counts.resumed += resource.resumed();
            // What the servers remember of it is not the client's memory.
            resource.server.forget();
        }
        world.server.forget();
        levels.push(world.level());
    }
    let ended = load.end().await;

    println!("server                                calls  handshakes  resumed  old  mismatched");
    let (mut calls, mut mismatched) = (0, 0);
    for (resource, counts) in world.resources.iter().zip(&counts) {
        let counters = resource.server.counters();
        println!(
            "{:36} {:6}  {:10}  {:7}  {:3}  {:10}",
            resource.name,
            counters.accepted,
            counters.connections,
            counts.resumed + resource.resumed(),
            counts.old,
            counters.mismatched
        );
        calls += counters.accepted;
        mismatched += counters.mismatched;
    }
    let counters = world.server.counters();
    println!(
        "token requests: {}, refused for a certificate that wasn't known yet: {}",
        counters.token_requests, counters.rejected
    );
    let failed = ended.failed;
    if let Some(error) = ended.error {
        println!("the first failure: {error}");
    }
    let left = world.close().await;
    println!("connections left after the last call: {left}");
    // Calls come and go, so the least of ten rotations is compared with the least of others.
    let least = |of: &[Level]| {
        let memory = of.iter().map(|it| it.memory).min().unwrap_or(0);
        let connections = of.iter().map(|it| it.connections).min().unwrap_or(0);
        (memory, connections)
    };
    let (early, late) = (least(&levels[5..15]), least(&levels[ROTATIONS - 10..]));
    println!(
        "memory after 5 rotations and at the end: {} KiB, {} KiB; connections: {}, {}",
        early.0 / 1024,
        late.0 / 1024,
        early.1,
        late.1
    );
    let level = late.0 < early.0 + early.0 / 4 && late.1 <= early.1 + 2 * WORKERS as u64;

    let old: usize = counts.iter().map(|it| it.old).sum();
    println!(
        "rotations={ROTATIONS} calls={calls} failed={failed} mismatched={mismatched} \
         old_certificate_handshakes={old}"
    );
    let good = failed == 0 && mismatched == 0 && old == 0 && left == 0 && level;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The servers, and the client whose certificate changes.
struct World {
    pki: Pki,
    clock: ManualClock,
    directory: PathBuf,
    server: FakeAuthorizationServer,
    resources: Vec<Resource>,
    events: mpsc::UnboundedReceiver<Seen>,
    /// One for each resource: they share the token, and no connections or sessions.
    apis: Vec<Api>,
    now: ClientPem,
}

struct Resource {
    name: &'static str,
    server: FakeResource,
}

/// What is counted of a resource before it forgets.
#[derive(Clone, Default)]
struct Counts {
    old: usize,
    resumed: usize,
}

/// What the process holds at one moment.
struct Level {
    memory: usize,
    connections: u64,
}

/// What an observer is told.
#[derive(Debug, PartialEq)]
enum Seen {
    Rotated(String),
    NotRotated,
}

impl World {
    async fn new() -> Result<Self, Failure> {
        let pki = Pki::new()?;
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let now = pki.client(ID)?;
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Client::tls_client_auth(ID, now.certificate_pem())?.bind_tokens())
            .clock(clock.clone())
            .start()
            .await?;
        let mut resources = Vec::new();
        for (name, tls12, http1, alone) in [
            ("TLS 1.2, HTTP/1.1", true, true, false),
            ("TLS 1.2, HTTP/1.1, resumed each call", true, true, true),
            ("TLS 1.2, HTTP/2", true, false, false),
            ("TLS 1.3, HTTP/1.1", false, true, false),
            ("TLS 1.3, HTTP/1.1, resumed each call", false, true, true),
            ("TLS 1.3, HTTP/2", false, false, false),
        ] {
            let resource = FakeResource::builder(&pki).trusting(&server);
            let resource = resource.require_client_certificate();
            let resource = if tls12 {
                resource.tls12_only()
            } else {
                resource
            };
            let resource = if http1 {
                resource.http1_only()
            } else {
                resource
            };
            let server = resource.start().await?;
            if alone {
                server.set_acceptance(Answer::new(StatusCode::OK).header("connection", "close"));
            }
            resources.push(Resource { name, server });
        }

        // What follows is what a program does, but for its clock.
        let directory = std::env::temp_dir().join(format!("rotation-{}", now.thumbprint()));
        fs::create_dir(&directory)?;
        let (certificate, key) = (directory.join("client.crt"), directory.join("client.key"));
        fs::write(&certificate, now.certificate_pem())?;
        fs::write(&key, now.key_pem())?;

        let trust = TrustAnchors::from_pem(pki.ca_pem().as_bytes())?;
        let identity = RotatingIdentity::builder()
            .clock(clock.clone())
            .pem_files(certificate, key)?;
        let source = ClientCredentials::builder(server.token_endpoint())
            .client_id(ID)
            .auth(TlsClientAuth::new(&identity))
            .trust(trust.clone())
            .clock(clock.clone())
            .build()?;
        let (told, events) = mpsc::unbounded_channel();
        let handle = TokenHandle::builder(source)
            .clock(clock.clone())
            .observer(move |event: &Event<'_>| {
                let seen = match event {
                    Event::IdentityRotated { thumbprint, .. } => {
                        Seen::Rotated(thumbprint.unwrap_or_default().into())
                    }
                    Event::FetchFailed { .. } | Event::ReloadFailed { .. } => Seen::NotRotated,
                    _ => return,
                };
                let _ = told.send(seen);
            })
            .build();
        let origins = resources.iter().map(|it| it.server.origin());
        let layer = OAuthLayer::new(handle, AllowedOrigins::new(origins)?);
        let mut apis = Vec::new();
        for _ in &resources {
            apis.push(layer.layer(RotatingClient::hyper(trust.clone(), &identity)?));
        }
        Ok(Self {
            pki,
            clock,
            directory,
            server,
            resources,
            events,
            apis,
            now,
        })
    }

    /// Puts another pair into the files, as a careless tool does: one file after the other. Nobody
    /// says so to the program, which finds out by itself.
    async fn rotate(&mut self, turn: usize, load: &Load) -> Result<(), Failure> {
        let next = match turn % 2 {
            0 => self.pki.client(ID)?,
            _ => self.pki.renewed(&self.now, ID)?,
        };
        fs::write(self.directory.join("client.crt"), next.certificate_pem())?;
        load.turn().await?;
        fs::write(self.directory.join("client.key"), next.key_pem())?;
        if turn.is_multiple_of(10) {
            // The server doesn't know it yet: the old pair goes on.
            self.until(load, &Seen::NotRotated).await?;
        }
        let both = Client::tls_client_auth(ID, self.now.certificate_pem())?;
        let both = both.also_certificate(next.certificate_pem())?;
        self.server.register(both.bind_tokens());
        self.until(load, &Seen::Rotated(next.thumbprint().into()))
            .await?;
        self.now = next;
        Ok(())
    }

    /// Lets time pass while calls go on, until this has happened.
    async fn until(&mut self, load: &Load, expected: &Seen) -> Result<(), Failure> {
        loop {
            match self.events.try_recv() {
                Ok(seen) if seen == *expected => return Ok(()),
                Ok(seen) => return Err(format!("{seen:?} and not {expected:?}").into()),
                Err(_) => {
                    self.clock.advance(Duration::from_secs(3));
                    load.turn().await?;
                }
            }
        }
    }

    /// A mark in each resource's log: what arrives from now on has a higher number.
    async fn marks(&self) -> Result<Vec<u64>, Failure> {
        let marker = self.pki.client("marker")?;
        let trust = TrustAnchors::from_pem(self.pki.ca_pem().as_bytes())?;
        let client = RotatingClient::hyper(trust, marker.identity()?)?;
        let mut marks = Vec::new();
        for resource in &self.resources {
            let request = Request::get(resource.server.uri("/")).body(Body::default())?;
            client.clone().oneshot(request).await?;
            let handshakes = resource.server.handshakes();
            let mut own = handshakes
                .iter()
                .filter(|it| it.certificate_thumbprint() == Some(marker.thumbprint()));
            marks.push(own.next().ok_or("the marker has left no mark")?.arrival());
        }
        Ok(marks)
    }

    fn level(&self) -> Level {
        let counters = self.resources.iter().map(|it| it.server.counters());
        Level {
            memory: ALLOCATED.current_usage(),
            connections: counters.map(|it| it.open_connections).sum(),
        }
    }

    /// Drops the client; returns how many connections are left of it.
    async fn close(mut self) -> u64 {
        self.apis.clear();
        let _ = fs::remove_dir_all(&self.directory);
        let open = || {
            let counters = self.resources.iter().map(|it| it.server.counters());
            counters.map(|it| it.open_connections).sum::<u64>()
        };
        let closed = async {
            while open() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(10), closed).await;
        open()
    }
}

impl Resource {
    fn resumed(&self) -> usize {
        let handshakes = self.server.handshakes();
        handshakes.iter().filter(|it| it.is_resumed()).count()
    }

    fn handshakes_since(&self, mark: u64, shown: &ClientPem) -> usize {
        let handshakes = self.server.handshakes();
        let counted = handshakes.iter().filter(|it| {
            it.arrival() > mark && it.certificate_thumbprint() == Some(shown.thumbprint())
        });
        counted.count()
    }
}

/// Calls to all servers, all the time.
struct Load {
    workers: Vec<Worker>,
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
}

struct Worker {
    pings: mpsc::UnboundedSender<oneshot::Sender<()>>,
    task: JoinHandle<Option<Failure>>,
}

struct Ended {
    failed: u64,
    error: Option<Failure>,
}

impl Load {
    fn start(world: &World) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let failed = Arc::new(AtomicU64::new(0));
        let mut workers = Vec::new();
        let pairs = world.resources.iter().zip(&world.apis);
        for (resource, api) in pairs.flat_map(|it| [it; WORKERS]) {
            let (pings, mut pinged) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
            let (api, uri) = (api.clone(), resource.server.uri("/orders"));
            let (stop, failed) = (Arc::clone(&stop), Arc::clone(&failed));
            let task = tokio::spawn(async move {
                let mut first = None;
                while !stop.load(SeqCst) {
                    while let Ok(ping) = pinged.try_recv() {
                        let _ = ping.send(());
                    }
                    let order = Request::post(&uri).body(Body::from("an order"));
                    if let Err(error) = call(&api, order.map_err(Into::into)).await {
                        failed.fetch_add(1, SeqCst);
                        first.get_or_insert(error);
                    }
                }
                first
            });
            workers.push(Worker { pings, task });
        }
        Self {
            workers,
            stop,
            failed,
        }
    }

    /// Waits until each call that has begun by now has ended.
    async fn turn(&self) -> Result<(), Failure> {
        let mut pongs = Vec::new();
        for worker in &self.workers {
            let (ping, pong) = oneshot::channel();
            worker.pings.send(ping)?;
            pongs.push(pong);
        }
        for pong in pongs {
            pong.await?;
        }
        Ok(())
    }

    async fn end(self) -> Ended {
        self.stop.store(true, SeqCst);
        let mut error = None;
        for worker in self.workers {
            error = error.or(worker.task.await.ok().flatten());
        }
        Ended {
            failed: self.failed.load(SeqCst),
            error,
        }
    }
}

async fn call(api: &Api, order: Result<Request<Body>, Failure>) -> Result<(), Failure> {
    let response = api.clone().oneshot(order?).await?;
    let status = response.status();
    response.into_body().collect().await?;
    match status {
        StatusCode::OK => Ok(()),
        status => Err(format!("a call was answered {status}").into()),
    }
}
