use std::time::{Duration, SystemTime};

use crate::{
    error::TokenError,
    token::{Cause, Generation},
};

/// What a handle can say of itself, for a health page. No secret is part of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// There is a token that may be sent.
    pub usable: bool,
    /// The number of the current token; `None` before the first.
    pub generation: Option<Generation>,
    /// How long the current token may still be sent; `None` without a token.
    pub usable_for: Option<Duration>,
    /// How long it is until the current token is renewed; `None` without a token.
    pub refresh_in: Option<Duration>,
    /// How long ago the current token came.
    pub age: Option<Duration>,
    /// The scope granted, when the server said so.
    pub scope: Option<String>,
    /// Why a token is being fetched right now, if one is.
    pub fetching: Option<Cause>,
    /// Why the last fetch failed, if it did.
    pub last_error: Option<TokenError>,
    /// When the next attempt is made after a failure.
    pub retry_at: Option<SystemTime>,
    /// The certificate that the current token belongs to (its `x5t#S256`), if there is one.
    pub certificate: Option<String>,
    /// When that certificate expires.
    pub certificate_not_after: Option<SystemTime>,
    /// Why the identity in the source's files is not the one in use: they can't be read, or the
    /// server refused it.
    pub identity_error: Option<TokenError>,
    /// How many token requests were begun.
    pub fetches: u64,
    /// The handle was closed.
    pub closed: bool,
}
