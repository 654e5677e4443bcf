//! The handle in orders that threads seldom meet: a scheduler decides, at every lock, atomic and look
//! at the snapshot, which task goes on, a thousand times at random and a thousand times by priorities
//! with a few changes of them (PCT).
//!
//! `cargo test --manifest-path tests/schedules/Cargo.toml schedules` runs it. What is checked is the real
//! thing: the handle, its state machine, flights, worker and waiters. A task that waits for ever while
//! all others do is a deadlock, and fails. What the scheduler doesn't see into: `Notify` and `watch` of
//! tokio, the snapshot's `ArcSwap`, reference counts, and the clock are one step each. Time is moved by
//! hand; deadlines by tokio's own timer never come. The orderings of atomics are those of one processor.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::{Duration, UNIX_EPOCH},
};

use shuttle::{
    Config, MaxSteps, Runner,
    future::{AbortHandle, JoinHandle, block_on, spawn, yield_now},
    rand::{Rng, thread_rng},
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
};
use tokio::{runtime, sync::oneshot};

use super::{Granted, NotHealed, OriginId, Rejection, TokenHandle, Verdict, Why, sync};
use crate::{
    clock::ManualClock,
    error::{ErrorKind, TokenError},
    grant::{Fetched, TokenSource},
    token::{AccessToken, Cause, Generation},
};

const SCHEDULES: usize = 1_000;

/// Of changes of priority.
const DEPTH: usize = 3;

/// A schedule that takes longer goes in circles, because somebody isn't told.
const STEPS: usize = 100_000;

/// Plays one story in many orders.
fn check(story: impl Fn(World) + Send + Sync + 'static) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let story = Arc::new(story);
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let story = Arc::clone(&story);
        let mut config = Config::new();
        config.max_steps = MaxSteps::FailAfter(STEPS);
        Runner::new(scheduler, config).run(move || {
            sync::spawned();
            let world = World::new();
            let (seen, ended) = (Arc::clone(&world.seen), world.ended());
            story(world);
            // Flight and worker have ended with the last handle, and the source with them.
            block_on(ended);
            assert_eq!(*seen.breach.lock().unwrap(), None);
        });
    };
    run(Box::new(RandomScheduler::new(SCHEDULES)));
    run(Box::new(PctScheduler::new(DEPTH, SCHEDULES)));
}

struct World {
    handle: TokenHandle,
    clock: ManualClock,
    seen: Arc<Seen>,
    source_gone: Mutex<Option<oneshot::Receiver<()>>>,
}

/// What has been seen so far. The scheduler doesn't know of it.
#[derive(Default)]
struct Seen {
    flying: AtomicUsize,
    fetches: AtomicUsize,
    closed: AtomicBool,
    /// What fetches may bring.
    brings: Mutex<Vec<Brings>>,
    /// Tokens have expired when they come, so that the next fetch is booked for later.
    stale: AtomicBool,
    /// One token a number, and one number a token.
    tokens: Mutex<HashMap<Generation, String>>,
    breach: Mutex<Option<String>>,
}

#[derive(Clone, Copy)]
enum Brings {
    New,
    Again,
    Nothing,
}

struct Source {
    seen: Arc<Seen>,
    _gone: oneshot::Sender<()>,
}

impl TokenSource for Source {
    async fn fetch(&self, _cause: Cause) -> Result<Fetched, TokenError> {
        let _flying = Flying::new(&self.seen);
        if self.seen.closed.load(SeqCst) {
            self.seen.breach("a fetch begins after the end");
        }
        yield_now().await;
        let brings = self.seen.brings.lock().unwrap().clone();
        let brings = match brings.len() {
            0 => Brings::New,
            many => brings[thread_rng().gen_range(0..many)],
        };
        let number = match brings {
            Brings::New => self.seen.fetches.fetch_add(1, SeqCst) + 1,
            Brings::Again => self.seen.fetches.load(SeqCst).max(1),
            Brings::Nothing => {
                return Err(TokenError::new(ErrorKind::Transport, "a cable is cut").temporary(true));
            }
        };
        // Whoever brings the first token again has brought it.
        self.seen.fetches.fetch_max(number, SeqCst);
        let token = AccessToken::new(format!("token-{number}"))?;
        let lives = if self.seen.stale.load(SeqCst) { 0 } else { 600 };
        Ok(Fetched::new(token).expires_in(Duration::from_secs(lives)))
    }
}

/// There is one at most.
struct Flying<'a>(&'a Seen);

impl<'a> Flying<'a> {
    fn new(seen: &'a Seen) -> Self {
        if seen.flying.fetch_add(1, SeqCst) > 0 {
            seen.breach("two fetches side by side");
        }
        Self(seen)
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        self.0.flying.fetch_sub(1, SeqCst);
    }
}

impl Seen {
    /// A panic in a fetch would be an error like any other.
    fn breach(&self, what: impl Into<String>) {
        let mut breach = self.breach.lock().unwrap_or_else(PoisonError::into_inner);
        breach.get_or_insert(what.into());
    }

    fn token(&self, generation: Generation, token: &AccessToken) {
        let mut tokens = self.tokens.lock().unwrap();
        let token = token.expose();
        let known = tokens.entry(generation).or_insert_with(|| token.to_owned());
        if known != token {
            self.breach(format!("two tokens with number {generation}"));
        }
        if tokens.values().filter(|it| *it == token).count() > 1 {
            self.breach(format!("{token} has two numbers"));
        }
    }

    fn granted(&self, granted: &Granted) -> Generation {
        self.token(granted.snapshot.generation, &granted.snapshot.token);
        granted.snapshot.generation
    }
}

impl World {
    fn new() -> Self {
        let (gone, source_gone) = oneshot::channel();
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let seen = Arc::<Seen>::default();
        let source = Source {
            seen: Arc::clone(&seen),
            _gone: gone,
        };
        Self {
            handle: TokenHandle::builder(source)
                .clock(clock.clone())
                .observer(())
                .build(),
            clock,
            seen,
            source_gone: Mutex::new(Some(source_gone)),
        }
    }

    fn ended(&self) -> impl Future<Output = ()> + 'static {
        let gone = self.source_gone.lock().unwrap().take();
        async move {
            let _ = gone.expect("it is asked for once").await;
        }
    }

    fn brings(&self, brings: &[Brings]) {
        *self.seen.brings.lock().unwrap() = brings.to_vec();
    }

    fn actor(&self) -> Actor {
        Actor {
            handle: self.handle.clone(),
            clock: self.clock.clone(),
            seen: Arc::clone(&self.seen),
            last: Generation::default(),
        }
    }

    fn act<F: Future<Output = ()> + Send + 'static>(
        &self,
        act: impl FnOnce(Actor) -> F,
    ) -> JoinHandle<()> {
        spawn(act(self.actor()))
    }
}

/// One of those who share the handle.
struct Actor {
    handle: TokenHandle,
    clock: ManualClock,
    seen: Arc<Seen>,
    last: Generation,
}

impl Actor {
    async fn token(&mut self) -> Result<Generation, TokenError> {
        let granted = self.handle.granted().await?;
        let generation = self.seen.granted(&granted);
        self.look();
        Ok(generation)
    }

    /// What can be seen never goes back.
    fn look(&mut self) {
        let Some(current) = self.handle.last() else {
            return;
        };
        self.seen.token(current.generation, &current.token);
        if current.generation < self.last {
            self.seen.breach("an older token comes back");
        }
        self.last = current.generation;
    }

    /// The number of the current token.
    fn current(&mut self) -> Option<Generation> {
        self.look();
        Some(self.last).filter(|it| *it > Generation::default())
    }

    /// A request with this token is refused; returns what it is sent again with.
    async fn refused(&mut self, refused: Generation, origin: u64) -> Result<Generation, NotHealed> {
        let healed = match self.handle.rejected(rejection(refused, origin)) {
            Verdict::Resend(granted) => Ok(granted),
            Verdict::Hold(hold) => hold.newer().await,
            Verdict::Original(why) => Err(why),
        };
        self.look();
        healed.map(|granted| {
            let generation = self.seen.granted(&granted);
            if generation <= refused {
                self.seen.breach("the refused token is sent again");
            }
            generation
        })
    }
}

fn rejection(generation: Generation, origin: u64) -> Rejection {
    Rejection {
        generation,
        origin: OriginId(origin),
        waited: false,
        retryable: true,
    }
}

/// Begins to wait, and goes away.
async fn begun<F: Future>(future: F) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

fn join(all: impl IntoIterator<Item = JoinHandle<()>>) {
    for one in all {
        block_on(one).unwrap();
    }
}

#[test]
fn one_fetch_serves_all_who_wait_whoever_goes_away() {
    check(|world| {
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(world.act(|mut it| async move {
                assert_eq!(it.token().await.unwrap(), Generation(1));
            }));
        }
        all.push(world.act(|mut it| async move { begun(it.token()).await }));
        join(all);
        assert_eq!(world.seen.fetches.load(SeqCst), 1);
    });
}

#[test]
fn all_whose_token_is_refused_go_on_with_one_new_token() {
    check(|world| {
        block_on(world.handle.ready()).unwrap();
        let mut all = Vec::new();
        for origin in [1, 1, 2] {
            all.push(world.act(move |mut it| async move {
                // Who comes late has the new one already.
                if it.current() == Some(Generation(1)) {
                    let healed = it.refused(Generation(1), origin).await.unwrap();
                    assert_eq!(healed, Generation(2));
                }
                it.handle.accepted(OriginId(origin), Generation(2));
            }));
        }
        all.push(world.act(|mut it| async move { begun(it.refused(Generation(1), 1)).await }));
        all.push(world.act(|it| async move {
            // It can't be sent again, so it waits for a replacement that is on its way.
            match it.handle.current(true) {
                Ok(current) => it.seen.token(current.generation, &current.token),
                Err(wait) => assert_eq!(it.seen.granted(&wait.await.unwrap()), Generation(2)),
            }
        }));
        join(all);
        assert_eq!(world.seen.fetches.load(SeqCst), 2);
    });
}

#[test]
fn who_waits_when_a_runtime_ends_goes_on_with_another() {
    check(|world| {
        let mut all = Vec::new();
        for _ in 0..2 {
            all.push(world.act(|mut it| async move {
                let token = it.token().await.unwrap();
                let _ = it.refused(token, 1).await;
            }));
        }
        all.push(world.act(|_| async {
            for _ in 0..2 {
                // Flights and the worker end with it.
                sync::spawned().iter().for_each(AbortHandle::abort);
                yield_now().await;
            }
        }));
        join(all);
        block_on(world.handle.ready()).unwrap();
    });
}

#[test]
fn all_who_wait_are_told_when_the_handle_is_closed_and_nothing_begins_after_it() {
    check(|world| {
        let warm = thread_rng().gen_range(0..2) == 0;
        if warm {
            block_on(world.handle.ready()).unwrap();
        }
        let mut all = Vec::new();
        for _ in 0..2 {
            all.push(world.act(|mut it| async move {
                if let Err(error) = it.token().await {
                    assert_eq!(error.kind(), ErrorKind::Closed);
                }
            }));
            all.push(world.act(|mut it| async move {
                let Some(token) = it.current() else { return };
                match it.refused(token, 1).await {
                    Ok(_) | Err(NotHealed::Why(Why::Closed | Why::CoolDown(_))) => {}
                    Err(NotHealed::Failed(error)) => assert_eq!(error.kind(), ErrorKind::Closed),
                    Err(why) => panic!("{why:?}"),
                }
            }));
        }
        all.push(world.act(|it| async move { it.handle.refresh() }));
        all.push(world.act(|it| async move {
            it.handle.close();
            it.seen.closed.store(true, SeqCst);
            assert_eq!(
                it.handle.ready().await.unwrap_err().kind(),
                ErrorKind::Closed
            );
        }));
        join(all);
        assert!(world.handle.last().is_none());
    });
}

#[test]
fn who_waits_for_a_fetch_that_is_booked_is_told_when_the_handle_is_closed() {
    check(|world| {
        world.seen.stale.store(true, SeqCst);
        block_on(world.handle.ready()).unwrap();
        let mut all = Vec::new();
        for _ in 0..2 {
            all.push(world.act(|mut it| async move {
                assert_eq!(it.token().await.unwrap_err().kind(), ErrorKind::Closed);
            }));
        }
        all.push(world.act(|it| async move {
            it.handle.close();
            it.seen.closed.store(true, SeqCst);
        }));
        join(all);
    });
}

#[test]
fn whatever_comes_together_everybody_is_told_in_the_end() {
    check(|world| {
        world.brings(&[Brings::New, Brings::New, Brings::Again, Brings::Nothing]);
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(world.act(|mut it| async move {
                for _ in 0..4 {
                    let current = it.current().unwrap_or_default();
                    match thread_rng().gen_range(0..11) {
                        0..3 => drop(it.token().await),
                        3..5 => drop(it.refused(current, thread_rng().gen_range(0..2)).await),
                        5 => begun(it.token()).await,
                        6 => begun(it.refused(current, 0)).await,
                        9 => sync::spawned().iter().for_each(AbortHandle::abort),
                        7 => it.handle.refresh(),
                        8 => it.handle.accepted(OriginId(0), it.last),
                        _ => {
                            let seconds = [1, 30, 500][thread_rng().gen_range(0..3)];
                            it.clock.advance(Duration::from_secs(seconds));
                        }
                    }
                }
            }));
        }
        // Bookings and back-offs end as time goes on.
        let stop = Arc::new(AtomicBool::new(false));
        let clock = world.act(|it| {
            let stop = Arc::clone(&stop);
            async move {
                while !stop.load(SeqCst) {
                    it.clock.advance(Duration::from_secs(1));
                    yield_now().await;
                }
            }
        });
        join(all);
        stop.store(true, SeqCst);
        join([clock]);
    });
}
