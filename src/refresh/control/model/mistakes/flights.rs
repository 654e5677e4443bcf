//! Mistakes about flights, what they bring, and those who wait for them.

use super::{
    super::super::{Control, Demand, FlightNo, Landed, Outcome, Start},
    Block, COLD, Rule, Scope, WARM, caught, mistake,
};
use crate::clock::Timestamp;

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

mistake!(FlightsBelongToTheirCallers {
    const FLIGHT_BELONGS_TO_ITS_CALLER: bool = true;
});

#[test]
fn a_flight_that_is_cancelled_with_its_caller() {
    let scope = Scope {
        cancels: 1,
        suspends: 1,
        ..WARM
    };
    caught::<FlightsBelongToTheirCallers>(Rule::I7, scope);
    let alone = Scope { cancels: 1, ..COLD };
    caught::<FlightsBelongToTheirCallers>(Rule::Drain, alone);
}

mistake!(PanicsAreNotTold {
    const PANICS_ARE_TOLD: bool = false;
});

#[test]
fn a_waiter_that_is_not_woken_after_a_panic() {
    let scope = Scope { panics: 1, ..COLD };
    caught::<PanicsAreNotTold>(Rule::I7, scope);
}

mistake!(WaitersWaitForANumber {
    const SAME_BYTES_ARE_TOLD: bool = false;
});

#[test]
fn cold_waiters_that_hang_when_the_same_bytes_come() {
    let scope = Scope {
        same_bytes: 1,
        suspends: 1,
        ..WARM
    };
    caught::<WaitersWaitForANumber>(Rule::I7, scope);
}

mistake!(NobodyJoins {
    fn demand(&mut self, now: Timestamp) -> (Demand, Option<Start>) {
        if self.0.flying().is_some() {
            return (Demand::Fail { retry_at: None }, None);
        }
        self.0.demand(now)
    }
});

#[test]
fn a_call_that_fails_while_a_flight_runs() {
    caught::<NobodyJoins>(Rule::Demand, COLD);
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
    let scope = Scope {
        suspends: 1,
        ..WARM
    };
    caught::<ExpiredTokensAreHandedOut>(Rule::I4, scope);
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
    let scope = Scope {
        failures: 1,
        ..WARM
    };
    caught::<FailuresClearTheToken>(Rule::I9, scope);
}

mistake!(EveryReceiptIsANumber {
    fn landed(
        &mut self,
        now: Timestamp,
        no: FlightNo,
        landed: Landed,
    ) -> Option<(Outcome, Option<Start>)> {
        self.0.prints.clear();
        self.0.landed(now, no, landed)
    }
});

#[test]
fn the_same_bytes_under_a_new_number() {
    let scope = Scope {
        same_bytes: 1,
        ..WARM
    };
    caught::<EveryReceiptIsANumber>(Rule::I2, scope);
}
