//! What a request and the layer around it do.

use super::{
    super::{
        super::{Answer, Demand, OriginId, Outcome, Rejection, Why},
        block::Block,
        ghost::{Check, Ghost, Rule, ensure},
    },
    Call, Caller, Wait, World,
};
use crate::token::{Age, Cause, Generation};

impl<B: Block> World<B> {
    pub(super) fn call(&mut self, caller: usize, origin: usize, repeatable: bool) -> Check {
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

    pub(super) fn demand(&mut self, caller: usize, call: Call) -> Check {
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
    pub(super) fn send(
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

    pub(super) fn send_again(
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

    pub(super) fn respond(&mut self, caller: usize) -> Check {
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

    pub(super) fn reject(&mut self, caller: usize, call: Call, rejection: Rejection) -> Check {
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
    pub(super) fn resume(&mut self, caller: usize) -> Check {
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

    pub(super) fn cancel(&mut self, caller: usize) {
        if let Caller::Waiting { no, wait } = self.callers[caller]
            && B::FLIGHT_BELONGS_TO_ITS_CALLER
            && wait.started
        {
            self.running.retain(|it| it.no != no);
        }
        self.callers[caller] = Caller::Idle;
    }
}
