use std::{error::Error as StdError, fmt};

use crate::{
    error::{ErrorKind, TokenError},
    protocol::{InvalidEndpoint, InvalidIssuer, InvalidScope},
};

/// Why a token source can't be built: which setting is wrong, and what to set instead.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The token endpoint can't be used.
    #[non_exhaustive]
    Endpoint {
        /// What is wrong with it.
        source: InvalidEndpoint,
    },
    /// The issuer identifier can't be used.
    #[non_exhaustive]
    Issuer {
        /// What is wrong with it.
        source: InvalidIssuer,
    },
    /// A setting that says what the server's metadata is to say.
    #[non_exhaustive]
    BesideDiscovery {
        /// The setting.
        setting: &'static str,
    },
    /// The method of client authentication needs the server's issuer identifier.
    MissingIssuer,
    /// The server's metadata is to be looked for nowhere.
    NoWellKnown,
    /// There is no client_id.
    MissingClientId,
    /// There is no method of client authentication.
    MissingClientAuth,
    /// The method of client authentication can't be used as it is set up.
    #[non_exhaustive]
    ClientAuth {
        /// What is wrong with it.
        source: TokenError,
    },
    /// A scope can't be sent.
    #[non_exhaustive]
    Scope {
        /// What is wrong with it.
        source: InvalidScope,
    },
    /// An extra parameter has the name of one that has a setting of its own.
    #[non_exhaustive]
    ReservedParameter {
        /// The name.
        name: String,
    },
    /// An extra parameter is there twice, or has no name.
    #[non_exhaustive]
    RepeatedParameter {
        /// The name.
        name: String,
    },
    /// An extra header field can't be sent: it has a setting of its own, or can't stand in a request.
    #[non_exhaustive]
    ExtraHeader {
        /// Its name.
        name: String,
    },
    /// Nobody is trusted to be the authorization server.
    MissingTrust,
    /// This build has no transport of its own, and none was given.
    MissingHttpClient,
    /// Two different certificates are to be shown.
    TwoIdentities,
    /// A certificate can't be shown over plain http.
    IdentityWithoutTls,
    /// A plain http endpoint, which is on this machine, can't be reached through a proxy.
    ProxyWithoutTls,
    /// Tokens are to be bound to a certificate, and none is known here.
    BoundTokensWithoutIdentity,
    /// The HTTP client given brings its own TLS settings: this one would have no effect.
    #[non_exhaustive]
    TlsOfHttpClient {
        /// The setting.
        setting: &'static str,
    },
    /// The TLS settings can't be used.
    #[non_exhaustive]
    Tls {
        /// What is wrong with them.
        source: TokenError,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endpoint { source } => return write!(f, "token endpoint: {source}"),
            Self::Issuer { source } => return write!(f, "issuer: {source}"),
            Self::BesideDiscovery { setting } => {
                return write!(
                    f,
                    "`{setting}` has no effect beside `from_issuer`, which asks the server for it: \
                     leave it out, or begin with `builder` and the token endpoint"
                );
            }
            Self::MissingIssuer => {
                "an assertion is for the server's issuer, which isn't known: begin with \
                 `from_issuer`, or set `issuer`; where the server wants another audience, set \
                 `audience` of the method"
            }
            Self::NoWellKnown => {
                "the server's metadata is to be looked for nowhere: give `Discovery::well_known` a \
                 place"
            }
            Self::ClientAuth { source } => return write!(f, "client authentication: {source}"),
            Self::Scope { source } => return write!(f, "scope: {source}"),
            Self::Tls { source } => return write!(f, "TLS: {source}"),
            Self::MissingClientId => "no client_id: set `client_id`",
            Self::MissingClientAuth => {
                "no client authentication: set `auth`, for instance to `PrivateKeyJwt`"
            }
            Self::ReservedParameter { name } => {
                return write!(
                    f,
                    "`{name}` can't be an extra parameter: it has a setting of its own"
                );
            }
            Self::RepeatedParameter { name } => {
                return write!(
                    f,
                    "the extra parameter `{name}` is there twice, or has no name"
                );
            }
            Self::ExtraHeader { name } => {
                return write!(
                    f,
                    "`{name}` can't be an extra header field: it has a setting of its own, or name \
                     or value can't stand in a request"
                );
            }
            Self::MissingTrust => {
                "nobody is trusted to be the authorization server: set `trust` to the authority \
                 that issued its certificate, or turn on the feature `platform-roots` to trust \
                 what the operating system trusts"
            }
            Self::MissingHttpClient => {
                "no way to reach the authorization server: set `http_client`, or turn on the \
                 feature `hyper`"
            }
            Self::TwoIdentities => {
                "`identity` and the client authentication name two different certificates: only \
                 one can be shown"
            }
            Self::IdentityWithoutTls => {
                "a client certificate can't be shown: the token endpoint is plain http"
            }
            Self::ProxyWithoutTls => {
                "a token endpoint in plain http is on this machine, which is another one for a proxy: \
                 leave `proxy` out, or name the host in its `no_proxy`"
            }
            Self::BoundTokensWithoutIdentity => {
                "tokens can't be required to be bound to a certificate that isn't known here: set \
                 `identity`, or tell that of `http_client` by `HttpClient::presents`"
            }
            Self::TlsOfHttpClient { setting } => {
                return write!(
                    f,
                    "`{setting}` has no effect beside `http_client`, which brings its own TLS \
                     settings: set it there, and tell the certificate by `HttpClient::presents`; \
                     for one that may change, make clients by `http_client_for`"
                );
            }
        })
    }
}

impl StdError for BuildError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // What `Display` says already is not said twice.
        match self {
            Self::Tls { source } | Self::ClientAuth { source } => source.source(),
            _ => None,
        }
    }
}

impl From<BuildError> for TokenError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Tls { source } | BuildError::ClientAuth { source } => source,
            _ => Self::new(ErrorKind::Configuration, error.to_string()),
        }
    }
}
