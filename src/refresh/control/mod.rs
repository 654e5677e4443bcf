//! Every decision about a token's life, as a pure, synchronous state machine.
//!
//! Events and the time go in, decisions and starts of fetches come out. There is no clock in here,
//! no task, no I/O and no token: only numbers, deadlines and a fingerprint of the bytes. So the
//! whole machine can be driven through every order of events that a model checker can think of
//! (`model`, a test), and the shell around it ([`TokenHandle`](super::TokenHandle)) decides
//! nothing.
//!
//! The words: a *flight* is one running fetch; a *booking* is a fetch that will start at a given
//! time because somebody waits for it; a *holder* is a request whose response was a rejection and
//! is held while a newer token is awaited.

mod cooldown;
#[cfg(test)]
mod model;
mod terms;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use self::cooldown::Cooldown;
pub(crate) use self::{
    cooldown::OriginId,
    terms::{Answer, Demand, FlightNo, Landed, Outcome, Rejection, Start, Why},
};
use super::backoff::{self, Fault};
use crate::{
    clock::Timestamp,
    token::{Age, Cause, Generation, Schedule},
};

/// No background fetch starts sooner than this after a receipt: a token that is born due must not
/// make a loop.
const BACKGROUND_FLOOR: Duration = Duration::from_secs(5);

/// Fetches on demand, by hand and for a new identity are at least this far apart.
const DEMAND_FLOOR: Duration = Duration::from_secs(1);

/// Of this many past tokens the fingerprints are kept, to notice a server that sends old bytes.
const PRINTS: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    schedule: Schedule,
    received: Duration,
    /// It came because its predecessor was refused.
    by_rejection: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    no: FlightNo,
    cause: Cause,
    /// Whose rejection started it.
    origin: Option<OriginId>,
    /// The identity that a rotation works with.
    identity: u64,
    /// Somebody who holds a rejection of the current token waits for it.
    held: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Booking {
    no: FlightNo,
    at: Duration,
    held: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct BackOff {
    until: Duration,
    failures: u32,
    /// How much of it a server asked for.
    by_server: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rotation {
    identity: u64,
    until: Duration,
    failures: u32,
}

/// The state of one token's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Control {
    open: bool,
    /// The number of the current token; zero before the first.
    generation: Generation,
    token: Option<Held>,
    /// Fingerprints of the last tokens, the current one last.
    prints: VecDeque<(Generation, u64)>,
    last_no: FlightNo,
    flight: Option<Flight>,
    booked: Option<Booking>,
    backoff: Option<BackOff>,
    rotation: Option<Rotation>,
    forced: bool,
    /// When the last flight for a new identity or by hand ended.
    eager_end: Option<Duration>,
    cooldown: Cooldown,
    /// Somebody has wanted a token while none was usable.
    demanded: bool,
}

impl Control {
    pub(crate) fn new() -> Self {
        Self {
            open: true,
            generation: Generation(0),
            token: None,
            prints: VecDeque::new(),
            last_no: 0,
            flight: None,
            booked: None,
            backoff: None,
            rotation: None,
            forced: false,
            eager_end: None,
            cooldown: Cooldown::default(),
            demanded: false,
        }
    }

    // ----- events -----

    /// A call, or somebody waiting for readiness, needs a token (T1 to T3).
    pub(crate) fn demand(&mut self, now: Timestamp) -> (Demand, Option<Start>) {
        if !self.open {
            return (Demand::Fail { retry_at: None }, None);
        }
        if self.usable(now) {
            return (Demand::Use, self.tick(now));
        }
        match self.join_or_start(now) {
            Ok((no, start)) => (Demand::Wait(no), start),
            Err(until) => (
                Demand::Fail {
                    retry_at: Some(until),
                },
                None,
            ),
        }
    }

    /// A timer rang, or a call found the token due (T4, and what is due of T3 and T15).
    pub(crate) fn tick(&mut self, now: Timestamp) -> Option<Start> {
        let cause = self.due(now)?;
        Some(self.start(cause, None))
    }

    /// A response refused a token (T5 to T9b).
    pub(crate) fn rejected(
        &mut self,
        now: Timestamp,
        rejection: Rejection,
    ) -> (Answer, Option<Start>) {
        let Rejection { origin, .. } = rejection;
        let current = self.is_current(rejection.generation);
        if current {
            let fresh = rejection.waited || self.token.as_ref().is_some_and(|it| it.by_rejection);
            if fresh {
                self.cooldown.refused(origin, self.generation, now.mono);
            }
        }

        // T9
        if !rejection.retryable {
            let start = (current && !self.busy() && self.barrier(origin, now).is_none())
                .then(|| self.start(Cause::Rejected(self.generation), Some(origin)));
            return (Answer::Original(Why::NotRepeatable), start);
        }
        // T5
        if !current {
            if self.usable(now) && self.open {
                return (Answer::Resend, None);
            }
            if !self.open {
                return (Answer::Original(Why::Closed), None);
            }
            return match self.join_or_start(now) {
                Ok((no, start)) => (Answer::Hold(no), start),
                Err(until) => (Answer::Original(Why::BackOff(until)), None),
            };
        }
        // T9b
        if rejection.waited {
            return (Answer::Original(Why::Fresh), None);
        }
        // T6
        if let Some(flight) = &mut self.flight {
            flight.held = true;
            return (Answer::Hold(flight.no), None);
        }
        if let Some(booked) = &mut self.booked {
            booked.held = true;
            return (Answer::Hold(booked.no), None);
        }
        // T7
        if let Some(why) = self.barrier(origin, now) {
            return (Answer::Original(why), None);
        }
        // T8
        let start = self.start(Cause::Rejected(self.generation), Some(origin));
        if let Some(flight) = &mut self.flight {
            flight.held = true;
        }
        (Answer::Hold(start.no), Some(start))
    }

    /// An origin accepted a token: its cool-down is over.
    pub(crate) fn accepted(&mut self, origin: OriginId, generation: Generation) {
        self.cooldown
            .accepted(origin, generation, generation == self.generation);
    }

    /// A flight ended (T10 to T12). `None`: it was not the one under way, and changes nothing.
    pub(crate) fn landed(
        &mut self,
        now: Timestamp,
        no: FlightNo,
        landed: Landed,
    ) -> Option<(Outcome, Option<Start>)> {
        let flight = self.flight.take_if(|flight| flight.no == no)?;
        if matches!(flight.cause, Cause::Rotation | Cause::Forced) {
            self.eager_end = Some(now.mono);
        }
        let outcome = match landed {
            Landed::Token { print, schedule } => self.token_came(now, &flight, print, schedule),
            Landed::Failed {
                fault,
                retry_after,
                draw,
            } => self.fetch_failed(now, &flight, fault, retry_after, f64::from(draw) / 255.0),
        };
        let start = self.tick(now);
        Some((outcome, start))
    }

    /// The runtime of a flight is gone (T13). Its waiters start over.
    pub(crate) fn flight_lost(&mut self, now: Timestamp, no: FlightNo) {
        if let Some(flight) = self.flight.take_if(|flight| flight.no == no) {
            // A rotation stays due by itself: only its success clears it.
            self.forced |= flight.cause == Cause::Forced;
            self.make_due(now);
        }
    }

    /// The runtime of the timer is gone (T13). The waiters of a booking start over.
    pub(crate) fn timer_lost(&mut self, now: Timestamp) {
        self.booked = None;
        self.make_due(now);
    }

    /// The client's identity changed (T15).
    pub(crate) fn identity_changed(&mut self, now: Timestamp) -> Option<Start> {
        let before = self.rotation.as_ref().map_or(0, |it| it.identity);
        self.rotation = Some(Rotation {
            identity: before + 1,
            until: Duration::ZERO,
            failures: 0,
        });
        self.noted(now)
    }

    /// Somebody asks for a new token by hand (T15).
    pub(crate) fn force(&mut self, now: Timestamp) -> Option<Start> {
        self.forced = true;
        self.noted(now)
    }

    /// The last handle was dropped, or shut down (T16).
    pub(crate) fn close(&mut self) {
        self.open = false;
        self.flight = None;
        self.booked = None;
    }

    // ----- questions -----

    /// When [`tick`](Self::tick) has something to do, if nothing else happens before.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        if !self.open || self.flight.is_some() {
            return None;
        }
        let eager = self.eager_floor();
        let wanted = self.token.is_some() || self.demanded;
        let rotation = self.rotation.as_ref().map(|it| it.until.max(eager));
        let forced = self.forced.then_some(eager);
        let scheduled = self.background_floor();
        let booked = self.booked.as_ref().map(|it| it.at);
        [rotation, forced, Some(scheduled)]
            .into_iter()
            .flatten()
            .filter(|_| wanted)
            .chain(booked)
            .min()
    }

    /// Whether a holder of `rejected` may go on with the current token: it must be newer, and not
    /// the same bytes under a new number.
    pub(crate) fn supersedes(&self, rejected: Generation) -> bool {
        self.token.is_some() && !self.is_current(rejected)
    }

    /// Whether this is a rejection of the current token, under whatever number.
    pub(crate) fn concerns_current(&self, rejection: Rejection) -> bool {
        self.open && self.token.is_some() && self.is_current(rejection.generation)
    }

    /// Whether this origin has accepted the current token.
    pub(crate) fn is_accepted_by(&self, origin: OriginId) -> bool {
        self.cooldown.has_accepted(origin, self.generation)
    }

    /// Whether this origin has accepted any token while it was the current one.
    pub(crate) fn is_known_to_accept(&self, origin: OriginId) -> bool {
        self.cooldown.has_ever_accepted(origin)
    }

    /// Whether the last fetch failed, and is to be tried again.
    pub(crate) fn has_failed(&self) -> bool {
        self.backoff.as_ref().is_some_and(|it| it.failures > 0)
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn schedule(&self) -> Option<Schedule> {
        self.token.as_ref().map(|it| it.schedule)
    }

    pub(crate) fn received(&self) -> Option<Duration> {
        self.token.as_ref().map(|it| it.received)
    }

    pub(crate) fn flying(&self) -> Option<Cause> {
        self.flight.as_ref().map(|it| it.cause)
    }

    pub(crate) fn flight_no(&self) -> Option<FlightNo> {
        self.flight.as_ref().map(|it| it.no)
    }

    /// Until when the common back-off lasts, if it does.
    pub(crate) fn backing_off(&self, now: Timestamp) -> Option<Duration> {
        self.backoff
            .as_ref()
            .map(|it| it.until)
            .filter(|until| *until > now.mono)
    }

    /// How long the current token may still be sent, if it may.
    pub(crate) fn usable_for(&self, now: Timestamp) -> Option<Duration> {
        let usable = self.open && self.usable(now);
        let schedule = self.schedule().filter(|_| usable)?;
        Some(schedule.usable_until.remaining(now))
    }

    // ----- the rules behind them -----

    fn usable(&self, now: Timestamp) -> bool {
        self.token
            .as_ref()
            .is_some_and(|it| it.schedule.age(now) != Age::Expired)
    }

    fn busy(&self) -> bool {
        self.flight.is_some() || self.booked.is_some()
    }

    /// Whether these are the bytes of the current token, under whatever number.
    fn is_current(&self, generation: Generation) -> bool {
        let print = |wanted| self.prints.iter().find(|(it, _)| *it == wanted);
        generation >= self.generation
            || match (print(generation), print(self.generation)) {
                (Some((_, then)), Some((_, now))) => then == now,
                _ => false,
            }
    }

    /// What forbids a fetch because of a rejection (T7).
    fn barrier(&self, origin: OriginId, now: Timestamp) -> Option<Why> {
        if !self.open {
            return Some(Why::Closed);
        }
        self.backing_off(now)
            .map(Why::BackOff)
            .or_else(|| self.cooldown.lasts(origin, now.mono).map(Why::CoolDown))
    }

    /// Joins the flight or booking there is, else starts or books one (T3). Fails with the end of
    /// the back-off.
    fn join_or_start(&mut self, now: Timestamp) -> Result<(FlightNo, Option<Start>), Duration> {
        self.demanded = true;
        if let Some(flight) = &self.flight {
            return Ok((flight.no, None));
        }
        if let Some(booked) = &self.booked {
            return Ok((booked.no, None));
        }
        // What is due of an identity or by hand goes first, and isn't kept by the back-off.
        if let Some(start) = self.due_eagerly(now).map(|cause| self.start(cause, None)) {
            return Ok((start.no, Some(start)));
        }
        if let Some(until) = self.backing_off(now) {
            return Err(until);
        }
        let floor = self
            .received()
            .map_or(Duration::ZERO, |received| received + DEMAND_FLOOR);
        if now.mono < floor {
            let no = self.last_no + 1;
            self.last_no = no;
            self.booked = Some(Booking {
                no,
                at: floor,
                held: false,
            });
            return Ok((no, None));
        }
        let start = self.start(Cause::Cold, None);
        Ok((start.no, Some(start)))
    }

    /// What must start now, if anything.
    fn due(&self, now: Timestamp) -> Option<Cause> {
        if !self.open || self.flight.is_some() {
            return None;
        }
        if let Some(cause) = self.due_eagerly(now) {
            return Some(cause);
        }
        if self.booked.as_ref().is_some_and(|it| it.at <= now.mono) {
            return Some(Cause::Cold);
        }
        let wanted = match &self.token {
            Some(held) => held.schedule.age(now) != Age::Fresh,
            None => self.demanded,
        };
        let floor = self
            .received()
            .map_or(Duration::ZERO, |received| received + BACKGROUND_FLOOR);
        (wanted && now.mono >= floor && self.backing_off(now).is_none()).then_some(Cause::Scheduled)
    }

    /// What of a new identity or a request by hand must start now (T15).
    fn due_eagerly(&self, now: Timestamp) -> Option<Cause> {
        let wanted = self.token.is_some() || self.demanded;
        if !self.open || !wanted || now.mono < self.eager_floor() {
            return None;
        }
        match &self.rotation {
            Some(rotation) if rotation.until <= now.mono => Some(Cause::Rotation),
            _ => self.forced.then_some(Cause::Forced),
        }
    }

    /// Before this, nothing starts for a new identity or by hand: they are kept apart, and a
    /// server's own wish is honoured.
    fn eager_floor(&self) -> Duration {
        let apart = self
            .eager_end
            .map_or(Duration::ZERO, |end| end + DEMAND_FLOOR);
        self.backoff
            .as_ref()
            .map_or(apart, |it| apart.max(it.by_server))
    }

    /// Before this, nothing starts in the background.
    fn background_floor(&self) -> Duration {
        let due = self.token.as_ref().map_or(Duration::ZERO, |held| {
            held.schedule
                .refresh_at
                .mono
                .min(held.schedule.usable_until.mono)
                .max(held.received + BACKGROUND_FLOOR)
        });
        self.backoff.as_ref().map_or(due, |it| due.max(it.until))
    }

    fn start(&mut self, cause: Cause, origin: Option<OriginId>) -> Start {
        let booked = self.booked.take();
        let no = booked.as_ref().map_or_else(
            || {
                self.last_no += 1;
                self.last_no
            },
            |it| it.no,
        );
        if cause == Cause::Forced {
            self.forced = false;
        }
        self.flight = Some(Flight {
            no,
            cause,
            origin,
            identity: self.rotation.as_ref().map_or(0, |it| it.identity),
            held: booked.is_some_and(|it| it.held),
        });
        Start { no, cause }
    }

    /// T10 and T11.
    fn token_came(
        &mut self,
        now: Timestamp,
        flight: &Flight,
        print: u64,
        schedule: Schedule,
    ) -> Outcome {
        self.backoff = None;
        let by_rejection = matches!(flight.cause, Cause::Rejected(_));
        let same = self.prints.back().is_some_and(|(_, last)| *last == print);
        if same {
            if let Some(held) = &mut self.token {
                held.schedule = schedule;
                held.received = now.mono;
            }
            if let (true, Some(origin)) = (by_rejection, flight.origin) {
                self.cooldown.step(origin, self.generation, now.mono);
            }
        } else {
            self.generation = self.generation.next();
            self.token = Some(Held {
                schedule,
                received: now.mono,
                by_rejection,
            });
            if self.prints.len() == PRINTS {
                self.prints.pop_front();
            }
            self.prints.push_back((self.generation, print));
        }
        if by_rejection || (same && flight.held) {
            self.cooldown.arm(now.mono);
        }
        if flight.cause == Cause::Rotation {
            // A newer identity may have come meanwhile: that one is still to be adopted.
            self.rotation.take_if(|it| it.identity == flight.identity);
        }
        Outcome::Token(self.generation)
    }

    /// T12.
    fn fetch_failed(
        &mut self,
        now: Timestamp,
        flight: &Flight,
        fault: Fault,
        retry_after: Option<Duration>,
        draw: f64,
    ) -> Outcome {
        let wish = retry_after.map(|wish| now.mono + backoff::server_delay(wish));
        let after =
            |failures| wish.unwrap_or_else(|| now.mono + backoff::delay(fault, failures, draw));
        if flight.cause == Cause::Rotation {
            // A newer identity may have come meanwhile: that one hasn't failed yet.
            if let Some(rotation) = &mut self.rotation
                && rotation.identity == flight.identity
            {
                rotation.failures = rotation.failures.saturating_add(1);
                rotation.until = after(rotation.failures);
            }
            // The new identity's failure is not the old one's, but a server that asks to be left
            // alone means everybody.
            if let Some(wish) = wish {
                self.back_off(wish, wish);
            }
            return Outcome::StartOver;
        }
        let failures = self.backoff.as_ref().map_or(0, |it| it.failures);
        let failures = failures.saturating_add(1);
        self.back_off(after(failures), wish.unwrap_or_default())
            .failures = failures;
        if let Cause::Rejected(_) = flight.cause {
            self.cooldown.arm(now.mono);
        }
        Outcome::Failed
    }

    /// Nothing of what is asked for already is taken back.
    fn back_off(&mut self, until: Duration, by_server: Duration) -> &mut BackOff {
        let it = self.backoff.get_or_insert_default();
        it.until = it.until.max(until);
        it.by_server = it.by_server.max(by_server);
        it
    }

    /// Something became due by hand or by a new identity (T15).
    fn noted(&mut self, now: Timestamp) -> Option<Start> {
        if self.token.is_none() {
            // What failed before may work with what is new. The server's wish stands.
            self.backoff = self.backoff.take().map(|it| BackOff {
                until: it.by_server,
                failures: 0,
                ..it
            });
        }
        self.tick(now)
    }

    /// Nobody keeps the timer any more: the next call that sees the token has to kick.
    fn make_due(&mut self, now: Timestamp) {
        if let Some(held) = &mut self.token {
            held.schedule.refresh_at = now.deadline(Duration::ZERO);
        }
    }
}
