use std::fmt;

use crate::protocol::{Endpoint, InvalidEndpoint};

/// The issuer identifier of an authorization server: an absolute https address without query and
/// fragment (RFC 8414 section 2).
///
/// It is a name as much as an address: it is compared octet by octet, and nothing in it is
/// normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issuer(Endpoint);

impl Issuer {
    /// Takes an identifier; with `plain_http` one of a server on this machine without TLS, too.
    pub(crate) fn parse(issuer: &str, plain_http: bool) -> Result<Self, InvalidIssuer> {
        if issuer.contains(['?', '#']) {
            return Err(InvalidIssuer::QueryOrFragment);
        }
        let endpoint = if plain_http {
            Endpoint::allow_plain_http(issuer)
        } else {
            Endpoint::new(issuer)
        };
        endpoint.map(Self).map_err(|error| match error {
            InvalidEndpoint::UserInformation => InvalidIssuer::UserInformation,
            InvalidEndpoint::PlainHttp { origin }
            | InvalidEndpoint::PlainHttpToLoopback { origin } => {
                InvalidIssuer::PlainHttp { origin }
            }
            InvalidEndpoint::NotAbsolute | InvalidEndpoint::Fragment => InvalidIssuer::NotAbsolute,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.url()
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        self.0.origin()
    }

    /// The host, without port.
    pub(crate) fn host(&self) -> &str {
        self.0.uri().host().expect("an endpoint has a host")
    }

    pub(crate) fn is_plain_http(&self) -> bool {
        self.0.is_plain_http()
    }

    /// Its metadata, at one of the places where servers publish it.
    pub(crate) fn well_known(&self, place: WellKnown) -> String {
        let issuer = self.as_str();
        // One terminating slash is no part of the address (RFC 8414 section 3.1).
        let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
        let document = place.document();
        if place.is_inserted() {
            let (scheme, rest) = issuer.split_once("://").expect("an endpoint has a scheme");
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{authority}/.well-known/{document}{path}")
        } else {
            format!("{issuer}/.well-known/{document}")
        }
    }
}

/// Where a server publishes its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WellKnown {
    /// `https://as.example/.well-known/oauth-authorization-server/tenant`, the form of RFC 8414
    /// section 3.1.
    OAuth,
    /// `https://as.example/tenant/.well-known/openid-configuration`, the form of OpenID Connect
    /// Discovery section 4. Entra ID and Cognito know only this one.
    OpenId,
    /// `https://as.example/.well-known/openid-configuration/tenant`, the OpenID document in the
    /// form of RFC 8414 section 5.
    OpenIdInserted,
    /// `https://as.example/tenant/.well-known/oauth-authorization-server`, which no standard knows
    /// and a few servers do.
    OAuthAppended,
}

impl WellKnown {
    fn document(self) -> &'static str {
        match self {
            Self::OAuth | Self::OAuthAppended => "oauth-authorization-server",
            Self::OpenId | Self::OpenIdInserted => "openid-configuration",
        }
    }

    fn is_inserted(self) -> bool {
        matches!(self, Self::OAuth | Self::OpenIdInserted)
    }
}

/// Why a text can't be the issuer identifier of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidIssuer {
    /// It is not an absolute `https` address.
    NotAbsolute,
    /// It has a query or a fragment.
    QueryOrFragment,
    /// It has a user name or password in it.
    UserInformation,
    /// It is `http`, to another machine or without permission.
    #[non_exhaustive]
    PlainHttp {
        /// Scheme, host and port.
        origin: String,
    },
}

impl fmt::Display for InvalidIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => {
                "it must be an absolute address such as https://as.example, exactly as the server \
                 writes it in its metadata"
            }
            Self::QueryOrFragment => {
                "it can't have a query or a fragment: leave out what follows `?` or `#`"
            }
            Self::UserInformation => "it can't have a user name or password in it",
            Self::PlainHttp { origin } => {
                return write!(
                    f,
                    "{origin} is plain http, where anybody on the way can name another server: use \
                     https, or say `allow_plain_http()` for a server on this machine"
                );
            }
        })
    }
}

impl std::error::Error for InvalidIssuer {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        let vectors = include_str!("../../../tests/vectors/well-known.json");
        serde_json::from_str(vectors).unwrap()
    }

    #[test]
    fn metadata_is_where_the_vectors_say() {
        let vectors = vectors();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 10);
        for case in cases {
            let issuer = Issuer::parse(case["issuer"].as_str().unwrap(), false).unwrap();
            for (place, name) in [
                (WellKnown::OAuth, "rfc8414"),
                (WellKnown::OpenId, "oidc_append"),
                (WellKnown::OpenIdInserted, "rfc8414_openid_suffix"),
                (WellKnown::OAuthAppended, "oauth_append_nonstandard"),
            ] {
                let expected = case[name].as_str().unwrap();
                assert_eq!(issuer.well_known(place), expected, "{} {name}", case["id"]);
            }
        }
    }

    #[test]
    fn an_issuer_that_cannot_be_one_is_refused() {
        let vectors = vectors();
        let cases = vectors["invalid_issuers"].as_array().unwrap();
        assert_eq!(cases.len(), 6);
        let mut reasons = HashSet::new();
        for case in cases {
            let issuer = case["issuer"].as_str().unwrap();
            let error = Issuer::parse(issuer, false).expect_err(issuer);
            reasons.insert(error.to_string());
        }
        assert_eq!(reasons.len(), 3);
        assert_eq!(
            Issuer::parse("https://u:p@as.example", false),
            Err(InvalidIssuer::UserInformation)
        );
        assert!(Issuer::parse("http://127.0.0.1:1", true).is_ok());
        assert!(Issuer::parse("http://as.example", true).is_err());
    }
}
