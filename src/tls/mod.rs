//! TLS settings: whom to trust, and as whom to appear.

mod config;
mod trust;

pub use self::{
    config::{TlsConfig, hyper_client},
    trust::TrustAnchors,
};
