//! How a client proves who it is: one file for each method of client authentication.
//!
//! [`PrivateKeyJwt`] and [`TlsClientAuth`] need no secret that the server knows too; prefer them.
//! Both work with the same [`RotatingIdentity`](crate::keystore::RotatingIdentity), and go on
//! when its certificate is renewed. A [`FileAssertion`] is what a platform says of the programs
//! that it runs.
//! [`ClientSecretBasic`], [`ClientSecretPost`] and `ClientSecretJwt` are there for servers that offer
//! nothing else, and [`NoClientAuth`] for those behind something that knows its clients. Other
//! methods can be added by implementing [`ClientAuth`].

mod assertion;
mod audience;
mod client_secret;
mod client_secret_basic;
#[cfg(feature = "jwt")]
mod client_secret_jwt;
mod client_secret_post;
mod file_assertion;
#[cfg(feature = "jwt")]
mod identity_signer;
mod method;
mod no_client_auth;
mod private_key_jwt;
mod skew;
mod tls_client_auth;

#[cfg(feature = "jwt")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
pub use self::client_secret_jwt::ClientSecretJwt;
pub use self::{
    audience::Audience,
    client_secret::ClientSecret,
    client_secret_basic::ClientSecretBasic,
    client_secret_post::ClientSecretPost,
    file_assertion::{AssertionFileError, FileAssertion},
    method::{AuthContext, ClientAuth, Refused},
    no_client_auth::NoClientAuth,
    private_key_jwt::PrivateKeyJwt,
    tls_client_auth::{SelfSignedTlsClientAuth, TlsClientAuth},
};
pub(crate) use self::{
    method::DynClientAuth,
    skew::{Answered, Skew},
};
