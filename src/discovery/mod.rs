//! From the issuer of an authorization server to its endpoints: metadata (RFC 8414, OpenID Connect
//! Discovery), fetched, checked, kept and renewed.
//!
//! [`ClientCredentials::from_issuer`](crate::grant::ClientCredentials::from_issuer) takes an
//! address, or a [`Discovery`] with settings.
//!
//! The document is believed when it names exactly the issuer that was set, and its token endpoint
//! when it is an https address on the issuer's host or on one that is
//! [listed](Discovery::endpoint_host). It is fetched with the first token and kept; when it has
//! become [old](Discovery::renew_after), the next token request starts a renewal and goes on without
//! waiting for it. A renewal that fails, or that names an endpoint on another host, changes nothing
//! but is an [event](crate::events::Event).

mod discovered;
mod endpoints;
mod fetch;
mod settings;

pub use self::settings::Discovery;
pub(crate) use self::{
    discovered::{Asking, Discovered},
    endpoints::Endpoints,
};
pub use crate::protocol::WellKnown;
