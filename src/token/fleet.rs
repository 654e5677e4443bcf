//! Many replicas that were started together, by the real schedule.

use std::{collections::BTreeMap, time::Duration};

use super::{LifetimeConfig, Schedule};
use crate::clock::Timestamp;

const REPLICAS: u64 = 1_000;

/// A generator that gives the same for the same seed everywhere (SplitMix64). Its octets become
/// jitter as those from the operating system do.
struct Draws(u64);

impl Draws {
    fn jitter(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [.., high, low] = (mixed ^ (mixed >> 31)).to_be_bytes();
        f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
    }
}

/// The most renewals that fall into one second, of each replica's third and later.
fn worst_second(lifetime: Duration, seed: u64) -> usize {
    let mut draws = Draws(seed);
    let mut seconds = BTreeMap::<u64, usize>::new();
    for _ in 0..REPLICAS {
        let mut now = Timestamp {
            mono: Duration::ZERO,
            wall: Duration::from_secs(1_000_000),
        };
        for renewal in 1..=10 {
            let config = LifetimeConfig::new();
            let jitter = draws.jitter();
            let schedule = Schedule::new(&config, now, Some(lifetime), None, jitter);
            let passed = schedule.refresh_at.remaining(now);
            now.mono += passed;
            now.wall += passed;
            if renewal >= 3 {
                *seconds.entry(now.mono.as_secs()).or_default() += 1;
            }
        }
    }
    seconds.into_values().max().unwrap_or_default()
}

#[test]
fn a_thousand_replicas_that_started_together_have_drifted_apart_after_three_lifetimes() {
    // Of a thousand renewals, one of each replica.
    for (minutes, most) in [(5, 50), (15, 20), (60, 20)] {
        for seed in 0..10 {
            let worst = worst_second(Duration::from_secs(60 * minutes), seed);
            assert!(worst <= most, "{minutes} min, seed {seed}: {worst}");
        }
    }
}
