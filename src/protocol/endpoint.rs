use std::{fmt, net::IpAddr};

use http::{Uri, uri::Scheme};

/// The address of an endpoint of the authorization server: https, absolute, without fragment
/// (RFC 6749 section 3.2).
///
/// Only its origin is ever formatted: a query may hold anything.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    uri: Uri,
    origin: String,
}

impl Endpoint {
    /// Takes an `https` address.
    ///
    /// # Errors
    ///
    /// Another scheme, user information, a fragment, or no absolute address at all.
    pub fn new(url: &str) -> Result<Self, InvalidEndpoint> {
        Self::parse(url, false)
    }

    /// Takes an `https` address, or an `http` one whose host is this machine (`localhost`,
    /// `127.0.0.0/8`, `::1`): for tests and sidecars.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn allow_plain_http(url: &str) -> Result<Self, InvalidEndpoint> {
        Self::parse(url, true)
    }

    /// The address as it was given.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn is_plain_http(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTP)
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    fn parse(url: &str, plain_http: bool) -> Result<Self, InvalidEndpoint> {
        // `Uri` drops a fragment without a word.
        if url.contains('#') {
            return Err(InvalidEndpoint::Fragment);
        }
        let uri: Uri = url.parse().map_err(|_| InvalidEndpoint::NotAbsolute)?;
        let origin = origin(&uri).ok_or(InvalidEndpoint::NotAbsolute)?;
        let (authority, host) = match (uri.authority(), uri.host()) {
            (Some(authority), Some(host)) => (authority.as_str(), host),
            _ => return Err(InvalidEndpoint::NotAbsolute),
        };
        if authority.contains('@') {
            return Err(InvalidEndpoint::UserInformation);
        }
        // A port out of range would be taken for none.
        if authority != host && uri.port_u16().is_none() {
            return Err(InvalidEndpoint::NotAbsolute);
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if !is_loopback(host) => {
                return Err(InvalidEndpoint::PlainHttp { origin });
            }
            Some("http") if !plain_http => {
                return Err(InvalidEndpoint::PlainHttpToLoopback { origin });
            }
            Some("http") => {}
            _ => return Err(InvalidEndpoint::NotAbsolute),
        }
        Ok(Self {
            url: url.to_owned(),
            uri,
            origin,
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.origin).finish()
    }
}

/// Scheme, host and port of an absolute address, without user information.
pub(crate) fn origin(uri: &Uri) -> Option<String> {
    let scheme = uri.scheme_str()?;
    let host = uri.host().filter(|host| !host.is_empty())?;
    Some(match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Why an address can't be an [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// It is not an absolute `https` address.
    NotAbsolute,
    /// It has a fragment.
    Fragment,
    /// It has a user name or password in it.
    UserInformation,
    /// It is `http`, to another machine.
    #[non_exhaustive]
    PlainHttp {
        /// Scheme, host and port.
        origin: String,
    },
    /// It is `http`, to this machine, and that wasn't allowed.
    #[non_exhaustive]
    PlainHttpToLoopback {
        /// Scheme, host and port.
        origin: String,
    },
}

impl fmt::Display for InvalidEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAbsolute => f.write_str(
                "the endpoint must be an absolute address such as https://as.example/token",
            ),
            Self::Fragment => f.write_str("the endpoint can't have a fragment: leave `#…` out"),
            Self::UserInformation => f.write_str(
                "the endpoint can't have a user name or password in it: use a method of client \
                 authentication",
            ),
            Self::PlainHttp { origin } => write!(
                f,
                "{origin} is plain http, which shows credentials to everybody on the way: use https"
            ),
            Self::PlainHttpToLoopback { origin } => write!(
                f,
                "{origin} is plain http: use https, or say `allow_plain_http()` for a server on \
                 this machine"
            ),
        }
    }
}

impl std::error::Error for InvalidEndpoint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_kept_and_never_formatted() {
        let endpoint = Endpoint::new("https://as.example:8443/token?tenant=a").unwrap();
        assert_eq!(endpoint.uri(), "https://as.example:8443/token?tenant=a");
        assert_eq!(endpoint.origin(), "https://as.example:8443");
        assert_eq!(
            format!("{endpoint:?}"),
            "Endpoint(\"https://as.example:8443\")"
        );
    }

    #[test]
    fn plain_http_needs_the_option_and_this_machine() {
        for host in ["localhost", "127.0.0.1:81", "127.9.9.9", "[::1]:81"] {
            let url = format!("http://{host}/token");
            assert!(matches!(
                Endpoint::new(&url),
                Err(InvalidEndpoint::PlainHttpToLoopback { .. })
            ));
            assert!(Endpoint::allow_plain_http(&url).is_ok(), "{url}");
        }
        for host in ["as.example", "10.0.0.1", "localhost.example", "[::2]"] {
            let refused = Endpoint::allow_plain_http(&format!("http://{host}/token"));
            assert!(
                matches!(refused, Err(InvalidEndpoint::PlainHttp { .. })),
                "{host}"
            );
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused() {
        for (url, error) in [
            ("https://as.example/token#x", InvalidEndpoint::Fragment),
            ("https://u:p@as.example/", InvalidEndpoint::UserInformation),
            ("ftp://as.example/token", InvalidEndpoint::NotAbsolute),
            ("as.example/token", InvalidEndpoint::NotAbsolute),
            ("/token", InvalidEndpoint::NotAbsolute),
            (
                "https://as.example:99999/token",
                InvalidEndpoint::NotAbsolute,
            ),
            ("https://as.example:/token", InvalidEndpoint::NotAbsolute),
            ("https:///token", InvalidEndpoint::NotAbsolute),
            ("https://as.example/to ken", InvalidEndpoint::NotAbsolute),
            ("", InvalidEndpoint::NotAbsolute),
        ] {
            assert_eq!(Endpoint::new(url), Err(error), "{url}");
        }
    }
}
