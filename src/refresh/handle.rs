use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::Guard;
use http::HeaderValue;
use tokio::{
    runtime,
    sync::{Notify, watch},
    task::AbortHandle,
    time::timeout,
};

use super::{
    backoff::Fault,
    cell::{Cell, Snapshot},
    control::{Answer, Control, Demand, FlightNo, Landed, OriginId, Outcome, Rejection, Start},
    flight,
    status::Status,
    wait::{Board, Granted, Hold, MAX_LOSSES, NotHealed, Told, Verdict, Wait, hear},
    worker::{self, Alarm},
};
use crate::{
    clock::{Clock, Timestamp},
    error::{ErrorKind, TokenError},
    events::{Event, Observer},
    grant::{DynTokenSource, Fetched, TokenSource},
    token::{AccessToken, Age, Cause, Generation, LifetimeConfig, Schedule},
};

/// A call that can't be retried waits this long for a replacement that is on its way.
const UNREPEATABLE_WAIT: Duration = Duration::from_secs(2);

/// One token, shared: fetched once for any number of callers, renewed in the background, replaced
/// when a resource refuses it.
///
/// Clones share the token. Building needs neither network nor runtime; the first call spawns the
/// background task on its tokio runtime. When the last clone is dropped (services and layers hold
/// clones) the task ends and a fetch under way is dropped.
#[derive(Clone)]
pub struct TokenHandle {
    shared: Arc<Shared>,
}

/// Settings of a [`TokenHandle`].
pub struct TokenHandleBuilder {
    source: Arc<dyn DynTokenSource>,
    lifetime: LifetimeConfig,
    fetch_deadline: Duration,
    clock: Clock,
    observer: Arc<dyn Observer>,
}

/// A token as it is right now.
#[derive(Clone)]
pub struct Token(Arc<Snapshot>);

pub(super) struct Shared {
    pub(super) source: Arc<dyn DynTokenSource>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) fetch_deadline: Duration,
    lifetime: LifetimeConfig,
    clock: Clock,
    cell: Cell,
    state: Mutex<State>,
    wake: Arc<Notify>,
    /// Fingerprints of tokens are keyed, so that they say nothing outside of this handle.
    prints: RandomState,
    /// Which origins (by their number modulo 64) are known to accept the current token.
    accepted: AtomicU64,
    /// A fetch because of a rejection is under way.
    replacing: AtomicBool,
}

struct State {
    control: Control,
    /// Where the waiters of the flight or booking hear of its outcome.
    board: Option<(FlightNo, watch::Sender<Option<Told>>)>,
    flight: Option<AbortHandle>,
    last_error: Option<TokenError>,
    /// Where the worker is that keeps the timer.
    worker: Option<runtime::Handle>,
    /// When the worker was last told to look.
    timer: Option<Duration>,
    fetches: u64,
    /// Origins whose last answer was a rejection that reached the caller.
    refusing: Vec<OriginId>,
}

// ===== impl TokenHandle =====

impl TokenHandle {
    /// A handle of this source's token, with the default settings.
    pub fn new(source: impl TokenSource) -> Self {
        Self::builder(source).build()
    }

    /// A handle of this source's token, with settings.
    pub fn builder(source: impl TokenSource) -> TokenHandleBuilder {
        TokenHandleBuilder {
            source: Arc::new(source),
            lifetime: LifetimeConfig::new(),
            fetch_deadline: Duration::from_secs(30),
            clock: Clock::system(),
            #[cfg(feature = "tracing")]
            observer: Arc::new(crate::events::TracingObserver::new()),
            #[cfg(not(feature = "tracing"))]
            observer: Arc::new(()),
        }
    }

    /// Waits until there is a token that may be sent; fetches one if need be.
    ///
    /// # Errors
    ///
    /// When the fetch fails; at once when one failed just now ([`TokenError::retry_at`] says when
    /// the next attempt is made, without anybody asking for it), or when the handle is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends only this wait: the fetch goes on.
    pub async fn ready(&self) -> Result<(), TokenError> {
        self.granted().await.map(drop)
    }

    /// The current token, for a client that no layer can be put around; fetches one if need be.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// As [`ready`](Self::ready).
    pub async fn token(&self) -> Result<Token, TokenError> {
        self.granted().await.map(|granted| Token(granted.snapshot))
    }

    /// Says that a resource refused the token with this number: a new one is fetched, unless the
    /// current one is newer, one is on its way, or one was fetched for that reason a second ago.
    /// The token stays in use until the new one is there. Outside of a tokio runtime it does as
    /// [`refresh`](Self::refresh).
    pub fn invalidate(&self, generation: Generation) {
        // No origin has this number.
        let origin = OriginId(u64::MAX);
        self.shared.drive(|state, now| {
            // Who says so by hand doesn't say when a token is taken. That it was refused from the
            // first is not to be assumed: it would forbid to replace it.
            state.control.accepted(origin, generation);
            let rejection = Rejection {
                generation,
                origin,
                waited: false,
                retryable: false,
            };
            let (_original, start) = state.control.rejected(now, rejection);
            ((), start)
        });
    }

    /// Asks for a new token now, in the background, even while a failure is being waited out; not
    /// while the server asked to be left alone (`Retry-After`). The current token stays in use
    /// until the new one is there. Outside of a tokio runtime, and without a background task on
    /// one, it leaves word for the next call.
    pub fn refresh(&self) {
        self.shared
            .drive(|state, now| ((), state.control.force(now)));
    }

    /// Closes the handle: nothing is fetched any more, waiting calls fail with
    /// [`ErrorKind::Closed`], and so does every later one.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.control.close();
        if let Some(flight) = state.flight.take() {
            flight.abort();
        }
        state.tell(None, Told::Failed(closed()));
        self.shared.cell.clear();
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Starts the background task on this runtime, instead of on that of the first call. Calls
    /// that are made outside of any runtime then have their tokens fetched there.
    pub fn spawn_on(&self, runtime: &runtime::Handle) {
        let _guard = runtime.enter();
        self.shared.drive(|_state, _now| ((), None));
    }

    /// How the token is doing.
    pub fn status(&self) -> Status {
        let now = self.shared.clock.now();
        let snapshot = self.shared.cell.load_full();
        let snapshot = snapshot.as_deref();
        let state = self.shared.lock();
        let schedule = state.control.schedule();
        Status {
            usable: state.control.is_open()
                && schedule.is_some_and(|it| it.age(now) != Age::Expired),
            generation: snapshot.map(|it| it.generation),
            usable_for: schedule.map(|it| it.usable_until.remaining(now)),
            refresh_in: schedule.map(|it| it.refresh_at.remaining(now)),
            age: snapshot.map(|it| now.mono.saturating_sub(it.received)),
            scope: snapshot.and_then(|it| it.scope.clone()),
            fetching: state.control.flying(),
            last_error: state.last_error.clone(),
            retry_at: state
                .control
                .backing_off(now)
                .map(|until| now.wall_after(until.saturating_sub(now.mono))),
            fetches: state.fetches,
            closed: !state.control.is_open(),
        }
    }

    // ----- for the services -----

    /// The current snapshot, without a lock.
    pub(crate) fn load(&self) -> Guard<Option<Arc<Snapshot>>> {
        self.shared.cell.load()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// A call saw a due token.
    pub(crate) fn kick(&self) {
        self.shared
            .drive(|state, now| ((), state.control.tick(now)));
    }

    /// The wait for a usable token.
    pub(crate) fn wait(&self) -> Wait {
        let handle = self.clone();
        Box::pin(async move { handle.granted().await })
    }

    /// The wait of a call that can't be retried while the current token, refused by somebody, is
    /// being replaced. `None`: it isn't.
    pub(crate) fn wait_for_replacement(&self) -> Option<Wait> {
        if !self.shared.replacing.load(Ordering::Relaxed) {
            return None;
        }
        let mut board = {
            let mut state = self.shared.lock();
            match state.control.flying() {
                Some(Cause::Rejected(_)) => state.current_board()?,
                _ => return None,
            }
        };
        let handle = self.clone();
        Some(Box::pin(async move {
            match timeout(UNREPEATABLE_WAIT, hear(&mut board)).await {
                Ok(Told::Token(snapshot)) => Ok(Granted {
                    snapshot,
                    waited: true,
                }),
                _ => handle.granted().await,
            }
        }))
    }

    /// A response refused a token.
    pub(crate) fn rejected(&self, rejection: Rejection) -> Verdict {
        self.shared.drive(|state, now| {
            let (answer, start) = state.control.rejected(now, rejection);
            let bit = bit(rejection.origin);
            self.shared.accepted.fetch_and(!bit, Ordering::Relaxed);
            let verdict = match answer {
                Answer::Hold(no) => {
                    Verdict::Hold(Hold::new(self.clone(), rejection, state.board(no)))
                }
                Answer::Resend => match self.shared.cell.load_full() {
                    Some(snapshot) => Verdict::Resend(Granted {
                        snapshot,
                        waited: false,
                    }),
                    // There is no older token than the first.
                    None => Verdict::Original(NotHealed::SameToken),
                },
                Answer::Original(why) => Verdict::Original(NotHealed::Why(why)),
            };
            (verdict, start)
        })
    }

    /// A response accepted a token. One relaxed load, unless it is news.
    pub(crate) fn accepted(&self, origin: OriginId, generation: Generation) {
        let bit = bit(origin);
        if self.shared.accepted.load(Ordering::Relaxed) & bit != 0 {
            return;
        }
        let mut state = self.shared.lock();
        state.control.accepted(origin, generation);
        state.refusing.retain(|it| *it != origin);
        if generation == state.control.generation() {
            self.shared.accepted.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// A rejection goes to the caller. It is an event, and a loud one when it is the first since
    /// this origin last accepted a token.
    pub(crate) fn report_rejection(
        &self,
        origin: OriginId,
        name: &str,
        generation: Generation,
        hint: &str,
    ) {
        let first = {
            let mut state = self.shared.lock();
            // The next acceptance is news, whatever came in while the rejection was held.
            self.shared
                .accepted
                .fetch_and(!bit(origin), Ordering::Relaxed);
            let first = !state.refusing.contains(&origin);
            if first {
                // Only a layer that serves any host has more.
                if state.refusing.len() >= 64 {
                    state.refusing.remove(0);
                }
                state.refusing.push(origin);
            }
            first
        };
        self.shared.observer.event(&Event::Rejected {
            origin: name,
            generation,
            hint,
            first,
        });
    }

    /// What a holder of a rejection of `rejected` may go on with, after a flight brought
    /// `brought`.
    pub(super) fn newer_than(
        &self,
        rejected: Generation,
        brought: Arc<Snapshot>,
    ) -> Option<Arc<Snapshot>> {
        let now = self.now();
        let state = self.shared.lock();
        if !state.control.supersedes(rejected) {
            return None;
        }
        let current = self.shared.cell.load_full()?;
        if current.generation == brought.generation || current.age(now) != Age::Expired {
            return Some(current);
        }
        // Others have brought newer ones that have expired since; this one was brought for us.
        Some(brought).filter(|brought| brought.generation > rejected)
    }

    pub(crate) async fn granted(&self) -> Result<Granted, TokenError> {
        let mut losses = 0;
        loop {
            let board = self.shared.drive(|state, now| {
                let (demand, start) = state.control.demand(now);
                let board = match demand {
                    Demand::Use => Ok(None),
                    Demand::Wait(no) => Ok(Some(state.board(no))),
                    Demand::Fail { retry_at } => Err(state.failure(now, retry_at)),
                };
                (board, start)
            })?;
            let told = match board {
                Some(mut board) => hear(&mut board).await,
                None => match self.shared.cell.load_full() {
                    Some(snapshot) => {
                        return Ok(Granted {
                            snapshot,
                            waited: false,
                        });
                    }
                    None => Told::StartOver,
                },
            };
            match told {
                Told::Token(brought) => {
                    // A newer one may have come before this task was polled.
                    let current = self.shared.cell.load_full();
                    let now = self.now();
                    return Ok(match current.filter(|it| it.age(now) != Age::Expired) {
                        Some(current) => Granted {
                            waited: current.generation == brought.generation,
                            snapshot: current,
                        },
                        None => Granted {
                            snapshot: brought,
                            waited: true,
                        },
                    });
                }
                // Others are served if the token is still usable; `demand` knows.
                Told::Failed(error) => {
                    let now = self.now();
                    match self.shared.cell.load_full() {
                        Some(snapshot)
                            if snapshot.age(now) != Age::Expired
                                && error.kind() != ErrorKind::Closed =>
                        {
                            return Ok(Granted {
                                snapshot,
                                waited: false,
                            });
                        }
                        _ => return Err(error),
                    }
                }
                Told::StartOver => {}
                Told::Lost => {
                    losses += 1;
                    if losses == MAX_LOSSES {
                        return Err(no_runtime());
                    }
                }
            }
        }
    }
}

impl<S: TokenSource> From<S> for TokenHandle {
    fn from(source: S) -> Self {
        Self::new(source)
    }
}

impl fmt::Debug for TokenHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHandle")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

// ===== impl TokenHandleBuilder =====

impl TokenHandleBuilder {
    /// How a token's lifetime becomes a schedule.
    #[must_use]
    pub fn lifetime(mut self, lifetime: LifetimeConfig) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long one fetch may take as a whole: signing, files and transport. Default: 30 s.
    #[must_use]
    pub fn fetch_deadline(mut self, deadline: Duration) -> Self {
        self.fetch_deadline = deadline;
        self
    }

    /// Where the time is read. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Who is told what happens. Default: [`TracingObserver`](crate::events::TracingObserver) with
    /// the feature `tracing`, nobody without it.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// The handle. Nothing is sent or spawned yet.
    pub fn build(self) -> TokenHandle {
        TokenHandle {
            shared: Arc::new(Shared {
                source: self.source,
                observer: self.observer,
                fetch_deadline: self.fetch_deadline,
                lifetime: self.lifetime,
                clock: self.clock,
                cell: Cell::default(),
                state: Mutex::new(State {
                    control: Control::new(),
                    board: None,
                    flight: None,
                    last_error: None,
                    worker: None,
                    timer: None,
                    fetches: 0,
                    refusing: Vec::new(),
                }),
                wake: Arc::new(Notify::new()),
                prints: RandomState::new(),
                accepted: AtomicU64::new(0),
                replacing: AtomicBool::new(false),
            }),
        }
    }
}

impl fmt::Debug for TokenHandleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHandleBuilder")
            .field("lifetime", &self.lifetime)
            .field("fetch_deadline", &self.fetch_deadline)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

// ===== impl Token =====

impl Token {
    /// The token itself. It is a secret.
    pub fn access_token(&self) -> &AccessToken {
        &self.0.token
    }

    /// Its number, for [`TokenHandle::invalidate`].
    pub fn generation(&self) -> Generation {
        self.0.generation
    }

    /// The scope granted, when the server said so (RFC 6749 section 5.1).
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// The finished, sensitive `Authorization` value.
    pub fn authorization(&self) -> HeaderValue {
        self.0.authorization()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

// ===== impl Shared =====

impl Shared {
    /// Puts one event through the control block and does what it says.
    fn drive<T>(
        self: &Arc<Self>,
        event: impl FnOnce(&mut State, Timestamp) -> (T, Option<Start>),
    ) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        let (answer, start) = event(&mut state, now);
        self.follow(state, now, start);
        answer
    }

    /// What every event ends with: the start it asks for, and the worker told of the time.
    fn follow(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        now: Timestamp,
        start: Option<Start>,
    ) {
        let runtime = runtime::Handle::try_current()
            .ok()
            .or_else(|| state.worker.clone());
        if let (Some(start), None) = (start, &runtime) {
            // Who waits is told, and what was wanted stays wanted.
            state.control.flight_lost(now, start.no);
            state.tell(Some(start.no), Told::Failed(no_runtime()));
        }
        let replacing = matches!(state.control.flying(), Some(Cause::Rejected(_)));
        self.replacing.store(replacing, Ordering::Relaxed);
        let timer = state.control.next_tick();
        if timer != state.timer {
            state.timer = timer;
            self.wake.notify_one();
        }
        let Some(runtime) = runtime else {
            return;
        };
        let worker = state.worker.is_none() && state.control.is_open();
        if worker {
            state.worker = Some(runtime.clone());
        }
        state.fetches += u64::from(start.is_some());
        drop(state);

        // A runtime that shuts down drops at once what it is given, and what is dropped takes the
        // lock to say so.
        if worker {
            let watch = worker::Watch::new(self);
            runtime.spawn(worker::run(watch, Arc::clone(&self.wake)));
        }
        if let Some(start) = start {
            let landing = flight::Landing::new(self, start, now);
            let task = runtime.spawn(flight::fly(landing)).abort_handle();
            let mut state = self.lock();
            if state.control.flight_no() == Some(start.no) {
                state.flight = Some(task);
            } else {
                task.abort();
            }
        }
    }

    /// A flight ended.
    pub(super) fn landed(
        self: &Arc<Self>,
        no: FlightNo,
        cause: Cause,
        sent: Timestamp,
        result: Result<Fetched, TokenError>,
    ) {
        let now = self.clock.now();
        let took = now.mono.saturating_sub(sent.mono);
        let mut state = self.lock();
        let landed = match &result {
            Ok(fetched) => Landed::Token {
                print: self.prints.hash_one(fetched.token.expose()),
                schedule: Schedule::new(
                    &self.lifetime,
                    sent,
                    fetched.expires_in,
                    fetched.refresh_in,
                    f64::from(draw()) / 255.0,
                ),
            },
            Err(error) => Landed::Failed {
                fault: if error.is_temporary() {
                    Fault::Temporary
                } else {
                    Fault::Permanent
                },
                retry_after: error.retry_after(),
                draw: draw(),
            },
        };
        let before = state.control.generation();
        let Some((outcome, start)) = state.control.landed(now, no, landed) else {
            return;
        };
        state.flight = None;

        let (told, failed) = match result {
            Ok(fetched) => {
                let expires_in = fetched.expires_in;
                let generation = state.control.generation();
                let schedule = state.control.schedule().expect("a token has just come");
                let snapshot = Arc::new(Snapshot::new(generation, fetched, schedule, now.mono));
                self.cell.store(Arc::clone(&snapshot));
                if generation != before {
                    self.accepted.store(0, Ordering::Relaxed);
                }
                state.last_error = None;
                (Told::Token(snapshot), Err((generation, expires_in)))
            }
            Err(error) => {
                state.last_error = Some(error.clone());
                let told = match outcome {
                    Outcome::StartOver => Told::StartOver,
                    _ => Told::Failed(state.failure(now, state.control.backing_off(now))),
                };
                (told, Ok(error))
            }
        };
        state.tell(Some(no), told);
        let retry_in = state
            .control
            .next_tick()
            .map(|at| at.saturating_sub(now.mono));
        self.follow(state, now, start);

        self.observer.event(&match &failed {
            Ok(error) => Event::FetchFailed {
                cause,
                error,
                took,
                retry_in,
            },
            Err((generation, expires_in)) => Event::FetchSucceeded {
                cause,
                generation: *generation,
                took,
                expires_in: *expires_in,
            },
        });
    }

    /// The runtime of a flight is gone. If the worker has another, it looks after it there.
    pub(super) fn flight_lost(&self, no: FlightNo) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.control.flight_lost(now, no);
        state.flight = None;
        state.board.take_if(|(it, _)| *it == no);
        self.replacing.store(false, Ordering::Relaxed);
        self.publish_due(&state);
        self.wake.notify_one();
    }

    /// The runtime of the worker is gone.
    pub(super) fn timer_lost(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.worker = None;
        state.timer = None;
        state.control.timer_lost(now);
        if state.control.flying().is_none() {
            state.board = None;
        }
        self.publish_due(&state);
    }

    /// Calls see that the token needs looking after.
    fn publish_due(&self, state: &State) {
        if let (Some(snapshot), Some(schedule)) = (self.cell.load_full(), state.control.schedule())
        {
            self.cell.store(Arc::new(snapshot.rescheduled(schedule)));
        }
    }

    /// What the worker does when it wakes. `None`: it is over.
    pub(super) fn tick(self: &Arc<Self>) -> Option<Alarm> {
        self.drive(|state, now| {
            let start = state.control.tick(now);
            (state.control.is_open(), start)
        })
        .then(|| Alarm {
            clock: self.clock.clone(),
            at: self.lock().control.next_tick(),
        })
    }

    /// The source's identity changed.
    pub(super) fn identity_changed(self: &Arc<Self>) {
        self.drive(|state, now| ((), state.control.identity_changed(now)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in a guarded section panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = state.flight.take() {
            flight.abort();
        }
        self.wake.notify_one();
    }
}

// ===== impl State =====

impl State {
    /// Where to hear of this flight's outcome.
    fn board(&mut self, no: FlightNo) -> Board {
        match &self.board {
            Some((it, board)) if *it == no => board.subscribe(),
            _ => {
                let (board, receiver) = watch::channel(None);
                self.board = Some((no, board));
                receiver
            }
        }
    }

    /// Where to hear of the running flight's outcome.
    fn current_board(&mut self) -> Option<Board> {
        let no = self.control.flight_no()?;
        Some(self.board(no))
    }

    /// Tells the waiters of this flight, or all there are.
    fn tell(&mut self, no: Option<FlightNo>, told: Told) {
        if let Some((_, board)) = self.board.take_if(|(it, _)| no.is_none_or(|no| *it == no)) {
            board.send_replace(Some(told));
        }
    }

    /// What a call is told when no token can be had.
    fn failure(&self, now: Timestamp, retry_at: Option<Duration>) -> TokenError {
        match (&self.last_error, retry_at) {
            (Some(error), Some(at)) if self.control.is_open() => error
                .clone()
                .retried_at(now.wall_after(at.saturating_sub(now.mono))),
            (Some(error), None) if self.control.is_open() => error.clone(),
            _ => closed(),
        }
    }
}

fn closed() -> TokenError {
    TokenError::new(ErrorKind::Closed, "the token handle is closed")
}

pub(super) fn no_runtime() -> TokenError {
    TokenError::new(
        ErrorKind::Configuration,
        "there is no tokio runtime to fetch a token on",
    )
    .with_hint("make the call on a tokio runtime, or give the handle one with `spawn_on`")
}

fn bit(origin: OriginId) -> u64 {
    1 << (origin.0 % 64)
}

/// A number for jitter. It needs to differ between replicas, not to be unguessable.
fn draw() -> u8 {
    let mut byte = [0];
    // Without entropy the jitter is missing, nothing else.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}
