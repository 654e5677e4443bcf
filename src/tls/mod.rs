//! TLS settings: whom to trust, and as whom to appear.

mod client;
mod config;
mod trust;

pub use self::{client::hyper_client, config::TlsConfig, trust::TrustAnchors};
