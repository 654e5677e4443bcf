//! The block's surroundings: callers, flights, resources, an authorization server, and the time.

mod callers;
mod flights;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::{
    super::{Outcome, Rejection},
    block::Block,
    ghost::{Check, Ghost, Rule, Running, ensure},
    key,
    scope::{Act, Ending, Scope},
};
use crate::{
    clock::Timestamp,
    token::{Cause, Generation},
};

const CALLERS: usize = 3;

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

    /// The world after this.
    pub(super) fn after(&self, act: Act) -> Check<Self> {
        let mut world = self.clone();
        world.left.spend(act);
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
                self.ghost.note();
                let start = self.block.identity_changed(self.now);
                self.started(start, None)
            }
            Act::Force => {
                self.ghost.forced = true;
                self.ghost.note();
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
        let noted = self.running.is_empty() && self.ghost.noted_is_due(self.now);
        let noticed = !noted || self.rings();
        ensure(noticed, Rule::Noted, "something new is kept waiting")
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
        waits || ghost.noted_is_wanted() || (cold && !ghost.closed)
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
