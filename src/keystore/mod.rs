//! Files become identities: certificate chains with their private keys.

mod identity;

pub use self::identity::ClientIdentity;
