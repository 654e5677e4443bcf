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

#[cfg(any(feature = "hyper", feature = "jwt"))]
pub(crate) mod der;
mod error;
mod identity;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod key_pair;
mod look;
mod pem;
mod rotating;
mod shown;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod thumbprint;
mod watch;

#[cfg(any(feature = "hyper", feature = "jwt"))]
pub(crate) use self::key_pair::KeyPair;
#[cfg(any(feature = "hyper", feature = "jwt"))]
pub(crate) use self::pem::Pem;
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

#[cfg(test)]
mod tests;
