use super::AuthContext;
use crate::error::{ErrorKind, TokenError};

/// Whom an assertion is for: its `aud`, always one string (RFC 7523 section 3, RFC 10070
/// section 4).
///
/// All but [`Issuer`](Self::Issuer) are for servers that don't take it, and weaker: a malicious
/// server that lists the address as its own can use the assertion there. Use a key of its own for
/// such a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Audience {
    /// The issuer identifier of the server, as the token source knows it:
    /// [`ClientCredentials::from_issuer`](crate::grant::ClientCredentials::from_issuer) or
    /// [`issuer`](crate::grant::ClientCredentialsBuilder::issuer). The default.
    #[default]
    Issuer,
    /// The address of the token endpoint, and not its alias for clients that show a certificate.
    TokenEndpoint,
    /// The address that the request goes to, whichever it is.
    CalledUrl,
    /// This, exactly as it is written here.
    Exact(String),
}

impl Audience {
    /// The `aud` of this request.
    pub(super) fn of<'a>(&'a self, context: &'a AuthContext<'_>) -> Result<&'a str, TokenError> {
        Ok(match self {
            Self::Issuer => context.issuer.ok_or_else(|| {
                TokenError::new(
                    ErrorKind::Configuration,
                    "an assertion needs an audience, and the server's issuer isn't known",
                )
            })?,
            Self::TokenEndpoint => context.conventional_endpoint.url(),
            Self::CalledUrl => context.token_endpoint.url(),
            Self::Exact(audience) => audience,
        })
    }
}

impl From<&str> for Audience {
    fn from(audience: &str) -> Self {
        Self::Exact(audience.to_owned())
    }
}

impl From<String> for Audience {
    fn from(audience: String) -> Self {
        Self::Exact(audience)
    }
}
