//! Files become identities: certificate chains with their private keys.

#[cfg(any(feature = "hyper", feature = "jwt"))]
pub(crate) mod der;
mod error;
mod identity;
#[cfg(any(feature = "hyper", feature = "jwt"))]
mod key_pair;
mod pem;

#[cfg(any(feature = "hyper", feature = "jwt"))]
pub(crate) use self::key_pair::KeyPair;
pub(crate) use self::pem::Pem;
pub use self::{error::KeystoreError, identity::ClientIdentity};

#[cfg(test)]
mod tests;
