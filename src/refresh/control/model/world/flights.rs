//! Fetches: how they start, how they end, and who hears of it.

use std::time::Duration;

use super::{
    super::{
        super::{Landed, Outcome, Rejection, Start},
        block::Block,
        ghost::{Check, Rule, Running, ensure},
        scope::Ending,
    },
    CALLERS, Caller, Wait, World,
};
use crate::{
    refresh::backoff::Fault,
    token::{Cause, Schedule},
};

impl<B: Block> World<B> {
    pub(super) fn booked(&self) -> Option<u64> {
        self.block.control().booked.as_ref().map(|it| it.no)
    }

    pub(super) fn started(&mut self, start: Option<Start>, refusal: Option<Rejection>) -> Check {
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

    pub(super) fn land(&mut self, ending: Ending) -> Check {
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
        match outcome {
            Outcome::Token(brought) => {
                ensure(brought == current, Rule::I2, "another number is told")?;
            }
            Outcome::Failed => {
                let own = flight.cause != Cause::Rotation;
                ensure(own, Rule::Demand, "a refused identity fails who waits")?;
            }
            Outcome::StartOver => {}
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
    pub(super) fn tell(
        &mut self,
        no: u64,
        outcome: Outcome,
        whom: impl Fn(&Wait) -> bool,
    ) -> Check {
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
}
