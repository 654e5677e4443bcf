//! The real state machine, driven through every order of events, with every rule checked at every
//! step.
//!
//! [`world`] surrounds the block with callers, flights, resources, an authorization server and the
//! time, does what the shell does with the block's answers, and knows what can happen next.
//! [`search`] goes through all of it breadth first, so that what it shows of a violation is a
//! shortest way there. [`ghost`] knows the rules a second time, from the outside. [`key`] says
//! when two states are the same: all that matters of a time is how long it still lasts, and one
//! caller is as good as another. From every state the world is also drained: with an honest server
//! and no new callers everybody must be served soon. [`mistakes`] shows that the checker can fail.
//!
//! One scope with everything in it is too large to go through, so several small ones are, each to
//! its end. How many states each has at least is stated, so that no search shrinks unnoticed. The
//! large ones:
//!
//! ```text
//! cargo test --release --lib control::model -- --ignored
//! ```
//!
//! States are remembered by a hash of 64 bits. That two of some millions share one, and hide
//! something, has a chance of one in a million.

mod block;
mod ghost;
mod key;
mod mistakes;
mod scope;
mod search;
mod world;

use self::{
    scope::{ALWAYS, Scope},
    search::explore,
};
use super::Control;

/// Every rule holds in every order of events within this scope.
fn holds(at_least: usize, scope: Scope) {
    let explored = explore::<Control>(scope).expect("every rule holds");
    assert!(explored.states >= at_least, "{explored:?}");
}

/// One origin, and as much time as one likes.
const COLD: Scope = Scope {
    callers: 2,
    origins: 1,
    moments: ALWAYS,
    calls: 2,
    tokens: 2,
    ..Scope::NOTHING
};

/// The same with a token that is there and was accepted.
const WARM: Scope = Scope { warm: true, ..COLD };

#[test]
fn a_cold_start_with_failures_panics_and_dropped_callers() {
    let scope = Scope {
        callers: 3,
        calls: 3,
        failures: 1,
        panics: 1,
        cancels: 1,
        closes: 1,
        ..COLD
    };
    holds(10_000, scope);
}

#[test]
fn two_rollovers_under_three_callers_of_two_origins() {
    let scope = Scope {
        callers: 3,
        origins: 2,
        moments: 2,
        calls: 3,
        tokens: 3,
        rollovers: 2,
        ..WARM
    };
    holds(21_500, scope);
}

#[test]
fn two_rollovers_at_any_time() {
    let scope = Scope {
        calls: 3,
        rollovers: 2,
        ..WARM
    };
    holds(22_100, scope);
}

#[test]
fn a_request_that_cannot_be_repeated() {
    let scope = Scope {
        unrepeatable: true,
        failures: 1,
        rollovers: 1,
        ..WARM
    };
    holds(21_300, scope);
}

#[test]
fn an_origin_that_refuses_every_token_beside_one_that_does_not() {
    let scope = Scope {
        callers: 1,
        origins: 2,
        calls: 3,
        tokens: 3,
        same_bytes: 1,
        misconfigurations: 1,
        ..WARM
    };
    holds(43_200, scope);
}

#[test]
fn an_origin_that_refuses_every_token_of_three_callers() {
    let scope = Scope {
        callers: 3,
        moments: 4,
        calls: 3,
        misconfigurations: 1,
        ..COLD
    };
    holds(3_600, scope);
}

#[test]
fn tokens_that_come_again_or_are_born_expired() {
    let scope = Scope {
        moments: 6,
        tokens: 1,
        born_expired: 1,
        same_bytes: 1,
        old_bytes: 1,
        rollovers: 1,
        ..WARM
    };
    holds(29_400, scope);
}

#[test]
fn waiters_that_go_on_late() {
    let scope = Scope {
        lazy: true,
        moments: 5,
        tokens: 1,
        born_expired: 1,
        old_bytes: 1,
        rollovers: 1,
        ..WARM
    };
    holds(21_600, scope);
}

#[test]
fn a_machine_that_was_suspended() {
    let scope = Scope {
        moments: 3,
        calls: 3,
        same_bytes: 1,
        failures: 1,
        rollovers: 1,
        suspends: 1,
        ..WARM
    };
    holds(25_100, scope);
}

#[test]
fn runtimes_that_are_gone_under_an_identity_and_a_wish() {
    let scope = Scope {
        moments: 3,
        lost_flights: 1,
        lost_timers: 1,
        rotations: 1,
        forces: 1,
        ..WARM
    };
    holds(22_400, scope);
}

#[test]
fn runtimes_that_are_gone_under_a_booking() {
    let scope = Scope {
        moments: 4,
        born_expired: 1,
        rollovers: 1,
        lost_flights: 1,
        lost_timers: 1,
        closes: 1,
        ..COLD
    };
    holds(28_000, scope);
}

#[test]
fn new_identities_that_are_refused_under_rejections() {
    let scope = Scope {
        moments: 2,
        tokens: 1,
        failures: 1,
        retry_afters: 1,
        rollovers: 1,
        rotations: 2,
        ..WARM
    };
    holds(15_900, scope);
}

#[test]
fn new_identities_before_the_first_token() {
    let scope = Scope {
        callers: 1,
        tokens: 1,
        failures: 1,
        retry_afters: 1,
        rotations: 2,
        ..COLD
    };
    holds(6_100, scope);
}

#[test]
fn identities_and_wishes_by_hand_in_a_back_off() {
    let scope = Scope {
        callers: 1,
        moments: 4,
        tokens: 1,
        failures: 2,
        retry_afters: 1,
        rotations: 1,
        forces: 1,
        ..WARM
    };
    holds(19_500, scope);
}

#[test]
#[ignore = "half a minute in release"]
fn everything_once() {
    let scope = Scope {
        lazy: true,
        moments: 1,
        same_bytes: 1,
        failures: 1,
        retry_afters: 1,
        rollovers: 1,
        suspends: 1,
        lost_flights: 1,
        lost_timers: 1,
        cancels: 1,
        rotations: 1,
        forces: 1,
        closes: 1,
        ..WARM
    };
    holds(4_353_000, scope);
}

#[test]
#[ignore = "half a minute in release"]
fn three_callers_two_origins_four_generations() {
    let scope = Scope {
        callers: 3,
        origins: 2,
        moments: 5,
        calls: 4,
        tokens: 3,
        rollovers: 1,
        misconfigurations: 1,
        ..WARM
    };
    holds(2_369_000, scope);
}
