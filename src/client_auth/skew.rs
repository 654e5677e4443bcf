//! How far the server's clock is from ours: only of concern to what is signed with a time in it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Clocks that agree to so many seconds aren't the reason for a refusal.
const AGREE: i64 = 5;

/// The most by which a time is corrected, in seconds: a server that is further off is to be mended.
const MOST: i64 = 5 * 60;

/// When a request was sent, when its answer came, and what time the server put into it (`Date`,
/// RFC 9110 section 6.6.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) sent: SystemTime,
    pub(crate) received: SystemTime,
    pub(crate) date: SystemTime,
}

impl Answered {
    /// By how many seconds the server's clock is ahead for certain; negative: behind. The date was
    /// written at some moment of the exchange, and is a whole second.
    fn apart(self, correction: i64) -> i64 {
        let date = seconds(self.date);
        let earliest = seconds(self.sent.min(self.received)) + correction;
        let latest = seconds(self.received.max(self.sent)) + correction;
        if date < earliest {
            date - earliest
        } else {
            (date - latest).max(0)
        }
    }

    /// The correction that makes our time the server's, or a little less: what is issued in the
    /// future is refused more often than what is some seconds old.
    fn correction(self) -> i64 {
        if self.apart(0).abs() <= AGREE {
            return 0;
        }
        (seconds(self.date) - seconds(self.received.max(self.sent))).clamp(-MOST, MOST)
    }
}

/// What a source knows of its server's clock.
#[derive(Debug, Default)]
pub(crate) struct Skew(Mutex<Known>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    /// What is added to our time, in seconds.
    correction: i64,
    /// It was changed, and no token has come since.
    unproven: bool,
}

/// The server's clock is another one than was thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrected {
    /// By how many seconds the server's clock is ahead of ours; negative: behind.
    pub(crate) apart: i64,
    /// What is added to our time from now on.
    pub(crate) correction: i64,
}

impl Skew {
    /// Our time, as the server's clock shows it as far as is known.
    pub(crate) fn corrected(&self, ours: SystemTime) -> SystemTime {
        let Known { correction, .. } = *self.lock();
        let by = Duration::from_secs(correction.unsigned_abs());
        let corrected = if correction < 0 {
            ours.checked_sub(by)
        } else {
            ours.checked_add(by)
        };
        corrected.unwrap_or(ours)
    }

    /// The server refused what was signed with this time. Says whether that may have been the
    /// reason, and another one is worth an attempt now.
    pub(crate) fn refused(&self, answered: Answered) -> Option<Corrected> {
        self.lock().refused(answered)
    }

    /// The server gave a token for what was signed with this time.
    pub(crate) fn accepted(&self) {
        self.lock().unproven = false;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// While nothing is proven, the fetches to come try the one time and the other in turn, with
    /// one request each: a date that something on the way made up must not be the end, and neither
    /// may a clock that is wrong beside a key that is.
    fn refused(&mut self, answered: Answered) -> Option<Corrected> {
        let correction = answered.correction();
        let agree = answered.apart(self.correction).abs() <= AGREE || correction == self.correction;
        if agree {
            if self.unproven {
                self.correction = 0;
            }
            return None;
        }
        let first = !self.unproven;
        *self = Self {
            correction,
            unproven: true,
        };
        first.then(|| Corrected {
            apart: answered.apart(0),
            correction,
        })
    }
}

/// Since the Unix epoch.
fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs())
        .unwrap_or(i64::MAX / 4)
        .min(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW.checked_add_signed(seconds).unwrap())
    }

    fn answered(took: i64, date: i64) -> Answered {
        Answered {
            sent: at(0),
            received: at(took),
            date: at(date),
        }
    }

    #[test]
    fn a_date_within_the_exchange_or_five_seconds_of_it_corrects_nothing() {
        // (how long the answer took, its date, how far apart for certain, correction)
        for (took, date, apart, correction) in [
            (0, 0, 0, 0),
            (0, 5, 5, 0),
            (0, 6, 6, 6),
            (0, -5, -5, 0),
            (0, -6, -6, -6),
            // It may have been written at any moment of a slow exchange.
            (9, 0, 0, 0),
            (9, 9, 0, 0),
            (9, 14, 5, 0),
            (9, 15, 6, 6),
            (9, -5, -5, 0),
            // And is taken for the last, so that nothing is issued in the future.
            (9, -6, -6, -15),
            (0, 120, 120, 120),
            (0, -120, -120, -120),
            (0, 300, 300, 300),
            (0, 301, 301, 300),
            (0, 86_400, 86_400, 300),
            (0, -86_400, -86_400, -300),
            // The clock was stepped back meanwhile: sent in the future.
            (-3600, -3600, 0, 0),
            (-3600, 0, 0, 0),
            (-3600, 120, 120, 120),
        ] {
            let answered = answered(took, date);
            assert_eq!(answered.apart(0), apart, "{took} {date}");
            assert_eq!(answered.correction(), correction, "{took} {date}");
        }
        let far = Answered {
            date: UNIX_EPOCH + Duration::from_secs(u64::MAX / 4),
            ..answered(0, 0)
        };
        assert_eq!(far.correction(), 300);
    }

    /// The date, another attempt, the correction from then on, and whether that is accepted.
    type Step = (i64, Option<Corrected>, i64, bool);

    #[test]
    fn what_is_known_follows_what_the_server_shows_and_accepts() {
        let corrected = |apart, correction| Some(Corrected { apart, correction });
        let scenes: [&[Step]; 6] = [
            // The clocks agree: it was something else.
            &[(0, None, 0, false), (3, None, 0, false)],
            // They don't, and that was it; later they do again.
            &[
                (120, corrected(120, 120), 120, true),
                (120, None, 120, true),
                (122, None, 120, false),
                (1, corrected(1, 0), 0, true),
            ],
            // They don't, and that wasn't it: one time and the other in turn.
            &[
                (120, corrected(120, 120), 120, false),
                (120, None, 0, false),
                (120, None, 120, false),
                (120, None, 0, false),
                (120, None, 120, true),
                (120, None, 120, false),
            ],
            // It drifts on.
            &[
                (-10, corrected(-10, -10), -10, true),
                (-20, corrected(-20, -20), -20, true),
            ],
            // Too far to be corrected, but near enough for a server that is patient.
            &[
                (3600, corrected(3600, 300), 300, false),
                (3600, None, 0, false),
            ],
            // From one side to the other.
            &[
                (120, corrected(120, 120), 120, true),
                (-120, corrected(-120, -120), -120, true),
            ],
        ];
        for scene in scenes {
            let skew = Skew::default();
            for (date, again, correction, accepted) in scene {
                assert_eq!(skew.refused(answered(0, *date)), *again, "{scene:?}");
                assert_eq!(skew.corrected(at(0)), at(*correction), "{scene:?}");
                if *accepted {
                    skew.accepted();
                }
            }
        }
    }
}
