use std::{fmt, path::Path, sync::Arc};

use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, client::WantsClientCert};

use crate::keystore::{KeystoreError, Pem};

/// The certificate authorities whose servers are trusted.
///
/// The authorization server and the API may have different ones: each client gets its own.
/// There is no way to trust everybody.
#[derive(Clone)]
pub struct TrustAnchors(Anchors);

#[derive(Clone)]
enum Anchors {
    Given(Arc<RootCertStore>),
    #[cfg(feature = "platform-roots")]
    Platform,
}

impl TrustAnchors {
    /// Trusts the certificates in this PEM text, and nothing else.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`]: there is none in it, or one is damaged.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeystoreError> {
        Self::new(&Pem::parse(pem, "the trust anchors given".into())?)
    }

    /// Trusts the certificates in this PEM file, and nothing else.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, KeystoreError> {
        Self::new(&Pem::read(path.as_ref())?)
    }

    /// Trusts what the operating system trusts.
    #[cfg(feature = "platform-roots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "platform-roots")))]
    pub fn platform() -> Self {
        Self(Anchors::Platform)
    }

    fn new(pem: &Pem) -> Result<Self, KeystoreError> {
        let mut store = RootCertStore::empty();
        for certificate in pem.certificates()? {
            store
                .add(certificate.clone())
                .map_err(|_| KeystoreError::UnsupportedCertificate {
                    input: pem.input().into(),
                })?;
        }
        Ok(Self(Anchors::Given(Arc::new(store))))
    }

    pub(super) fn verify_with(
        &self,
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    ) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
        match &self.0 {
            Anchors::Given(store) => Ok(builder.with_root_certificates(store.clone())),
            #[cfg(feature = "platform-roots")]
            Anchors::Platform => {
                rustls_platform_verifier::BuilderVerifierExt::with_platform_verifier(builder)
            }
        }
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TrustAnchors");
        match &self.0 {
            Anchors::Given(store) => out.field("given", &store.len()),
            #[cfg(feature = "platform-roots")]
            Anchors::Platform => out.field("platform", &true),
        };
        out.finish()
    }
}
