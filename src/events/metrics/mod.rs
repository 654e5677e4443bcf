//! Events as metrics. All that names the crate `metrics` is here and in `list`.

mod list;

use std::{
    fmt,
    sync::Once,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrics::Label;

use super::{AlarmCause, Event, Observer, RetryOutcome};
use crate::token::{Cause, Generation};

/// Counts events, on the facade of the crate [`metrics`](https://docs.rs/metrics): a recorder that
/// the program has installed sees them, whatever it exports to.
///
/// The manual lists the metrics with their units and labels; names, labels and what they mean are
/// part of this crate's interface. No label holds an address, a scope or a client: all values come
/// from short lists. A program with several handles tells them apart by a label of its own.
///
/// The remaining life of a token or certificate is the moment of its end, in seconds since the Unix
/// epoch, so that it is right whenever it is read: subtract the time. The gauge of the token is
/// infinite for a token of unknown life, 0 while there is none that can be used, and not a number
/// once the handle is closed.
///
/// ```
/// use tower_oauth::{events::MetricsObserver, refresh::TokenHandle};
/// # fn source() -> impl tower_oauth::grant::TokenSource {
/// #     tower_oauth::grant::source_fn(|_| std::future::pending())
/// # }
/// let handle = TokenHandle::builder(source())
///     // In a program without the feature `tracing`, `MetricsObserver` alone.
///     .observer((
///         # #[cfg(feature = "tracing")]
///         tower_oauth::events::TracingObserver::new(),
///         # #[cfg(not(feature = "tracing"))]
///         # (),
///         MetricsObserver::new().label("token", "orders"),
///     ))
///     .build();
/// # let _ = handle;
/// ```
pub struct MetricsObserver {
    labels: Vec<Label>,
    begun: Once,
}

impl MetricsObserver {
    /// An observer without labels of its own.
    pub fn new() -> Self {
        Self {
            labels: Vec::new(),
            begun: Once::new(),
        }
    }

    /// Adds a label to each metric of this observer, to tell its handle from others. Its values
    /// should come from a short list, and be no secret.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push(Label::new(name.into(), value.into()));
        self
    }

    /// Says what the metrics mean, and begins at zero with those that are alarming by their first
    /// increase: a series that appears at 1 has not increased. This is done with the first event,
    /// because a recorder may be installed after the observer was made.
    fn begin(&self) {
        self.begun.call_once(|| {
            let given = &self.labels;
            list::describe();
            self.alarm(None);
            for cause in [
                Cause::Cold,
                Cause::Scheduled,
                Cause::Rejected(Generation::default()),
                Cause::Rotation,
                Cause::Forced,
            ] {
                list::REFRESHES.add(0, [cause.name()], given);
            }
            for outcome in RetryOutcome::ALL {
                list::RETRIES.add(0, [outcome.name()], given);
            }
            for counter in [
                list::COLLAPSES,
                list::MISBOUND,
                list::ROTATIONS,
                list::RELOAD_FAILURES,
                list::PROFILE_FAILURES,
                list::METADATA_FAILURES,
                list::ENDPOINT_MOVES,
                list::CLOCKS,
            ] {
                counter.add(0, [], given);
            }
        });
    }

    fn alarm(&self, raised: Option<AlarmCause>) {
        for cause in AlarmCause::ALL {
            let value = if raised == Some(cause) { 1.0 } else { 0.0 };
            list::ALARM.set(value, [cause.name()], &self.labels);
        }
    }

    fn fetch(&self, cause: Cause, outcome: &'static str, took: Duration) {
        list::FETCHES.add(1, [cause.name(), outcome], &self.labels);
        list::FETCH_DURATION.record(took, [outcome], &self.labels);
    }
}

impl Observer for MetricsObserver {
    fn event(&self, event: &Event<'_>) {
        let given = &self.labels;
        self.begin();
        match event {
            // Nobody is woken for these, and the log has them.
            Event::FetchStarted { .. } | Event::ProfileChanged | Event::NotAdvertised { .. } => {}
            Event::FetchSucceeded {
                cause,
                took,
                usable_until,
                certificate_not_after,
                ..
            } => {
                self.fetch(*cause, "succeeded", *took);
                let end = usable_until.map_or(f64::INFINITY, timestamp);
                list::TOKEN_EXPIRY.set(end, [], given);
                if let Some(at) = certificate_not_after {
                    list::CERTIFICATE_EXPIRY.set(timestamp(*at), [], given);
                }
            }
            Event::FetchFailed {
                cause,
                error,
                took,
                usable_for,
                ..
            } => {
                self.fetch(*cause, error.kind().name(), *took);
                if usable_for.is_none() {
                    list::TOKEN_EXPIRY.set(0.0, [], given);
                }
            }
            Event::Refreshed { cause, .. } => list::REFRESHES.add(1, [cause.name()], given),
            Event::LifetimeCollapsed { .. } => list::COLLAPSES.add(1, [], given),
            Event::IdentityRotated { .. } => list::ROTATIONS.add(1, [], given),
            Event::ReloadFailed { .. } => list::RELOAD_FAILURES.add(1, [], given),
            Event::CertificateExpiring { not_after, .. } => {
                list::CERTIFICATE_EXPIRY.set(timestamp(*not_after), [], given);
            }
            Event::TokenMisbound { .. } => list::MISBOUND.add(1, [], given),
            Event::ProfileRefused { .. } => list::PROFILE_FAILURES.add(1, [], given),
            Event::MetadataNotRenewed { .. } => list::METADATA_FAILURES.add(1, [], given),
            Event::EndpointMoved { .. } => list::ENDPOINT_MOVES.add(1, [], given),
            Event::ClocksApart { .. } => list::CLOCKS.add(1, [], given),
            Event::Retried { outcome } => list::RETRIES.add(1, [outcome.name()], given),
            Event::Rejected { reason, .. } => list::REJECTIONS.add(1, [reason], given),
            Event::AlarmRaised { cause, .. } => self.alarm(Some(*cause)),
            Event::AlarmCleared { .. } => self.alarm(None),
            Event::Closed => {
                list::TOKEN_EXPIRY.set(f64::NAN, [], given);
                list::CERTIFICATE_EXPIRY.set(f64::NAN, [], given);
                self.alarm(None);
            }
            Event::TokenRevoked => list::REVOCATIONS.add(1, ["revoked"], given),
            Event::TokenNotRevoked { error } => {
                list::REVOCATIONS.add(1, [error.kind().name()], given);
            }
        }
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsObserver")
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

fn timestamp(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs_f64()
}

#[cfg(test)]
mod tests;
