use std::{error::Error as StdError, fmt};

use super::{Algorithm, Signer, SigningKeyInfo};
use crate::{
    error::{BoxError, ErrorKind, TokenError},
    keystore::{ClientIdentity, KeystoreError},
};

/// Signs with a private key held in memory.
#[derive(Debug)]
pub struct LocalSigner {
    algorithm: Algorithm,
    info: SigningKeyInfo,
}

impl LocalSigner {
    /// Signs with the key of this identity.
    pub fn from_identity(identity: &ClientIdentity) -> Result<Self, SigningKeyError> {
        let _ = (identity.chain(), identity.key());
        unimplemented!("to come")
    }

    /// Signs with the private key in this PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SigningKeyError> {
        let _ = pem;
        unimplemented!("to come")
    }

    /// Signs with this algorithm.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        self.algorithm = algorithm;
        Ok(self)
    }

    /// Sends this `kid`. Default: the key's thumbprint (RFC 7638).
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.info.key_id = Some(key_id.into());
        self
    }
}

impl Signer for LocalSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn key(&self) -> &SigningKeyInfo {
        &self.info
    }

    async fn sign(&self, input: &[u8]) -> Result<Vec<u8>, BoxError> {
        let _ = input;
        unimplemented!("to come")
    }
}

/// Why a key can't sign.
#[derive(Debug)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The key couldn't be loaded.
    Keystore(KeystoreError),
    /// The key can't make signatures of this algorithm.
    #[non_exhaustive]
    Mismatch {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// What the key is.
        key: &'static str,
    },
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keystore(_) => f.write_str("the signing key can't be loaded"),
            Self::Mismatch { algorithm, key } => {
                write!(f, "{algorithm} needs another key: this one is {key}")
            }
        }
    }
}

impl StdError for SigningKeyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Keystore(error) => Some(error),
            Self::Mismatch { .. } => None,
        }
    }
}

impl From<KeystoreError> for SigningKeyError {
    fn from(error: KeystoreError) -> Self {
        Self::Keystore(error)
    }
}

impl From<SigningKeyError> for TokenError {
    fn from(error: SigningKeyError) -> Self {
        Self::new(ErrorKind::Key, error.to_string()).with_source(error)
    }
}
