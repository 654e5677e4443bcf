//! The one place where the current token can be seen without a lock.

use std::{
    cell::Cell as ThreadCell,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwapOption, Guard};
use http::HeaderValue;

use super::sync::{AtomicU64, step};
use crate::{
    clock::Timestamp,
    grant::Fetched,
    keystore::{ClientIdentity, Shown},
    token::{AccessToken, Age, Generation, Schedule},
};

/// What is shared is shared by a reference count, and one count that all threads fight over
/// halves what two of them can do. So there are a few copies of it.
const LANES: usize = 8;

/// What a request takes with it.
#[derive(Clone)]
struct Lane {
    authorization: HeaderValue,
    shown: Option<Shown>,
}

/// What a request needs to know of the current token, made once a token.
pub(crate) struct Snapshot {
    pub(crate) generation: Generation,
    pub(crate) token: AccessToken,
    pub(crate) scope: Option<String>,
    /// The TLS identity that the token belongs to: both are swapped in one store.
    pub(crate) identity: Option<ClientIdentity>,
    pub(crate) received: Duration,
    /// The value before this one: a server may repeat in its answer what it was sent earlier.
    previous: Option<HeaderValue>,
    schedule: Schedule,
    lanes: [Lane; LANES],
    /// The second of the last kick, plus one.
    kicked: AtomicU64,
}

impl Snapshot {
    pub(super) fn new(
        generation: Generation,
        fetched: Fetched,
        schedule: Schedule,
        received: Duration,
        before: Option<&Self>,
    ) -> Self {
        let previous = before.and_then(|before| {
            if before.generation == generation {
                before.previous.clone()
            } else {
                Some(before.authorization())
            }
        });
        let lanes = std::array::from_fn(|_| Lane {
            authorization: fetched.token.to_bearer(),
            shown: fetched.identity.as_ref().map(Shown::new),
        });
        Self {
            generation,
            token: fetched.token,
            scope: fetched.scope,
            identity: fetched.identity,
            received,
            previous,
            schedule,
            lanes,
            kicked: AtomicU64::new(0),
        }
    }

    /// The same token, whose timer is gone: it counts as due.
    pub(super) fn rescheduled(&self, schedule: Schedule) -> Self {
        Self {
            generation: self.generation,
            token: self.token.clone(),
            scope: self.scope.clone(),
            identity: self.identity.clone(),
            received: self.received,
            previous: self.previous.clone(),
            schedule,
            lanes: self.lanes.clone(),
            kicked: AtomicU64::new(0),
        }
    }

    /// What must not be seen in a server's text: this token, and the one before.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &HeaderValue> {
        let current = self.lanes.first().map(|lane| &lane.authorization);
        current.into_iter().chain(&self.previous)
    }

    /// The finished `Authorization` value.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.lanes[lane()].authorization.clone()
    }

    /// Over whose connections the token must go.
    pub(crate) fn shown(&self) -> Option<Shown> {
        self.lanes[lane()].shown.clone()
    }

    pub(crate) fn age(&self, now: Timestamp) -> Age {
        self.schedule.age(now)
    }

    /// Whether this call is the one of this second that looks after a due token.
    pub(crate) fn kick(&self, now: Timestamp) -> bool {
        let second = now.mono.as_secs() + 1;
        let last = self.kicked.load(Ordering::Relaxed);
        last < second
            && self
                .kicked
                .compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The lane of this thread.
fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: ThreadCell<usize> = const { ThreadCell::new(LANES) };
    }
    LANE.with(|lane| {
        if lane.get() == LANES {
            lane.set(NEXT.fetch_add(1, Ordering::Relaxed) % LANES);
        }
        lane.get()
    })
}

/// Holds the current snapshot.
#[derive(Default)]
pub(crate) struct Cell(ArcSwapOption<Snapshot>);

/// The current snapshot, borrowed: nothing is counted, so no two threads fight over it.
pub(crate) struct Current(Guard<Option<Arc<Snapshot>>>);

impl Deref for Current {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        self.0.as_deref().expect("it is made of one that is there")
    }
}

impl Cell {
    pub(super) fn load(&self) -> Option<Current> {
        step();
        let current = self.0.load();
        current.is_some().then(|| Current(current))
    }

    pub(super) fn load_full(&self) -> Option<Arc<Snapshot>> {
        step();
        self.0.load_full()
    }

    pub(super) fn clear(&self) {
        step();
        self.0.store(None);
    }

    pub(super) fn store(&self, snapshot: Arc<Snapshot>) {
        step();
        self.0.store(Some(snapshot));
    }
}
