//! The state machine, driven through every order of events.
mod block;
mod ghost;
mod key;
mod search;
mod world;

use std::time::Instant;

use super::Control;
use search::explore;
use world::Scope;

const NONE: Scope = Scope { callers: 0, origins: 0, warm: false, lazy: false, unrepeatable: false, calls: 0, tokens: 0, born_expired: 0, same_bytes: 0, old_bytes: 0, failures: 0, retry_afters: 0, panics: 0, rollovers: 0, misconfigurations: 0, suspends: 0, lost_flights: 0, lost_timers: 0, cancels: 0, rotations: 0, forces: 0, closes: 0 };

#[test]
fn small() {
    for scope in [
        Scope { callers: 1, origins: 1, calls: 3, tokens: 2, failures: 2, retry_afters: 1, rotations: 1, warm: true, ..NONE },
        Scope { callers: 1, origins: 1, calls: 3, tokens: 2, failures: 2, retry_afters: 1, rotations: 1, forces: 1, ..NONE },
        Scope { callers: 1, origins: 1, calls: 2, tokens: 1, failures: 2, retry_afters: 1, rotations: 2, warm: true, rollovers: 1, ..NONE },
        Scope { callers: 2, origins: 1, calls: 2, tokens: 2, failures: 1, suspends: 1, lost_flights: 1, lost_timers: 1, closes: 1, ..NONE },
        Scope { callers: 2, origins: 1, calls: 2, tokens: 2, failures: 1, lost_flights: 1, lost_timers: 1, rotations: 1, forces: 1, ..NONE },
        Scope { callers: 2, origins: 1, calls: 2, tokens: 2, same_bytes: 1, old_bytes: 1, born_expired: 1, lazy: true, rollovers: 1, warm: true, ..NONE },
        Scope { callers: 2, origins: 1, calls: 2, tokens: 2, same_bytes: 1, old_bytes: 1, born_expired: 1, lazy: true, rollovers: 1, unrepeatable: true, ..NONE },
        Scope { callers: 3, origins: 1, calls: 3, tokens: 2, cancels: 1, panics: 1, closes: 1, rollovers: 1, ..NONE },
        Scope { callers: 2, origins: 2, calls: 4, tokens: 2, misconfigurations: 1, rollovers: 1, ..NONE },
        Scope { callers: 2, origins: 2, calls: 3, tokens: 3, misconfigurations: 1, rollovers: 1, ..NONE },
    ] {
        let start = Instant::now();
        match explore::<Control>(scope) {
            Ok(it) => println!("{it:?} {:?}", start.elapsed()),
            Err(it) => println!("{it:?}"),
        }
    }
}
