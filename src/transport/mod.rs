//! One bounded exchange with the authorization server.
//!
//! An [`HttpClient`] sends a token request and reads the answer, within a deadline and up to a
//! size ([`TransportLimits`]). It never follows a redirect: that would repeat the credential to
//! whoever the answer names. Underneath is hyper (feature `hyper`), a tower service of yours, or
//! your own [`TokenTransport`].

mod client;
mod fault;
#[cfg(feature = "hyper")]
mod hyper;
mod limits;
#[cfg(feature = "hyper")]
mod probe;
mod service;

#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub use self::probe::{Handshake, Probe, ServerCertificate};
pub use self::{
    client::{AnswerTooLarge, HttpClient, TokenTransport},
    limits::TransportLimits,
};
