//! What is checked: the real block, or one with a mistake.

use std::time::Duration;

use super::super::{
    Answer, Control, Demand, FlightNo, Landed, OriginId, Outcome, Rejection, Start,
};
use crate::{clock::Timestamp, token::Generation};

/// A control block and what the shell around it does. A mistake alters one of these.
pub(super) trait Block: Clone {
    /// A flight is dropped with the caller that started it.
    const FLIGHT_BELONGS_TO_ITS_CALLER: bool = false;
    /// Who waits for a flight hears that it panicked.
    const PANICS_ARE_TOLD: bool = true;
    /// Who waits for a flight hears that it brought the same bytes again.
    const SAME_BYTES_ARE_TOLD: bool = true;

    fn new() -> Self;
    fn control(&self) -> &Control;
    fn control_mut(&mut self) -> &mut Control;

    fn demand(&mut self, now: Timestamp) -> (Demand, Option<Start>) {
        self.control_mut().demand(now)
    }

    fn tick(&mut self, now: Timestamp) -> Option<Start> {
        self.control_mut().tick(now)
    }

    fn rejected(&mut self, now: Timestamp, rejection: Rejection) -> (Answer, Option<Start>) {
        self.control_mut().rejected(now, rejection)
    }

    fn accepted(&mut self, origin: OriginId, generation: Generation) {
        self.control_mut().accepted(origin, generation);
    }

    fn landed(
        &mut self,
        now: Timestamp,
        no: FlightNo,
        landed: Landed,
    ) -> Option<(Outcome, Option<Start>)> {
        self.control_mut().landed(now, no, landed)
    }

    fn flight_lost(&mut self, now: Timestamp, no: FlightNo) {
        self.control_mut().flight_lost(now, no);
    }

    fn timer_lost(&mut self, now: Timestamp) {
        self.control_mut().timer_lost(now);
    }

    fn identity_changed(&mut self, now: Timestamp) -> Option<Start> {
        self.control_mut().identity_changed(now)
    }

    fn force(&mut self, now: Timestamp) -> Option<Start> {
        self.control_mut().force(now)
    }

    fn close(&mut self) {
        self.control_mut().close();
    }

    fn next_tick(&self) -> Option<Duration> {
        self.control().next_tick()
    }

    fn supersedes(&self, rejected: Generation) -> bool {
        self.control().supersedes(rejected)
    }
}

impl Block for Control {
    fn new() -> Self {
        Self::new()
    }

    fn control(&self) -> &Control {
        self
    }

    fn control_mut(&mut self) -> &mut Control {
        self
    }
}
