use std::sync::Arc;

use rustls::{ClientConfig, client::danger::ServerCertVerifier, crypto::CryptoProvider};

use super::{Proxy, TrustAnchors};
use crate::{
    error::{ErrorKind, TokenError},
    keystore::ClientIdentity,
};

/// How to talk TLS: whom to trust, as whom to appear, and through which proxy.
///
/// TLS 1.2 and 1.3, with rustls. Its crypto provider is the one that the process has installed,
/// else aws-lc-rs; none is ever installed from here. Server certificates are always verified.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    trust: TrustAnchors,
    identity: Option<ClientIdentity>,
    proxy: Option<Proxy>,
}

impl TlsConfig {
    /// Trusts these authorities and no others, shows no certificate, and connects directly.
    pub fn new(trust: TrustAnchors) -> Self {
        Self {
            trust,
            identity: None,
            proxy: None,
        }
    }

    /// Shows this client's certificate to servers that ask for one (mutual TLS). Default: none.
    #[must_use]
    pub fn identity(mut self, identity: &ClientIdentity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// Connects through this proxy. Default: directly, whatever the environment says.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    pub(crate) fn through(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    pub(crate) fn shown(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }

    /// The rustls form. Each call makes one of its own: an identity never shares sessions or
    /// connections with another. ALPN is left empty, for the connector to fill.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, TokenError> {
        self.build().map_err(unusable)
    }

    /// Whoever decides whether a server is trusted.
    pub(crate) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, TokenError> {
        self.trust.verifier(provider).map_err(unusable)
    }

    fn build(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let verifier = self.trust.verifier(provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        match &self.identity {
            Some(identity) => {
                builder.with_client_auth_cert(identity.chain().to_vec(), identity.key().clone_key())
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }
}

impl From<TrustAnchors> for TlsConfig {
    fn from(trust: TrustAnchors) -> Self {
        Self::new(trust)
    }
}

fn unusable(error: rustls::Error) -> TokenError {
    TokenError::new(ErrorKind::Configuration, "the TLS settings can't be used").with_source(error)
}
