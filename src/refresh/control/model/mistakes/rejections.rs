//! Mistakes about rejections and their cool-down.

use super::{
    super::super::{Answer, Control, FlightNo, Landed, Outcome, Rejection, Start, Why},
    Block, COLD, Rule, Scope, WARM, caught, mistake,
};
use crate::{clock::Timestamp, token::Generation};

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
        ..WARM
    };
    caught::<OldRejectionsCountAsNew>(Rule::I12, scope);
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

mistake!(FreshTokensAreFetchedAgain {
    fn rejected(&mut self, now: Timestamp, rejection: Rejection) -> (Answer, Option<Start>) {
        let waited = false;
        self.0.rejected(now, Rejection { waited, ..rejection })
    }
});

#[test]
fn a_fetch_for_whom_the_refused_token_was_fetched() {
    let scope = Scope {
        misconfigurations: 1,
        ..COLD
    };
    caught::<FreshTokensAreFetchedAgain>(Rule::I12, scope);
}

mistake!(EverythingSupersedes {
    fn supersedes(&self, _rejected: Generation) -> bool {
        true
    }
});

#[test]
fn a_holder_that_goes_on_with_the_same_bytes() {
    let scope = Scope {
        same_bytes: 1,
        rollovers: 1,
        ..WARM
    };
    caught::<EverythingSupersedes>(Rule::I3, scope);
}

mistake!(RequestsAreRepeatedForEver {
    fn rejected(&mut self, now: Timestamp, rejection: Rejection) -> (Answer, Option<Start>) {
        let retryable = true;
        self.0.rejected(now, Rejection { retryable, ..rejection })
    }
});

#[test]
fn a_third_send() {
    let scope = Scope {
        rollovers: 2,
        tokens: 3,
        ..WARM
    };
    caught::<RequestsAreRepeatedForEver>(Rule::I11, scope);
}

#[test]
fn a_second_send_of_what_cannot_be_repeated() {
    let scope = Scope {
        rollovers: 1,
        unrepeatable: true,
        ..WARM
    };
    caught::<RequestsAreRepeatedForEver>(Rule::I11, scope);
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
        ..WARM
    };
    caught::<SameBytesDoNotCoolDown>(Rule::I6, scope);
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

mistake!(OneOriginCoolsAll {
    fn rejected(&mut self, now: Timestamp, rejection: Rejection) -> (Answer, Option<Start>) {
        let (answer, start) = self.0.rejected(now, rejection);
        let until = self.0.cooldown.origins.values().map(|it| it.until).max();
        self.0.cooldown.until = self.0.cooldown.until.max(until.unwrap_or_default());
        (answer, start)
    }
});

#[test]
fn a_misconfigured_origin_that_keeps_another_from_healing() {
    let scope = Scope {
        origins: 2,
        misconfigurations: 1,
        rollovers: 1,
        moments: 0,
        ..COLD
    };
    caught::<OneOriginCoolsAll>(Rule::I12, scope);
}
