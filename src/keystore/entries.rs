//! What a store holds, whatever its format, before anything is chosen or opened.

use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::{KeystoreError, chain, derive::Work, fault::Fault, sealed};

#[derive(Default)]
pub(super) struct Entries {
    pub(super) keys: Vec<KeyEntry>,
    pub(super) certificates: Vec<CertificateEntry>,
    /// Whether the password given was right for the store as a whole.
    pub(super) verified: bool,
    counted: usize,
}

pub(super) struct KeyEntry {
    pub(super) alias: Option<String>,
    pub(super) key: StoredKey,
    /// Common to a key and its certificate.
    pub(super) id: Option<Vec<u8>>,
    /// Empty when the format keeps no chains.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

pub(super) struct CertificateEntry {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) id: Option<Vec<u8>>,
    pub(super) trusted: bool,
}

pub(super) enum StoredKey {
    Plain(Zeroizing<PrivateKeyDer<'static>>),
    /// An EncryptedPrivateKeyInfo.
    Sealed(Vec<u8>),
}

impl Entries {
    /// Counts one more thing that takes memory. The smallest take many times their room in the
    /// file.
    pub(super) fn count(&mut self) -> Result<(), Fault> {
        const MOST: usize = 10_000;
        self.counted += 1;
        if self.counted > MOST {
            return Err(Fault::Damaged("it has more than 10,000 entries"));
        }
        Ok(())
    }

    /// The key of this alias, or the only one there is.
    ///
    /// To Java, aliases that differ in case are the same.
    pub(super) fn choose(
        &self,
        alias: Option<&str>,
        input: &str,
    ) -> Result<&KeyEntry, KeystoreError> {
        let input = || input.to_owned();
        if self.keys.is_empty() {
            return Err(KeystoreError::NoPrivateKey { input: input() });
        }
        let Some(alias) = alias else {
            return match self.keys.as_slice() {
                [key] => Ok(key),
                keys => Err(KeystoreError::SeveralKeys {
                    input: input(),
                    count: keys.len(),
                    aliases: self.aliases(),
                }),
            };
        };
        let named = |equal: fn(&str, &str) -> bool| {
            self.keys
                .iter()
                .find(|key| key.alias.as_deref().is_some_and(|it| equal(it, alias)))
        };
        named(|a, b| a == b)
            .or_else(|| named(str::eq_ignore_ascii_case))
            .ok_or_else(|| KeystoreError::UnknownAlias {
                input: input(),
                alias: alias.into(),
                aliases: self.aliases(),
            })
    }

    /// The certificates for this key, its own first if that is known.
    pub(super) fn chain(&self, key: &KeyEntry) -> Vec<CertificateDer<'static>> {
        if !key.chain.is_empty() {
            return key.chain.clone();
        }
        let own = self
            .certificates
            .iter()
            .position(|it| it.id.is_some() && it.id == key.id);
        let certificates: Vec<_> = self.certificates.iter().map(|it| &it.certificate).collect();
        match own {
            Some(own) => chain::from(own, &certificates),
            None => certificates.into_iter().cloned().collect(),
        }
    }

    fn aliases(&self) -> Vec<String> {
        self.keys.iter().filter_map(|it| it.alias.clone()).collect()
    }
}

impl StoredKey {
    /// A PKCS#8 key.
    pub(super) fn plain(key: Vec<u8>) -> Self {
        Self::Plain(pkcs8(key))
    }

    pub(super) fn open(
        &self,
        password: Option<&str>,
        work: &mut Work,
    ) -> Result<Zeroizing<PrivateKeyDer<'static>>, Fault> {
        match self {
            Self::Plain(key) => Ok(Zeroizing::new(key.clone_key())),
            Self::Sealed(sealed) => {
                let password = password.ok_or(Fault::MissingPassword)?;
                let mut key = sealed::open_key(sealed, password, work)?;
                Ok(pkcs8(std::mem::take(&mut *key)))
            }
        }
    }
}

fn pkcs8(key: Vec<u8>) -> Zeroizing<PrivateKeyDer<'static>> {
    Zeroizing::new(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)))
}
