//! Mistakes about when a fetch starts: back-off, floors, timer, identity, close.

use std::time::Duration;

use super::{
    super::super::{Control, Demand, FlightNo, Landed, Outcome, Start},
    Block, COLD, Rule, Scope, WARM, caught, mistake,
};
use crate::{clock::Timestamp, token::Cause};

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
        ..WARM
    };
    caught::<RefusedRotationsAreEverybodysFailure>(Rule::I12, scope);
    let expired = Scope {
        failures: 1,
        rotations: 1,
        suspends: 1,
        ..WARM
    };
    caught::<RefusedRotationsAreEverybodysFailure>(Rule::Demand, expired);
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
        ..WARM
    };
    caught::<RotationsDieWithTheirRuntime>(Rule::Noted, scope);
}

mistake!(WishesDieWithTheirRuntime {
    fn flight_lost(&mut self, now: Timestamp, no: FlightNo) {
        self.0.flight_lost(now, no);
        self.0.forced = false;
    }
});

#[test]
fn a_wish_by_hand_that_is_forgotten_when_its_runtime_dies() {
    let scope = Scope {
        forces: 1,
        lost_flights: 1,
        ..WARM
    };
    caught::<WishesDieWithTheirRuntime>(Rule::Noted, scope);
}

mistake!(NobodyNoticesALostTimer {
    fn timer_lost(&mut self, _now: Timestamp) {
        self.0.booked = None;
    }
});

#[test]
fn a_token_that_looks_fresh_when_nobody_keeps_its_timer() {
    let scope = Scope {
        rotations: 1,
        lost_timers: 1,
        failures: 1,
        ..WARM
    };
    caught::<NobodyNoticesALostTimer>(Rule::Drain, scope);
}

mistake!(RotationsAreNeverDone {
    fn landed(
        &mut self,
        now: Timestamp,
        no: FlightNo,
        landed: Landed,
    ) -> Option<(Outcome, Option<Start>)> {
        let rotation = self.0.rotation.clone();
        let landed = self.0.landed(now, no, landed);
        self.0.rotation = rotation;
        landed
    }
});

#[test]
fn an_identity_that_is_adopted_again_and_again() {
    let scope = Scope {
        rotations: 1,
        ..WARM
    };
    caught::<RotationsAreNeverDone>(Rule::I10, scope);
}

mistake!(ReceiptsAreForgotten {
    fn landed(
        &mut self,
        now: Timestamp,
        no: FlightNo,
        landed: Landed,
    ) -> Option<(Outcome, Option<Start>)> {
        let landed = self.0.landed(now, no, landed);
        if let Some(held) = &mut self.0.token {
            held.received = Duration::ZERO;
        }
        landed
    }
});

#[test]
fn fetch_after_fetch_of_tokens_that_are_born_expired() {
    let scope = Scope {
        born_expired: 1,
        ..COLD
    };
    caught::<ReceiptsAreForgotten>(Rule::Floors, scope);
}

mistake!(TheTimerAlwaysRings {
    fn next_tick(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
});

#[test]
fn a_timer_that_rings_for_nothing() {
    caught::<TheTimerAlwaysRings>(Rule::Timer, WARM);
}

mistake!(TheTimerNeverRings {
    fn next_tick(&self) -> Option<Duration> {
        None
    }
});

#[test]
fn a_failed_cold_start_that_waits_for_traffic() {
    let scope = Scope {
        failures: 1,
        ..COLD
    };
    caught::<TheTimerNeverRings>(Rule::Drain, scope);
}

mistake!(CloseOnlyStopsWhatRuns {
    fn close(&mut self) {
        self.0.flight = None;
        self.0.booked = None;
    }
});

#[test]
fn a_start_after_the_close() {
    let scope = Scope { closes: 1, ..WARM };
    caught::<CloseOnlyStopsWhatRuns>(Rule::I8, scope);
}
