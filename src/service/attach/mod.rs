//! A token on every request; no retry.

mod future;
mod layer;
mod service;

#[cfg(feature = "reqwest013")]
pub(crate) use self::future::Redirected;
pub(super) use self::service::{Settings, Ticket};
pub use self::{future::AttachFuture, layer::AttachLayer, service::Attach};
