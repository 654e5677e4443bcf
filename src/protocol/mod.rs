//! What goes over the wire to the authorization server and back, without any input or output.
//!
//! A [`TokenRequest`] becomes a form; what comes back becomes a token or a
//! [`TokenError`](crate::TokenError) that says what to change. Servers are read as they are, not
//! as they should be: a lifetime may be a string, an error may come with status 200, and whatever
//! a server writes may echo the credentials that it was sent.

mod answer;
mod endpoint;
mod lifetime;
mod metadata;
mod refusal;
mod request;
mod retry_after;
mod scope;

pub(crate) use self::{
    answer::{Received, TokenAnswer},
    endpoint::origin,
    metadata::{InvalidMetadata, Issuer, Metadata},
    request::form_encode,
    retry_after::retry_after,
};
pub use self::{
    endpoint::{Endpoint, InvalidEndpoint},
    metadata::{InvalidIssuer, WellKnown},
    request::TokenRequest,
    scope::{InvalidScope, Scope},
};
