//! The arithmetic of schedules, back-off and cool-down, told a second time and with bounds in place
//! of chance.

use std::time::Duration;

use super::TOLERANCE;
use crate::{
    scenario::APIS,
    trace::{Brought, Fault, Kind},
};

/// One reading of a client's clocks, in simulated time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) mono: Duration,
    wall: Duration,
}

impl Moment {
    /// `shift`: by how many milliseconds the wall clock has been moved.
    pub(super) fn new(mono: Duration, shift: i64) -> Self {
        // Far enough from zero that it can be stepped back.
        let wall = mono + Duration::from_secs(1_000_000);
        let by = Duration::from_millis(shift.unsigned_abs());
        Self {
            mono,
            wall: if shift < 0 { wall - by } else { wall + by },
        }
    }

    fn reaches(self, deadline: Self) -> bool {
        self.mono >= deadline.mono || self.wall >= deadline.wall
    }

    fn plus(self, span: Duration) -> Self {
        Self {
            mono: self.mono + span,
            wall: self.wall + span,
        }
    }
}

/// A token that a client has.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: String,
    /// Where in the trace it came.
    pub(super) place: usize,
    pub(super) received: Duration,
    /// It came because another was refused, and for no other reason.
    pub(super) by_refusal: bool,
    usable_until: Moment,
    due_from: Moment,
}

impl Token {
    pub(super) fn new(
        place: usize,
        received: Duration,
        sent: Moment,
        by_refusal: bool,
        brought: &Brought,
    ) -> Self {
        let lifetime = brought.lifetime;
        let slack = (lifetime / 10).min(Duration::from_secs(10));
        let margin = slack.max((lifetime / 4).min(Duration::from_secs(60)));
        let jitter = (lifetime / 10).min(Duration::from_secs(300));
        let due = lifetime - margin - jitter;
        Self {
            id: brought.token.clone(),
            place,
            received,
            by_refusal,
            usable_until: sent.plus(lifetime - slack),
            due_from: sent.plus(brought.refresh_in.map_or(due, |hint| due.min(hint))),
        }
    }

    pub(super) fn has_expired(&self, now: Moment) -> bool {
        now.reaches(self.usable_until.plus(TOLERANCE))
    }

    pub(super) fn may_have_expired(&self, now: Moment) -> bool {
        now.plus(TOLERANCE).reaches(self.usable_until)
    }

    pub(super) fn is_usable(&self, now: Moment) -> bool {
        !self.may_have_expired(now)
    }

    pub(super) fn may_be_due(&self, now: Moment) -> bool {
        now.plus(TOLERANCE).reaches(self.due_from)
    }
}

/// How long nothing is asked for after a failure: at least, and at most.
#[derive(Clone, Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
    pub(super) earliest: Duration,
    pub(super) latest: Duration,
    /// So much of it by the server's own wish.
    pub(super) by_server: Duration,
}

impl BackOff {
    pub(super) fn failed(&mut self, at: Duration, fault: Fault) {
        let doubled = |base: u64, cap: u64| {
            let doubled = base.saturating_mul(1 << self.failures.min(20));
            Duration::from_millis(doubled.min(cap))
        };
        let temporary = (Duration::from_millis(50), doubled(500, 30_000));
        let permanent = doubled(30_000, 300_000);
        let permanent = (permanent / 2, permanent);
        let (least, most) = match (fault.retry_after, fault.kind) {
            (Some(wish), _) => (wish, wish),
            (None, Kind::Temporary) => temporary,
            (None, Kind::Permanent) => permanent,
            (None, Kind::Unclear) => (temporary.0, permanent.1),
        };
        self.failures += 1;
        self.earliest = self.earliest.max(at + least);
        self.latest = self.latest.max(at + most);
        if let Some(wish) = fault.retry_after {
            self.by_server = self.by_server.max(at + wish);
        }
    }

    /// Somebody asks by hand, and there is no token at all.
    pub(super) fn only_by_server(&mut self) {
        self.failures = 0;
        self.earliest = self.by_server;
        self.latest = self.latest.min(self.by_server);
    }
}

/// How long refusals are no reason to ask for a token: at least, and at most.
#[derive(Clone, Debug, Default)]
pub(super) struct CoolDown {
    token: Span,
    origins: [Origin; APIS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    earliest: Duration,
    latest: Duration,
}

/// Steps that were surely taken, and all that may have been.
#[derive(Clone, Debug, Default)]
struct Origin {
    span: Span,
    sure: u32,
    possible: u32,
    /// The token whose refusal was counted.
    counted: Option<String>,
    /// The same, of a refusal that surely counts.
    surely_counted: Option<String>,
    /// A token that wasn't refused.
    spared: Option<String>,
}

impl CoolDown {
    /// `by_refusal`: it surely was because of a refusal. `same`: it brought the same token again.
    pub(super) fn flight_ended(&mut self, at: Duration, by_refusal: bool, same: bool) {
        self.token.latest = at + Duration::from_secs(1);
        if by_refusal {
            self.token.earliest = self.token.latest;
        }
        if same {
            for origin in &mut self.origins {
                origin.counted = None;
                origin.possible += 1;
                origin.span.latest = at + doubled(origin.possible);
            }
        }
    }

    pub(super) fn refused(&mut self, api: usize, current: &Token, waited: bool, at: Duration) {
        let it = &mut self.origins[api];
        let id = Some(&current.id);
        if it.counted.as_ref() != id {
            it.counted = id.cloned();
            it.possible += 1;
            it.span.latest = at + doubled(it.possible);
        }
        let fresh = waited || current.by_refusal;
        if fresh && it.surely_counted.as_ref() != id && it.spared.as_ref() != id {
            it.surely_counted = id.cloned();
            it.sure += 1;
            it.span.earliest = at + doubled(it.sure);
        }
    }

    /// `accepted`: there is no doubt about it.
    pub(super) fn not_refused(&mut self, api: usize, current: Option<&Token>, accepted: bool) {
        let it = &mut self.origins[api];
        it.sure = 0;
        it.span.earliest = Duration::ZERO;
        if let Some(current) = current {
            it.spared = Some(current.id.clone());
        }
        if accepted {
            it.possible = 0;
            it.span.latest = Duration::ZERO;
            it.counted = None;
        }
    }

    /// Whether a refusal by this resource may be a reason again.
    pub(super) fn is_over(&self, api: usize, at: Duration) -> bool {
        let until = self.token.earliest.max(self.origins[api].span.earliest);
        at + TOLERANCE >= until
    }

    /// Whether it may be none yet.
    pub(super) fn may_last(&self, api: usize, at: Duration) -> bool {
        let until = self.token.latest.max(self.origins[api].span.latest);
        until + TOLERANCE > at
    }
}

fn doubled(steps: u32) -> Duration {
    Duration::from_secs(1 << steps.saturating_sub(1).min(16)).min(Duration::from_secs(300))
}
