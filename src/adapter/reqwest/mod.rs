//! For reqwest 0.13 and reqwest-middleware 0.5.

mod body;
mod exchange;
mod middleware;
#[cfg(feature = "hyper")]
mod tls;
mod transport;

#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub use self::tls::tls_backend;
pub use self::{body::BodySpare, middleware::OAuthMiddleware};
