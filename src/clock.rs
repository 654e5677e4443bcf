//! Time: the only place that reads a clock.
//!
//! A monotonic clock stands still while a Linux machine is suspended, and a wall clock can be
//! stepped. So a deadline is a pair, and lies in the future only while both of its halves do.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Timestamp {
    /// Monotonic time, since the clock was made.
    pub(crate) mono: Duration,
    /// Wall time, since the Unix epoch.
    pub(crate) wall: Duration,
}

impl Timestamp {
    /// The deadline that lies `after` this reading.
    pub(crate) fn deadline(self, after: Duration) -> Deadline {
        Deadline {
            mono: self.mono.saturating_add(after),
            wall: self.wall.saturating_add(after),
        }
    }

    /// The wall half, `after` this reading.
    pub(crate) fn wall_after(self, after: Duration) -> SystemTime {
        UNIX_EPOCH
            .checked_add(self.wall.saturating_add(after))
            .unwrap_or(UNIX_EPOCH)
    }
}

/// A point in the future on both clocks; it has come when either clock has reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Deadline {
    pub(crate) mono: Duration,
    pub(crate) wall: Duration,
}

impl Deadline {
    /// Whether the deadline has come.
    pub(crate) fn has_come(self, now: Timestamp) -> bool {
        now.mono >= self.mono || now.wall >= self.wall
    }

    /// How long until it comes; zero when it has.
    pub(crate) fn remaining(self, now: Timestamp) -> Duration {
        let mono = self.mono.saturating_sub(now.mono);
        mono.min(self.wall.saturating_sub(now.wall))
    }
}

/// Where this crate reads the time.
///
/// The default reads tokio's clock and the system's wall clock. Tests give a [`ManualClock`].
#[derive(Clone)]
pub struct Clock {
    origin: Instant,
    manual: Option<ManualClock>,
}

impl Clock {
    /// The machine's clocks.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads them")]
    pub fn system() -> Self {
        Self {
            origin: Instant::now(),
            manual: None,
        }
    }

    /// Reads both clocks.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads them")]
    pub(crate) fn now(&self) -> Timestamp {
        let wall = match &self.manual {
            Some(manual) => manual.wall(),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        };
        Timestamp {
            mono: Instant::now().saturating_duration_since(self.origin),
            wall,
        }
    }

    /// When tokio's timer must ring for this moment of monotonic time.
    pub(crate) fn instant(&self, mono: Duration) -> Instant {
        // A year is as good as never, and can't overflow.
        const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let now = self.now().mono;
        #[allow(clippy::disallowed_methods, reason = "the one place that reads them")]
        let instant = Instant::now();
        instant + mono.saturating_sub(now).min(FAR)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl From<ManualClock> for Clock {
    fn from(manual: ManualClock) -> Self {
        Self {
            manual: Some(manual),
            ..Self::system()
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("manual", &self.manual.is_some())
            .finish()
    }
}

/// A wall clock that a test moves by hand, beside tokio's own (paused) clock.
///
/// Its wall time follows tokio's clock, plus what [`suspend`](Self::suspend) and
/// [`step_back`](Self::step_back) have moved it by.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug)]
struct Manual {
    start: Instant,
    /// Wall time at `start`.
    wall: Mutex<Duration>,
}

impl ManualClock {
    /// A clock whose wall shows `wall` now.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads them")]
    pub fn new(wall: SystemTime) -> Self {
        Self(Arc::new(Manual {
            start: Instant::now(),
            wall: Mutex::new(wall.duration_since(UNIX_EPOCH).unwrap_or_default()),
        }))
    }

    /// Lets the wall clock go on by `span` while monotonic time and timers stand still, as a
    /// suspended machine does.
    pub fn suspend(&self, span: Duration) {
        let mut wall = self.0.wall.lock().unwrap_or_else(PoisonError::into_inner);
        *wall = wall.saturating_add(span);
    }

    /// Steps the wall clock back by `span`.
    pub fn step_back(&self, span: Duration) {
        let mut wall = self.0.wall.lock().unwrap_or_else(PoisonError::into_inner);
        *wall = wall.saturating_sub(span);
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that reads them")]
    fn wall(&self) -> Duration {
        let base = *self.0.wall.lock().unwrap_or_else(PoisonError::into_inner);
        base.saturating_add(Instant::now().saturating_duration_since(self.0.start))
    }
}
