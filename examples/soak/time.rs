//! The soak's time, which all clocks in it show.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::{Duration, Instant, UNIX_EPOCH},
};

use tower_oauth::ManualClock;

/// How much faster it goes by than real time.
const SPEED: u32 = 30;

pub(crate) struct Time {
    began: Instant,
    pub(crate) clock: ManualClock,
    /// How far it is ahead of real time, in milliseconds.
    ahead: AtomicU64,
}

impl Time {
    #[allow(clippy::disallowed_methods, reason = "it lasts for a real while")]
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            clock: ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            ahead: AtomicU64::new(0),
        }
    }

    /// How much real time has passed.
    #[allow(clippy::disallowed_methods, reason = "it lasts for a real while")]
    pub(crate) fn real(&self) -> Duration {
        Instant::now() - self.began
    }

    /// How much of the soak's time has passed.
    pub(crate) fn now(&self) -> Duration {
        self.real() + Duration::from_millis(self.ahead.load(SeqCst))
    }

    /// Catches up.
    pub(crate) fn go_on(&self) {
        let due = (self.real() * (SPEED - 1)).as_millis() as u64;
        let ahead = self.ahead.swap(due, SeqCst);
        self.clock.advance(Duration::from_millis(due - ahead));
    }
}
