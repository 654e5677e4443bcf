//! Files become identities: certificate chains with their private keys.

mod error;
mod identity;

pub use self::{error::KeystoreError, identity::ClientIdentity};
