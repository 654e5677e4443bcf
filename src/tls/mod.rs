//! TLS settings: whom to trust, and as whom to appear.
//!
//! The authorization server and the API each get a [`TlsConfig`] of their own; the same
//! [`ClientIdentity`](crate::keystore::ClientIdentity) may be in both. Verification can't be
//! switched off: for a private authority, name its certificate by [`TrustAnchors::from_pem_file`].

mod client;
mod config;
mod trust;
mod verify;

pub use self::{client::hyper_client, config::TlsConfig, trust::TrustAnchors};

#[cfg(test)]
mod tests;
