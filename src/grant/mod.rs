//! Where tokens come from: the [`TokenSource`] trait and one file for each grant.

mod build_error;
mod client_credentials;
mod source;

#[cfg(feature = "profile")]
pub(crate) use self::client_credentials::{is_extra_header, is_reserved_parameter};
pub(crate) use self::source::DynTokenSource;
pub use self::{
    build_error::BuildError,
    client_credentials::{ClientCredentials, ClientCredentialsBuilder},
    source::{Fetched, SourceFn, TokenSource, source_fn},
};
