use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Event, Observer};
use crate::{error::TokenError, token::Cause};

/// Reports events through the `tracing` crate, with target `tower_oauth`.
///
/// Levels are for a reader who was woken at night. Error: calls fail for want of a token, the
/// certificate has expired, or the alarm is raised. Warning: something is to be mended before it
/// comes to that, such as a renewal that fails while the token is good, or a token that was refused
/// and replaced. Information: a new token or identity, and that the alarm is cleared. The rest is
/// for debugging, and a call that goes well says nothing at all.
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
                ..
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
                usable_for: Some(usable_for),
            } => tracing::warn!(
                target: "tower_oauth",
                cause = cause.name(),
                error = %error,
                source = ?source(error),
                ?took,
                ?retry_in,
                ?usable_for,
                "no new token, the old one is used meanwhile",
            ),
            Event::FetchFailed {
                cause,
                error,
                took,
                retry_in,
                usable_for: None,
            } => tracing::error!(
                target: "tower_oauth",
                cause = cause.name(),
                error = %error,
                source = ?source(error),
                ?took,
                ?retry_in,
                "no token",
            ),
            Event::Refreshed {
                cause: Cause::Rejected(_),
                generation,
                after,
            } => tracing::warn!(
                target: "tower_oauth",
                generation = u64::from(*generation),
                ?after,
                "token was refused and has been replaced",
            ),
            Event::Refreshed {
                cause,
                generation,
                after,
            } => tracing::debug!(
                target: "tower_oauth",
                cause = cause.name(),
                generation = u64::from(*generation),
                ?after,
                "token has been replaced",
            ),
            Event::LifetimeCollapsed {
                generation,
                from,
                to,
            } => tracing::warn!(
                target: "tower_oauth",
                generation = u64::from(*generation),
                ?from,
                ?to,
                "tokens live much shorter than before",
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
                source = ?source(error),
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
                source = ?source(error),
                "profile refused, the old one stays",
            ),
            Event::MetadataNotRenewed { issuer, error } => tracing::warn!(
                target: "tower_oauth",
                issuer,
                error = %error,
                source = ?source(error),
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
            Event::ClocksApart {
                server,
                seconds,
                corrected_by,
            } => tracing::warn!(
                target: "tower_oauth",
                server,
                seconds,
                corrected_by,
                "the server's clock shows another time, and assertions have it now",
            ),
            Event::Retried { outcome } => tracing::debug!(
                target: "tower_oauth",
                outcome = outcome.name(),
                "sent again with a newer token",
            ),
            Event::Rejected {
                origin,
                generation,
                reason,
                hint,
                first: true,
            } => tracing::warn!(
                target: "tower_oauth",
                origin,
                generation = u64::from(*generation),
                reason,
                hint,
                "token refused",
            ),
            Event::Rejected {
                origin,
                generation,
                reason,
                ..
            } => tracing::debug!(
                target: "tower_oauth",
                origin,
                generation = u64::from(*generation),
                reason,
                "token refused again",
            ),
            Event::AlarmRaised {
                cause,
                counts,
                window,
                origin,
            } => tracing::error!(
                target: "tower_oauth",
                cause = cause.name(),
                %counts,
                ?window,
                origin,
                hint = cause.hint(),
                "alarm: tokens are refused again and again",
            ),
            Event::AlarmCleared { cause, lasted } => tracing::info!(
                target: "tower_oauth",
                cause = cause.name(),
                ?lasted,
                "alarm is over: no token was refused for a while",
            ),
            Event::Closed => tracing::debug!(target: "tower_oauth", "token handle closed"),
            Event::TokenRevoked => tracing::debug!(target: "tower_oauth", "token revoked"),
            Event::TokenNotRevoked { error } => tracing::warn!(
                target: "tower_oauth",
                error = %error,
                source = ?source(error),
                "token not revoked, it stays good until it expires",
            ),
        }
    }
}

/// What caused it. `Display` of an error says its own level only.
fn source(error: &TokenError) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

/// A certificate's date reaches further than the format of HTTP does.
fn date(at: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(at.clamp(UNIX_EPOCH, last))
}

#[cfg(test)]
mod tests;
