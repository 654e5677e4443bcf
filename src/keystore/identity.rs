use std::{fmt, path::Path, sync::Arc};

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::KeystoreError;

/// A certificate chain with its private key: who a client is.
///
/// One identity serves mutual TLS ([`TlsConfig::identity`](crate::tls::TlsConfig::identity)) and
/// signed assertions ([`LocalSigner::from_identity`](crate::jose::LocalSigner::from_identity)).
/// Clones share the key. `Debug` shows nothing of it, and it is wiped when the last clone is
/// dropped.
#[derive(Clone)]
pub struct ClientIdentity(Arc<Inner>);

struct Inner {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    number: u64,
}

impl ClientIdentity {
    /// Reads a certificate chain and its key from two PEM files, or twice from the same one.
    pub fn from_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, KeystoreError> {
        let _ = (certificate.as_ref(), key.as_ref());
        unimplemented!("to come")
    }

    /// Reads a certificate chain and its key from PEM text.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, KeystoreError> {
        let _ = (certificate, key);
        unimplemented!("to come")
    }

    /// The chain, the client's own certificate first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    pub(crate) fn key(&self) -> &PrivateKeyDer<'static> {
        &self.0.key
    }

    /// Tells identities apart; a new one each time that files are loaded.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}
