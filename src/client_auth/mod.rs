//! How a client proves who it is: one file for each method of client authentication.
//!
//! [`PrivateKeyJwt`] and [`TlsClientAuth`] need no secret that the server knows too; prefer them.
//! Both work with the same [`RotatingIdentity`](crate::keystore::RotatingIdentity), and go on
//! when its certificate is renewed. A [`FileAssertion`] is what a platform says of the programs
//! that it runs.
//! [`ClientSecretBasic`] is there for servers that offer nothing else. Other methods can be added
//! by implementing [`ClientAuth`].

mod client_secret_basic;
mod file_assertion;
#[cfg(feature = "jwt")]
mod identity_signer;
mod method;
mod private_key_jwt;
mod tls_client_auth;

pub(crate) use self::method::DynClientAuth;
pub use self::{
    client_secret_basic::ClientSecretBasic,
    file_assertion::{AssertionFileError, FileAssertion},
    method::{AuthContext, ClientAuth},
    private_key_jwt::PrivateKeyJwt,
    tls_client_auth::{SelfSignedTlsClientAuth, TlsClientAuth},
};
