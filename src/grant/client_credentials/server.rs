use std::sync::Arc;

use super::super::BuildError;
use crate::{
    discovery::{Discovered, Discovery, Endpoints},
    protocol::{Endpoint, Issuer},
};

/// Which authorization server it is, as it was said.
#[derive(Clone, Debug)]
pub(super) enum Named {
    /// Its token endpoint.
    Endpoint(String),
    /// Its issuer: the rest is in its metadata.
    Issuer(Discovery),
}

/// Which authorization server it is, and where.
#[derive(Clone)]
pub(super) enum Server {
    Known {
        issuer: Option<Issuer>,
        endpoints: Arc<Endpoints>,
    },
    /// Clones share what was found out.
    Discovered(Arc<Discovered>),
}

impl Server {
    /// The issuer, if it is known.
    pub(super) fn issuer(&self) -> Option<&str> {
        match self {
            Self::Known { issuer, .. } => issuer.as_ref().map(Issuer::as_str),
            Self::Discovered(discovered) => Some(discovered.issuer().as_str()),
        }
    }

    /// What to call it in `Debug`: its origin.
    pub(super) fn origin(&self) -> &str {
        match self {
            Self::Known { endpoints, .. } => endpoints.called.origin(),
            Self::Discovered(discovered) => discovered.issuer().origin(),
        }
    }

    /// What the server's metadata has to say to a credential that it doesn't like.
    pub(super) fn hint(&self) -> Option<String> {
        let Self::Discovered(discovered) = self else {
            return None;
        };
        let unlisted = discovered.unlisted();
        let said = unlisted
            .iter()
            .map(|(list, value)| format!("`{list}` lacks {value}"));
        let said: Vec<_> = said.collect();
        (!said.is_empty()).then(|| format!("in the server's metadata {}", said.join(" and ")))
    }

    /// It doesn't answer as a token endpoint does: the address may be out of date.
    pub(super) fn doubt(&self) {
        if let Self::Discovered(discovered) = self {
            discovered.doubt();
        }
    }

    /// Where it is, as far as that is known.
    #[cfg(feature = "hyper")]
    pub(super) fn uri(&self) -> Option<http::Uri> {
        match self {
            Self::Known { endpoints, .. } => Some(endpoints.called.uri().clone()),
            Self::Discovered(discovered) => discovered.issuer().as_str().parse().ok(),
        }
    }

    pub(super) fn is_plain_http(&self) -> bool {
        match self {
            Self::Known { endpoints, .. } => endpoints.called.is_plain_http(),
            Self::Discovered(discovered) => discovered.issuer().is_plain_http(),
        }
    }
}

/// What was said of the server, in one place.
pub(super) struct Settings {
    pub(super) named: Named,
    pub(super) issuer: Option<String>,
    pub(super) mtls_token_endpoint: Option<String>,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) allow_plain_http: bool,
}

impl Settings {
    /// Checks what was said. `mtls`: the client shows a certificate.
    pub(super) fn server(self, mtls: bool) -> Result<Server, BuildError> {
        let Self {
            named,
            issuer,
            mtls_token_endpoint,
            revocation_endpoint,
            allow_plain_http,
        } = self;
        let endpoint = |url: &str| {
            if allow_plain_http {
                Endpoint::allow_plain_http(url)
            } else {
                Endpoint::new(url)
            }
            .map_err(|source| BuildError::Endpoint { source })
        };
        let parse_issuer = |issuer: &str| {
            Issuer::parse(issuer, allow_plain_http).map_err(|source| BuildError::Issuer { source })
        };
        match named {
            Named::Endpoint(url) => {
                let conventional = endpoint(&url)?;
                let alias = mtls_token_endpoint.map(|url| endpoint(&url)).transpose()?;
                let called = alias
                    .filter(|_| mtls)
                    .unwrap_or_else(|| conventional.clone());
                Ok(Server::Known {
                    issuer: issuer.as_deref().map(parse_issuer).transpose()?,
                    endpoints: Arc::new(Endpoints {
                        conventional,
                        called,
                        revocation: revocation_endpoint.map(|url| endpoint(&url)).transpose()?,
                    }),
                })
            }
            Named::Issuer(discovery) => {
                for (setting, is_set) in [
                    ("issuer", issuer.is_some()),
                    ("mtls_token_endpoint", mtls_token_endpoint.is_some()),
                    ("revocation_endpoint", revocation_endpoint.is_some()),
                ] {
                    if is_set {
                        return Err(BuildError::BesideDiscovery { setting });
                    }
                }
                if !discovery.looks_somewhere() {
                    return Err(BuildError::NoWellKnown);
                }
                let issuer = parse_issuer(discovery.issuer())?;
                let discovered = Discovered::new(issuer, discovery, mtls);
                Ok(Server::Discovered(Arc::new(discovered)))
            }
        }
    }
}
