use std::{fmt, path::Path, sync::Arc};

use rustls::{
    RootCertStore, client::danger::ServerCertVerifier, crypto::CryptoProvider,
    pki_types::CertificateDer,
};

use super::verify::Verifier;
use crate::keystore::{Certificate, KeyStore, KeystoreError, Pem, aside};

/// The certificate authorities whose servers are trusted.
///
/// The authorization server and the API may have different ones: each client gets its own.
/// There is no way to trust everybody.
///
/// Every certificate given is trusted for itself: a server that shows the very same, with its
/// host's name and in time, needs no authority, so a self-signed one will do. It vouches for others
/// only if it says that it is an authority (RFC 5280 section 4.2.1.9), or is of a version that
/// can't say so.
#[derive(Clone)]
pub struct TrustAnchors(Anchors);

#[derive(Clone)]
enum Anchors {
    Given(Arc<Given>),
    #[cfg(feature = "platform-roots")]
    Platform,
}

struct Given {
    authorities: Arc<RootCertStore>,
    known: Vec<CertificateDer<'static>>,
}

impl TrustAnchors {
    /// Trusts the certificates in this PEM text, and nothing else.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`]: there is none in it, or one is damaged.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeystoreError> {
        let pem = Pem::parse(pem, "the trust anchors given".into())?;
        Self::new(pem.certificates()?, pem.input())
    }

    /// Trusts the certificates in this PEM file, and nothing else.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, KeystoreError> {
        let pem = Pem::read(path.as_ref())?;
        Self::new(pem.certificates()?, pem.input())
    }

    /// Trusts the trusted certificates in this store, be it PEM, PKCS#12 or JKS, and nothing
    /// else. It is read on a thread where that may take its time.
    ///
    /// A key's own certificates are not trusted by that. A PKCS#12 store that has neither a key
    /// nor Java's marks is taken for one of trusted certificates.
    ///
    /// ```no_run
    /// use tower_oauth::{keystore::{KeyStore, Password}, tls::TrustAnchors};
    ///
    /// # async fn example() -> Result<(), tower_oauth::keystore::KeystoreError> {
    /// let store = KeyStore::file("/etc/orders/truststore.jks")
    ///     .password(Password::env("TRUSTSTORE_PASSWORD"));
    /// let trust = TrustAnchors::load(&store).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    ///
    /// # Panics
    ///
    /// When called outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A dropped future changes nothing; the thread finishes what it has begun.
    pub async fn load(store: &KeyStore) -> Result<Self, KeystoreError> {
        let store = store.clone();
        aside(move || Self::load_blocking(&store)).await
    }

    /// The same as [`load`](Self::load) on this thread, which it may block for a second.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    pub fn load_blocking(store: &KeyStore) -> Result<Self, KeystoreError> {
        Self::new(&store.trusted_certificates()?, &store.input())
    }

    /// Trusts what the operating system trusts.
    #[cfg(feature = "platform-roots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "platform-roots")))]
    pub fn platform() -> Self {
        Self(Anchors::Platform)
    }

    fn new(certificates: &[CertificateDer<'static>], input: &str) -> Result<Self, KeystoreError> {
        let unsupported = || KeystoreError::UnsupportedCertificate {
            input: input.into(),
        };
        let mut authorities = RootCertStore::empty();
        for certificate in certificates {
            let read = Certificate::parse(certificate).ok_or_else(unsupported)?;
            if read.version < 3 || read.is_authority() {
                let added = authorities.add(certificate.clone());
                added.map_err(|_| unsupported())?;
            }
        }
        Ok(Self(Anchors::Given(Arc::new(Given {
            authorities: Arc::new(authorities),
            known: certificates.to_vec(),
        }))))
    }

    /// Whoever decides by these anchors whether a server is trusted.
    pub(super) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        Ok(match &self.0 {
            Anchors::Given(given) => {
                Arc::new(Verifier::new(&given.authorities, &given.known, provider)?)
            }
            #[cfg(feature = "platform-roots")]
            Anchors::Platform => Arc::new(rustls_platform_verifier::Verifier::new(provider)?),
        })
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TrustAnchors");
        match &self.0 {
            Anchors::Given(given) => out
                .field("authorities", &given.authorities.len())
                .field("known", &given.known.len()),
            #[cfg(feature = "platform-roots")]
            Anchors::Platform => out.field("platform", &true),
        };
        out.finish()
    }
}
