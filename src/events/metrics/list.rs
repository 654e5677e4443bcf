//! The metrics there are. Dashboard, alert rules and manual are held to this list by tests.

use std::time::Duration;

use metrics::{Label, Unit};

pub(super) struct Counter(Metric);
pub(super) struct Gauge(Metric);
pub(super) struct Histogram(Metric);

/// What is fixed of a metric. The values of its labels come from short lists.
#[derive(Clone, Copy)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

pub(super) const FETCHES: Counter = Counter(Metric {
    name: "tower_oauth_token_fetches_total",
    labels: &["cause", "outcome"],
    help: "Token requests that ended",
});
pub(super) const FETCH_DURATION: Histogram = Histogram(Metric {
    name: "tower_oauth_token_fetch_duration_seconds",
    labels: &["outcome"],
    help: "How long token requests took, signing and waiting included",
});
pub(super) const REFRESHES: Counter = Counter(Metric {
    name: "tower_oauth_token_refreshes_total",
    labels: &["cause"],
    help: "New tokens that took the place of another",
});
pub(super) const TOKEN_EXPIRY: Gauge = Gauge(Metric {
    name: "tower_oauth_token_expiry_timestamp_seconds",
    labels: &[],
    help: "When the current token can no longer be used",
});
pub(super) const COLLAPSES: Counter = Counter(Metric {
    name: "tower_oauth_token_lifetime_collapses_total",
    labels: &[],
    help: "Tokens that live a tenth of what the one before did, or less",
});
pub(super) const MISBOUND: Counter = Counter(Metric {
    name: "tower_oauth_token_misbound_total",
    labels: &[],
    help: "Tokens that are bound to another certificate",
});
pub(super) const RETRIES: Counter = Counter(Metric {
    name: "tower_oauth_retries_total",
    labels: &["outcome"],
    help: "Requests that were sent a second time, with a newer token",
});
pub(super) const REJECTIONS: Counter = Counter(Metric {
    name: "tower_oauth_rejections_total",
    labels: &["reason"],
    help: "Responses that refused the token and reached the caller",
});
pub(super) const CERTIFICATE_EXPIRY: Gauge = Gauge(Metric {
    name: "tower_oauth_certificate_expiry_timestamp_seconds",
    labels: &[],
    help: "When the client's certificate expires",
});
pub(super) const ROTATIONS: Counter = Counter(Metric {
    name: "tower_oauth_identity_rotations_total",
    labels: &[],
    help: "New identities that were taken up",
});
pub(super) const RELOAD_FAILURES: Counter = Counter(Metric {
    name: "tower_oauth_identity_reload_failures_total",
    labels: &[],
    help: "Changes of the identity's files that can't be used",
});
pub(super) const PROFILE_FAILURES: Counter = Counter(Metric {
    name: "tower_oauth_profile_reload_failures_total",
    labels: &[],
    help: "Changes of the profile that can't be used",
});
pub(super) const METADATA_FAILURES: Counter = Counter(Metric {
    name: "tower_oauth_metadata_renewal_failures_total",
    labels: &[],
    help: "Renewals of the server's metadata that failed",
});
pub(super) const ENDPOINT_MOVES: Counter = Counter(Metric {
    name: "tower_oauth_metadata_endpoint_moves_total",
    labels: &[],
    help: "Renewals of the metadata that named a token endpoint on another host",
});
pub(super) const CLOCKS: Counter = Counter(Metric {
    name: "tower_oauth_clock_corrections_total",
    labels: &[],
    help: "Assertions that were refused and made anew, with the time of the server's clock",
});
pub(super) const REVOCATIONS: Counter = Counter(Metric {
    name: "tower_oauth_token_revocations_total",
    labels: &["outcome"],
    help: "Tokens that were to be revoked at the end",
});
pub(super) const ALARM: Gauge = Gauge(Metric {
    name: "tower_oauth_alarm",
    labels: &["cause"],
    help: "1 while tokens are refused again and again",
});

const COUNTERS: [&Counter; 13] = [
    &FETCHES,
    &REFRESHES,
    &COLLAPSES,
    &MISBOUND,
    &RETRIES,
    &REJECTIONS,
    &ROTATIONS,
    &RELOAD_FAILURES,
    &PROFILE_FAILURES,
    &METADATA_FAILURES,
    &ENDPOINT_MOVES,
    &CLOCKS,
    &REVOCATIONS,
];
const GAUGES: [&Gauge; 3] = [&TOKEN_EXPIRY, &CERTIFICATE_EXPIRY, &ALARM];
const HISTOGRAMS: [&Histogram; 1] = [&FETCH_DURATION];

/// Tells the recorder what each of them means.
pub(super) fn describe() {
    for Counter(metric) in COUNTERS {
        metrics::describe_counter!(metric.name, Unit::Count, metric.help);
    }
    for Gauge(metric) in GAUGES {
        metrics::describe_gauge!(metric.name, metric.unit(), metric.help);
    }
    for Histogram(metric) in HISTOGRAMS {
        metrics::describe_histogram!(metric.name, metric.unit(), metric.help);
    }
}

/// All of them, with what they are.
#[cfg(test)]
pub(super) fn all() -> Vec<(&'static str, Metric)> {
    let counters = COUNTERS.iter().map(|it| ("counter", it.0));
    let gauges = GAUGES.iter().map(|it| ("gauge", it.0));
    let histograms = HISTOGRAMS.iter().map(|it| ("histogram", it.0));
    counters.chain(gauges).chain(histograms).collect()
}

impl Metric {
    /// As its name says.
    pub(super) fn unit(&self) -> Unit {
        if self.name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        }
    }

    /// Its labels with these values, and those that the user gave.
    fn labels<const N: usize>(&self, values: [&'static str; N], given: &[Label]) -> Vec<Label> {
        debug_assert_eq!(self.labels.len(), N, "{}", self.name);
        let own = self.labels.iter().zip(values);
        own.map(|(name, value)| Label::new(*name, value))
            .chain(given.iter().cloned())
            .collect()
    }
}

impl Counter {
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.0.name
    }

    pub(super) fn add<const N: usize>(
        &self,
        count: u64,
        values: [&'static str; N],
        given: &[Label],
    ) {
        metrics::counter!(self.0.name, self.0.labels(values, given)).increment(count);
    }
}

impl Gauge {
    #[cfg(test)]
    pub(super) fn name(&self) -> &'static str {
        self.0.name
    }

    pub(super) fn set<const N: usize>(
        &self,
        value: f64,
        values: [&'static str; N],
        given: &[Label],
    ) {
        metrics::gauge!(self.0.name, self.0.labels(values, given)).set(value);
    }
}

impl Histogram {
    pub(super) fn record<const N: usize>(
        &self,
        value: Duration,
        values: [&'static str; N],
        given: &[Label],
    ) {
        metrics::histogram!(self.0.name, self.0.labels(values, given)).record(value);
    }
}
