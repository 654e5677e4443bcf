use std::time::Duration;

use crate::clock::{Deadline, Timestamp};

/// Longer than this, a lifetime is as good as endless, and adding it to a clock can't overflow.
const ENDLESS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How a token's lifetime becomes a schedule.
#[derive(Clone, Debug)]
pub struct LifetimeConfig {
    pub(crate) margin: Duration,
    pub(crate) assumed: Duration,
    pub(crate) max_age: Option<Duration>,
}

impl LifetimeConfig {
    /// The defaults: a margin of 60 s, 300 s assumed when the server names no lifetime, no
    /// maximum age.
    pub fn new() -> Self {
        Self {
            margin: Duration::from_secs(60),
            assumed: Duration::from_secs(300),
            max_age: None,
        }
    }

    /// How long before its end a token is renewed in the background. At most a quarter of the
    /// lifetime is used, so that a short token isn't renewed all the time. Default: 60 s.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// After how long a token is renewed whose lifetime the server didn't name (`expires_in` is
    /// only recommended, RFC 6749 section 5.1). Such a token is used until it is replaced or
    /// refused. Default: 300 s.
    #[must_use]
    pub fn assumed_lifetime(mut self, assumed: Duration) -> Self {
        self.assumed = assumed;
        self
    }

    /// Caps a lifetime that the server makes too long. Default: none.
    #[must_use]
    pub fn max_token_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }
}

impl Default for LifetimeConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// How old a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Use it.
    Fresh,
    /// Use it, and renew it in the background.
    Due,
    /// Don't use it.
    Expired,
}

/// When a token is to be renewed, and until when it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Schedule {
    pub(crate) refresh_at: Deadline,
    pub(crate) usable_until: Deadline,
}

impl Schedule {
    /// Draws up the schedule of a token.
    ///
    /// `sent` is when its request was begun: the server counts the lifetime from some moment
    /// after that (RFC 6749 section 5.1 leaves open which). `jitter` is uniform in 0..=1 and drawn
    /// once a token, so that replicas that started together drift apart.
    pub(crate) fn new(
        config: &LifetimeConfig,
        sent: Timestamp,
        expires_in: Option<Duration>,
        refresh_in: Option<Duration>,
        jitter: f64,
    ) -> Self {
        let lifetime = expires_in.unwrap_or(ENDLESS).min(ENDLESS);
        let lifetime = config.max_age.map_or(lifetime, |max| lifetime.min(max));
        let known = expires_in.is_some() || config.max_age.is_some();
        // The clocks of two machines differ, and a request takes its time to arrive.
        let slack = if known {
            (lifetime / 10).min(Duration::from_secs(10))
        } else {
            Duration::ZERO
        };
        let usable = lifetime - slack;

        let spread = |span: Duration| {
            (span / 10)
                .min(Duration::from_secs(5 * 60))
                .mul_f64(jitter.clamp(0.0, 1.0))
        };
        let refresh = if expires_in.is_some() {
            let margin = slack.max(config.margin.min(lifetime / 4));
            lifetime
                .saturating_sub(margin)
                .saturating_sub(spread(lifetime))
        } else {
            let assumed = config.assumed.min(usable);
            assumed.saturating_sub(spread(assumed))
        };
        let refresh = refresh_in.map_or(refresh, |hint| refresh.min(hint));
        Self {
            refresh_at: sent.deadline(refresh),
            usable_until: sent.deadline(usable),
        }
    }

    /// How old the token is now.
    pub(crate) fn age(&self, now: Timestamp) -> Age {
        if self.usable_until.has_come(now) {
            Age::Expired
        } else if self.refresh_at.has_come(now) {
            Age::Due
        } else {
            Age::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Timestamp = Timestamp {
        mono: Duration::from_secs(100),
        wall: Duration::from_secs(1_000_000),
    };

    fn after(seconds: f64) -> Deadline {
        SENT.deadline(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn the_margin_is_proportional_for_short_tokens() {
        let config = LifetimeConfig::new();
        // (expires_in, jitter, refresh after, usable for)
        for (lifetime, jitter, refresh, usable) in [
            (3600.0, 0.0, 3540.0, 3590.0),
            (3600.0, 1.0, 3540.0 - 300.0, 3590.0),
            (300.0, 0.0, 240.0, 290.0),
            (60.0, 0.0, 45.0, 54.0),
            (60.0, 1.0, 39.0, 54.0),
            (5.0, 0.0, 3.75, 4.5),
            (1.0, 1.0, 0.65, 0.9),
            (0.0, 1.0, 0.0, 0.0),
        ] {
            let lifetime = Duration::from_secs_f64(lifetime);
            let schedule = Schedule::new(&config, SENT, Some(lifetime), None, jitter);
            assert_eq!(schedule.refresh_at, after(refresh), "{lifetime:?}");
            assert_eq!(schedule.usable_until, after(usable), "{lifetime:?}");
        }
    }

    #[test]
    fn a_token_of_unknown_lifetime_is_renewed_but_not_thrown_away() {
        let schedule = Schedule::new(&LifetimeConfig::new(), SENT, None, None, 0.0);
        assert_eq!(schedule.refresh_at, after(300.0));
        let late = Timestamp {
            mono: SENT.mono + Duration::from_secs(86_400),
            wall: SENT.wall + Duration::from_secs(86_400),
        };
        assert_eq!(schedule.age(late), Age::Due);
    }

    #[test]
    fn a_maximum_age_caps_what_the_server_says() {
        let config = LifetimeConfig::new().max_token_age(Duration::from_secs(600));
        let long = Some(Duration::from_secs(86_400));
        let schedule = Schedule::new(&config, SENT, long, None, 0.0);
        assert_eq!(schedule.usable_until, after(590.0));
        assert_eq!(schedule.refresh_at, after(540.0));
        let schedule = Schedule::new(&config, SENT, None, None, 0.0);
        assert_eq!(schedule.usable_until, after(590.0));
        assert_eq!(schedule.refresh_at, after(300.0));
    }

    #[test]
    fn the_servers_refresh_in_is_an_upper_bound() {
        let hour = Some(Duration::from_secs(3600));
        for (hint, refresh) in [(1800, 1800.0), (7200, 3540.0)] {
            let hint = Some(Duration::from_secs(hint));
            let schedule = Schedule::new(&LifetimeConfig::new(), SENT, hour, hint, 0.0);
            assert_eq!(schedule.refresh_at, after(refresh));
        }
    }

    #[test]
    fn a_token_has_expired_when_either_clock_says_so() {
        let hour = Some(Duration::from_secs(3600));
        let schedule = Schedule::new(&LifetimeConfig::new(), SENT, hour, None, 0.0);
        let suspended = Timestamp {
            wall: SENT.wall + Duration::from_secs(3600),
            ..SENT
        };
        assert_eq!(schedule.age(suspended), Age::Expired);
        let stepped_back = Timestamp {
            mono: SENT.mono + Duration::from_secs(3600),
            wall: SENT.wall - Duration::from_secs(3600),
        };
        assert_eq!(schedule.age(stepped_back), Age::Expired);
        assert_eq!(schedule.age(SENT), Age::Fresh);
    }

    #[test]
    fn no_lifetime_overflows() {
        let config = LifetimeConfig::new().margin(Duration::MAX);
        for lifetime in [Duration::MAX, Duration::ZERO, Duration::from_nanos(1)] {
            Schedule::new(&config, SENT, Some(lifetime), Some(Duration::MAX), 1.0);
        }
    }
}
