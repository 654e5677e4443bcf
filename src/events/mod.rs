//! What happens to a token, told to an [`Observer`].
//!
//! With the feature `tracing` every handle reports to a [`TracingObserver`] unless told otherwise;
//! without it, to nobody. No event holds a token, a secret or a response body.
//!
//! ```
//! use tower_oauth::{events::Event, refresh::TokenHandle};
//! # fn source() -> impl tower_oauth::grant::TokenSource {
//! #     tower_oauth::grant::source_fn(|_| std::future::pending())
//! # }
//! let handle = TokenHandle::builder(source())
//!     .observer(|event: &Event<'_>| {
//!         if let Event::FetchFailed { error, .. } = event {
//!             eprintln!("no token: {error}");
//!         }
//!     })
//!     .build();
//! # let _ = handle;
//! ```

#[cfg(feature = "tracing")]
mod tracing;

use std::time::{Duration, SystemTime};

#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;
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
    /// A rejection was handed to the caller: no other send could heal it. Of a stack put together
    /// by hand each rejection is told, as it can't be known what becomes of it there.
    #[non_exhaustive]
    Rejected {
        /// Who refused the token.
        origin: &'a str,
        /// The token's number.
        generation: Generation,
        /// What to change.
        hint: &'a str,
        /// It is the first since this origin last accepted a token.
        first: bool,
    },
}

/// Is told what happens.
///
/// Called synchronously, sometimes on a request's path: it must be quick and must not block. A
/// closure is one, and `()` is the one that ignores everything.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

impl Observer for () {
    fn event(&self, _event: &Event<'_>) {}
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}
