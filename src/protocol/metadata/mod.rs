//! What a server says about itself (RFC 8414, OpenID Connect Discovery).

mod document;
mod issuer;

pub use self::issuer::{InvalidIssuer, WellKnown};
pub(crate) use self::{
    document::{InvalidMetadata, Metadata},
    issuer::Issuer,
};
