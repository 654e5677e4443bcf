use std::fmt;

use crate::error::{ErrorKind, TokenError};

/// Why a [`Proxy`](super::Proxy) can't be used. It never repeats an address, which may hold a
/// password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// It is not an address.
    NotAnAddress,
    /// It is not spoken to in plain http.
    #[non_exhaustive]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// User name or password can't be sent as Basic.
    UserName,
    /// An environment variable is wrong.
    #[non_exhaustive]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        source: Box<InvalidProxy>,
    },
}

impl InvalidProxy {
    pub(super) fn of_variable(self, name: &'static str) -> Self {
        let source = Box::new(self);
        Self::Variable { name, source }
    }
}

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAddress => f.write_str(
                "the proxy must have an address such as http://proxy.example:3128, with user name \
                 and password percent-encoded if they are in it",
            ),
            Self::Scheme { scheme } => write!(
                f,
                "a proxy of the scheme `{scheme}` isn't supported: give the address at which it \
                 takes CONNECT over plain http, such as http://proxy.example:3128"
            ),
            Self::UserName => f.write_str(
                "the proxy's user name can't have a colon in it, and neither it nor the password \
                 a control character",
            ),
            Self::Variable { name, source } => write!(f, "`{name}`: {source}"),
        }
    }
}

impl std::error::Error for InvalidProxy {}

impl From<InvalidProxy> for TokenError {
    fn from(error: InvalidProxy) -> Self {
        Self::new(ErrorKind::Configuration, error.to_string())
    }
}
