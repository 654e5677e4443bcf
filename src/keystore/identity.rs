use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{KeystoreError, certificate::Certificate, pem::Pem};
use crate::clock::Clock;

/// A certificate chain with its private key: who a client is.
///
/// One identity serves mutual TLS ([`TlsConfig::identity`](crate::tls::TlsConfig::identity)) as
/// well as signed assertions
/// ([`LocalSigner::from_identity`](crate::jose::LocalSigner::from_identity)). Clones are cheap and
/// share the key. `Debug` shows nothing of it, and it is wiped when the last clone is dropped.
///
/// The chain starts with the client's own certificate; its issuers follow, up to but without the
/// root. With the feature `hyper` or `jwt`, a chain in another order is put right, and loading
/// proves that the key is usable and belongs to the certificate. A certificate that has expired,
/// or is not valid yet by the machine's clock, is refused; while an identity is in use, whoever
/// holds it looks at [`not_after`](Self::not_after).
///
/// What is encrypted, or comes from a Java or PKCS#12 store, is loaded by a
/// [`KeyStore`](https://docs.rs/tower-oauth/latest/tower_oauth/keystore/struct.KeyStore.html).
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
    subject: String,
    issuer: String,
    not_before: SystemTime,
    not_after: SystemTime,
    may_sign: bool,
    may_authenticate_client: bool,
}

impl ClientIdentity {
    /// Reads a certificate chain and its key from two PEM files; they may be one and the same.
    /// The key is PKCS#8, PKCS#1 or SEC1, without a passphrase.
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
        let now = now(&Clock::system());
        Self::from_pem_files_at(certificates.as_ref(), key.as_ref(), now)
    }

    /// Reads a certificate chain and its key from PEM text; it may be one and the same.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the part and the cure.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, KeystoreError> {
        Self::from_parts(
            &Pem::parse(certificates, "the certificates given".into())?,
            &Pem::parse(key, "the key given".into())?,
            |pem| pem.key().map(|key| Zeroizing::new(key.clone_key())),
            now(&Clock::system()),
        )
    }

    pub(super) fn from_pem_files_at(
        certificates: &Path,
        key: &Path,
        now: SystemTime,
    ) -> Result<Self, KeystoreError> {
        Self::from_parts(
            &Pem::read(certificates)?,
            &Pem::read(key)?,
            |pem| pem.key().map(|key| Zeroizing::new(key.clone_key())),
            now,
        )
    }

    /// The name of the certificate's subject, for people: `CN=orders, O=Example`.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The name of the certificate's issuer, for people.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// How many certificates are shown: the client's own, and those of its issuers. At least one.
    pub fn chain_length(&self) -> usize {
        self.0.chain.len()
    }

    /// Whether the certificate lets its key sign, as mutual TLS and assertions need it (the
    /// extension `keyUsage`, RFC 5280 section 4.2.1.3). One that says nothing does. Nobody is
    /// refused here for it; servers may.
    pub fn may_sign(&self) -> bool {
        self.0.may_sign
    }

    /// Whether the certificate may be shown by a TLS client (the extension `extendedKeyUsage`, RFC
    /// 5280 section 4.2.1.12). One that says nothing may. Nobody is refused here for it; servers
    /// may.
    pub fn may_authenticate_client(&self) -> bool {
        self.0.may_authenticate_client
    }

    /// When the certificate became valid.
    pub fn not_before(&self) -> SystemTime {
        self.0.not_before
    }

    /// When the certificate expires.
    pub fn not_after(&self) -> SystemTime {
        self.0.not_after
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
    pub(super) fn from_parts(
        certificates: &Pem,
        key: &Pem,
        open: impl FnOnce(&Pem) -> Result<Zeroizing<PrivateKeyDer<'static>>, KeystoreError>,
        now: SystemTime,
    ) -> Result<Self, KeystoreError> {
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
        Self::new(
            of_chain.certificates()?.to_vec(),
            of_chain.input(),
            open(of_key)?,
            of_key.input(),
            now,
        )
    }

    /// Checks that the parts belong together and are valid now. The chain has a certificate.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        of_chain: &str,
        key: Zeroizing<PrivateKeyDer<'static>>,
        of_key: &str,
        now: SystemTime,
    ) -> Result<Self, KeystoreError> {
        let chain = chain_of_key(chain, of_chain, &key, of_key)?;
        let input = || of_chain.to_owned();
        let leaf = chain.first().and_then(|leaf| Certificate::parse(leaf));
        let Some(leaf) = leaf else {
            return Err(KeystoreError::UnsupportedCertificate { input: input() });
        };
        let (subject, not_before, not_after) = (leaf.subject(), leaf.not_before, leaf.not_after);
        let issuer = leaf.issuer();
        let (may_sign, may_authenticate_client) = (leaf.may_sign(), leaf.may_authenticate_client());
        if now > not_after {
            return Err(KeystoreError::Expired {
                input: input(),
                subject,
                not_after,
            });
        }
        if now < not_before {
            return Err(KeystoreError::NotYetValid {
                input: input(),
                subject,
                not_before,
            });
        }
        Ok(Self(Arc::new(Inner {
            // Random and not counted: a counter would be state of the whole process.
            number: IdentityNumber(RandomState::new().hash_one(&chain)),
            key,
            chain,
            subject,
            issuer,
            not_before,
            not_after,
            may_sign,
            may_authenticate_client,
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

pub(super) fn now(clock: &Clock) -> SystemTime {
    clock.now().wall_after(Duration::ZERO)
}

/// The chain in its order, if the key can be used and belongs to it.
#[cfg(any(feature = "hyper", feature = "jwt"))]
fn chain_of_key(
    chain: Vec<CertificateDer<'static>>,
    of_chain: &str,
    key: &PrivateKeyDer<'_>,
    of_key: &str,
) -> Result<Vec<CertificateDer<'static>>, KeystoreError> {
    let Some(key) = super::KeyPair::parse(key) else {
        return Err(KeystoreError::UnsupportedKey {
            input: of_key.into(),
        });
    };
    if !chain.iter().all(|it| Certificate::parse(it).is_some()) {
        return Err(KeystoreError::UnsupportedCertificate {
            input: of_chain.into(),
        });
    }
    super::chain::of_key(key.public_key(), chain).ok_or_else(|| KeystoreError::Mismatch {
        key: of_key.into(),
        certificate: of_chain.into(),
    })
}

/// Without cryptography there is nothing to prove it by.
#[cfg(not(any(feature = "hyper", feature = "jwt")))]
fn chain_of_key(
    chain: Vec<CertificateDer<'static>>,
    _: &str,
    _: &PrivateKeyDer<'_>,
    _: &str,
) -> Result<Vec<CertificateDer<'static>>, KeystoreError> {
    Ok(chain)
}
