//! How a token that is refused again and again is kept from becoming a fetch a request.
//!
//! Two parts. The token's: fetches because of a rejection start at least a second after the last
//! one ended. The origin's: one second, doubled with each *fresh* token that this origin refuses,
//! up to five minutes. So one misconfigured upstream can neither hammer the authorization server
//! nor keep the others from being healed.

use std::{collections::BTreeMap, time::Duration};

use crate::token::Generation;

const TOKEN: Duration = Duration::from_secs(1);
const ORIGIN: Duration = Duration::from_secs(1);
const ORIGIN_CAP: Duration = Duration::from_secs(5 * 60);

/// So many origins are remembered. Only a layer that serves any host has more.
const ORIGINS: usize = 1024;

/// Names an origin (scheme, host, port) among those that one handle's token goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OriginId(pub(crate) u64);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) steps: u32,
    pub(super) until: Duration,
    /// The newest token whose refusal was counted.
    pub(super) refused: Generation,
    /// The newest token that was accepted.
    pub(super) accepted: Generation,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Cooldown {
    pub(super) until: Duration,
    pub(super) origins: BTreeMap<OriginId, Origin>,
}

impl Cooldown {
    /// A fetch because of a rejection ended.
    pub(super) fn arm(&mut self, now: Duration) {
        self.until = now + TOKEN;
    }

    /// An origin refused a fresh token: a step, once a token.
    pub(super) fn refused(&mut self, origin: OriginId, generation: Generation, now: Duration) {
        let known = self.origins.get(&origin);
        if known.is_none_or(|it| it.refused != generation && it.accepted != generation) {
            self.step(origin, generation, now);
        }
    }

    /// A step.
    pub(super) fn step(&mut self, origin: OriginId, generation: Generation, now: Duration) {
        let it = self.entry(origin, now);
        it.refused = generation;
        let doubled = 1_u32.checked_shl(it.steps).unwrap_or(u32::MAX);
        it.until = now + ORIGIN.saturating_mul(doubled).min(ORIGIN_CAP);
        // Past the cap more steps change nothing.
        it.steps = (it.steps + 1).min(16);
    }

    /// An origin accepted a token; `current` says whether it was the current one.
    pub(super) fn accepted(&mut self, origin: OriginId, generation: Generation, current: bool) {
        let it = self.entry(origin, Duration::ZERO);
        it.steps = 0;
        it.until = Duration::ZERO;
        if current {
            it.accepted = generation;
        }
    }

    /// Whether this origin has accepted this token.
    pub(super) fn has_accepted(&self, origin: OriginId, generation: Generation) -> bool {
        let known = self.origins.get(&origin);
        known.is_some_and(|it| it.accepted == generation)
    }

    /// Whether this origin has accepted any token while it was current.
    pub(super) fn has_ever_accepted(&self, origin: OriginId) -> bool {
        let known = self.origins.get(&origin);
        known.is_some_and(|it| it.accepted > Generation::default())
    }

    /// Until when a rejection by this origin starts no fetch.
    pub(super) fn lasts(&self, origin: OriginId, now: Duration) -> Option<Duration> {
        let origin = self
            .origins
            .get(&origin)
            .map_or(Duration::ZERO, |it| it.until);
        Some(self.until.max(origin)).filter(|until| *until > now)
    }

    fn entry(&mut self, origin: OriginId, now: Duration) -> &mut Origin {
        if self.origins.len() >= ORIGINS && !self.origins.contains_key(&origin) {
            self.origins.retain(|_, it| it.until > now && it.steps > 1);
            if self.origins.len() >= ORIGINS {
                self.origins.pop_first();
            }
        }
        self.origins.entry(origin).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: OriginId = OriginId(0);
    const B: OriginId = OriginId(1);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_origin_steps_once_a_token_and_doubles_to_its_cap() {
        let mut cooldown = Cooldown::default();
        for generation in 1..=20 {
            for _caller in 0..100 {
                cooldown.refused(A, Generation(generation), seconds(0));
            }
            let expected = seconds(300).min(seconds(1 << (generation - 1)));
            assert_eq!(cooldown.lasts(A, seconds(0)), Some(expected));
            assert_eq!(cooldown.lasts(B, seconds(0)), None);
        }
    }

    #[test]
    fn an_accepted_token_clears_the_origin_and_is_not_fresh_to_it_any_more() {
        let mut cooldown = Cooldown::default();
        cooldown.refused(A, Generation(1), seconds(0));
        cooldown.accepted(A, Generation(2), true);
        assert_eq!(cooldown.lasts(A, seconds(0)), None);
        cooldown.refused(A, Generation(2), seconds(0));
        assert_eq!(cooldown.lasts(A, seconds(0)), None);
    }

    #[test]
    fn the_number_of_origins_is_bounded() {
        let mut cooldown = Cooldown::default();
        for origin in 0..5000 {
            cooldown.refused(OriginId(origin), Generation(1), seconds(origin));
            cooldown.refused(OriginId(origin), Generation(2), seconds(origin));
        }
        assert!(cooldown.origins.len() <= ORIGINS);
    }
}
