use std::{borrow::Cow, error::Error as StdError, fmt};

use http::StatusCode;

use crate::{
    error::{BoxError, ErrorKind, TokenError},
    tls::cause::unknown_issuer,
};

/// What went wrong at the proxy, or because of it: found in the source chain of a client's error.
///
/// `Display` says what happened, [`hint`](Self::hint) what to change. No credential is part of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy itself can't be reached.
    #[non_exhaustive]
    Unreachable {
        /// The proxy: scheme, host and port.
        proxy: String,
        /// Why.
        source: BoxError,
    },
    /// The proxy closed the connection, or answered with something that isn't HTTP.
    #[non_exhaustive]
    Broken {
        /// The proxy: scheme, host and port.
        proxy: String,
        /// Why.
        source: BoxError,
    },
    /// The proxy wants credentials, or others (status 407, RFC 9110 section 15.5.8).
    #[non_exhaustive]
    Unauthenticated {
        /// The proxy: scheme, host and port.
        proxy: String,
        /// Whether credentials were sent.
        sent: bool,
        /// The schemes of authentication that it offers.
        schemes: Vec<String>,
    },
    /// The proxy refused to connect to the server.
    #[non_exhaustive]
    Refused {
        /// The proxy: scheme, host and port.
        proxy: String,
        /// The server: host and port.
        target: String,
        /// The proxy's answer.
        status: StatusCode,
    },
    /// Who answered in the server's name is vouched for by an authority that isn't trusted, as when
    /// the proxy ends TLS itself.
    #[non_exhaustive]
    Untrusted {
        /// The proxy: scheme, host and port.
        proxy: String,
        /// The server: host and port.
        target: String,
        /// The error of TLS.
        source: BoxError,
    },
}

impl ProxyError {
    /// Whether the same may succeed later without any change.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused { status, .. } => matches!(status.as_u16(), 502..=504),
            Self::Unauthenticated { .. } | Self::Untrusted { .. } => false,
        }
    }

    /// What to change.
    pub fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Unreachable { .. } => "check the proxy's address and the network between; for \
                 a server that can be reached directly, name its host in `no_proxy`"
                .into(),
            Self::Broken { .. } => {
                "check that this is the address of an HTTP proxy that takes CONNECT over plain \
                 http"
                    .into()
            }
            Self::Unauthenticated { schemes, .. }
                if !schemes.is_empty() && !offers_basic(schemes) =>
            {
                "only Basic is spoken here: have the proxy offer Basic, or let this client pass \
                 without credentials"
                    .into()
            }
            Self::Unauthenticated { sent: false, .. } => {
                "give them by `Proxy::basic_auth`, or as user:password@ in the proxy's address"
                    .into()
            }
            Self::Unauthenticated { .. } => {
                "check user name and password of `Proxy::basic_auth`; in the proxy's address they \
                 must be percent-encoded"
                    .into()
            }
            Self::Refused { status, target, .. } if matches!(status.as_u16(), 502..=504) => {
                format!(
                    "the proxy can't reach {target}: check that address, and ask who runs the proxy"
                )
                .into()
            }
            Self::Refused { target, .. } => format!(
                "have the proxy allow CONNECT to {target}, or name its host in `no_proxy` if it \
                 can be reached directly"
            )
            .into(),
            Self::Untrusted { target, .. } => format!(
                "if that is the proxy's authority, the proxy intercepts TLS, and mutual TLS can't \
                 pass it: have it let {target} through unopened, or name its host in `no_proxy`; \
                 to add the authority to `trust` helps only clients that show no certificate. If \
                 it is the server's own authority, add it to `trust`"
            )
            .into(),
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { proxy, .. } => write!(f, "the proxy {proxy} can't be reached"),
            Self::Broken { proxy, .. } => {
                write!(f, "the proxy {proxy} gave no answer that can be used")
            }
            Self::Unauthenticated {
                proxy,
                sent,
                schemes,
            } => {
                let what = if *sent {
                    "refused the credentials that it was sent"
                } else {
                    "wants credentials"
                };
                write!(f, "the proxy {proxy} {what} (status 407")?;
                if !schemes.is_empty() {
                    write!(f, ", it offers {}", schemes.join(", "))?;
                }
                f.write_str(")")
            }
            Self::Refused {
                proxy,
                target,
                status,
            } => {
                let status = status.as_u16();
                write!(
                    f,
                    "the proxy {proxy} refused CONNECT to {target} with status {status}"
                )
            }
            Self::Untrusted {
                proxy,
                target,
                source,
            } => {
                write!(
                    f,
                    "through the proxy {proxy} came a certificate for {target} that isn't trusted"
                )?;
                match unknown_issuer(&**source) {
                    Some(issuer) => write!(f, ", issued by {issuer}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl StdError for ProxyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unreachable { source, .. }
            | Self::Broken { source, .. }
            | Self::Untrusted { source, .. } => Some(&**source),
            Self::Unauthenticated { .. } | Self::Refused { .. } => None,
        }
    }
}

impl From<&ProxyError> for TokenError {
    /// Kind [`Proxy`](ErrorKind::Proxy), without the source.
    fn from(error: &ProxyError) -> Self {
        Self::new(ErrorKind::Proxy, error.to_string())
            .with_hint(error.hint())
            .temporary(error.is_temporary())
    }
}

fn offers_basic(schemes: &[String]) -> bool {
    schemes.iter().any(|it| it.eq_ignore_ascii_case("Basic"))
}
