use std::{error::Error as StdError, fmt, io};

use crate::error::{ErrorKind, TokenError};

/// Why a key, certificate or trust anchor couldn't be loaded.
///
/// `input` names what was read: a file's path, or what the given bytes were meant to be. The
/// content itself is never part of an error.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The file couldn't be read.
    #[non_exhaustive]
    Unreadable {
        /// What was read.
        input: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The PEM text is damaged.
    #[non_exhaustive]
    Malformed {
        /// What was read.
        input: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no certificate in it.
    #[non_exhaustive]
    NoCertificate {
        /// What was read.
        input: String,
    },
    /// There is no private key in it.
    #[non_exhaustive]
    NoPrivateKey {
        /// What was read.
        input: String,
    },
    /// The private key is encrypted with a passphrase.
    #[non_exhaustive]
    EncryptedKey {
        /// What was read.
        input: String,
    },
    /// There is more than one private key in it.
    #[non_exhaustive]
    SeveralKeys {
        /// What was read.
        input: String,
        /// How many there are.
        count: usize,
    },
    /// The private key is damaged, or of a kind that is not supported.
    #[non_exhaustive]
    UnsupportedKey {
        /// What was read.
        input: String,
    },
    /// A certificate's DER is damaged, or can't be used.
    #[non_exhaustive]
    UnsupportedCertificate {
        /// What was read.
        input: String,
    },
    /// The private key is not that of the first certificate.
    #[non_exhaustive]
    Mismatch {
        /// What the key was read from.
        key: String,
        /// What the certificate was read from.
        certificate: String,
    },
}

impl fmt::Display for KeystoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { input, .. } => write!(f, "{input} can't be read"),
            Self::Malformed { input, reason } => write!(f, "{input} is damaged PEM: {reason}"),
            Self::NoCertificate { input } => write!(
                f,
                "no certificate in {input}: expected PEM with `-----BEGIN CERTIFICATE-----`"
            ),
            Self::NoPrivateKey { input } => write!(
                f,
                "no private key in {input}: expected PEM with `-----BEGIN PRIVATE KEY-----`, \
                 `RSA PRIVATE KEY` or `EC PRIVATE KEY`"
            ),
            Self::EncryptedKey { input } => write!(
                f,
                "the private key in {input} is encrypted: write it without a passphrase, \
                 as `openssl pkey -in <file> -out <new file>` does"
            ),
            Self::SeveralKeys { input, count } => write!(
                f,
                "{count} private keys in {input}: leave only the one to be used"
            ),
            Self::UnsupportedKey { input } => write!(
                f,
                "the private key in {input} can't be used: RSA of 2048 to 8192 bits, EC on P-256, \
                 P-384 or P-521, or Ed25519 is needed"
            ),
            Self::UnsupportedCertificate { input } => {
                write!(f, "a certificate in {input} is damaged or not X.509")
            }
            Self::Mismatch { key, certificate } => write!(
                f,
                "the private key in {key} is not that of the first certificate in {certificate}: \
                 give the key of this certificate, and put the client's own certificate first"
            ),
        }
    }
}

impl StdError for KeystoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<KeystoreError> for TokenError {
    fn from(error: KeystoreError) -> Self {
        let whole = Self::new(ErrorKind::Key, error.to_string());
        match error {
            KeystoreError::Unreadable { source, .. } => whole.with_source(source),
            _ => whole,
        }
    }
}
