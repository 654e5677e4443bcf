//! What goes wrong, and when, as the dice have it.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use http::StatusCode;
use tower_oauth::testing::{Answer, Refusal};

use super::{
    Failure,
    dice::Dice,
    ledger::{Fault, Ledger},
    time::Time,
    world::{DEADLINE, World},
};

/// At most so many odd answers wait for a token request to come.
const SCRIPTED: u64 = 3;

pub(crate) struct Faults {
    dice: Dice,
    /// In real time.
    next: Duration,
    /// What lasts for a while, and until when.
    lasting: BTreeMap<Fault, Duration>,
    scripted: u64,
}

impl Faults {
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            dice,
            next: Duration::ZERO,
            lasting: BTreeMap::new(),
            scripted: 0,
        }
    }

    /// Ends what has lasted for long enough, and throws the dice for more.
    pub(crate) fn turn(
        &mut self,
        world: &World,
        ledger: &Ledger,
        time: &Time,
    ) -> Result<(), Failure> {
        let now = time.real();
        while let Some((&fault, _)) = self.lasting.iter().find(|(_, until)| **until <= now) {
            self.stop(fault, world, ledger);
        }
        if now < self.next {
            return Ok(());
        }
        // Now and then nothing happens, and tokens come to their end.
        let quiet = self.dice.once_in(15);
        let pause = if quiet { 1_000..3_000 } else { 20..160 };
        self.next = now + self.dice.millis(pause);
        world.forget();
        match self.dice.within(0..14) {
            0 | 1 => Self::roll_over(world, ledger),
            2 => {
                // One more is seen only if the token is refused.
                Self::roll_over(world, ledger);
                self.answer(world, ledger);
            }
            3 => self.answer(world, ledger),
            4 => {
                Self::roll_over(world, ledger);
                self.last(Fault::Outage, 10..300, world, ledger, now);
            }
            5 => self.last(Fault::Outage, 10..300, world, ledger, now),
            6 => {
                Self::roll_over(world, ledger);
                self.last(Fault::Hanging, 10..200, world, ledger, now);
            }
            7 => {
                if self.dice.once_in(4) {
                    Self::roll_over(world, ledger);
                    // Longer than anybody waits.
                    let millis = DEADLINE.as_millis() as u64;
                    self.last(Fault::Hanging, millis..millis + 500, world, ledger, now);
                }
            }
            8 | 9 => {
                let api = self.dice.within(0..2) as usize;
                let shapes = [
                    Refusal::InvalidToken401,
                    Refusal::Bare401,
                    Refusal::Bare401NoHeader,
                    Refusal::InvalidToken403,
                ];
                let shape = self.dice.one_of(&shapes).clone();
                world.apis[api].set_refusal(shape);
                self.last(Fault::Refusing(api), 20..400, world, ledger, now);
            }
            10 => {
                let api = self.dice.within(0..2) as usize;
                self.last(Fault::ApiOutage(api), 10..100, world, ledger, now);
            }
            11 => {
                if ledger.may_rotate() {
                    ledger.injected(Fault::Rotation);
                    world.rotate()?;
                }
            }
            12 => {
                let seconds = self.dice.within(30..180);
                ledger.injected(Fault::Lifetime);
                let lifetime = Some(Duration::from_secs(seconds));
                world.server.set_token_lifetime(lifetime);
            }
            _ => {
                ledger.injected(Fault::Slow);
                world.server.set_latency(self.dice.millis(0..50));
            }
        }
        Ok(())
    }

    /// Ends all that still lasts.
    pub(crate) fn end(mut self, world: &World, ledger: &Ledger) {
        while let Some((&fault, _)) = self.lasting.first_key_value() {
            self.stop(fault, world, ledger);
        }
    }

    fn roll_over(world: &World, ledger: &Ledger) {
        ledger.begins(Fault::Rollover);
        world.server.rollover();
    }

    /// Scripts an odd answer to the next token request.
    fn answer(&mut self, world: &World, ledger: &Ledger) {
        if self.scripted - world.server.counters().scripted >= SCRIPTED {
            return;
        }
        let (fault, answer) = match self.dice.within(0..4) {
            0 => {
                let answer = Answer::new(StatusCode::SERVICE_UNAVAILABLE);
                (Fault::Unavailable, answer)
            }
            1 => {
                let seconds = self.dice.within(1..20).to_string();
                let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS);
                (Fault::TooMany, answer.header("retry-after", seconds))
            }
            2 => {
                let answer = Answer::new(StatusCode::OK).header("content-type", "text/html");
                (Fault::Html, answer.body("<html>Please log in</html>"))
            }
            _ => (Fault::Empty, Answer::new(StatusCode::OK)),
        };
        self.scripted += 1;
        ledger.scripts(fault);
        world.server.answer_next(1, answer);
    }

    fn last(
        &mut self,
        fault: Fault,
        millis: Range<u64>,
        world: &World,
        ledger: &Ledger,
        now: Duration,
    ) {
        if self.lasting.contains_key(&fault) {
            return;
        }
        self.lasting.insert(fault, now + self.dice.millis(millis));
        ledger.begins(fault);
        match fault {
            Fault::Outage => world.server.take_down(),
            Fault::Hanging => world.server.hold(),
            Fault::Refusing(api) => world.apis[api].refuse_all(true),
            Fault::ApiOutage(api) => world.apis[api].take_down(),
            _ => unreachable!("{fault:?} doesn't last"),
        }
    }

    fn stop(&mut self, fault: Fault, world: &World, ledger: &Ledger) {
        self.lasting.remove(&fault);
        match fault {
            Fault::Outage => world.server.bring_up(),
            Fault::Hanging => world.server.release(),
            Fault::Refusing(api) => world.apis[api].refuse_all(false),
            Fault::ApiOutage(api) => world.apis[api].bring_up(),
            _ => unreachable!("{fault:?} doesn't last"),
        }
        ledger.ends(fault);
    }
}
