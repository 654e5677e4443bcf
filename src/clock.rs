//! Time: the only place that reads a clock.
//!
//! A monotonic clock stands still while a Linux machine is suspended, and a wall clock can be
//! stepped. So a deadline is a pair, and lies in the future only while both of its halves do.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::Notify, time::Instant};

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
        let mono = Instant::now().saturating_duration_since(self.origin);
        match &self.manual {
            Some(manual) => manual.read(mono),
            None => Timestamp {
                mono,
                wall: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            },
        }
    }

    /// Sleeps until this moment of monotonic time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does nothing.
    pub(crate) async fn sleep_until(&self, at: Duration) {
        // A timer can't be set for a time that overflows; a year is as good as never.
        const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        loop {
            // Listen first, look then: no move is missed in between.
            let moved = self.manual.as_ref().map(|manual| manual.0.moved.notified());
            let left = at.saturating_sub(self.now().mono);
            if left.is_zero() {
                return;
            }
            let sleep = tokio::time::sleep(left.min(FAR));
            match moved {
                Some(moved) => tokio::select! {
                    () = sleep => {}
                    () = moved => {}
                },
                None => sleep.await,
            }
        }
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

/// A clock that a test moves by hand.
///
/// It goes on with tokio's own clock (which may be paused), plus what it has been moved by.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug)]
struct Manual {
    start: Instant,
    offsets: Mutex<Offsets>,
    moved: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Offsets {
    mono: Duration,
    /// Wall time at `start`.
    wall: Duration,
}

impl ManualClock {
    /// A clock whose wall shows `wall` now.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads them")]
    pub fn new(wall: SystemTime) -> Self {
        Self(Arc::new(Manual {
            start: Instant::now(),
            offsets: Mutex::new(Offsets {
                mono: Duration::ZERO,
                wall: wall.duration_since(UNIX_EPOCH).unwrap_or_default(),
            }),
            moved: Notify::new(),
        }))
    }

    /// Lets both clocks go on by `span` at once, and timers with them.
    pub fn advance(&self, span: Duration) {
        self.shift(|offsets| {
            offsets.mono = offsets.mono.saturating_add(span);
            offsets.wall = offsets.wall.saturating_add(span);
        });
    }

    /// Lets the wall clock go on by `span` while monotonic time and timers stand still, as a
    /// suspended machine does.
    pub fn suspend(&self, span: Duration) {
        self.shift(|offsets| offsets.wall = offsets.wall.saturating_add(span));
    }

    /// Steps the wall clock back by `span`.
    pub fn step_back(&self, span: Duration) {
        self.shift(|offsets| offsets.wall = offsets.wall.saturating_sub(span));
    }

    fn shift(&self, shift: impl FnOnce(&mut Offsets)) {
        shift(
            &mut self
                .0
                .offsets
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.0.moved.notify_waiters();
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that reads them")]
    fn read(&self, mono: Duration) -> Timestamp {
        let offsets = *self
            .0
            .offsets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let since = Instant::now().saturating_duration_since(self.0.start);
        Timestamp {
            mono: mono.saturating_add(offsets.mono),
            wall: offsets.wall.saturating_add(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn advancing_a_manual_clock_rings_its_timers() {
        let manual = ManualClock::new(UNIX_EPOCH);
        let clock = Clock::from(manual.clone());
        let hour = Duration::from_secs(3600);
        let before = clock.now();
        let at = before.mono + hour;
        let sleeper = clock.clone();
        let slept = tokio::spawn(async move { sleeper.sleep_until(at).await });
        tokio::task::yield_now().await;

        manual.suspend(hour);
        tokio::task::yield_now().await;
        assert!(!slept.is_finished());
        assert_eq!(clock.now().mono, before.mono);
        assert_eq!(clock.now().wall, before.wall + hour);

        manual.advance(hour);
        slept.await.unwrap();
        assert_eq!(clock.now().mono, at);
    }

    #[test]
    fn a_deadline_has_come_when_either_clock_has_reached_it() {
        let start = Timestamp {
            mono: Duration::from_secs(10),
            wall: Duration::from_secs(1000),
        };
        let deadline = start.deadline(Duration::from_secs(5));
        for (mono, wall, come) in [
            (14, 1004, false),
            (15, 1004, true),
            (14, 1005, true),
            (10, 9000, true),
            (15, 0, true),
            (14, 0, false),
        ] {
            let now = Timestamp {
                mono: Duration::from_secs(mono),
                wall: Duration::from_secs(wall),
            };
            assert_eq!(deadline.has_come(now), come, "{mono} {wall}");
            assert_eq!(deadline.remaining(now).is_zero(), come, "{mono} {wall}");
        }
    }
}
