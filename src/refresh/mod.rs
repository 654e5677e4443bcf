//! A token that is always there: fetched once, renewed in the background, replaced when refused.
//!
//! A [`TokenHandle`] holds one token of one [`TokenSource`](crate::grant::TokenSource). Any number
//! of callers share it and never make more than one token request at a time. It needs neither
//! network nor runtime to be built; the first call starts its background task, and dropping the
//! last clone ends it.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use tower_oauth::{grant::{Fetched, source_fn}, refresh::TokenHandle, token::AccessToken};
//!
//! let handle = TokenHandle::new(source_fn(|_cause| async {
//!     Ok(Fetched::new(AccessToken::new("an-access-token")?).expires_in(Duration::from_secs(600)))
//! }));
//! let token = handle.token().await?;
//! assert_eq!(token.access_token().expose(), "an-access-token");
//! # Ok::<_, tower_oauth::TokenError>(()) }).unwrap();
//! ```

mod backoff;
mod caller;
mod cell;
mod control;
mod flight;
mod handle;
mod report;
#[cfg(all(test, tower_oauth_shuttle))]
mod schedules;
mod shared;
mod shutdown;
mod status;
mod sync;
mod tasks;
mod wait;
mod worker;

pub(crate) use self::{
    cell::Snapshot,
    control::{OriginId, Rejection, Why},
    wait::{Granted, Hold, NotHealed, Verdict, Wait},
};
pub use self::{
    handle::{Token, TokenHandle, TokenHandleBuilder},
    status::Status,
};
