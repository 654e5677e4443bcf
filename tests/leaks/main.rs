//! Nothing of a secret is seen: not in what this crate formats, and not in what any crate of the
//! build says, rustls, hyper and h2 included, while both servers echo what they were sent.
//!
//! A binary of its own, because it listens to the whole process.

mod below;
#[path = "../it/over_tls/client.rs"]
mod client;
mod collector;
mod hostile;
mod keys;
mod marker;
mod panics;
mod proxy;
mod secrets;
#[path = "../it/over_tls/world.rs"]
#[allow(dead_code, reason = "not all of it is needed here")]
mod world;

use self::{
    client::Version,
    collector::{Collector, Record},
    secrets::Secrets,
    world::{By, SECRET, World},
};

/// Fails with the places where any of these secrets was seen.
fn assert_unseen(secrets: &Secrets) {
    // A failure is a panic, which the collector sees as well: it must not be locked by then.
    let seen: Vec<_> = {
        let records = Collector::listening().records();
        let describe = |(name, record): (_, &Record)| {
            format!("{name}, said by {}: {}", record.from, record.text)
        };
        secrets
            .seen_in(&*records)
            .into_iter()
            .map(describe)
            .collect()
    };
    assert!(seen.is_empty(), "{}", seen.join("\n\n"));
}
