use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Event, Observer};

/// Reports events through the `tracing` crate, with target `tower_oauth`.
///
/// Levels are for a reader in a hurry: an expired certificate is an error; a failed fetch, an
/// identity that can't be reloaded, a certificate that will expire and the first rejection of a run
/// are warnings; a new token or identity is information, the rest is for debugging.
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
            Event::IdentityRotated {
                generation,
                thumbprint,
                not_after,
            } => tracing::info!(
                target: "tower_oauth",
                generation = u64::from(*generation),
                thumbprint,
                not_after = not_after.map(date),
                "new identity",
            ),
            Event::ReloadFailed { error } => tracing::warn!(
                target: "tower_oauth",
                error = %error,
                source = ?std::error::Error::source(error).map(ToString::to_string),
                "identity not reloaded, the old one stays",
            ),
            Event::CertificateExpiring { not_after, left } if left.is_zero() => tracing::error!(
                target: "tower_oauth",
                not_after = date(*not_after),
                "certificate has expired",
            ),
            Event::CertificateExpiring { not_after, left } => tracing::warn!(
                target: "tower_oauth",
                not_after = date(*not_after),
                days_left = left.as_secs() / (24 * 60 * 60),
                "certificate expires",
            ),
            Event::TokenMisbound { generation } => tracing::warn!(
                target: "tower_oauth",
                generation = u64::from(*generation),
                "token is bound to another certificate",
            ),
            Event::ProfileChanged => tracing::info!(target: "tower_oauth", "new profile"),
            Event::ProfileRefused { error } => tracing::warn!(
                target: "tower_oauth",
                error = %error,
                source = ?std::error::Error::source(error).map(ToString::to_string),
                "profile refused, the old one stays",
            ),
            Event::MetadataNotRenewed { issuer, error } => tracing::warn!(
                target: "tower_oauth",
                issuer,
                error = %error,
                source = ?std::error::Error::source(error).map(ToString::to_string),
                "metadata not renewed, the old one stays",
            ),
            Event::EndpointMoved {
                issuer,
                kept,
                named,
            } => tracing::warn!(
                target: "tower_oauth",
                issuer,
                kept,
                named,
                "metadata names a token endpoint on another host, the old one stays",
            ),
            Event::NotAdvertised {
                issuer,
                list,
                value,
            } => tracing::warn!(
                target: "tower_oauth",
                issuer,
                list,
                value,
                "the server doesn't list what is used",
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

/// A certificate's date reaches further than the format of HTTP does.
fn date(at: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(at.clamp(UNIX_EPOCH, last))
}
