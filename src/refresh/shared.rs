//! What the clones of a handle share: the state machine, and all that it needs of a runtime.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::{
    runtime,
    sync::{Notify, oneshot, watch},
};

use super::{
    backoff::Fault,
    cell::{Cell, Snapshot},
    control::{Control, FlightNo, Landed, OriginId, Outcome, Start},
    flight,
    report::News,
    sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, spawn},
    tasks::Tasks,
    wait::{Board, Told},
    worker::{self, Timer},
};
use crate::{
    clock::{Clock, Timestamp},
    error::{ErrorKind, TokenError},
    events::{Alarm, AlarmConfig, Event, Lifetimes, Observer},
    grant::{DynTokenSource, Fetched},
    keystore::{Change, ClientIdentity},
    token::{AccessToken, Cause, LifetimeConfig, Schedule},
};

pub(super) struct Shared {
    pub(super) source: Arc<dyn DynTokenSource>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) alarm_window: Duration,
    pub(super) fetch_deadline: Duration,
    pub(super) ending: Ending,
    pub(super) tasks: Tasks,
    pub(super) lifetime: LifetimeConfig,
    pub(super) clock: Clock,
    pub(super) cell: Cell,
    pub(super) state: Mutex<State>,
    pub(super) wake: Arc<Notify>,
    /// Fingerprints of tokens are keyed, so that they say nothing outside of this handle.
    pub(super) prints: RandomState,
    /// Which origins (by their number modulo 64) are known to accept the current token.
    pub(super) accepted: AtomicU64,
    /// A fetch because of a rejection is under way.
    pub(super) replacing: AtomicBool,
}

/// How it is to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) deadline: Duration,
    pub(super) revokes: bool,
}

pub(super) struct State {
    pub(super) control: Control,
    /// Where the waiters of the flight or booking hear of its outcome.
    pub(super) board: Option<(FlightNo, watch::Sender<Option<Told>>)>,
    /// The flight ends when this is dropped.
    pub(super) flight: Option<(FlightNo, oneshot::Sender<()>)>,
    pub(super) last_error: Option<TokenError>,
    /// Why the identity in the source's files is not the one in use.
    pub(super) identity_error: Option<TokenError>,
    /// Where the worker is that keeps the timer.
    pub(super) worker: Option<runtime::Handle>,
    /// When the worker was last told to look.
    pub(super) timer: Option<Duration>,
    pub(super) fetches: u64,
    /// Origins whose last answer was a rejection that reached the caller, with their names.
    pub(super) refusing: Vec<(OriginId, String)>,
    pub(super) alarm: Alarm,
    pub(super) lifetimes: Lifetimes,
    /// The token that was there when the handle was closed, if it is to be revoked.
    pub(super) leaving: Option<AccessToken>,
}

// ===== impl Shared =====

impl Shared {
    pub(super) fn new(
        source: Arc<dyn DynTokenSource>,
        observer: Arc<dyn Observer>,
        alarm: AlarmConfig,
        fetch_deadline: Duration,
        ending: Ending,
        lifetime: LifetimeConfig,
        clock: Clock,
    ) -> Self {
        source.report_to(Arc::clone(&observer));
        Self {
            source,
            observer,
            alarm_window: alarm.window,
            fetch_deadline,
            ending,
            tasks: Tasks::default(),
            lifetime,
            clock,
            cell: Cell::default(),
            state: Mutex::new(State {
                control: Control::new(),
                board: None,
                flight: None,
                last_error: None,
                identity_error: None,
                worker: None,
                timer: None,
                fetches: 0,
                refusing: Vec::new(),
                alarm: Alarm::new(alarm),
                lifetimes: Lifetimes::default(),
                leaving: None,
            }),
            wake: Arc::new(Notify::new()),
            prints: RandomState::new(),
            accepted: AtomicU64::new(0),
            replacing: AtomicBool::new(false),
        }
    }

    /// Puts one event through the control block and does what it says.
    pub(super) fn drive<T>(
        self: &Arc<Self>,
        event: impl FnOnce(&mut State, Timestamp) -> (T, Option<Start>),
    ) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        let (answer, start) = event(&mut state, now);
        let turn = state.turn_alarm(now);
        self.follow(state, now, start);
        if let Some((turn, origin)) = turn {
            self.tell_alarm(turn, origin.as_deref());
        }
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
        let timer = state.next_wake();
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
        // Whoever shuts down from here on waits for both.
        let watching = worker.then(|| self.tasks.begin());
        // It can be ended before it has begun.
        let flying = start.map(|start| {
            let (string, cut) = oneshot::channel();
            state.flight = Some((start.no, string));
            (start, cut, self.tasks.begin())
        });
        drop(state);

        // A runtime that shuts down drops at once what it is given, and what is dropped takes the
        // lock to say so.
        if let Some(running) = watching {
            let watch = worker::Watch::new(self);
            let wake = Arc::clone(&self.wake);
            spawn(&runtime, async move {
                let _running = running;
                worker::run(watch, wake).await;
            });
        }
        if let Some((start, cut, running)) = flying {
            let landing = flight::Landing::new(self, start, now);
            spawn(&runtime, async move {
                let _running = running;
                flight::fly(landing, cut).await;
            });
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
                    f64::from(u16::from_ne_bytes(draw())) / f64::from(u16::MAX),
                ),
            },
            Err(error) => Landed::Failed {
                fault: if error.is_temporary() {
                    Fault::Temporary
                } else {
                    Fault::Permanent
                },
                retry_after: error.retry_after(),
                draw: draw::<1>()[0],
            },
        };
        let before = state.control.generation();
        let since = state.control.received();
        let Some((outcome, start)) = state.control.landed(now, no, landed) else {
            return;
        };
        state.flight = None;

        let (told, ended) = match result {
            Ok(fetched) => {
                let generation = state.control.generation();
                let schedule = state.control.schedule().expect("a token has just come");
                let news = News {
                    expires_in: fetched.expires_in,
                    usable_until: self.usable_until(&fetched, schedule),
                    collapsed_from: state.collapsed_from(before, &fetched),
                    after: since
                        .filter(|_| generation != before)
                        .map(|since| now.mono.saturating_sub(since)),
                    misbound: fetched.misbound,
                };
                let last = self.cell.load();
                let snapshot =
                    Snapshot::new(generation, fetched, schedule, now.mono, last.as_deref());
                let snapshot = Arc::new(snapshot);
                self.cell.store(Arc::clone(&snapshot));
                if generation != before {
                    self.accepted.store(0, Ordering::Relaxed);
                }
                state.last_error = None;
                if cause == Cause::Rotation {
                    state.identity_error = None;
                }
                if generation == before && matches!(cause, Cause::Rejected(_)) {
                    state.alarm.came_again(generation);
                }
                let brought = (Arc::clone(&snapshot), news);
                (Told::Token(snapshot), Ok(brought))
            }
            Err(error) => {
                state.last_error = Some(error.clone());
                if cause == Cause::Rotation {
                    state.identity_error = Some(error.clone());
                }
                let told = match outcome {
                    Outcome::StartOver => Told::StartOver,
                    _ => Told::Failed(state.failure(now, state.control.backing_off(now))),
                };
                (told, Err(error))
            }
        };
        state.tell(Some(no), told);
        let retry_in = state
            .control
            .next_tick()
            .map(|at| at.saturating_sub(now.mono));
        let usable_for = state.control.usable_for(now);
        self.follow(state, now, start);

        match ended {
            Err(error) => self.tell(&Event::FetchFailed {
                cause,
                error: &error,
                took,
                retry_in,
                usable_for,
            }),
            Ok((snapshot, news)) => self.tell_token(cause, took, &snapshot, &news),
        }
    }

    /// The runtime of a flight is gone. If the worker has another, it looks after it there.
    pub(super) fn flight_lost(&self, no: FlightNo) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.control.flight_lost(now, no);
        state.flight.take_if(|(it, _)| *it == no);
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
    pub(super) fn tick(self: &Arc<Self>) -> Option<Timer> {
        self.drive(|state, now| {
            let start = state.control.tick(now);
            (state.control.is_open(), start)
        })
        .then(|| Timer {
            clock: self.clock.clone(),
            at: self.lock().next_wake(),
        })
    }

    /// There is news of the source's identity.
    pub(super) fn identity_changed(self: &Arc<Self>, change: Change) {
        match change {
            Change::New => self.drive(|state, now| ((), state.control.identity_changed(now))),
            Change::ReloadFailed(error) => {
                self.lock().identity_error = Some(error.clone());
                self.tell(&Event::ReloadFailed { error: &error });
            }
            Change::Mended => self.lock().identity_error = None,
            Change::Expiring { not_after } => {
                let now = self.clock.now().wall_after(Duration::ZERO);
                let left = not_after.duration_since(now).unwrap_or_default();
                self.tell(&Event::CertificateExpiring { not_after, left });
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in a guarded section panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.wake.notify_one();
        let open = state.control.is_open();
        // A second panic during the first would end the process.
        if open && !std::thread::panicking() {
            self.tell(&Event::Closed);
        }
    }
}

// ===== impl State =====

impl State {
    /// When the worker has something to do if nothing happens before.
    fn next_wake(&self) -> Option<Duration> {
        let alarm = self.alarm.next_turn();
        self.control.next_tick().into_iter().chain(alarm).min()
    }

    /// Where to hear of this flight's outcome.
    pub(super) fn board(&mut self, no: FlightNo) -> Board {
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
    pub(super) fn current_board(&mut self) -> Option<Board> {
        let no = self.control.flight_no()?;
        Some(self.board(no))
    }

    /// Tells the waiters of this flight, or all there are.
    pub(super) fn tell(&mut self, no: Option<FlightNo>, told: Told) {
        if let Some((_, board)) = self.board.take_if(|(it, _)| no.is_none_or(|no| *it == no)) {
            board.send_replace(Some(told));
        }
    }

    /// What a call is told when no token can be had.
    pub(super) fn failure(&self, now: Timestamp, retry_at: Option<Duration>) -> TokenError {
        match (&self.last_error, retry_at) {
            (Some(error), Some(at)) if self.control.is_open() => error
                .clone()
                .retried_at(now.wall_after(at.saturating_sub(now.mono))),
            (Some(error), None) if self.control.is_open() => error.clone(),
            _ => closed(),
        }
    }
}

pub(super) fn closed() -> TokenError {
    TokenError::new(ErrorKind::Closed, "the token handle is closed")
}

pub(super) fn no_runtime() -> TokenError {
    TokenError::new(
        ErrorKind::Configuration,
        "there is no tokio runtime to fetch a token on",
    )
    .with_hint("make the call on a tokio runtime, or give the handle one with `spawn_on`")
}

pub(super) fn bit(origin: OriginId) -> u64 {
    1 << (origin.0 % 64)
}

/// The certificate's name in events, where it can be computed.
pub(super) fn thumbprint(identity: &ClientIdentity) -> Option<String> {
    #[cfg(any(feature = "hyper", feature = "jwt"))]
    return Some(identity.thumbprint());
    #[cfg(not(any(feature = "hyper", feature = "jwt")))]
    {
        let _ = identity;
        None
    }
}

/// Octets for jitter. They need to differ between replicas, not to be unguessable.
fn draw<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    // Without entropy the jitter is missing, nothing else.
    let _ = getrandom::fill(&mut octets);
    octets
}
