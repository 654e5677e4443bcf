//! Signed tokens of our own: the [`Signer`] trait, the built-in [`LocalSigner`], and the compact
//! form (RFC 7515).

mod algorithm;
#[cfg(feature = "jwt")]
mod jwk;
mod jws;
#[cfg(feature = "jwt")]
mod local;
mod signer;

#[cfg(feature = "jwt")]
pub(crate) use self::jws::mac_jws;
#[cfg(feature = "jwt")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
pub use self::local::{LocalSigner, SigningKeyError};
pub use self::{
    algorithm::Algorithm,
    signer::{Signer, SigningKeyInfo},
};
pub(crate) use self::{jws::sign_jws, signer::DynSigner};
