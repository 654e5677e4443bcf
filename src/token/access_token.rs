use std::fmt;

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::{ErrorKind, TokenError};

/// An access token: opaque, never formatted, wiped from memory when dropped (RFC 6750).
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// Takes a token as the authorization server sent it.
    ///
    /// # Errors
    ///
    /// A token that is empty, or holds anything but visible ASCII characters, can't stand in a
    /// header and is refused.
    pub fn new(token: impl Into<String>) -> Result<Self, InvalidAccessToken> {
        let token = Zeroizing::new(token.into());
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidAccessToken(()));
        }
        Ok(Self(token))
    }

    /// The token itself. It is a secret.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The finished, sensitive `Authorization` value (RFC 6750 section 2.1).
    pub(crate) fn to_bearer(&self) -> HeaderValue {
        let value = Zeroizing::new(format!("Bearer {}", self.expose()));
        let mut value =
            HeaderValue::from_str(&value).expect("a token holds visible ASCII characters only");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A token that can't stand in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAccessToken(());

impl fmt::Display for InvalidAccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the access token is empty or holds characters that can't stand in a header")
    }
}

impl std::error::Error for InvalidAccessToken {}

impl From<InvalidAccessToken> for TokenError {
    fn from(error: InvalidAccessToken) -> Self {
        Self::new(ErrorKind::Malformed, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_cannot_stand_in_a_header_is_refused() {
        for odd in ["", "a b", "a\r\nb", "a\tb", "é", "a\0", "\u{7f}"] {
            assert!(AccessToken::new(odd).is_err(), "{odd:?}");
        }
        for fine in ["a", "00D!a", "a.b-c_d~e+f/g==", "{}\"'"] {
            assert!(AccessToken::new(fine).is_ok(), "{fine:?}");
        }
    }

    #[test]
    fn a_token_is_never_formatted() {
        let token = AccessToken::new("s3cr3t-t0ken").unwrap();
        assert_eq!(format!("{token:?}"), "[redacted]");
        assert_eq!(format!("{:?}", token.to_bearer()), "Sensitive");
        assert_eq!(token.to_bearer().as_bytes(), b"Bearer s3cr3t-t0ken");
    }
}
