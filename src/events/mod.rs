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

use std::time::Duration;

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
