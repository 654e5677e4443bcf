use std::time::{Duration, SystemTime};

use super::{AlarmCause, AlarmCounts};
use crate::{
    error::TokenError,
    token::{Cause, Generation},
};

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A token request begins.
    #[non_exhaustive]
    FetchStarted {
        /// Why.
        cause: Cause,
    },
    /// A token came.
    #[non_exhaustive]
    FetchSucceeded {
        /// Why it was fetched.
        cause: Cause,
        /// Its number. The number of the token before means: the same bytes came again.
        generation: Generation,
        /// How long the fetch took.
        took: Duration,
        /// How long it lives, as the server said.
        expires_in: Option<Duration>,
        /// Until when it is used, by the wall clock. `None`: until it is refused.
        usable_until: Option<SystemTime>,
        /// When the certificate expires that was shown to the server, if one was.
        certificate_not_after: Option<SystemTime>,
    },
    /// A token request failed.
    #[non_exhaustive]
    FetchFailed {
        /// Why it was made.
        cause: Cause,
        /// What went wrong.
        error: &'a TokenError,
        /// How long the fetch took.
        took: Duration,
        /// How long it is until the next attempt.
        retry_in: Option<Duration>,
        /// How long the token from before can still be used. `None`: there is none, and calls
        /// fail.
        usable_for: Option<Duration>,
    },
    /// A new token takes the place of another. The first of a handle does not.
    ///
    /// With [`Cause::Rejected`] it is what a rollover looks like: the token was refused, and there
    /// is a new one.
    #[non_exhaustive]
    Refreshed {
        /// Why the new one was fetched.
        cause: Cause,
        /// Its number.
        generation: Generation,
        /// How long the other had been there.
        after: Duration,
    },
    /// A new token lives a tenth of what the one before did, or less, as the server says: renewals
    /// come that much oftener from now on.
    #[non_exhaustive]
    LifetimeCollapsed {
        /// Its number.
        generation: Generation,
        /// How long the one before lived.
        from: Duration,
        /// How long this one lives.
        to: Duration,
    },
    /// Calls go on with a new identity, and with a token fetched with it.
    #[non_exhaustive]
    IdentityRotated {
        /// The number of that token.
        generation: Generation,
        /// The `x5t#S256` of its certificate, if one is shown to the server.
        thumbprint: Option<&'a str>,
        /// When that certificate expires.
        not_after: Option<SystemTime>,
    },
    /// The files of the client's identity have changed, and can't be used as they are. The old
    /// identity stays in use.
    #[non_exhaustive]
    ReloadFailed {
        /// What is wrong with them.
        error: &'a TokenError,
    },
    /// The client's certificate comes to its end, and there is no other.
    #[non_exhaustive]
    CertificateExpiring {
        /// When that is, or was.
        not_after: SystemTime,
        /// How long it is until then. Zero: it has expired.
        left: Duration,
    },
    /// A token came that says itself that it is bound to another certificate than the one shown
    /// to the server (RFC 8705 section 3.1).
    #[non_exhaustive]
    TokenMisbound {
        /// Its number.
        generation: Generation,
    },
    /// A profile's file has changed, and calls go by it from now on.
    ProfileChanged,
    /// A profile's file has changed, and can't be used as it is, or gets no token. Calls go by the
    /// old one.
    #[non_exhaustive]
    ProfileRefused {
        /// What is wrong with it.
        error: &'a TokenError,
    },
    /// The server's metadata couldn't be renewed. What is known of it stays in use.
    #[non_exhaustive]
    MetadataNotRenewed {
        /// The server.
        issuer: &'a str,
        /// What went wrong.
        error: &'a TokenError,
    },
    /// The server's metadata names a token endpoint on another host than before. The old one stays
    /// in use: if the server has really moved, build the token source anew.
    #[non_exhaustive]
    EndpointMoved {
        /// The server.
        issuer: &'a str,
        /// The origin of the endpoint in use.
        kept: &'a str,
        /// The origin of the one that is named now.
        named: &'a str,
    },
    /// The server's metadata doesn't list the method of client authentication, or its algorithm. It
    /// is used all the same.
    #[non_exhaustive]
    NotAdvertised {
        /// The server.
        issuer: &'a str,
        /// The member of the metadata that it isn't in.
        list: &'a str,
        /// What isn't in it.
        value: &'a str,
    },
    /// The server refused a signed assertion, and its clock shows another time than ours: a corrected
    /// one is sent, and later assertions have that time, too. One of the two clocks is to be mended.
    #[non_exhaustive]
    ClocksApart {
        /// The server: its issuer identifier if that is known, else the endpoint's origin.
        server: &'a str,
        /// By how many seconds its clock is ahead of ours; negative: behind.
        seconds: i64,
        /// By how many the times in assertions are corrected: five minutes at most.
        corrected_by: i64,
    },
    /// A request was sent a second time, with a newer token.
    #[non_exhaustive]
    Retried {
        /// What came of it.
        outcome: RetryOutcome,
    },
    /// A rejection was handed to the caller: no other send could heal it. Of a stack put together
    /// by hand each rejection is told, as it can't be known what becomes of it there.
    #[non_exhaustive]
    Rejected {
        /// Who refused the token.
        origin: &'a str,
        /// The token's number.
        generation: Generation,
        /// Why it wasn't healed: the short, stable name of a
        /// [`RejectedReason`](https://docs.rs/tower-oauth/latest/tower_oauth/service/enum.RejectedReason.html).
        reason: &'static str,
        /// What to change.
        hint: &'a str,
        /// It is the first since this origin last accepted a token.
        first: bool,
    },
    /// Tokens are refused again and again. Told once, and again only if twice as many refusals say
    /// that the cause is another.
    #[non_exhaustive]
    AlarmRaised {
        /// What it looks like. [`AlarmCause::hint`] says what to do.
        cause: AlarmCause,
        /// What was refused.
        counts: AlarmCounts,
        /// In which time.
        window: Duration,
        /// Who refuses, if it is one origin alone and rejections of it have reached a caller.
        origin: Option<&'a str>,
    },
    /// No token was refused for as long as the alarm looks back.
    #[non_exhaustive]
    AlarmCleared {
        /// What it had looked like.
        cause: AlarmCause,
        /// For how long it was raised.
        lasted: Duration,
    },
    /// The handle was closed, or its last clone was dropped: there is no token any more.
    Closed,
    /// The handle was shut down, and the server knows that its token isn't needed any more (RFC 7009).
    TokenRevoked,
    /// The handle was shut down, and its token couldn't be revoked: it stays good until it expires.
    #[non_exhaustive]
    TokenNotRevoked {
        /// What went wrong.
        error: &'a TokenError,
    },
}

/// What came of a second send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryOutcome {
    /// The newer token was accepted.
    Healed,
    /// It was refused as well.
    Refused,
    /// The answer says nothing of the token.
    Unclear,
    /// There was no answer.
    Failed,
}

impl RetryOutcome {
    /// Each of them.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 4] = [Self::Healed, Self::Refused, Self::Unclear, Self::Failed];

    /// A short, stable name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healed => "healed",
            Self::Refused => "refused",
            Self::Unclear => "unclear",
            Self::Failed => "failed",
        }
    }
}

/// The names of all events there are, for tests that are to leave none out.
#[cfg(test)]
pub(super) fn names() -> std::collections::BTreeSet<&'static str> {
    let (_, variants) = include_str!("event.rs")
        .split_once("pub enum Event")
        .expect("it is above");
    let (variants, _) = variants.split_once("\n}").expect("it has an end");
    variants
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(char::is_uppercase))
        .map(name)
        .collect()
}

/// What an event's name is in a text that begins with it.
#[cfg(test)]
pub(super) fn name(text: &str) -> &str {
    let end = text.find(|it: char| !it.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}
