//! What the checker knows by itself: the rules told a second time, from the outside.
//!
//! The ghost watches events and answers, never the block's fields, so a block that forgets
//! something (a failure, a cool-down, an identity) can't make the ghost forget it too.

use std::time::Duration;

use super::super::{Landed, Rejection};
use crate::{
    clock::{Deadline, Timestamp},
    refresh::backoff,
    token::{Cause, Generation},
};

/// The claims that are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Of one token there is never more than one fetch under way.
    I1,
    /// The number of the current token never falls, a number names the same bytes for ever, and
    /// bytes that come again at once get no new number.
    I2,
    /// Who was refused a token never goes on with that one, an older one, or its bytes under
    /// another number.
    I3,
    /// An expired token is not sent, except by those who waited for the very flight that brought
    /// it.
    I4,
    /// After a failure nothing starts before its time; a new identity has a time of its own, a
    /// wish by hand none. What a server asks for (`Retry-After`) binds these two as well.
    I5,
    /// The refusal of one token brings new bytes once, and fetches because of refusals keep a
    /// second between the end of one and the start of the next.
    I6,
    /// Who waits, waits for a flight that runs or is booked.
    I7,
    /// Nothing starts once the handle is closed.
    I8,
    /// A failed fetch leaves the token that is there as it was.
    I9,
    /// The identity in use is the one that the token in use was fetched with; only a fetch that
    /// worked with a new identity changes it.
    I10,
    /// A request is sent twice at most, and only once if it can't be repeated.
    I11,
    /// A rejection is given back only for a reason. Of an older token: nothing usable is there
    /// and none can be had now. Of the current one: the token was fetched for this request, or
    /// a failure or a cool-down is being waited out (the step that this very refusal adds
    /// included). In every other case it is sent again or waits; and where there is a reason
    /// nothing is fetched.
    I12,
    /// A call without a token fails only if closed, or while a failure is waited out, or with the
    /// flight it waited for; else it waits.
    Demand,
    /// On demand a fetch starts 1 s after the last receipt at the soonest, in the background 5 s,
    /// and by hand or for an identity 1 s after the last of its kind.
    Floors,
    /// When the block says that it wants to be looked at, it has something to start.
    Timer,
    /// A new identity and a wish by hand are not forgotten: once they may start, and nothing runs,
    /// the block wants to be looked at.
    Noted,
    /// Given an honest server and no new callers, everybody is answered within few steps, a
    /// token that was wanted is there, one asked for by hand was fetched, and a new identity is in
    /// use.
    Drain,
}

#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) rule: Rule,
    pub(super) what: &'static str,
}

pub(super) type Check<T = ()> = Result<T, Violation>;

pub(super) fn ensure(holds: bool, rule: Rule, what: &'static str) -> Check {
    if holds {
        Ok(())
    } else {
        Err(Violation { rule, what })
    }
}

/// A fetch under way.
#[derive(Clone, Debug, Hash)]
pub(super) struct Running {
    pub(super) no: u64,
    pub(super) cause: Cause,
    /// The rejection that started it.
    pub(super) refusal: Option<Rejection>,
    /// Somebody held a rejection of the current token for it.
    pub(super) held: bool,
    /// The identity that it works with.
    pub(super) identity: u8,
}

#[derive(Clone, Debug, Hash)]
struct Token {
    print: u64,
    by_rejection: bool,
}

#[derive(Clone, Debug, Default, Hash)]
struct Origin {
    steps: u32,
    until: Duration,
    counted: usize,
    accepted: usize,
}

#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Ghost {
    pub(super) closed: bool,
    /// A token was wanted when none was usable.
    pub(super) demanded: bool,
    /// A token was asked for by hand, and no flight is under way for that.
    pub(super) forced: bool,
    /// The newest identity, the one in use, and the one that the token was fetched with.
    pub(super) newest: u8,
    pub(super) in_use: u8,
    of_token: u8,
    /// By number, from 1.
    tokens: Vec<Token>,
    usable_until: Option<Deadline>,
    received: Option<Duration>,
    failures: u32,
    backoff: Duration,
    by_server: Duration,
    rotation_failures: u32,
    rotation: Duration,
    eager_end: Option<Duration>,
    rejected_end: Option<Duration>,
    cooldown: Duration,
    origins: [Origin; 2],
    /// The tokens whose refusal brought new bytes.
    replaced: Vec<Generation>,
}

const SECOND: Duration = Duration::from_secs(1);

impl Ghost {
    pub(super) fn print(&self, generation: Generation) -> u64 {
        self.tokens[generation.0 as usize - 1].print
    }

    /// The bytes before the current ones, if they differ.
    pub(super) fn old_print(&self) -> Option<u64> {
        let [.., old, current] = &*self.tokens else {
            return None;
        };
        Some(old.print).filter(|old| *old != current.print)
    }

    pub(super) fn current_print(&self) -> Option<u64> {
        self.tokens.last().map(|it| it.print)
    }

    pub(super) fn usable(&self, now: Timestamp) -> bool {
        self.usable_until.is_some_and(|it| !it.has_come(now))
    }

    pub(super) fn has_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether these are the bytes of the current token.
    pub(super) fn is_current(&self, generation: Generation) -> bool {
        self.current_print() == Some(self.print(generation))
    }

    /// The same rejection, naming the current token if these are its bytes under an old number.
    pub(super) fn by_newest_number(&self, rejection: Rejection) -> Rejection {
        let mut rejection = rejection;
        if self.is_current(rejection.generation) {
            rejection.generation = Generation(self.tokens.len() as u64);
        }
        rejection
    }

    pub(super) fn backing_off(&self, now: Timestamp) -> bool {
        now.mono < self.backoff
    }

    /// Whether a failure or a cool-down keeps a rejection by this origin from starting a fetch.
    pub(super) fn barred(&self, origin: usize, now: Timestamp) -> bool {
        self.closed
            || self.backing_off(now)
            || now.mono < self.cooldown
            || now.mono < self.origins[origin].until
    }

    pub(super) fn may_start(&self, cause: Cause, now: Timestamp) -> Check {
        let past =
            |end: Option<Duration>, span: Duration| end.is_none_or(|end| now.mono >= end + span);
        ensure(!self.closed, Rule::I8, "a fetch starts after the close")?;
        match cause {
            Cause::Rotation | Cause::Forced => {
                let honoured = now.mono >= self.by_server;
                ensure(honoured, Rule::I5, "a server's Retry-After is ignored")?;
                let apart = past(self.eager_end, SECOND);
                ensure(apart, Rule::Floors, "two eager fetches within a second")?;
            }
            _ => ensure(
                !self.backing_off(now),
                Rule::I5,
                "a fetch starts in the back-off",
            )?,
        }
        match cause {
            Cause::Rotation => {
                let fresh = self.newest > self.in_use;
                ensure(fresh, Rule::I10, "a rotation without a new identity")?;
                let patient = now.mono >= self.rotation;
                ensure(patient, Rule::I5, "a rotation starts in its own back-off")
            }
            Cause::Rejected(_) => ensure(
                past(self.rejected_end, SECOND),
                Rule::I6,
                "two fetches because of rejections within a second",
            ),
            Cause::Cold => ensure(
                past(self.received, SECOND),
                Rule::Floors,
                "a fetch on demand within a second of a receipt",
            ),
            Cause::Scheduled => ensure(
                past(self.received, 5 * SECOND),
                Rule::Floors,
                "a fetch in the background within five seconds of a receipt",
            ),
            Cause::Forced => Ok(()),
        }
    }

    /// Whether a new identity or a token asked for by hand is wanted.
    pub(super) fn noted_is_wanted(&self) -> bool {
        let noted = self.newest > self.in_use || self.forced;
        noted && (self.has_token() || self.demanded) && !self.closed
    }

    /// Whether nothing keeps it any more.
    pub(super) fn noted_is_due(&self, now: Timestamp) -> bool {
        let apart = self.eager_end.is_none_or(|end| now.mono >= end + SECOND);
        let identity = self.newest > self.in_use && now.mono >= self.rotation;
        self.noted_is_wanted() && apart && now.mono >= self.by_server && (identity || self.forced)
    }

    pub(super) fn identity_for(&self, cause: Cause) -> u8 {
        match cause {
            Cause::Rotation => self.newest,
            _ => self.in_use,
        }
    }

    pub(super) fn landed(
        &mut self,
        now: Timestamp,
        flight: &Running,
        landed: Landed,
        current: Generation,
    ) -> Check {
        if matches!(flight.cause, Cause::Rotation | Cause::Forced) {
            self.eager_end = Some(now.mono);
        }
        let by_rejection = matches!(flight.cause, Cause::Rejected(_));
        if by_rejection {
            self.rejected_end = Some(now.mono);
            self.cooldown = now.mono + SECOND;
        }
        match landed {
            Landed::Token { print, schedule } => {
                let number = current.0 as usize;
                let same = self.current_print() == Some(print);
                let expected = self.tokens.len() + usize::from(!same);
                ensure(number == expected, Rule::I2, "the token's number is wrong")?;
                if same {
                    if flight.held {
                        self.cooldown = now.mono + SECOND;
                    }
                    if let Some(refusal) = flight.refusal {
                        self.step(refusal.origin.0 as usize, now);
                    }
                } else {
                    self.tokens.push(Token {
                        print,
                        by_rejection,
                    });
                    if let Some(refusal) = flight.refusal {
                        let first = !self.replaced.contains(&refusal.generation);
                        ensure(first, Rule::I6, "a token was replaced twice")?;
                        self.replaced.push(refusal.generation);
                    }
                }
                self.usable_until = Some(schedule.usable_until);
                self.received = Some(now.mono);
                self.failures = 0;
                self.backoff = Duration::ZERO;
                self.by_server = Duration::ZERO;
                self.of_token = flight.identity;
                if flight.cause == Cause::Rotation {
                    self.in_use = flight.identity;
                }
                let together = self.of_token == self.in_use;
                ensure(
                    together,
                    Rule::I10,
                    "token and identity don't belong together",
                )
            }
            Landed::Failed {
                fault,
                retry_after,
                draw: _,
            } => {
                let wish = retry_after.map(|wish| now.mono + wish);
                let until = |n| wish.unwrap_or_else(|| now.mono + backoff::delay(fault, n, 1.0));
                if flight.cause == Cause::Rotation {
                    if flight.identity == self.newest {
                        self.rotation_failures += 1;
                        self.rotation = until(self.rotation_failures);
                    }
                } else {
                    self.failures += 1;
                    self.backoff = self.backoff.max(until(self.failures));
                }
                if let Some(wish) = wish {
                    self.backoff = self.backoff.max(wish);
                    self.by_server = self.by_server.max(wish);
                }
                Ok(())
            }
        }
    }

    /// A token is refused: counts it against the origin if it was a fresh one.
    pub(super) fn refused(&mut self, now: Timestamp, rejection: Rejection) {
        let origin = rejection.origin.0 as usize;
        let number = self.tokens.len();
        if !self.is_current(rejection.generation) {
            return;
        }
        let fresh = rejection.waited || self.tokens[number - 1].by_rejection;
        let it = &self.origins[origin];
        if fresh && it.counted != number && it.accepted != number {
            self.step(origin, now);
        }
    }

    fn step(&mut self, origin: usize, now: Timestamp) {
        let it = &mut self.origins[origin];
        it.counted = self.tokens.len();
        it.until = now.mono + (SECOND * 2_u32.pow(it.steps.min(9))).min(300 * SECOND);
        it.steps += 1;
    }

    pub(super) fn accepted(&mut self, origin: usize, generation: Generation) {
        let it = &mut self.origins[origin];
        it.steps = 0;
        it.until = Duration::ZERO;
        if generation.0 as usize == self.tokens.len() {
            it.accepted = self.tokens.len();
        }
    }

    pub(super) fn identity_changed(&mut self) {
        self.newest += 1;
        self.rotation_failures = 0;
        self.rotation = Duration::ZERO;
    }

    /// With nothing to lose, something new is tried although something old failed.
    pub(super) fn note(&mut self) {
        if !self.has_token() {
            self.failures = 0;
            self.backoff = self.by_server;
        }
    }

    /// Every moment that a rule of its own looks at.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Duration> {
        [self.backoff, self.by_server, self.rotation, self.cooldown]
            .into_iter()
            .chain(self.origins.iter().map(|it| it.until))
            .chain(self.rejected_end.map(|end| end + SECOND))
    }

    /// The same as seen from `now`: past moments are all alike, and so are counters that nothing
    /// looks at any more.
    pub(super) fn seen_from(&self, now: Timestamp) -> Self {
        let mut seen = self.clone();
        let left = |at: Duration| at.saturating_sub(now.mono);
        let ago = |end: Option<Duration>, span: Duration| {
            end.map(|end| left(end + span)).filter(|it| !it.is_zero())
        };
        seen.usable_until = self.usable_until.map(|it| super::key::left(it, now));
        seen.received = ago(self.received, 5 * SECOND);
        seen.backoff = left(self.backoff);
        seen.by_server = left(self.by_server);
        seen.rotation = left(self.rotation);
        seen.eager_end = ago(self.eager_end, SECOND);
        seen.rejected_end = ago(self.rejected_end, SECOND);
        seen.cooldown = left(self.cooldown);
        for it in &mut seen.origins {
            it.until = left(it.until);
            let current = self.tokens.len();
            it.counted = usize::from(it.counted == current);
            it.accepted = usize::from(it.accepted == current);
        }
        seen
    }
}
