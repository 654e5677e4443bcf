use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tower::Service;
use tower_oauth::{
    ErrorKind, TokenError,
    grant::{Fetched, TokenSource},
    keystore::Change,
    refresh::{TokenHandle, TokenHandleBuilder},
    service::{AllowedOrigins, OAuthLayer},
    token::{AccessToken, Cause},
};

pub(crate) type Body = Full<Bytes>;

type Respond = dyn Fn(&Request<Body>) -> Response<&'static str> + Send + Sync;

type Answer = dyn Fn(usize) -> Result<Fetched, TokenError> + Send + Sync;

/// An authorization server, and what its resources know of it. Its tokens are numbered: `token-1`
/// is what the first fetch brings.
#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

struct Inner {
    begun: Instant,
    answer: Mutex<Arc<Answer>>,
    latency: Mutex<Duration>,
    fetches: Mutex<Vec<(Cause, Instant)>>,
    underway: AtomicUsize,
    sends: AtomicUsize,
    /// Tokens with a lower number are refused.
    valid_from: AtomicU64,
    identity: Notify,
    revoked: Mutex<Vec<String>>,
}

impl World {
    /// It takes a tenth of a second to give a token that lives for an hour.
    pub(crate) fn new() -> Self {
        let world = Self(Arc::new(Inner {
            begun: now(),
            answer: Mutex::new(Arc::new(|_| unreachable!("it is set below"))),
            latency: Mutex::new(Duration::from_millis(100)),
            fetches: Mutex::default(),
            underway: AtomicUsize::new(0),
            sends: AtomicUsize::new(0),
            valid_from: AtomicU64::new(0),
            identity: Notify::new(),
            revoked: Mutex::default(),
        }));
        world.up();
        world
    }

    // ----- what it does -----

    /// From now on, the fetch with this number brings that.
    pub(crate) fn answer(
        &self,
        answer: impl Fn(usize) -> Result<Fetched, TokenError> + Send + Sync + 'static,
    ) {
        *self.0.answer.lock().unwrap() = Arc::new(answer);
    }

    /// It answers as in the beginning.
    pub(crate) fn up(&self) {
        self.lifetime(Duration::from_secs(3600));
    }

    /// Its tokens live for so long.
    pub(crate) fn lifetime(&self, lifetime: Duration) {
        self.answer(move |number| Ok(Fetched::new(token(number)).expires_in(lifetime)));
    }

    /// It can't be reached.
    pub(crate) fn down(&self) {
        self.fail(TokenError::new(ErrorKind::Transport, "nobody answers"));
    }

    pub(crate) fn fail(&self, error: TokenError) {
        self.answer(move |_| Err(error.clone()));
    }

    /// Each answer takes so long.
    pub(crate) fn latency(&self, latency: Duration) {
        *self.0.latency.lock().unwrap() = latency;
    }

    /// It never answers.
    pub(crate) fn hang(&self) {
        self.latency(Duration::from_secs(1_000_000));
    }

    /// All tokens so far are refused from now on, those under way included.
    pub(crate) fn rollover(&self) {
        self.0.valid_from.store(self.fetches() as u64 + 1, SeqCst);
    }

    /// The client gets a new identity.
    pub(crate) fn new_identity(&self) {
        self.0.identity.notify_one();
    }

    // ----- what it saw -----

    /// How many fetches were begun.
    pub(crate) fn fetches(&self) -> usize {
        self.0.fetches.lock().unwrap().len()
    }

    pub(crate) fn causes(&self) -> Vec<Cause> {
        let fetches = self.0.fetches.lock().unwrap();
        fetches.iter().map(|(cause, _)| *cause).collect()
    }

    /// When the fetches were begun, since the world was made.
    pub(crate) fn starts(&self) -> Vec<Duration> {
        let fetches = self.0.fetches.lock().unwrap();
        fetches.iter().map(|(_, at)| *at - self.0.begun).collect()
    }

    /// The tokens that were revoked.
    pub(crate) fn revoked(&self) -> Vec<String> {
        self.0.revoked.lock().unwrap().clone()
    }

    /// How many fetches were begun, and neither ended nor were dropped.
    pub(crate) fn underway(&self) -> usize {
        self.0.underway.load(SeqCst)
    }

    /// How many requests its resources got.
    pub(crate) fn sends(&self) -> usize {
        self.0.sends.load(SeqCst)
    }

    /// Whether nobody but the test knows this world.
    pub(crate) fn is_left_alone(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    // ----- its neighbours -----

    pub(crate) fn handle(&self) -> TokenHandle {
        self.builder().build()
    }

    pub(crate) fn builder(&self) -> TokenHandleBuilder {
        TokenHandle::builder(self.clone())
    }

    /// A layer with a handle of its own.
    pub(crate) fn layer(&self) -> OAuthLayer {
        layer(self.handle())
    }

    /// A resource that takes the tokens since the last rollover.
    pub(crate) fn resource(&self) -> Resource {
        let world = self.clone();
        self.resource_that(move |request| {
            if world.accepts(request) {
                Response::new("fine")
            } else {
                refusal()
            }
        })
    }

    /// A resource that answers like this.
    pub(crate) fn resource_that(
        &self,
        answer: impl Fn(&Request<Body>) -> Response<&'static str> + Send + Sync + 'static,
    ) -> Resource {
        Resource {
            world: self.clone(),
            answer: Arc::new(answer),
        }
    }

    pub(crate) fn accepts<B>(&self, request: &Request<B>) -> bool {
        let number = request
            .headers()
            .get("authorization")
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer token-"))
            .and_then(|number| number.parse::<u64>().ok());
        number.is_some_and(|number| number >= self.0.valid_from.load(SeqCst))
    }
}

impl TokenSource for World {
    async fn fetch(&self, cause: Cause) -> Result<Fetched, TokenError> {
        let number = {
            let mut fetches = self.0.fetches.lock().unwrap();
            fetches.push((cause, now()));
            fetches.len()
        };
        let _underway = Underway::new(self);
        let latency = *self.0.latency.lock().unwrap();
        sleep(latency).await;
        let answer = Arc::clone(&*self.0.answer.lock().unwrap());
        answer(number)
    }

    async fn revoke(&self, token: &AccessToken) -> Result<(), TokenError> {
        let _underway = Underway::new(self);
        let latency = *self.0.latency.lock().unwrap();
        sleep(latency).await;
        self.0.revoked.lock().unwrap().push(token.expose().into());
        Ok(())
    }

    async fn changed(&self) -> Change {
        self.0.identity.notified().await;
        Change::New
    }
}

/// Counts a fetch until it ends or is dropped.
struct Underway<'a>(&'a AtomicUsize);

impl<'a> Underway<'a> {
    fn new(world: &'a World) -> Self {
        world.0.underway.fetch_add(1, SeqCst);
        Self(&world.0.underway)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Made by [`World::resource`].
#[derive(Clone)]
pub(crate) struct Resource {
    world: World,
    answer: Arc<Respond>,
}

impl Service<Request<Body>> for Resource {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.world.0.sends.fetch_add(1, SeqCst);
        ready(Ok((self.answer)(&request)))
    }
}

/// A layer for the origins of these tests.
pub(crate) fn layer(handle: TokenHandle) -> OAuthLayer {
    OAuthLayer::new(handle, origins())
}

pub(crate) fn origins() -> AllowedOrigins {
    AllowedOrigins::new(["https://api.example", "https://b.example"]).unwrap()
}

pub(crate) fn token(number: usize) -> AccessToken {
    AccessToken::new(format!("token-{number}")).unwrap()
}

pub(crate) fn refusal() -> Response<&'static str> {
    Response::builder()
        .status(StatusCode::UNAUTHORIZED)
        .header("www-authenticate", "Bearer error=\"invalid_token\"")
        .body("who are you?")
        .unwrap()
}

pub(crate) fn request() -> Request<Body> {
    request_to("https://api.example/orders")
}

pub(crate) fn request_to(uri: &str) -> Request<Body> {
    Request::post(uri).body(Full::from("an order")).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "the clock that the tests pause")]
fn now() -> Instant {
    Instant::now()
}
