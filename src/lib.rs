//! OAuth 2.0 for machine-to-machine calls, as one tower layer.
#![cfg_attr(docsrs, feature(doc_cfg))]
// What only one feature uses would otherwise be reported as dead in a build without it.
#![cfg_attr(not(all(feature = "hyper", feature = "jwt")), allow(dead_code))]

mod clock;
mod error;
mod secret;

pub mod body;
pub mod challenge;
pub mod client_auth;
pub mod events;
pub mod grant;
pub mod jose;
pub mod keystore;
pub mod protocol;
pub mod refresh;
pub mod service;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub mod tls;
pub mod token;
pub mod transport;

pub use self::{
    clock::{Clock, ManualClock},
    error::{BoxError, ErrorKind, TokenError},
    secret::SecretString,
};
