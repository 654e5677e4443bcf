use std::{
    error::Error as StdError,
    fmt, io,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    error::{ErrorKind, TokenError},
    secret::quote,
};

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
    /// It is damaged.
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
    /// It is of a format that isn't read.
    #[non_exhaustive]
    UnsupportedFormat {
        /// What was read.
        input: String,
        /// What it is instead, and what to do.
        reason: &'static str,
    },
    /// It is encrypted or authenticated by something that isn't supported.
    #[non_exhaustive]
    UnsupportedAlgorithm {
        /// What was read.
        input: String,
        /// The algorithm's name, or its number where it has none here.
        algorithm: String,
        /// What to do.
        cure: &'static str,
    },
    /// Deriving the key from the password would take too long.
    #[non_exhaustive]
    TooMuchWork {
        /// What was read.
        input: String,
        /// The rounds that it asks for at once.
        rounds: u64,
    },
    /// The environment variable of the password has none.
    #[non_exhaustive]
    NoPassword {
        /// Its name.
        variable: String,
        /// Whether it isn't set at all. Else it isn't UTF-8.
        unset: bool,
    },
    /// It can't be read without its password.
    #[non_exhaustive]
    MissingPassword {
        /// What was read.
        input: String,
    },
    /// The password is wrong, or the store is damaged: the digest over both says no more.
    #[non_exhaustive]
    WrongPassword {
        /// What was read.
        input: String,
    },
    /// The key has a password of its own.
    #[non_exhaustive]
    WrongKeyPassword {
        /// Which key it is.
        input: String,
    },
    /// The store has no MAC: nobody vouches for what is in it.
    #[non_exhaustive]
    Unverified {
        /// What was read.
        input: String,
    },
    /// There is no private key of that alias in it.
    #[non_exhaustive]
    UnknownAlias {
        /// What was read.
        input: String,
        /// The alias asked for.
        alias: String,
        /// Those that there are.
        aliases: Vec<String>,
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
        /// Their aliases, as far as they have any.
        aliases: Vec<String>,
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
    /// The client's certificate has expired.
    #[non_exhaustive]
    Expired {
        /// What was read.
        input: String,
        /// Whose certificate it is.
        subject: String,
        /// When it expired.
        not_after: SystemTime,
    },
    /// The client's certificate is not valid yet.
    #[non_exhaustive]
    NotYetValid {
        /// What was read.
        input: String,
        /// Whose certificate it is.
        subject: String,
        /// From when on it is valid.
        not_before: SystemTime,
    },
    /// No certificate in it is marked as trusted.
    #[non_exhaustive]
    NothingTrusted {
        /// What was read.
        input: String,
    },
    /// Loading was broken off: the runtime is shutting down.
    Interrupted,
}

impl fmt::Display for KeystoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { input, .. } => write!(f, "{input} can't be read"),
            Self::Malformed { input, reason } => write!(f, "{input} is damaged: {reason}"),
            Self::UnsupportedFormat { input, reason } => {
                write!(f, "{input} can't be used: {reason}")
            }
            Self::UnsupportedAlgorithm {
                input,
                algorithm,
                cure,
            } => write!(
                f,
                "{input} needs {algorithm}, which isn't supported: {cure}"
            ),
            Self::TooMuchWork { input, rounds } => write!(
                f,
                "{input} asks for {rounds} rounds of key derivation, and a store may take \
                 5000000 in all: it is damaged, or must be written anew with fewer"
            ),
            Self::NoPassword { variable, unset } => write!(
                f,
                "the environment variable {variable}, which should hold a password, {}",
                if *unset { "isn't set" } else { "isn't UTF-8" }
            ),
            Self::MissingPassword { input } => write!(
                f,
                "{input} needs its password: give it by `KeyStore::password`, even if it is empty"
            ),
            Self::WrongPassword { input } => write!(
                f,
                "the password for {input} is wrong, or the file is damaged: `keytool -list \
                 -keystore <file>` or `openssl pkcs12 -info -noout -in <file>` tries a password"
            ),
            Self::WrongKeyPassword { input } => write!(
                f,
                "the password of the store is right, but not for the key in {input}: give the \
                 key's own by `KeyStore::key_password`"
            ),
            Self::Unverified { input } => write!(
                f,
                "{input} has no MAC, so anybody could have changed it: write it anew with one, or \
                 take it as it is by `KeyStore::allow_unverified`"
            ),
            Self::UnknownAlias {
                input,
                alias,
                aliases,
            } => {
                let alias = quote(alias, &[]);
                write!(f, "no private key `{alias}` in {input}: ")?;
                match aliases.as_slice() {
                    [] => f.write_str("its keys have no names, so ask for none"),
                    aliases => write!(f, "there is {}", Listed(aliases)),
                }
            }
            Self::NoCertificate { input } => write!(
                f,
                "no certificate in {input}: in PEM it begins with `-----BEGIN CERTIFICATE-----`"
            ),
            Self::NoPrivateKey { input } => write!(
                f,
                "no private key in {input}: in PEM it begins with `-----BEGIN PRIVATE KEY-----`, \
                 `RSA PRIVATE KEY` or `EC PRIVATE KEY`"
            ),
            Self::EncryptedKey { input } => write!(
                f,
                "the private key in {input} is encrypted: load it by `KeyStore` with its password, \
                 or write it without one, as `openssl pkey -in <file> -out <new file>` does"
            ),
            Self::SeveralKeys {
                input,
                count,
                aliases,
            } => {
                write!(f, "{count} private keys in {input}: ")?;
                match aliases.as_slice() {
                    [] => f.write_str("leave only the one to be used"),
                    aliases => write!(
                        f,
                        "choose one by `KeyStore::alias`; there is {}",
                        Listed(aliases)
                    ),
                }
            }
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
                 give the key of this certificate, and not that of its issuer alone"
            ),
            Self::Expired {
                input,
                subject,
                not_after,
            } => write!(
                f,
                "the certificate of {subject} in {input} expired on {}: renew it",
                date(*not_after)
            ),
            Self::NotYetValid {
                input,
                subject,
                not_before,
            } => write!(
                f,
                "the certificate of {subject} in {input} isn't valid before {}: check the clock",
                date(*not_before)
            ),
            Self::NothingTrusted { input } => write!(
                f,
                "no trusted certificate in {input}: those of a key's chain don't count; put the \
                 authority in by `keytool -importcert -alias <name> -file <certificate>`"
            ),
            Self::Interrupted => f.write_str("loading the keystore was broken off"),
        }
    }
}

/// As HTTP writes dates, which begin in 1970 there.
pub(super) fn date(time: SystemTime) -> httpdate::HttpDate {
    time.max(UNIX_EPOCH).into()
}

/// The first few of the names, fit to be repeated.
struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 20;
        for (at, name) in self.0.iter().take(MOST).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", quote(name, &[]))?;
        }
        match self.0.len().checked_sub(MOST) {
            Some(more @ 1..) => write!(f, " and {more} more"),
            _ => Ok(()),
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
