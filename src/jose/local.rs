use std::{error::Error as StdError, fmt};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaSignatureEncoding,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Algorithm, Signer, SigningKeyInfo, jwk::PublicJwk};
use crate::{
    error::{BoxError, ErrorKind, TokenError},
    keystore::{ClientIdentity, KeyPair, KeystoreError, Pem},
};

/// Signs with a private key held in memory, by aws-lc-rs.
///
/// The algorithm follows from the key: PS256 for RSA (2048 to 8192 bits), ES256, ES384 or ES512
/// for EC on P-256, P-384 or P-521, EdDSA for Ed25519.
/// [`algorithm`](Self::algorithm) chooses another one that fits the key. The key is parsed once,
/// and no process-wide crypto provider takes part.
///
/// ```no_run
/// use tower_oauth::{jose::{Algorithm, LocalSigner}, keystore::ClientIdentity};
///
/// let identity = ClientIdentity::from_pem_files("client.crt", "client.key")?;
/// let signer = LocalSigner::from_identity(&identity)?
///     .algorithm(Algorithm::RS256)?
///     .key_id("2026-10");
/// # Ok::<(), tower_oauth::TokenError>(())
/// ```
#[derive(Debug)]
pub struct LocalSigner {
    key: KeyPair,
    algorithm: Algorithm,
    info: SigningKeyInfo,
}

impl LocalSigner {
    /// Signs with the key of this identity.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError::Keystore`]: the key can't be used.
    pub fn from_identity(identity: &ClientIdentity) -> Result<Self, SigningKeyError> {
        let key = KeyPair::parse(identity.key());
        Self::new(key, "the identity")
    }

    /// Signs with the only private key in this PEM text: PKCS#8, PKCS#1 or SEC1, without a
    /// passphrase.
    ///
    /// # Errors
    ///
    /// [`SigningKeyError::Keystore`]: there is no such key, or it can't be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SigningKeyError> {
        let pem = Pem::parse(pem, "the PEM given".into())?;
        let key = KeyPair::parse(pem.key()?);
        Self::new(key, pem.input())
    }

    /// Signs with this algorithm. Default: see the [type](Self).
    ///
    /// # Errors
    ///
    /// [`SigningKeyError::Mismatch`]: the key can't make such signatures.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        if !fits(&self.key, algorithm) {
            return Err(SigningKeyError::Mismatch {
                algorithm,
                key: self.key.kind(),
            });
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// Sends this `kid`. Default: the key's SHA-256 thumbprint (RFC 7638).
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.info.key_id = Some(key_id.into());
        self
    }

    /// Sends no `kid`.
    #[must_use]
    pub fn without_key_id(mut self) -> Self {
        self.info.key_id = None;
        self
    }

    /// Sends the thumbprint of this identity's certificate (`x5t#S256`), by which some servers
    /// find the key. Default: not sent.
    #[must_use]
    pub fn x5t_s256(mut self, identity: &ClientIdentity) -> Self {
        self.info.x5t_s256 = Some(identity.thumbprint());
        self
    }

    /// Sends this identity's whole certificate chain (`x5c`), which servers need that know only
    /// its subject and issuer. Default: not sent.
    #[must_use]
    pub fn x5c(mut self, identity: &ClientIdentity) -> Self {
        let chain = identity.chain().iter();
        self.info.x5c = chain.map(|der| STANDARD.encode(der)).collect();
        self
    }

    fn new(key: Option<KeyPair>, input: &str) -> Result<Self, SigningKeyError> {
        let unsupported = || KeystoreError::UnsupportedKey {
            input: input.into(),
        };
        let key = key.ok_or_else(unsupported)?;
        let jwk = PublicJwk::of(&key).ok_or_else(unsupported)?;
        Ok(Self {
            algorithm: match key {
                KeyPair::Rsa(_) => Algorithm::PS256,
                KeyPair::P256(_) => Algorithm::ES256,
                KeyPair::P384(_) => Algorithm::ES384,
                KeyPair::P521(_) => Algorithm::ES512,
                KeyPair::Ed25519(_) => Algorithm::EdDSA,
            },
            info: SigningKeyInfo::new().key_id(jwk.thumbprint()),
            key,
        })
    }

    fn try_sign(&self, input: &[u8]) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let random = SystemRandom::new();
        match &self.key {
            KeyPair::Rsa(key) => {
                let scheme = rsa_scheme(self.algorithm).ok_or(aws_lc_rs::error::Unspecified)?;
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(scheme, &random, input, &mut signature)?;
                Ok(signature)
            }
            KeyPair::P256(key) | KeyPair::P384(key) | KeyPair::P521(key) => {
                Ok(key.sign(&random, input)?.as_ref().to_vec())
            }
            KeyPair::Ed25519(key) => Ok(key.try_sign(input)?.as_ref().to_vec()),
        }
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
        Ok(self.try_sign(input)?)
    }
}

/// Whether signatures of this algorithm are made with such a key (RFC 7518 sections 3.3 to 3.5,
/// RFC 8037 section 3.1, RFC 9864 section 2.2).
fn fits(key: &KeyPair, algorithm: Algorithm) -> bool {
    match key {
        KeyPair::Rsa(_) => rsa_scheme(algorithm).is_some(),
        KeyPair::P256(_) => algorithm == Algorithm::ES256,
        KeyPair::P384(_) => algorithm == Algorithm::ES384,
        KeyPair::P521(_) => algorithm == Algorithm::ES512,
        KeyPair::Ed25519(_) => matches!(algorithm, Algorithm::EdDSA | Algorithm::Ed25519),
    }
}

fn rsa_scheme(algorithm: Algorithm) -> Option<&'static RsaSignatureEncoding> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_SHA512),
        _ => None,
    }
}

// ===== SigningKeyError =====

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
            Self::Mismatch { algorithm, key } => write!(
                f,
                "{key} can't sign with {algorithm}: choose an algorithm of this key, or another key"
            ),
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
        match error {
            SigningKeyError::Keystore(error) => error.into(),
            error => Self::new(ErrorKind::Key, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
