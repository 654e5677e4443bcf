use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::{
    error::TokenError,
    events::AlarmCause,
    token::{Cause, Generation},
};

/// What a handle can say of itself, for a health page. No secret is part of it.
///
/// It serialises, under names that are part of this crate's interface. Spans are whole seconds
/// (`usable_for_seconds`), moments whole seconds since the Unix epoch (`retry_at`), and an error is
/// its kind, what it says, the server's error code and status, and whether it may pass by itself.
/// What isn't there is `null`.
///
/// ```json
/// {
///   "usable": true,
///   "generation": 7,
///   "usable_for_seconds": 2712,
///   "refresh_in_seconds": 2605,
///   "age_seconds": 878,
///   "scope": "orders.read",
///   "fetching": null,
///   "last_error": {
///     "kind": "rejected",
///     "message": "https://as.example answered 503",
///     "oauth_error": null,
///     "status": 503,
///     "temporary": true
///   },
///   "retry_at": 1767225612,
///   "certificate": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2",
///   "certificate_not_after": 1774915200,
///   "identity_error": null,
///   "fetches": 8,
///   "alarm": "rollovers",
///   "closed": false
/// }
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// There is a token that may be sent.
    pub usable: bool,
    /// The number of the current token; `None` before the first.
    #[serde(serialize_with = "number")]
    pub generation: Option<Generation>,
    /// How long the current token may still be sent; `None` without a token.
    #[serde(rename = "usable_for_seconds", serialize_with = "seconds")]
    pub usable_for: Option<Duration>,
    /// How long it is until the current token is renewed; `None` without a token.
    #[serde(rename = "refresh_in_seconds", serialize_with = "seconds")]
    pub refresh_in: Option<Duration>,
    /// How long ago the current token came.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Option<Duration>,
    /// The scope granted, when the server said so.
    pub scope: Option<String>,
    /// Why a token is being fetched right now, if one is.
    #[serde(serialize_with = "cause")]
    pub fetching: Option<Cause>,
    /// Why the last fetch failed, if it did.
    #[serde(serialize_with = "error")]
    pub last_error: Option<TokenError>,
    /// When the next attempt is made after a failure.
    #[serde(serialize_with = "timestamp")]
    pub retry_at: Option<SystemTime>,
    /// The certificate that the current token belongs to (its `x5t#S256`), if there is one.
    pub certificate: Option<String>,
    /// When that certificate expires.
    #[serde(serialize_with = "timestamp")]
    pub certificate_not_after: Option<SystemTime>,
    /// Why the identity in the source's files is not the one in use: they can't be read, or the
    /// server refused it.
    #[serde(serialize_with = "error")]
    pub identity_error: Option<TokenError>,
    /// How many token requests were begun.
    pub fetches: u64,
    /// Why tokens are refused again and again, if they are.
    #[serde(serialize_with = "alarm")]
    pub alarm: Option<AlarmCause>,
    /// The handle was closed.
    pub closed: bool,
}

fn number<S: Serializer>(value: &Option<Generation>, to: S) -> Result<S::Ok, S::Error> {
    value.map(u64::from).serialize(to)
}

fn seconds<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    value.map(|span| span.as_secs()).serialize(to)
}

fn timestamp<S: Serializer>(value: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
    let since = value.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default());
    seconds(&since, to)
}

fn cause<S: Serializer>(value: &Option<Cause>, to: S) -> Result<S::Ok, S::Error> {
    value.map(Cause::name).serialize(to)
}

fn alarm<S: Serializer>(value: &Option<AlarmCause>, to: S) -> Result<S::Ok, S::Error> {
    value.map(AlarmCause::name).serialize(to)
}

fn error<S: Serializer>(value: &Option<TokenError>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told<'a> {
        kind: &'static str,
        message: String,
        oauth_error: Option<&'a str>,
        status: Option<u16>,
        temporary: bool,
    }

    let told = value.as_ref().map(|error| Told {
        kind: error.kind().name(),
        message: error.to_string(),
        oauth_error: error.oauth_error(),
        status: error.status().map(|status| status.as_u16()),
        temporary: error.is_temporary(),
    });
    told.serialize(to)
}
