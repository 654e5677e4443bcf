//! How a client proves who it is: one file for each method of client authentication.
//!
//! [`PrivateKeyJwt`] and [`TlsClientAuth`] need no secret that the server knows too; prefer them.
//! [`ClientSecretBasic`] is there for servers that offer nothing else. Other methods can be added
//! by implementing [`ClientAuth`].

mod client_secret_basic;
mod method;
mod private_key_jwt;
mod tls_client_auth;

pub(crate) use self::method::DynClientAuth;
pub use self::{
    client_secret_basic::ClientSecretBasic,
    method::{AuthContext, ClientAuth},
    private_key_jwt::PrivateKeyJwt,
    tls_client_auth::TlsClientAuth,
};
