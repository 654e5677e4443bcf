use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{Arc, Weak},
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{KeystoreError, pem::Pem};

/// A certificate chain with its private key: who a client is.
///
/// One identity serves mutual TLS ([`TlsConfig::identity`](crate::tls::TlsConfig::identity)) as
/// well as signed assertions
/// ([`LocalSigner::from_identity`](crate::jose::LocalSigner::from_identity)). Clones are cheap and
/// share the key. `Debug` shows nothing of it, and it is wiped when the last clone is dropped.
///
/// The chain starts with the client's own certificate; its issuers follow, up to but without the
/// root. The key is PKCS#8, PKCS#1 or SEC1, without a passphrase. With the feature `hyper` or
/// `jwt`, loading also proves that the key is usable and belongs to the certificate.
#[derive(Clone)]
pub struct ClientIdentity(Arc<Inner>);

/// Tells identities apart without showing anything of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IdentityNumber(u64);

/// Knows whether anybody still holds an identity.
#[derive(Clone)]
pub(crate) struct WeakIdentity(Weak<Inner>);

struct Inner {
    chain: Vec<CertificateDer<'static>>,
    key: Zeroizing<PrivateKeyDer<'static>>,
    number: IdentityNumber,
}

impl ClientIdentity {
    /// Reads a certificate chain and its key from two PEM files; they may be one and the same.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, KeystoreError> {
        Self::new(
            &Pem::read(certificates.as_ref())?,
            &Pem::read(key.as_ref())?,
        )
    }

    /// Reads a certificate chain and its key from PEM text; it may be one and the same.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the part and the cure.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, KeystoreError> {
        Self::new(
            &Pem::parse(certificates, "the certificates given".into())?,
            &Pem::parse(key, "the key given".into())?,
        )
    }

    /// The chain, the client's own certificate first. Never empty.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    pub(crate) fn key(&self) -> &PrivateKeyDer<'static> {
        &self.0.key
    }

    /// Tells identities apart: a new one each time that one is loaded.
    pub(crate) fn number(&self) -> IdentityNumber {
        self.0.number
    }

    pub(crate) fn downgrade(&self) -> WeakIdentity {
        WeakIdentity(Arc::downgrade(&self.0))
    }

    /// Takes each part from the other text where its own has none, so that swapped arguments and
    /// combined files work.
    fn new(certificates: &Pem, key: &Pem) -> Result<Self, KeystoreError> {
        let of_chain = if !certificates.has_certificates() && key.has_certificates() {
            key
        } else {
            certificates
        };
        let of_key = if !key.has_key() && certificates.has_key() {
            certificates
        } else {
            key
        };
        let chain = of_chain.certificates()?.to_vec();
        let key = of_key.key()?;
        #[cfg(any(feature = "hyper", feature = "jwt"))]
        check(&chain[0], of_chain.input(), key, of_key.input())?;
        Ok(Self(Arc::new(Inner {
            // Random and not counted: a counter would be state of the whole process.
            number: IdentityNumber(RandomState::new().hash_one(&chain)),
            key: Zeroizing::new(key.clone_key()),
            chain,
        })))
    }
}

impl WeakIdentity {
    pub(crate) fn is_held(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

/// Proves that the key can be used and belongs to the certificate.
#[cfg(any(feature = "hyper", feature = "jwt"))]
fn check(
    certificate: &CertificateDer<'_>,
    of_certificate: &str,
    key: &PrivateKeyDer<'_>,
    of_key: &str,
) -> Result<(), KeystoreError> {
    let Some(key) = super::KeyPair::parse(key) else {
        return Err(KeystoreError::UnsupportedKey {
            input: of_key.into(),
        });
    };
    match super::der::subject_public_key(certificate) {
        Some(public) if public == key.public_key() => Ok(()),
        Some(_) => Err(KeystoreError::Mismatch {
            key: of_key.into(),
            certificate: of_certificate.into(),
        }),
        None => Err(KeystoreError::UnsupportedCertificate {
            input: of_certificate.into(),
        }),
    }
}
