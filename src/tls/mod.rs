//! TLS settings: whom to trust, and as whom to appear.
//!
//! The authorization server and the API each get a [`TlsConfig`] of their own; the same
//! [`ClientIdentity`](crate::keystore::ClientIdentity) may be in both. When the identity changes
//! while calls go on, it takes a [`RotatingClient`]. Verification can't be
//! switched off: for a private authority, name its certificate by [`TrustAnchors::from_pem_file`].

mod client;
mod config;
mod rotating;
mod trust;
mod verify;

pub(crate) use self::verify::Refused;
pub use self::{
    client::{HyperClient, hyper_client},
    config::TlsConfig,
    rotating::{RotatingClient, RotatingFuture},
    trust::TrustAnchors,
};

#[cfg(test)]
mod tests;
