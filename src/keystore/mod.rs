//! Files become identities: certificate chains with their private keys.
//!
//! A [`ClientIdentity`] is loaded once and handed to all that need it: mutual TLS and signed
//! assertions work with the same one, so a client needs one keystore and no secret. What can't be
//! loaded is a [`KeystoreError`] that names the file and the cure, and nothing of the content.
//!
//! ```no_run
//! use tower_oauth::keystore::ClientIdentity;
//!
//! # fn main() -> Result<(), tower_oauth::keystore::KeystoreError> {
//! let identity = ClientIdentity::from_pem_files("client.crt", "client.key")?;
//! # Ok(())
//! # }
//! ```
//!
//! Certificates are renewed, and files change while a program runs: a [`RotatingIdentity`] keeps an
//! eye on them, and is taken by whatever takes a [`ClientIdentity`] for the calls of a client.
//!
//! With the feature `hyper` or `jwt`, a [`KeyStore`][store] reads what other tools have made:
//!
//! | made by | format | encryption | needs |
//! | --- | --- | --- | --- |
//! | keytool since JDK 16 | PKCS#12 | AES-256, PBKDF2 with HMAC-SHA256 | |
//! | keytool before, or with `-J-Dkeystore.pkcs12.legacy` | PKCS#12 | RC2-40, Triple DES | `legacy-ciphers` |
//! | keytool before JDK 9, or with `-storetype JKS` | JKS | Sun's own for keys | |
//! | keytool with `-storetype JCEKS` | JCEKS | refused: the error names the command that converts it | |
//! | OpenSSL 3 | PKCS#12 | AES-128, -192 or -256, PBKDF2 with HMAC-SHA1 to -SHA512 | |
//! | OpenSSL 1, or with `-legacy` | PKCS#12 | RC2-40, RC2-128, Triple DES | `legacy-ciphers` |
//! | `openssl pkcs8 -topk8` | PEM | as OpenSSL's PKCS#12, or none | |
//! | `openssl pkcs8 -topk8 -scrypt`, `-v1 PBE-MD5-DES` | PEM | refused: the error names the cure | |
//! | `openssl rsa`, `openssl ec` | PEM | none; the old header form is refused with the cure | |
//!
//! Keys are RSA of 2048 to 8192 bits, EC on P-256, P-384 or P-521, and Ed25519. Decrypted keys live
//! in memory that is wiped. Not read: PBMAC1, BER that leaves lengths open, stores in an HSM.
//!
//! [store]: https://docs.rs/tower-oauth/latest/tower_oauth/keystore/struct.KeyStore.html

mod certificate;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod chain;
pub(crate) mod der;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod derive;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod entries;
mod error;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod fault;
mod file;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod format;
mod identity;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod jks;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod key_pair;
#[cfg(all(feature = "legacy-ciphers", any(feature = "hyper", feature = "jwt")))]
mod legacy;
mod look;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod password;
mod pem;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod pkcs12;
mod rotating;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod sealed;
mod shown;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod store;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod thumbprint;
mod watch;

#[cfg(feature = "hyper")]
pub(crate) use self::identity::WeakIdentity;
#[cfg(feature = "hyper")]
pub(crate) use self::{
    certificate::{Certificate, distinguished_name},
    store::aside,
};
pub use self::{
    error::KeystoreError,
    identity::ClientIdentity,
    rotating::{RotatingIdentity, RotatingIdentityBuilder},
    watch::Change,
};
pub(crate) use self::{identity::IdentityNumber, shown::Shown, watch::Watch};
#[cfg(any(feature = "hyper", feature = "jwt"))]
pub(crate) use self::{key_pair::KeyPair, pem::Pem};
#[cfg(any(feature = "hyper", feature = "jwt"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "hyper", feature = "jwt"))))]
pub use self::{password::Password, store::KeyStore};

#[cfg(test)]
mod tests;
