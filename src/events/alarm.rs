//! When refused tokens pile up: pure arithmetic, without a clock.
//!
//! What is counted are refreshes that were *wanted* because a token was refused, whether they took
//! place or a cool-down kept them back: one for each token, and one more for each time that the
//! refusal of the same token starts a fetch after a cool-down. A renewal that is due counts for
//! nothing, nor does a failed fetch that is tried again.

use std::{collections::VecDeque, fmt, time::Duration};

use crate::token::Generation;

/// A token refused within this time after it came, though it had been accepted, didn't last.
const SOON: Duration = Duration::from_secs(60);

/// So many wishes are remembered, and so many origins of each: more make nothing clearer.
const REMEMBERED: usize = 64;
const ORIGINS: usize = 16;

/// When the alarm is raised.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth::events::AlarmConfig;
///
/// let config = AlarmConfig::new().threshold(5).window(Duration::from_secs(3600));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct AlarmConfig {
    /// Zero: never.
    threshold: u16,
    pub(crate) window: Duration,
}

/// Why an alarm was raised, as far as it can be seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlarmCause {
    /// Tokens that had been accepted for a while were refused: the authorization server forgets
    /// them, or changes its keys.
    Rollovers,
    /// The same, oftener than any server forgets: somebody revokes this client's tokens.
    Revocations,
    /// Each new token is accepted, and refused soon after: others revoke it by fetching theirs.
    OneActiveToken,
    /// One origin refuses tokens that it has never accepted.
    Upstream,
    /// Several origins refuse tokens that they have never accepted.
    Tokens,
    /// The authorization server gives the refused token again.
    SameToken,
}

/// What was refused in the time that the alarm looks back on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlarmCounts {
    /// Tokens that had been accepted for a minute or longer.
    pub lasting: usize,
    /// Tokens that had been accepted, and were refused less than a minute after they came.
    pub soon: usize,
    /// Tokens that the refusing origin had never accepted.
    pub new: usize,
    /// Tokens that the authorization server had given again after they were refused.
    pub same: usize,
    /// How many origins refused them.
    pub origins: usize,
}

/// A refusal of the current token, as the alarm sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) generation: Generation,
    pub(crate) origin: u64,
    /// It starts a fetch, and not because one has failed.
    pub(crate) starts: bool,
    /// The origin has accepted this token before.
    pub(crate) accepted: bool,
    /// How long ago the token came.
    pub(crate) age: Duration,
}

/// What becomes of the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Raised {
        cause: AlarmCause,
        counts: AlarmCounts,
        /// Who refuses, if it is one origin alone.
        origin: Option<u64>,
    },
    Cleared {
        cause: AlarmCause,
        lasted: Duration,
    },
}

/// The state of one token's alarm. Times are monotonic.
#[derive(Debug)]
pub(crate) struct Alarm {
    config: AlarmConfig,
    wishes: VecDeque<Wish>,
    last: Option<Generation>,
    /// The token that came again.
    same: Option<Generation>,
    raised: Option<Raised>,
}

#[derive(Debug)]
struct Wish {
    at: Duration,
    kind: Kind,
    origins: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Lasting,
    Soon,
    New,
    Same,
}

#[derive(Debug)]
struct Raised {
    at: Duration,
    cause: AlarmCause,
    /// How many wishes there were to judge by.
    judged: usize,
}

// ===== impl Alarm =====

impl Alarm {
    pub(crate) fn new(config: AlarmConfig) -> Self {
        Self {
            config,
            wishes: VecDeque::new(),
            last: None,
            same: None,
            raised: None,
        }
    }

    /// The current token was refused.
    pub(crate) fn wanted(&mut self, now: Duration, wanted: Wanted) {
        let threshold = usize::from(self.config.threshold);
        if threshold == 0 {
            return;
        }
        let known = self.last.is_some_and(|last| last >= wanted.generation);
        if known && !wanted.starts {
            if let Some(wish) = self.wishes.back_mut()
                && wish.origins.len() < ORIGINS
                && !wish.origins.contains(&wanted.origin)
            {
                wish.origins.push(wanted.origin);
            }
            return;
        }
        self.last = self.last.max(Some(wanted.generation));
        let kind = match wanted {
            _ if self.same == Some(wanted.generation) => Kind::Same,
            Wanted {
                accepted: false, ..
            } => Kind::New,
            Wanted { age, .. } if age < SOON => Kind::Soon,
            _ => Kind::Lasting,
        };
        if self.wishes.len() >= REMEMBERED.max(2 * threshold) {
            self.wishes.pop_front();
        }
        self.wishes.push_back(Wish {
            at: now,
            kind,
            origins: vec![wanted.origin],
        });
    }

    /// A fetch because of a refusal brought the refused token again.
    pub(crate) fn came_again(&mut self, generation: Generation) {
        self.same = Some(generation);
    }

    /// What is new by now. Told again while it is raised only when there is twice as much to judge
    /// by, and it says otherwise.
    pub(crate) fn turn(&mut self, now: Duration) -> Option<Turn> {
        let window = self.config.window;
        while let Some(first) = self.wishes.front()
            && now >= first.at.saturating_add(window)
        {
            self.wishes.pop_front();
        }
        let wishes = self.wishes.len();
        match &self.raised {
            Some(raised) if wishes == 0 => {
                let turn = Turn::Cleared {
                    cause: raised.cause,
                    lasted: now.saturating_sub(raised.at),
                };
                self.raised = None;
                Some(turn)
            }
            Some(raised) if wishes < 2 * raised.judged => None,
            None if wishes < usize::from(self.config.threshold.max(1)) => None,
            _ => self.judge(now),
        }
    }

    /// When [`turn`](Self::turn) is to be asked if nothing happens before.
    pub(crate) fn next_turn(&self) -> Option<Duration> {
        let last = self.raised.as_ref().and(self.wishes.back())?;
        Some(last.at.saturating_add(self.config.window))
    }

    /// Why it is raised, if it is.
    pub(crate) fn cause(&self) -> Option<AlarmCause> {
        self.raised.as_ref().map(|it| it.cause)
    }

    fn judge(&mut self, now: Duration) -> Option<Turn> {
        let mut origins: Vec<u64> = self
            .wishes
            .iter()
            .flat_map(|wish| wish.origins.iter().copied())
            .collect();
        origins.sort_unstable();
        origins.dedup();
        let mut counts = AlarmCounts {
            origins: origins.len(),
            ..AlarmCounts::default()
        };
        for wish in &self.wishes {
            *match wish.kind {
                Kind::Lasting => &mut counts.lasting,
                Kind::Soon => &mut counts.soon,
                Kind::New => &mut counts.new,
                Kind::Same => &mut counts.same,
            } += 1;
        }
        let cause = counts.cause(usize::from(self.config.threshold));
        let before = self.cause();
        let at = self.raised.as_ref().map_or(now, |it| it.at);
        self.raised = Some(Raised {
            at,
            cause,
            judged: self.wishes.len(),
        });
        (before != Some(cause)).then(|| Turn::Raised {
            cause,
            counts,
            origin: match origins[..] {
                [alone] => Some(alone),
                _ => None,
            },
        })
    }
}

// ===== impl AlarmCounts =====

impl AlarmCounts {
    /// What there is most of. When two are even, the one that is mended by us goes first.
    fn cause(self, threshold: usize) -> AlarmCause {
        let Self {
            lasting,
            soon,
            new,
            same,
            origins,
        } = self;
        let most = lasting.max(soon).max(new).max(same);
        if same == most {
            AlarmCause::SameToken
        } else if new == most && origins == 1 {
            AlarmCause::Upstream
        } else if new == most {
            AlarmCause::Tokens
        } else if soon == most {
            AlarmCause::OneActiveToken
        } else if lasting >= 2 * threshold {
            AlarmCause::Revocations
        } else {
            AlarmCause::Rollovers
        }
    }

    /// How many refreshes were wanted.
    pub fn wanted(self) -> usize {
        self.lasting + self.soon + self.new + self.same
    }
}

impl fmt::Display for AlarmCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = [
            (self.lasting, "accepted for a minute or longer"),
            (self.soon, "accepted for less than a minute"),
            (self.new, "never accepted"),
            (self.same, "given again"),
        ];
        write!(f, "{} refreshes wanted, of tokens (", self.wanted())?;
        let mut separator = "";
        for (count, what) in refused.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {what}")?;
            separator = ", ";
        }
        let plural = if self.origins == 1 { "" } else { "s" };
        write!(f, ") refused by {} origin{plural}", self.origins)
    }
}

// ===== impl AlarmCause =====

impl AlarmCause {
    /// Each of them.
    #[cfg(any(feature = "metrics", test))]
    pub(crate) const ALL: [Self; 6] = [
        Self::Rollovers,
        Self::Revocations,
        Self::OneActiveToken,
        Self::Upstream,
        Self::Tokens,
        Self::SameToken,
    ];

    /// A short, stable name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rollovers => "rollovers",
            Self::Revocations => "revocations",
            Self::OneActiveToken => "one_active_token",
            Self::Upstream => "upstream",
            Self::Tokens => "tokens",
            Self::SameToken => "same_token",
        }
    }

    /// What to look at.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Rollovers => {
                "the authorization server forgets the tokens it has given: look for restarts, \
                 replicas that don't share their state, and signing keys that change"
            }
            Self::Revocations => {
                "tokens die oftener than a server forgets them: ask those who run the \
                 authorization server who revokes this client's tokens, and why"
            }
            Self::OneActiveToken => {
                "each new token is accepted and soon refused: if the authorization server keeps \
                 one token per client, other processes with this client_id revoke ours by \
                 fetching theirs. Give each its own client_id, or let them share one token"
            }
            Self::Upstream => {
                "one API refuses tokens that it has never accepted: check which audience, scope \
                 and binding it wants, and which authorization server it trusts"
            }
            Self::Tokens => {
                "several APIs refuse every new token: check the scope and audience that are asked \
                 for, and whether the APIs know the authorization server's present signing keys"
            }
            Self::SameToken => {
                "the authorization server gives a refused token again: it caches tokens longer \
                 than the API accepts them"
            }
        }
    }
}

impl fmt::Display for AlarmCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// ===== impl AlarmConfig =====

impl AlarmConfig {
    /// The defaults: three unscheduled refreshes wanted in ten minutes.
    pub fn new() -> Self {
        Self {
            threshold: 3,
            window: Duration::from_secs(10 * 60),
        }
    }

    /// No alarm.
    pub fn off() -> Self {
        Self {
            threshold: 0,
            ..Self::new()
        }
    }

    /// At so many unscheduled refreshes wanted within the window it is raised; zero is
    /// [`off`](Self::off). Default: 3.
    #[must_use]
    pub fn threshold(mut self, threshold: u16) -> Self {
        self.threshold = threshold;
        self
    }

    /// How far the alarm looks back; when nothing was refused for as long, it is cleared.
    /// Default: 10 min.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }
}

impl Default for AlarmConfig {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
