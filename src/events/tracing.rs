use super::{Event, Observer};

/// Reports events through the `tracing` crate, with target `tower_oauth`.
///
/// Levels are for a reader in a hurry: a failed fetch and the first rejection of a run are
/// warnings, a new token is information, the rest is for debugging.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingObserver;

impl TracingObserver {
    /// The observer.
    pub fn new() -> Self {
        Self
    }
}

impl Observer for TracingObserver {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::FetchStarted { cause } => {
                tracing::debug!(target: "tower_oauth", cause = cause.name(), "token request begins");
            }
            Event::FetchSucceeded {
                cause,
                generation,
                took,
                expires_in,
            } => tracing::info!(
                target: "tower_oauth",
                cause = cause.name(),
                generation = u64::from(*generation),
                ?took,
                ?expires_in,
                "new token",
            ),
            Event::FetchFailed {
                cause,
                error,
                took,
                retry_in,
            } => tracing::warn!(
                target: "tower_oauth",
                cause = cause.name(),
                error = %error,
                source = ?std::error::Error::source(error).map(ToString::to_string),
                ?took,
                ?retry_in,
                "no token",
            ),
            Event::Rejected {
                origin,
                generation,
                hint,
                first: true,
            } => tracing::warn!(
                target: "tower_oauth",
                origin,
                generation = u64::from(*generation),
                hint,
                "token refused",
            ),
            Event::Rejected {
                origin, generation, ..
            } => tracing::debug!(
                target: "tower_oauth",
                origin,
                generation = u64::from(*generation),
                "token refused again",
            ),
        }
    }
}
