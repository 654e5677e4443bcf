//! The state machine, driven through every order of events.
mod block;
mod ghost;
mod key;
mod mistakes;
mod search;
mod world;

use std::time::Instant;

use super::Control;
use search::explore;
use world::{ALWAYS, Scope};

const NONE: Scope = Scope { moments: ALWAYS, ..Scope::NOTHING };

#[test]
fn small() {
    for (name, scope) in [
        ("cold", Scope { callers: 3, origins: 1, calls: 3, tokens: 1, failures: 1, panics: 1, cancels: 1, closes: 1, ..NONE }),
        ("cold2", Scope { callers: 3, origins: 1, calls: 3, tokens: 2, failures: 1, cancels: 1, ..NONE }),
        ("roll", Scope { callers: 3, origins: 2, calls: 3, tokens: 3, rollovers: 2, warm: true, moments: 2, ..NONE }),
        ("roll1", Scope { callers: 3, origins: 1, calls: 3, tokens: 3, rollovers: 2, warm: true, moments: 3, ..NONE }),
        ("roll2", Scope { callers: 2, origins: 1, calls: 3, tokens: 2, rollovers: 2, warm: true, ..NONE }),
        ("mis", Scope { callers: 2, origins: 2, calls: 3, tokens: 2, misconfigurations: 1, warm: true, moments: 3, ..NONE }),
        ("mis2", Scope { callers: 1, origins: 2, calls: 4, tokens: 3, misconfigurations: 1, same_bytes: 1, warm: true, ..NONE }),
        ("mis3", Scope { callers: 3, origins: 1, calls: 3, tokens: 2, misconfigurations: 1, moments: 4, ..NONE }),
        ("odd", Scope { callers: 2, origins: 1, calls: 2, tokens: 1, same_bytes: 1, old_bytes: 1, born_expired: 1, rollovers: 1, warm: true, ..NONE }),
        ("oddlazy", Scope { callers: 2, origins: 1, calls: 2, tokens: 1, old_bytes: 1, born_expired: 1, lazy: true, rollovers: 1, warm: true, moments: 6, ..NONE }),
        ("susp", Scope { callers: 2, origins: 1, calls: 3, tokens: 2, suspends: 1, failures: 1, warm: true, moments: 3, ..NONE }),
        ("lost", Scope { callers: 2, origins: 1, calls: 2, tokens: 2, lost_flights: 1, lost_timers: 1, rotations: 1, forces: 1, warm: true, moments: 3, ..NONE }),
        ("lost2", Scope { callers: 2, origins: 1, calls: 2, tokens: 2, lost_flights: 1, lost_timers: 1, born_expired: 1, closes: 1, rollovers: 1, moments: 4, ..NONE }),
        ("rota", Scope { callers: 2, origins: 1, calls: 2, tokens: 1, rotations: 2, failures: 1, retry_afters: 1, forces: 1, warm: true, moments: 3, rollovers: 1,  ..NONE }),
        ("rota2", Scope { callers: 1, origins: 1, calls: 2, tokens: 1, rotations: 2, failures: 1, retry_afters: 1, ..NONE }),
        ("unrep", Scope { callers: 2, origins: 1, calls: 2, tokens: 2, unrepeatable: true, rollovers: 1, failures: 1, warm: true, ..NONE }),
    ] {
        let start = Instant::now();
        match explore::<Control>(scope) {
            Ok(it) => println!("{name} {it:?} {:?}", start.elapsed()),
            Err(it) => println!("{name} {it:?}"),
        }
    }
}
