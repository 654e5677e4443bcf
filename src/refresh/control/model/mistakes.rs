//! Blocks and shells with one mistake each: a checker that lets one of them pass checks nothing.

use std::time::Duration;

use super::{
    super::{Answer, Control, Demand, FlightNo, Landed, Outcome, Rejection, Start, Why},
    block::Block,
    ghost::Rule,
    search::explore,
    world::Scope,
};
use crate::{
    clock::Timestamp,
    token::{Cause, Generation},
};

macro_rules! mistake {
    ($name:ident { $($altered:tt)* }) => {
        #[derive(Clone)]
        struct $name(Control);

        impl Block for $name {
            fn new() -> Self {
                Self(Control::new())
            }

            fn control(&self) -> &Control {
                &self.0
            }

            fn control_mut(&mut self) -> &mut Control {
                &mut self.0
            }

            $($altered)*
        }
    };
}

/// The mistake breaks this rule; without it, all is well within the same scope.
fn caught<B: Block>(rule: Rule, scope: Scope) {
    match explore::<B>(scope) {
        Err(found) => assert_eq!(found.rule, rule, "{found:?}"),
        Ok(explored) => panic!("nobody noticed in {explored:?}"),
    }
    explore::<Control>(scope).expect("the real block is well");
}

/// Two callers of one origin and a token that was accepted.
const TWO: Scope = Scope {
    callers: 2,
    origins: 1,
    warm: true,
    moments: 4,
    calls: 2,
    tokens: 2,
    ..Scope::NOTHING
};

/// The same before the first token.
const COLD: Scope = Scope { warm: false, ..TWO };

mistake!(OldRejectionsCountAsNew {
    fn rejected(&mut self, now: Timestamp, rejection: Rejection) -> (Answer, Option<Start>) {
        let generation = self.0.generation();
        self.0.rejected(now, Rejection { generation, ..rejection })
    }
});

#[test]
fn a_rejection_of_an_old_token_that_counts_as_one_of_the_new() {
    let scope = Scope {
        rollovers: 1,
        ..TWO
    };
    caught::<OldRejectionsCountAsNew>(Rule::I12, scope);
}

mistake!(FlightsBelongToTheirCallers {
    const FLIGHT_BELONGS_TO_ITS_CALLER: bool = true;
});

#[test]
fn a_flight_that_is_cancelled_with_its_caller() {
    let scope = Scope {
        cancels: 1,
        suspends: 1,
        ..TWO
    };
    caught::<FlightsBelongToTheirCallers>(Rule::I7, scope);
}

mistake!(FailuresClearTheToken {
    fn landed(
        &mut self,
        now: Timestamp,
        no: FlightNo,
        landed: Landed,
    ) -> Option<(Outcome, Option<Start>)> {
        if let Landed::Failed { .. } = landed {
            self.0.token = None;
        }
        self.0.landed(now, no, landed)
    }
});

#[test]
fn a_failed_flight_that_clears_the_token() {
    let scope = Scope { failures: 1, ..TWO };
    caught::<FailuresClearTheToken>(Rule::I9, scope);
}

mistake!(SameBytesDoNotCoolDown {
    fn landed(
        &mut self,
        now: Timestamp,
        no: FlightNo,
        landed: Landed,
    ) -> Option<(Outcome, Option<Start>)> {
        let (number, cooldown) = (self.0.generation(), self.0.cooldown.clone());
        let landed = self.0.landed(now, no, landed);
        if self.0.generation() == number {
            self.0.cooldown = cooldown;
        }
        landed
    }
});

#[test]
fn no_cool_down_after_the_same_bytes() {
    let scope = Scope {
        same_bytes: 1,
        rollovers: 1,
        ..TWO
    };
    caught::<SameBytesDoNotCoolDown>(Rule::I6, scope);
}

mistake!(NoBackOff {
    fn demand(&mut self, now: Timestamp) -> (Demand, Option<Start>) {
        self.0.backoff = None;
        self.0.demand(now)
    }
});

#[test]
fn a_back_off_that_is_ignored() {
    let scope = Scope {
        failures: 1,
        ..COLD
    };
    caught::<NoBackOff>(Rule::I5, scope);
}

mistake!(AFlightEach {
    fn demand(&mut self, now: Timestamp) -> (Demand, Option<Start>) {
        self.0.flight = None;
        self.0.demand(now)
    }
});

#[test]
fn two_flights() {
    caught::<AFlightEach>(Rule::I1, COLD);
}

mistake!(PanicsAreNotTold {
    const PANICS_ARE_TOLD: bool = false;
});

#[test]
fn a_waiter_that_is_not_woken_after_a_panic() {
    let scope = Scope { panics: 1, ..COLD };
    caught::<PanicsAreNotTold>(Rule::I7, scope);
}

mistake!(ExpiredTokensAreHandedOut {
    fn demand(&mut self, now: Timestamp) -> (Demand, Option<Start>) {
        if self.0.token.is_some() {
            return (Demand::Use, None);
        }
        self.0.demand(now)
    }
});

#[test]
fn an_expired_token_for_a_new_caller() {
    let scope = Scope { suspends: 1, ..TWO };
    caught::<ExpiredTokensAreHandedOut>(Rule::I4, scope);
}

mistake!(WaitersWaitForANumber {
    const SAME_BYTES_ARE_TOLD: bool = false;
});

#[test]
fn cold_waiters_that_hang_when_the_same_bytes_come() {
    let scope = Scope {
        same_bytes: 1,
        suspends: 1,
        ..TWO
    };
    caught::<WaitersWaitForANumber>(Rule::I7, scope);
}

mistake!(RefusedRotationsAreEverybodysFailure {
    fn landed(
        &mut self,
        now: Timestamp,
        no: FlightNo,
        landed: Landed,
    ) -> Option<(Outcome, Option<Start>)> {
        let rotates = self.0.flying() == Some(Cause::Rotation);
        let result = self.0.landed(now, no, landed);
        if let (true, Landed::Failed { .. }) = (rotates, landed) {
            self.0.back_off(now.mono + Duration::from_secs(1), Duration::ZERO);
        }
        result
    }
});

#[test]
fn a_refused_rotation_that_arms_the_common_back_off() {
    let scope = Scope {
        failures: 1,
        rotations: 1,
        rollovers: 1,
        ..TWO
    };
    caught::<RefusedRotationsAreEverybodysFailure>(Rule::I12, scope);
}

mistake!(FreshIsReadBeforeOld {
    fn rejected(&mut self, now: Timestamp, rejection: Rejection) -> (Answer, Option<Start>) {
        if rejection.waited && rejection.retryable {
            return (Answer::Original(Why::Fresh), None);
        }
        self.0.rejected(now, rejection)
    }
});

#[test]
fn a_token_that_was_waited_for_and_is_old_by_now() {
    let scope = Scope {
        rollovers: 1,
        ..COLD
    };
    caught::<FreshIsReadBeforeOld>(Rule::I12, scope);
}

mistake!(RotationsDieWithTheirRuntime {
    fn flight_lost(&mut self, now: Timestamp, no: FlightNo) {
        if self.0.flying() == Some(Cause::Rotation) {
            self.0.rotation = None;
        }
        self.0.flight_lost(now, no);
    }
});

#[test]
fn a_rotation_that_is_forgotten_when_its_runtime_dies() {
    let scope = Scope {
        rotations: 1,
        lost_flights: 1,
        ..TWO
    };
    caught::<RotationsDieWithTheirRuntime>(Rule::Drain, scope);
}

mistake!(EveryCallerIsAStep {
    fn rejected(&mut self, now: Timestamp, rejection: Rejection) -> (Answer, Option<Start>) {
        if let Some(origin) = self.0.cooldown.origins.get_mut(&rejection.origin) {
            origin.refused = Generation::default();
        }
        self.0.rejected(now, rejection)
    }
});

#[test]
fn a_step_of_the_cool_down_for_every_caller() {
    let scope = Scope {
        misconfigurations: 1,
        calls: 3,
        ..COLD
    };
    caught::<EveryCallerIsAStep>(Rule::I12, scope);
}
