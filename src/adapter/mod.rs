//! What names a client of another crate: bodies that can be sent again, a middleware, a status.
//!
//! Each stands behind a feature that carries the other crate's version, because its types are in
//! the signatures here.

#[cfg(feature = "axum08")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum08")))]
pub mod axum;
#[cfg(feature = "reqwest013")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest013")))]
pub mod reqwest;
#[cfg(feature = "tonic014")]
#[cfg_attr(docsrs, doc(cfg(feature = "tonic014")))]
pub mod tonic;
