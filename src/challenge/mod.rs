//! What a resource's answer says about the token: from `WWW-Authenticate` to a decision.
//!
//! Three steps, none of which does any I/O. [`parse`] reads challenges as servers really write
//! them. A [`Classify`] says what the response [means](Meaning) for the token; the built-in one
//! is [`ByErrorCode`]. What then happens to the request depends on the request, too: whether its
//! body can be sent again, whether it has been sent twice already, whether it had waited for the
//! token that is refused.
//!
//! ```
//! use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};
//! use tower_oauth::challenge::{ByErrorCode, Classify, Meaning};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(
//!     WWW_AUTHENTICATE,
//!     r#"Bearer error="insufficient_scope", scope="orders.write""#.parse()?,
//! );
//! // The token is good: getting another one like it would not help.
//! assert_eq!(
//!     ByErrorCode.classify(StatusCode::FORBIDDEN, &headers),
//!     Meaning::InsufficientScope { scope: Some("orders.write".into()) }
//! );
//! # Ok::<(), http::header::InvalidHeaderValue>(())
//! ```

mod classify;
mod parser;
mod refusal;
mod verdict;

pub(crate) use self::verdict::{Facts, Verdict, decide};
pub use self::{
    classify::{ByErrorCode, Classify, Meaning},
    parser::{Challenge, parse},
    refusal::Refusal,
};
