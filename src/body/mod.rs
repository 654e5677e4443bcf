//! Request bodies that can be sent once more after a rejection.
//!
//! A rejected request is repeated only when its body can be sent again whole. [`RetryBody`] says
//! how: [`Full`], [`Empty`] and [`String`] are cloned, [`ReplayBody`] keeps a bounded copy of any
//! other body while it is sent, and [`BoxBody`] and [`UnsyncBoxBody`] are kept that way from
//! within. What is kept is the [`Spare`]. It is claimed the moment the rejection arrives, which
//! parks the first send: an answer may come long before the whole body is sent, and the rest must
//! not run down a connection that has refused it. When a second send begins, the first one fails;
//! when there is none, the claim is given back and the first one goes on, so that the connection
//! and the rejected response on it stay readable. A part is never sent as the whole, and a first
//! send that is cut off never looks like a complete short body. A body that outgrows its
//! [`Allowance`], or the [`Budget`] of all bodies together, is still sent, once.
//!
//! ```
//! use http_body_util::{BodyExt, Full};
//! use tower_oauth::body::{Allowance, ReplayBody, RetryBody, Spare};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // Any body; a stream more likely than this.
//! let body = ReplayBody::new(Full::new("order".as_bytes()));
//! let (mut first, spare) = body.arm(&Allowance::new(64 * 1024));
//! first.frame().await.unwrap().unwrap();
//!
//! assert!(spare.claim());
//! let second = spare.take().unwrap();
//! assert_eq!(second.collect().await.unwrap().to_bytes(), "order");
//! assert!(first.frame().await.unwrap().is_err());
//! # }
//! ```
//!
//! [`BoxBody`]: http_body_util::combinators::BoxBody
//! [`Empty`]: http_body_util::Empty
//! [`Full`]: http_body_util::Full
//! [`UnsyncBoxBody`]: http_body_util::combinators::UnsyncBoxBody

mod boxed;
mod budget;
mod by_clone;
mod replay;
mod retry_body;
mod tape;
#[cfg(test)]
mod tests;

pub use self::{
    boxed::BoxedSpare,
    budget::{Allowance, Budget},
    by_clone::{CloneSpare, StringSpare},
    replay::{ReplayBody, ReplaySpare},
    retry_body::{RetryBody, Spare},
};
