//! Two hours and a half of a client's life, as `MetricsObserver` counts them: what the picture of
//! the dashboard is drawn of.
//!
//! `cargo run --example observability` prints the samples in the format of OpenMetrics, one every 15
//! seconds. The clock is paused, so that it takes no longer than the computing does. `picture.sh`
//! hands them to Prometheus.
//!
//! | minute | what happens |
//! | --- | --- |
//! | 15 | the certificate is renewed |
//! | 35 | a rollover: the server forgets its tokens, once |
//! | 60 to 85 | the authorization server answers 503 |
//! | 105, 107, 109 | three rollovers, which raise the alarm |
//! | 140 to the end | one of two APIs refuses every token, which raises it again |

#![allow(clippy::print_stdout, reason = "it prints samples")]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tokio::{sync::Notify, time::sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth::{
    ErrorKind, ManualClock, TokenError, TokenHandle,
    events::MetricsObserver,
    grant::{Fetched, TokenSource},
    keystore::{Change, ClientIdentity},
    service::{AllowedOrigins, OAuthLayer},
    testing::Pki,
    token::{AccessToken, Cause},
};

const MINUTES: u64 = 155;
const SAMPLED_EVERY: u64 = 15;

const ORDERS: &str = "https://orders.example";
const BILLS: &str = "https://bills.example";

fn main() -> Result<(), Box<dyn Error>> {
    let samples = Samples::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    metrics::with_local_recorder(&samples, || runtime.block_on(play(&samples)))?;
    samples.print();
    Ok(())
}

async fn play(samples: &Samples) -> Result<(), Box<dyn Error>> {
    let begun = begun()?;
    let server = Server::new(begun)?;
    let handle = TokenHandle::builder(server.clone())
        .clock(ManualClock::new(UNIX_EPOCH + seconds(begun)))
        .observer(MetricsObserver::new().label("token", "orders"))
        .build();
    let layer = OAuthLayer::new(handle, AllowedOrigins::new([ORDERS, BILLS])?);
    let refusing = Arc::new(AtomicBool::new(false));
    let api = layer.layer(service_fn({
        let (server, refusing) = (server.clone(), Arc::clone(&refusing));
        move |request: Request<Full<Bytes>>| {
            let bills = request.uri().host() == Some("bills.example");
            let good = server.accepts(&request) && !(bills && refusing.load(SeqCst));
            async move { Ok::<_, Infallible>(answer(good)) }
        }
    }));

    for second in 0..MINUTES * 60 {
        if second % 60 == 0 {
            match second / 60 {
                15 => server.0.renewed.notify_one(),
                35 | 105 | 107 | 109 => server.forget(),
                60 => server.0.down.store(true, SeqCst),
                85 => server.0.down.store(false, SeqCst),
                140 => refusing.store(true, SeqCst),
                _ => {}
            }
        }
        for origin in [ORDERS, BILLS] {
            let request = Request::post(format!("{origin}/")).body(Full::from("an order"))?;
            // In the outage it fails, at once.
            tokio::spawn(api.clone().oneshot(request));
        }
        sleep(seconds(1)).await;
        if second % SAMPLED_EVERY == 0 {
            samples.take(begun + second);
        }
    }
    Ok(())
}

/// The last full hour, in seconds since the Unix epoch.
#[allow(
    clippy::disallowed_methods,
    reason = "a certificate that is read is judged by the machine's clock"
)]
fn begun() -> Result<u64, Box<dyn Error>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(now - now % 3600)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn answer(good: bool) -> Response<&'static str> {
    let mut response = Response::new("");
    if !good {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

// ===== impl Server =====

/// An authorization server, and the client's certificates.
#[derive(Clone)]
struct Server(Arc<Inner>);

struct Inner {
    issued: AtomicU64,
    /// Tokens up to this number are forgotten.
    forgotten: AtomicU64,
    down: AtomicBool,
    renewed: Notify,
    identity: Mutex<ClientIdentity>,
    next: ClientIdentity,
}

impl Server {
    fn new(begun: u64) -> io::Result<Self> {
        const DAY: u64 = 24 * 3600;
        let pki = Pki::new()?;
        let identity = |from: u64, to: u64| {
            let at = |day| UNIX_EPOCH + seconds(begun - 60 * DAY + day * DAY);
            let pem = pki.client_valid("orders", at(from), at(to))?;
            pem.identity().map_err(io::Error::other)
        };
        Ok(Self(Arc::new(Inner {
            issued: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            down: AtomicBool::new(false),
            renewed: Notify::new(),
            identity: Mutex::new(identity(0, 65)?),
            next: identity(59, 149)?,
        })))
    }

    fn forget(&self) {
        self.0.forgotten.store(self.0.issued.load(SeqCst), SeqCst);
    }

    fn accepts<B>(&self, request: &Request<B>) -> bool {
        let number = request.headers().get("authorization").and_then(|value| {
            let number = value.to_str().ok()?.strip_prefix("Bearer token-")?;
            number.parse::<u64>().ok()
        });
        number.is_some_and(|number| number > self.0.forgotten.load(SeqCst))
    }
}

impl TokenSource for Server {
    async fn fetch(&self, cause: Cause) -> Result<Fetched, TokenError> {
        let number = self.0.issued.fetch_add(1, SeqCst) + 1;
        // Between 80 and 200 milliseconds.
        sleep(Duration::from_millis(80 + number * 53 % 120)).await;
        if self.0.down.load(SeqCst) {
            let error = TokenError::new(ErrorKind::Rejected, "it answered 503");
            return Err(error.temporary(true));
        }
        let mut identity = self.0.identity.lock().expect("nobody panics");
        if cause == Cause::Rotation {
            *identity = self.0.next.clone();
        }
        let token = AccessToken::new(format!("token-{number}"))?;
        let fetched = Fetched::new(token).expires_in(seconds(15 * 60));
        Ok(fetched.identity(identity.clone()))
    }

    async fn changed(&self) -> Change {
        self.0.renewed.notified().await;
        Change::New
    }
}

// ===== impl Samples =====

/// A recorder of the `metrics` facade that remembers what was when.
#[derive(Default)]
struct Samples {
    numbers: Mutex<BTreeMap<String, Arc<Number>>>,
    taken: Mutex<BTreeMap<String, Vec<(u64, f64)>>>,
}

impl Samples {
    /// The number with this name and these labels. The label `instance` is what Prometheus adds.
    fn number(&self, key: &Key, suffix: &str) -> Arc<Number> {
        let labels = key
            .labels()
            .map(|label| format!(",{}=\"{}\"", label.key(), label.value()));
        let labels: String = labels.collect();
        let series = format!("{}{suffix}{{instance=\"orders-1\"{labels}}}", key.name());
        let mut numbers = self.numbers.lock().expect("nobody panics");
        Arc::clone(numbers.entry(series).or_default())
    }

    fn take(&self, at: u64) {
        let mut taken = self.taken.lock().expect("nobody panics");
        for (series, number) in &*self.numbers.lock().expect("nobody panics") {
            let samples = taken.entry(series.clone()).or_default();
            samples.push((at, *number.0.lock().expect("nobody panics")));
        }
    }

    fn print(&self) {
        for (series, samples) in &*self.taken.lock().expect("nobody panics") {
            for (at, value) in samples {
                println!("{series} {value} {at}");
            }
        }
        println!("# EOF");
    }
}

impl Recorder for Samples {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key, ""))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number(key, ""))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Summary {
            sum: self.number(key, "_sum"),
            count: self.number(key, "_count"),
        }))
    }
}

// ===== impl Number =====

#[derive(Default)]
struct Number(Mutex<f64>);

impl Number {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut number = self.0.lock().expect("nobody panics");
        *number = change(*number);
    }
}

impl CounterFn for Number {
    fn increment(&self, by: u64) {
        self.change(|number| number + by as f64);
    }

    fn absolute(&self, to: u64) {
        self.change(|_| to as f64);
    }
}

impl GaugeFn for Number {
    fn increment(&self, by: f64) {
        self.change(|number| number + by);
    }

    fn decrement(&self, by: f64) {
        self.change(|number| number - by);
    }

    fn set(&self, to: f64) {
        self.change(|_| to);
    }
}

struct Summary {
    sum: Arc<Number>,
    count: Arc<Number>,
}

impl HistogramFn for Summary {
    fn record(&self, value: f64) {
        self.sum.change(|sum| sum + value);
        self.count.change(|count| count + 1.0);
    }
}
