//! The block's surroundings: callers, flights, resources, an authorization server, and the time.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::{
    super::{Answer, Demand, Landed, OriginId, Outcome, Rejection, Start, Why},
    block::Block,
    ghost::{Check, Ghost, Rule, Running, ensure},
    key,
};
use crate::{
    clock::Timestamp,
    refresh::backoff::Fault,
    token::{Age, Cause, Generation, Schedule},
};

const CALLERS: usize = 3;

/// As often as one likes.
pub(super) const ALWAYS: u8 = u8::MAX;

/// How often each thing may happen, and to whom. What isn't named can't happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) callers: u8,
    pub(super) origins: u8,
    /// The first token is there, and was accepted by the first origin.
    pub(super) warm: bool,
    /// Told waiters go on some time later, not at once.
    pub(super) lazy: bool,
    /// Some requests can't be repeated.
    pub(super) unrepeatable: bool,

    /// How often the time goes on.
    pub(super) moments: u8,
    pub(super) calls: u8,
    pub(super) tokens: u8,
    pub(super) born_expired: u8,
    pub(super) same_bytes: u8,
    pub(super) old_bytes: u8,
    pub(super) failures: u8,
    pub(super) retry_afters: u8,
    pub(super) panics: u8,
    pub(super) rollovers: u8,
    pub(super) misconfigurations: u8,
    pub(super) suspends: u8,
    pub(super) lost_flights: u8,
    pub(super) lost_timers: u8,
    pub(super) cancels: u8,
    pub(super) rotations: u8,
    pub(super) forces: u8,
    pub(super) closes: u8,
}

impl Scope {
    pub(super) const NOTHING: Self = Self {
        callers: 0,
        origins: 0,
        warm: false,
        lazy: false,
        unrepeatable: false,
        moments: 0,
        calls: 0,
        tokens: 0,
        born_expired: 0,
        same_bytes: 0,
        old_bytes: 0,
        failures: 0,
        retry_afters: 0,
        panics: 0,
        rollovers: 0,
        misconfigurations: 0,
        suspends: 0,
        lost_flights: 0,
        lost_timers: 0,
        cancels: 0,
        rotations: 0,
        forces: 0,
        closes: 0,
    };
}

/// How a fetch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Token,
    BornExpired,
    SameBytes,
    OldBytes,
    Failure,
    RetryAfter,
    Panic,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Call {
        caller: usize,
        origin: usize,
        repeatable: bool,
    },
    /// The resource answers.
    Respond {
        caller: usize,
    },
    /// A waiter that was told goes on.
    Resume {
        caller: usize,
    },
    Cancel {
        caller: usize,
    },
    Land(Ending),
    LoseFlight,
    LoseTimer,
    /// The timer rings.
    Tick,
    /// The time goes on to the next moment that matters to anybody.
    Advance,
    /// Wall time goes on, monotonic time doesn't.
    Suspend,
    /// All tokens so far are refused from now on.
    Rollover,
    /// This origin begins to refuse every token, or ceases to.
    Misconfigure {
        origin: usize,
    },
    ChangeIdentity,
    Force,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Call {
    origin: usize,
    repeatable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Wait {
    call: Call,
    /// The rejection that is held.
    held: Option<Rejection>,
    /// This caller started the flight.
    started: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Caller {
    Idle,
    Waiting {
        no: u64,
        wait: Wait,
    },
    Told {
        outcome: Outcome,
        wait: Wait,
    },
    Sent {
        call: Call,
        generation: Generation,
        waited: bool,
        again: bool,
    },
}

/// The authorization server and the resources.
#[derive(Clone, Debug, Hash)]
struct Servers {
    minted: u64,
    /// Tokens from this one on are valid.
    valid_from: u64,
    refuses: [bool; 2],
}

#[derive(Clone, Debug)]
pub(super) struct World<B> {
    block: B,
    ghost: Ghost,
    now: Timestamp,
    callers: [Caller; CALLERS],
    running: Vec<Running>,
    /// Somebody holds a rejection of the current token for what is booked.
    booking_held: bool,
    /// The timer's runtime is there.
    timer: bool,
    servers: Servers,
    left: Scope,
}

impl<B: Block> World<B> {
    pub(super) fn new(scope: Scope) -> Check<Self> {
        let mut world = Self {
            block: B::new(),
            ghost: Ghost::default(),
            now: Timestamp {
                mono: Duration::from_secs(1_000),
                wall: Duration::from_secs(1_000_000),
            },
            callers: [Caller::Idle; CALLERS],
            running: Vec::new(),
            booking_held: false,
            timer: true,
            servers: Servers {
                minted: 0,
                valid_from: 0,
                refuses: [false; 2],
            },
            left: scope,
        };
        if scope.warm {
            world.call(0, 0, true)?;
            world.land(Ending::Token)?;
            if scope.lazy {
                world.resume(0)?;
            }
            world.respond(0)?;
            // Long ago.
            let later = Duration::from_secs(5);
            world.now.mono += later;
            world.now.wall += later;
        }
        Ok(world)
    }

    // ----- what can happen -----

    pub(super) fn acts(&self) -> Vec<Act> {
        let left = &self.left;
        let mut acts = Vec::new();
        let mut may = |left: u8, act| {
            if left > 0 {
                acts.push(act);
            }
        };

        let callers = self.callers.iter().take(left.callers.into());
        let mut idle_seen = false;
        for (caller, state) in callers.enumerate() {
            match state {
                // One idle caller is as good as another.
                Caller::Idle if idle_seen => {}
                Caller::Idle => {
                    idle_seen = true;
                    for origin in 0..left.origins.into() {
                        for repeatable in [true, false] {
                            if repeatable || left.unrepeatable {
                                let act = Act::Call {
                                    caller,
                                    origin,
                                    repeatable,
                                };
                                may(left.calls, act);
                            }
                        }
                    }
                }
                Caller::Waiting { .. } => may(left.cancels, Act::Cancel { caller }),
                Caller::Told { .. } => {
                    may(1, Act::Resume { caller });
                    may(left.cancels, Act::Cancel { caller });
                }
                Caller::Sent { .. } => may(1, Act::Respond { caller }),
            }
        }
        if !self.running.is_empty() {
            may(left.tokens, Act::Land(Ending::Token));
            may(left.born_expired, Act::Land(Ending::BornExpired));
            if self.ghost.has_token() {
                may(left.same_bytes, Act::Land(Ending::SameBytes));
            }
            if self.ghost.old_print().is_some() {
                may(left.old_bytes, Act::Land(Ending::OldBytes));
            }
            may(left.failures, Act::Land(Ending::Failure));
            may(left.retry_afters, Act::Land(Ending::RetryAfter));
            may(left.panics, Act::Land(Ending::Panic));
            may(left.lost_flights, Act::LoseFlight);
        }
        if self.timer {
            may(left.lost_timers, Act::LoseTimer);
            if self.rings() {
                may(1, Act::Tick);
            }
        }
        if self.next_moment().is_some() {
            may(left.moments, Act::Advance);
        }
        if self.servers.valid_from <= self.servers.minted {
            may(left.rollovers, Act::Rollover);
        }
        for origin in 0..left.origins.into() {
            may(left.misconfigurations, Act::Misconfigure { origin });
        }
        may(left.suspends, Act::Suspend);
        if !self.ghost.closed {
            may(left.rotations, Act::ChangeIdentity);
            may(left.forces, Act::Force);
            may(left.closes, Act::Close);
        }
        acts
    }

    fn spend(&mut self, act: Act) {
        let left = &mut self.left;
        let of = match act {
            Act::Call { .. } => &mut left.calls,
            Act::Cancel { .. } => &mut left.cancels,
            Act::Land(ending) => match ending {
                Ending::Token => &mut left.tokens,
                Ending::BornExpired => &mut left.born_expired,
                Ending::SameBytes => &mut left.same_bytes,
                Ending::OldBytes => &mut left.old_bytes,
                Ending::Failure => &mut left.failures,
                Ending::RetryAfter => &mut left.retry_afters,
                Ending::Panic => &mut left.panics,
            },
            Act::LoseFlight => &mut left.lost_flights,
            Act::LoseTimer => &mut left.lost_timers,
            Act::Suspend => &mut left.suspends,
            Act::Rollover => &mut left.rollovers,
            Act::Misconfigure { .. } => &mut left.misconfigurations,
            Act::ChangeIdentity => &mut left.rotations,
            Act::Force => &mut left.forces,
            Act::Close => &mut left.closes,
            Act::Advance => &mut left.moments,
            Act::Respond { .. } | Act::Resume { .. } | Act::Tick => return,
        };
        if *of != ALWAYS {
            *of -= 1;
        }
    }

    /// The world after this.
    pub(super) fn after(&self, act: Act) -> Check<Self> {
        let mut world = self.clone();
        world.spend(act);
        world.happens(act)?;
        Ok(world)
    }

    fn happens(&mut self, act: Act) -> Check {
        match act {
            Act::Call {
                caller,
                origin,
                repeatable,
            } => self.call(caller, origin, repeatable),
            Act::Respond { caller } => self.respond(caller),
            Act::Resume { caller } => self.resume(caller),
            Act::Cancel { caller } => {
                self.cancel(caller);
                Ok(())
            }
            Act::Land(ending) => self.land(ending),
            Act::LoseFlight => {
                let flight = self.running.remove(0);
                self.ghost.forced |= flight.cause == Cause::Forced;
                self.block.flight_lost(self.now, flight.no);
                self.tell(flight.no, Outcome::StartOver, |_| true)
            }
            Act::LoseTimer => {
                let booked = self.booked();
                self.block.timer_lost(self.now);
                self.timer = false;
                self.booking_held = false;
                booked.map_or(Ok(()), |no| self.tell(no, Outcome::StartOver, |_| true))
            }
            Act::Tick => self.tick(),
            Act::Advance => {
                let moment = self.next_moment().unwrap_or(self.now.mono);
                self.go_on_to(moment);
                Ok(())
            }
            Act::Suspend => {
                self.now.wall += Duration::from_secs(3_600);
                Ok(())
            }
            Act::Rollover => {
                self.servers.valid_from = self.servers.minted + 1;
                Ok(())
            }
            Act::Misconfigure { origin } => {
                let refuses = &mut self.servers.refuses[origin];
                *refuses = !*refuses;
                Ok(())
            }
            Act::ChangeIdentity => {
                self.ghost.identity_changed();
                self.ghost.noted();
                let start = self.block.identity_changed(self.now);
                self.started(start, None)
            }
            Act::Force => {
                self.ghost.forced = true;
                self.ghost.noted();
                let start = self.block.force(self.now);
                self.started(start, None)
            }
            Act::Close => {
                self.block.close();
                self.ghost.closed = true;
                self.running.clear();
                self.booking_held = false;
                for caller in &mut self.callers {
                    if let Caller::Waiting { .. } = caller {
                        *caller = Caller::Idle;
                    }
                }
                Ok(())
            }
        }?;
        self.holds()
    }

    /// What is true of every state.
    fn holds(&self) -> Check {
        let one = self.running.len() <= 1;
        ensure(one, Rule::I1, "two fetches run")?;
        for caller in &self.callers {
            if let Caller::Waiting { no, .. } = caller {
                let comes = self.running.iter().any(|it| it.no == *no)
                    || (self.booked() == Some(*no) && self.block.next_tick().is_some());
                ensure(comes, Rule::I7, "somebody waits for nothing")?;
            }
        }
        Ok(())
    }

    // ----- callers -----

    fn call(&mut self, caller: usize, origin: usize, repeatable: bool) -> Check {
        let call = Call { origin, repeatable };
        if self.ghost.closed {
            return Ok(());
        }
        let control = self.block.control();
        match control.schedule().map(|it| it.age(self.now)) {
            Some(Age::Fresh) => self.send(caller, call, None, false),
            Some(Age::Due) => {
                self.send(caller, call, None, false)?;
                self.timer = true;
                let start = self.block.tick(self.now);
                self.started(start, None)
            }
            Some(Age::Expired) | None => self.demand(caller, call),
        }
    }

    fn demand(&mut self, caller: usize, call: Call) -> Check {
        let usable = self.ghost.usable(self.now);
        let waited_out = self.ghost.backing_off(self.now) && self.running.is_empty();
        if !self.ghost.closed {
            self.timer = true;
            self.ghost.demanded |= !usable;
        }
        let (demand, start) = self.block.demand(self.now);
        let started = start.is_some();
        self.started(start, None)?;
        match demand {
            Demand::Use => self.send(caller, call, None, false),
            Demand::Wait(no) => {
                let wait = Wait {
                    call,
                    held: None,
                    started,
                };
                self.callers[caller] = Caller::Waiting { no, wait };
                Ok(())
            }
            Demand::Fail { .. } => {
                self.callers[caller] = Caller::Idle;
                let reason = self.ghost.closed || (waited_out && !usable);
                ensure(reason, Rule::Demand, "a call fails without a reason")
            }
        }
    }

    /// `brought`: the token of the flight that was waited for.
    fn send(
        &mut self,
        caller: usize,
        call: Call,
        brought: Option<Generation>,
        again: bool,
    ) -> Check {
        let generation = self.block.control().generation();
        let waited = brought == Some(generation);
        self.callers[caller] = Caller::Sent {
            call,
            generation,
            waited,
            again,
        };
        let usable = self.ghost.usable(self.now) || waited;
        ensure(usable, Rule::I4, "an expired token is sent")
    }

    fn send_again(
        &mut self,
        caller: usize,
        call: Call,
        refused: Generation,
        brought: Option<Generation>,
    ) -> Check {
        let current = self.block.control().generation();
        let newer = current > refused && !self.ghost.is_current(refused);
        ensure(newer, Rule::I3, "a refused token is sent again")?;
        ensure(call.repeatable, Rule::I11, "what can't be repeated is")?;
        self.send(caller, call, brought, true)
    }

    fn respond(&mut self, caller: usize) -> Check {
        let Caller::Sent {
            call,
            generation,
            waited,
            again,
        } = self.callers[caller]
        else {
            return Ok(());
        };
        let print = self.ghost.print(generation);
        let origin = OriginId(call.origin as u64);
        if print >= self.servers.valid_from && !self.servers.refuses[call.origin] {
            self.ghost.accepted(call.origin, generation);
            self.block.accepted(origin, generation);
            self.callers[caller] = Caller::Idle;
            return Ok(());
        }
        let rejection = Rejection {
            generation,
            origin,
            waited,
            retryable: call.repeatable && !again,
        };
        self.reject(caller, call, rejection)
    }

    fn reject(&mut self, caller: usize, call: Call, rejection: Rejection) -> Check {
        let Ghost { closed, .. } = self.ghost;
        let now = self.now;
        self.timer |= !closed;
        self.ghost.refused(now, rejection);
        let current = self.ghost.is_current(rejection.generation);
        let usable = self.ghost.usable(now);
        if !closed && rejection.retryable && !current {
            self.ghost.demanded |= !usable;
        }
        let flies = self.running.first().map(|it| it.no).or(self.booked());
        let failed = self.ghost.backing_off(now);
        let barred = self.ghost.barred(call.origin, now);

        let (answer, start) = self.block.rejected(now, rejection);
        let starts = start.map(|it| it.no);
        self.started(start, Some(rejection))?;

        let may_go_on = rejection.retryable || matches!(answer, Answer::Original(_));
        ensure(may_go_on, Rule::I11, "a request goes on for a third time")?;
        let known = |no| flies.or(starts).is_none_or(|it| it == no);
        // A rotation that fell due meanwhile may start although there is a back-off.
        let eager = self
            .running
            .first()
            .is_some_and(|it| matches!(it.cause, Cause::Rotation | Cause::Forced));
        let as_told = match (rejection.retryable, current) {
            (false, true) => starts.is_some() == (flies.is_none() && !barred),
            (false, false) => starts.is_none(),
            (true, false) if closed => matches!(answer, Answer::Original(Why::Closed)),
            (true, false) if usable => answer == Answer::Resend && starts.is_none(),
            (true, false) if flies.is_none() && failed && !eager => {
                matches!(answer, Answer::Original(Why::BackOff(_))) && starts.is_none()
            }
            (true, false) => matches!(answer, Answer::Hold(no) if known(no)),
            (true, true) if rejection.waited => {
                answer == Answer::Original(Why::Fresh) && starts.is_none()
            }
            (true, true) if flies.is_none() && barred => {
                matches!(answer, Answer::Original(_)) && starts.is_none()
            }
            (true, true) => matches!(answer, Answer::Hold(no) if known(no)),
        };
        ensure(as_told, Rule::I12, "a rejection is not answered as told")?;

        match answer {
            Answer::Resend => self.send_again(caller, call, rejection.generation, None),
            Answer::Hold(no) => {
                if current {
                    match self.running.iter_mut().find(|it| it.no == no) {
                        Some(flight) => flight.held = true,
                        None => self.booking_held = true,
                    }
                }
                let wait = Wait {
                    call,
                    held: Some(rejection),
                    started: starts.is_some(),
                };
                self.callers[caller] = Caller::Waiting { no, wait };
                Ok(())
            }
            Answer::Original(_) => {
                self.callers[caller] = Caller::Idle;
                Ok(())
            }
        }
    }

    /// A waiter goes on with what it was told.
    fn resume(&mut self, caller: usize) -> Check {
        let Caller::Told { outcome, wait } = self.callers[caller] else {
            return Ok(());
        };
        self.callers[caller] = Caller::Idle;
        let Wait { call, held, .. } = wait;
        let usable = self.ghost.usable(self.now);
        match (outcome, held) {
            (Outcome::StartOver, None) => self.demand(caller, call),
            (Outcome::StartOver, Some(rejection)) => self.reject(caller, call, rejection),
            (Outcome::Failed, None) if usable => self.send(caller, call, None, false),
            (Outcome::Failed, _) => Ok(()),
            (Outcome::Token(_), _) if self.ghost.closed => Ok(()),
            (Outcome::Token(brought), _) => {
                // Others may have been quicker: the token that came next may have ended already.
                let goes_on = brought == self.block.control().generation() || usable;
                match held {
                    None if goes_on => self.send(caller, call, Some(brought), false),
                    None => self.demand(caller, call),
                    Some(rejection) if !self.block.supersedes(rejection.generation) => {
                        let same = self.ghost.is_current(rejection.generation);
                        ensure(same, Rule::I12, "a newer token is kept from a holder")
                    }
                    Some(rejection) if goes_on => {
                        self.send_again(caller, call, rejection.generation, Some(brought))
                    }
                    Some(rejection) => self.reject(caller, call, rejection),
                }
            }
        }
    }

    fn cancel(&mut self, caller: usize) {
        if let Caller::Waiting { no, wait } = self.callers[caller] {
            if B::FLIGHT_BELONGS_TO_ITS_CALLER && wait.started {
                self.running.retain(|it| it.no != no);
            }
        }
        self.callers[caller] = Caller::Idle;
    }

    // ----- flights -----

    fn booked(&self) -> Option<u64> {
        self.block.control().booked.as_ref().map(|it| it.no)
    }

    fn started(&mut self, start: Option<Start>, refusal: Option<Rejection>) -> Check {
        let Some(Start { no, cause }) = start else {
            return Ok(());
        };
        self.ghost.may_start(cause, self.now)?;
        self.ghost.forced &= cause != Cause::Forced;
        let refusal = match cause {
            Cause::Rejected(_) => refusal.map(|it| self.ghost.by_newest_number(it)),
            _ => None,
        };
        self.running.push(Running {
            no,
            cause,
            refusal,
            held: std::mem::take(&mut self.booking_held),
            identity: self.ghost.identity_for(cause),
        });
        ensure(self.running.len() == 1, Rule::I1, "two fetches run")
    }

    fn land(&mut self, ending: Ending) -> Check {
        let now = self.now;
        let flight = self.running.remove(0);
        let lasts = |seconds| Schedule {
            refresh_at: now.deadline(Duration::from_secs(6).min(seconds)),
            usable_until: now.deadline(seconds),
        };
        let long = lasts(Duration::from_secs(8));
        let failed = |retry_after| Landed::Failed {
            fault: Fault::Temporary,
            retry_after,
            draw: u8::MAX,
        };
        let same = self.ghost.current_print().unwrap_or_default();
        let landed = match ending {
            Ending::Token | Ending::BornExpired => {
                self.servers.minted += 1;
                let expired = ending == Ending::BornExpired;
                Landed::Token {
                    print: self.servers.minted,
                    schedule: if expired { lasts(Duration::ZERO) } else { long },
                }
            }
            Ending::SameBytes => Landed::Token {
                print: same,
                schedule: long,
            },
            Ending::OldBytes => Landed::Token {
                print: self.ghost.old_print().unwrap_or_default(),
                schedule: long,
            },
            Ending::Failure | Ending::Panic => failed(None),
            Ending::RetryAfter => failed(Some(Duration::from_secs(2))),
        };

        // The task of a flight keeps the timer from then on.
        self.timer = true;
        let before = (
            self.block.control().generation(),
            self.block.control().schedule(),
        );
        let Some((outcome, start)) = self.block.landed(now, flight.no, landed) else {
            return Ok(());
        };
        let control = self.block.control();
        let current = control.generation();
        ensure(current >= before.0, Rule::I2, "a number falls")?;
        if let Landed::Failed { .. } = landed {
            let kept = before == (current, control.schedule());
            ensure(kept, Rule::I9, "a failed fetch changes the token")?;
        }
        self.ghost.landed(now, &flight, landed, current)?;
        if let Outcome::Token(brought) = outcome {
            ensure(brought == current, Rule::I2, "another number is told")?;
        }
        self.started(start, None)?;

        let told = match ending {
            Ending::Panic => B::PANICS_ARE_TOLD,
            _ => true,
        };
        let unmoved = current == before.0 && matches!(outcome, Outcome::Token(_));
        self.tell(flight.no, outcome, |wait| {
            told && (!unmoved || wait.held.is_some() || B::SAME_BYTES_ARE_TOLD)
        })
    }

    /// Tells the waiters of a flight how it ended.
    fn tell(&mut self, no: u64, outcome: Outcome, whom: impl Fn(&Wait) -> bool) -> Check {
        for caller in &mut self.callers {
            match *caller {
                Caller::Waiting { no: it, wait } if it == no && whom(&wait) => {
                    *caller = Caller::Told { outcome, wait };
                }
                _ => {}
            }
        }
        if !self.left.lazy {
            for caller in 0..CALLERS {
                self.resume(caller)?;
            }
        }
        Ok(())
    }

    // ----- time -----

    fn rings(&self) -> bool {
        let at = self.block.next_tick();
        at.is_some_and(|at| at <= self.now.mono)
    }

    fn tick(&mut self) -> Check {
        let start = self.block.tick(self.now);
        ensure(start.is_some(), Rule::Timer, "the timer rings for nothing")?;
        self.started(start, None)
    }

    fn next_moment(&self) -> Option<Duration> {
        key::deadlines(self.block.control(), self.now)
            .chain(self.ghost.deadlines())
            .filter(|at| *at > self.now.mono)
            .min()
    }

    fn go_on_to(&mut self, moment: Duration) {
        let span = moment.saturating_sub(self.now.mono);
        self.now.mono += span;
        self.now.wall += span;
    }

    // ----- the end -----

    /// The next step with an honest server and no new callers. `None`: all is done.
    pub(super) fn drains(&mut self) -> Check<Option<()>> {
        self.servers.refuses = [false; 2];
        self.left.lazy = false;
        let at = |it: fn(&Caller) -> bool| self.callers.iter().position(it);
        if let Some(caller) = at(|it| matches!(it, Caller::Told { .. })) {
            self.resume(caller)?;
        } else if !self.running.is_empty() {
            self.land(Ending::Token)?;
        } else if let Some(caller) = at(|it| matches!(it, Caller::Sent { .. })) {
            self.respond(caller)?;
        } else if self.wants() {
            // Without a timer it is the next call that notices.
            if !self.timer {
                self.call(0, 0, true)?;
                ensure(self.timer, Rule::Drain, "a call doesn't notice")?;
            } else {
                let next = self.block.next_tick();
                ensure(next.is_some(), Rule::Drain, "nothing will ever happen")?;
                self.go_on_to(next.unwrap_or_default());
                self.tick()?;
            }
        } else {
            return Ok(None);
        }
        self.holds()?;
        Ok(Some(()))
    }

    /// Whether anybody still has something to expect.
    fn wants(&self) -> bool {
        let ghost = &self.ghost;
        let waits = self.callers.iter().any(|it| *it != Caller::Idle);
        let cold = ghost.demanded && !ghost.has_token();
        let noted = ghost.newest > ghost.in_use || ghost.forced;
        let noted = noted && (ghost.has_token() || ghost.demanded);
        waits || (!ghost.closed && (cold || noted))
    }

    // ----- its name -----

    /// Two worlds with the same key go the same ways. `left` says whether what may still happen
    /// counts too.
    pub(super) fn key(&self, left: bool) -> u64 {
        let hash = |hashed: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            hashed(&mut hasher);
            hasher.finish()
        };
        let last = self.block.control().last_no;
        // One caller is as good as another.
        let mut callers = self.callers.map(|mut caller| {
            if let Caller::Waiting { no, .. } = &mut caller {
                *no = last - *no;
            }
            hash(&|hasher| caller.hash(hasher))
        });
        callers.sort_unstable();
        hash(&|hasher| {
            callers.hash(hasher);
            key::seen_from(self.block.control(), self.now).hash(hasher);
            self.ghost.seen_from(self.now).hash(hasher);
            for flight in &self.running {
                let no = last - flight.no;
                Running { no, ..*flight }.hash(hasher);
            }
            (self.booking_held, self.timer).hash(hasher);
            self.servers.hash(hasher);
            if left {
                self.left.hash(hasher);
            }
        })
    }

    /// For a trace.
    pub(super) fn summary(&self) -> String {
        let control = self.block.control();
        let callers = &self.callers[..self.left.callers.into()];
        format!(
            "{:.1} s, token {}, flies {:?}, booked {:?}, {callers:?}",
            self.now.mono.as_secs_f64() - 1_000.0,
            control.generation(),
            self.running.first().map(|it| it.cause),
            self.booked(),
        )
    }
}
