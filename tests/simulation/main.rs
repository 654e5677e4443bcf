//! Clients, an authorization server and resources on a simulated network where nearly everything
//! goes wrong: partitions, held and slow messages, crashes and restarts on either side (a restarted
//! authorization server has forgotten every token), outages with 5xx, 429 and `Retry-After`, torn
//! connections, tokens that expire, clocks that jump, callers that go away. What goes wrong and
//! when is drawn from a seed; an oracle judges what was seen from outside.
//!
//! ```sh
//! cargo test --all-features --test simulation                             # a sample
//! SIMULATION_SEEDS=1000 cargo test --release --all-features --test simulation
//! SIMULATION_SEED=17 cargo test --all-features --test simulation no_seed  # that one
//! ```
//!
//! A seed decides on the scenario, on the simulated network and on the servers, and simulated time
//! is exact. It doesn't decide on what the crate itself draws from the operating system (the jitter of
//! renewals and of back-off) nor on the order in which `select!` looks at its branches: the rules
//! hold whatever those are, but a seed that fails may have to be played more than once to fail
//! again, which is what `SIMULATION_SEED` does.

mod client;
mod mistakes;
mod network;
mod oracle;
mod scenario;
mod servers;
mod trace;
mod world;

use std::{
    env,
    fmt::Write,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use self::{
    client::{Make, Real},
    oracle::{Breach, Rule},
    scenario::Scenario,
    trace::{Entry, Outcome, Seen},
};

/// So many are played by the plain test command; the gate plays a thousand.
const SAMPLE: u64 = 60;

/// Of so many seeds one must show a mistake. Most mistakes show in every second one.
const MOST: u64 = 100;

/// How often a seed is played that was asked for by name.
const REPEATS: u64 = 20;

/// So much of a trace is told.
const LAST: usize = 300;

fn real(parts: &client::Parts) -> Arc<dyn client::Client> {
    Arc::new(Real::new(parts))
}

/// Plays a seed and judges it.
fn play(seed: u64, make: Make) -> (Vec<Entry>, Vec<Breach>) {
    let trace = world::play(&Scenario::new(seed), make);
    let breaches = oracle::judge(&trace);
    (trace, breaches)
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// What was broken, what came before it, and how to play it again.
fn report(seed: u64, trace: &[Entry], breaches: &[Breach]) -> String {
    let first = &breaches[0];
    let mut report = format!(
        "seed {seed} breaks a rule; play it again with\n    SIMULATION_SEED={seed} cargo test \
         --all-features --test simulation no_seed\n{:#?}\n",
        Scenario::new(seed)
    );
    let of_client: Vec<_> = trace
        .iter()
        .filter(|it| it.client == first.client && it.at <= first.at)
        .collect();
    for entry in &of_client[of_client.len().saturating_sub(LAST)..] {
        let _ = writeln!(report, "{entry}");
    }
    for breach in breaches.iter().take(10) {
        let _ = writeln!(report, "{breach}");
    }
    report
}

/// What a number of seeds came to.
#[derive(Default)]
struct Tally {
    ok: AtomicU64,
    healed: AtomicU64,
    refused: AtomicU64,
    without_token: AtomicU64,
    fetches: AtomicU64,
}

impl Tally {
    fn count(&self, trace: &[Entry]) {
        let mut sends = std::collections::BTreeMap::<_, u64>::new();
        for entry in trace {
            let counter = match &entry.seen {
                Seen::Sent { call, .. } => {
                    *sends.entry((entry.client, *call)).or_default() += 1;
                    continue;
                }
                Seen::Fetch(_) => &self.fetches,
                Seen::Done { call, outcome } => match outcome {
                    Outcome::Answer { status: 200, .. } => match sends[&(entry.client, *call)] {
                        1 => &self.ok,
                        _ => &self.healed,
                    },
                    Outcome::Answer { status: 401, .. } => &self.refused,
                    Outcome::NoToken { .. } => &self.without_token,
                    _ => continue,
                },
                _ => continue,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn no_seed_breaks_a_rule() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        for _ in 0..REPEATS {
            let (trace, breaches) = play(seed, real);
            assert!(breaches.is_empty(), "{}", report(seed, &trace, &breaches));
        }
        return;
    }
    let seeds = setting("SIMULATION_SEEDS").unwrap_or(SAMPLE);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let (next, tally) = (AtomicU64::new(0), Tally::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let (trace, breaches) = play(seed, real);
                    assert!(breaches.is_empty(), "{}", report(seed, &trace, &breaches));
                    tally.count(&trace);
                }
            });
        }
    });
    // A simulation in which nothing happens breaks no rule either.
    for (what, count, least) in [
        ("calls that succeeded", &tally.ok, 50),
        ("calls that were healed", &tally.healed, 1),
        ("refusals that couldn't be healed", &tally.refused, 1),
        ("calls without a token", &tally.without_token, 1),
        ("token requests", &tally.fetches, 10),
    ] {
        let count = count.load(Ordering::Relaxed);
        assert!(
            count >= least * seeds || seeds < SAMPLE,
            "only {count} {what} in {seeds} seeds"
        );
    }
}

/// The first seeds must show that this mistake breaks this rule.
#[track_caller]
fn assert_found(make: Make, rule: Rule) {
    let found = (0..MOST).any(|seed| {
        let (_, breaches) = play(seed, make);
        breaches.iter().any(|it| it.rule == rule)
    });
    assert!(found, "{rule:?} isn't broken in any of the seeds");
}

#[test]
fn a_refresh_that_is_tied_to_its_caller_is_found() {
    assert_found(
        mistakes::TiedToTheCaller::make,
        Rule::FlightOutlivesItsCallers,
    );
}

#[test]
fn a_blind_invalidation_is_found() {
    assert_found(mistakes::BlindInvalidation::make, Rule::FetchHasAReason);
}

#[test]
fn a_missing_cool_down_is_found() {
    assert_found(mistakes::NoCoolDown::make, Rule::CoolDownIsKept);
}

#[test]
fn an_error_that_replaces_the_token_is_found() {
    assert_found(
        mistakes::ErrorReplacesToken::make,
        Rule::UsableTokenIsServed,
    );
}

#[test]
fn a_lost_wake_up_is_found() {
    assert_found(mistakes::LostWakeUp::make, Rule::EveryCallEnds);
}

#[test]
fn a_seed_always_means_the_same() {
    for seed in 0..100 {
        assert_eq!(Scenario::new(seed), Scenario::new(seed));
    }
    assert_ne!(
        Scenario {
            seed: 0,
            ..Scenario::new(1)
        },
        Scenario::new(0)
    );
}
