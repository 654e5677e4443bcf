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

#[cfg(any(feature = "hyper", feature = "jwt"))]
pub(crate) use self::{certificate::Certificate, key_pair::KeyPair, pem::Pem, store::aside};
pub(crate) use self::{
    identity::{IdentityNumber, WeakIdentity},
    shown::Shown,
    watch::Watch,
};
pub use self::{
    error::KeystoreError,
    identity::ClientIdentity,
    rotating::{RotatingIdentity, RotatingIdentityBuilder},
    watch::Change,
};
#[cfg(any(feature = "hyper", feature = "jwt"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "hyper", feature = "jwt"))))]
pub use self::{password::Password, store::KeyStore};

#[cfg(test)]
mod tests;
