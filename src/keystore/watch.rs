use std::{
    pin::pin,
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

use super::{ClientIdentity, RotatingIdentity, identity::IdentityNumber, rotating::Record};
use crate::error::TokenError;

/// News of a client's identity.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// There is a new one: a token is to be fetched with it.
    New,
    /// What is in its files now can't be used. The old one stays in use.
    ReloadFailed(TokenError),
    /// What was in its files, and couldn't be used, is gone; the identity in use is there again.
    Mended,
    /// The certificate in use comes to its end.
    #[non_exhaustive]
    Expiring {
        /// When that is, or was.
        not_after: SystemTime,
    },
}

/// What one listener has heard of a [`RotatingIdentity`] so far.
pub(crate) struct Watch {
    identity: RotatingIdentity,
    record: watch::Receiver<Record>,
    latest: IdentityNumber,
    failing: bool,
    failures: u64,
    /// Of whose end was told, and how often.
    told: (IdentityNumber, usize),
}

impl Watch {
    pub(super) fn new(identity: RotatingIdentity, record: watch::Receiver<Record>) -> Self {
        let (latest, current) = {
            let record = record.borrow();
            (record.latest.number(), record.current.number())
        };
        Self {
            identity,
            record,
            latest,
            failing: false,
            failures: 0,
            told: (current, 0),
        }
    }

    /// Waits for news.
    ///
    /// # Cancel safety
    ///
    /// What wasn't told is told the next time.
    pub(crate) async fn changed(&mut self) -> Change {
        let identity = self.identity.clone();
        let mut looking = pin!(identity.keep_looking());
        loop {
            if let Some(change) = self.news() {
                return change;
            }
            // Certificates get older without anybody writing to a file.
            let clock = identity.clock();
            let again = clock.now().mono.saturating_add(identity.poll());
            tokio::select! {
                // The record lives as long as the identity does.
                _ = self.record.changed() => {}
                () = &mut looking => {}
                () = clock.sleep_until(again) => {}
            }
        }
    }

    fn news(&mut self) -> Option<Change> {
        let record = self.record.borrow_and_update().clone();
        if record.latest.number() != self.latest {
            self.latest = record.latest.number();
            self.failing = false;
            self.failures = record.failures;
            return Some(Change::New);
        }
        if self.failures != record.failures
            && let Some(error) = record.failure
        {
            self.failures = record.failures;
            self.failing = true;
            return Some(Change::ReloadFailed(error));
        }
        if self.failing && record.failure.is_none() {
            self.failing = false;
            return Some(Change::Mended);
        }
        self.expiring(&record.current)
    }

    fn expiring(&mut self, current: &ClientIdentity) -> Option<Change> {
        let now = self.identity.clock().now().wall_after(Duration::ZERO);
        let due = due(
            self.identity.notices(),
            current.not_before(),
            current.not_after(),
            now,
        );
        if self.told.0 != current.number() {
            self.told = (current.number(), 0);
        }
        if due <= self.told.1 {
            return None;
        }
        self.told.1 = due;
        Some(Change::Expiring {
            not_after: current.not_after(),
        })
    }
}

/// How many notices are due: one for each time before the end, and one for the end itself.
fn due(
    notices: &[Duration],
    not_before: SystemTime,
    not_after: SystemTime,
    now: SystemTime,
) -> usize {
    let life = not_after.duration_since(not_before).unwrap_or_default();
    let left = not_after.duration_since(now).unwrap_or_default();
    notices
        .iter()
        .filter(|notice| **notice <= life / 2 && left <= **notice)
        .count()
        + usize::from(left.is_zero())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn each_notice_is_due_once_and_none_that_is_as_long_as_the_life() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let notices = [30, 7, 1].map(|days| DAY * days);
        let at = |days: f64| UNIX_EPOCH + DAY.mul_f64(days);
        for (life, now, expected) in [
            (90.0, 10.0, 0),
            (90.0, 60.0, 1),
            (90.0, 82.9, 1),
            (90.0, 83.0, 2),
            (90.0, 89.5, 3),
            (90.0, 90.0, 4),
            (90.0, 900.0, 4),
            // Seven days are more than half of ten, and an hour has no day in it.
            (10.0, 8.0, 0),
            (10.0, 9.5, 1),
            (1.0 / 24.0, 0.99 / 24.0, 0),
            (1.0 / 24.0, 1.0 / 24.0, 1),
        ] {
            let due = due(&notices, at(0.0), at(life), at(now));
            assert_eq!(due, expected, "{life} {now}");
        }
    }
}
