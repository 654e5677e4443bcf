use std::{error::Error as StdError, fmt};

use super::{OriginError, Rejected};
use crate::error::{BoxError, TokenError};

/// Why a call through [`OAuth`](super::OAuth) or [`Attach`](super::Attach) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No token could be had; nothing was sent.
    Token(TokenError),
    /// The token was refused, and so was its replacement, or none could be had. Only with
    /// [`rejection_as_error`](super::OAuthLayer::rejection_as_error); else the caller gets the
    /// response.
    Rejected(Box<Rejected>),
    /// The request is for an origin that the token may not go to; nothing was sent.
    Origin(OriginError),
    /// The inner service failed.
    Inner(BoxError),
}

impl Error {
    /// Finds one of ours in an error's chain of sources, the error itself included.
    pub fn find_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |error| (*error).source())
            .find_map(|error| error.downcast_ref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => write!(f, "no access token: {error}"),
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::Origin(error) => error.fmt(f),
            Self::Inner(_) => f.write_str("the call failed"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Token(error) => error.source(),
            Self::Rejected(rejected) => rejected.source(),
            Self::Origin(_) => None,
            Self::Inner(error) => Some(error.as_ref()),
        }
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<OriginError> for Error {
    fn from(error: OriginError) -> Self {
        Self::Origin(error)
    }
}
