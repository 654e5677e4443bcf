//! What happens to a token, told to an [`Observer`].
//!
//! With the feature `tracing` every handle reports to a [`TracingObserver`] unless told otherwise;
//! without it, to nobody. No event holds a token, a secret or a response body, and no call that
//! goes well makes one. The manual tells what the events mean and what to do about them.
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
//!
//! Observers are put together as a tuple: `(TracingObserver::new(), MetricsObserver::new())`.

mod alarm;
mod event;
mod lifetime;
#[cfg(feature = "metrics")]
mod metrics;
mod observer;
mod span;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use self::metrics::MetricsObserver;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use self::tracing::TracingObserver;
pub(crate) use self::{
    alarm::{Alarm, Turn, Wanted},
    lifetime::Lifetimes,
    span::Span,
};
pub use self::{
    alarm::{AlarmCause, AlarmConfig, AlarmCounts},
    event::{Event, RetryOutcome},
    observer::Observer,
};
