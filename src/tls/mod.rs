//! TLS settings: whom to trust, and as whom to appear.
//!
//! The authorization server and the API each get a [`TlsConfig`] of their own; the same
//! [`ClientIdentity`](crate::keystore::ClientIdentity) may be in both. When the identity changes
//! while calls go on, it takes a [`RotatingClient`]. A [`Proxy`] on the way is a setting, too.
//! Verification can't be switched off: for a private authority, name its certificate by
//! [`TrustAnchors::from_pem_file`].

mod cause;
mod client;
mod config;
mod connector;
mod proxy;
mod rotating;
mod trust;
mod verify;

pub(crate) use self::{
    cause::{find, refused},
    connector::{blame, connect},
};
pub use self::{
    client::{HyperClient, hyper_client},
    config::TlsConfig,
    connector::Connector,
    proxy::{InvalidProxy, Proxy, ProxyError},
    rotating::{RotatingClient, RotatingFuture},
    trust::TrustAnchors,
};

#[cfg(test)]
mod tests;
