use std::{collections::BTreeSet, fmt, io};

use rustls::server::ParsedCertificate;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};

use crate::{secret::SecretString, testing::pki};

/// A client as the [`FakeAuthorizationServer`](super::FakeAuthorizationServer) knows it.
///
/// It authenticates by exactly one method. By default any scope is granted, and tokens aren't
/// bound to a certificate.
#[derive(Clone)]
pub struct Client {
    pub(super) id: String,
    pub(super) credential: Credential,
    pub(super) scopes: Option<BTreeSet<String>>,
    pub(super) bound_tokens: bool,
}

/// What the server compares a client's proof with.
#[derive(Clone)]
pub(super) enum Credential {
    Basic(SecretString),
    Post(SecretString),
    /// The key of HS256.
    Secret(SecretString),
    /// The public key, as SubjectPublicKeyInfo.
    Key(SubjectPublicKeyInfoDer<'static>),
    /// The `x5t#S256` of each leaf that is good.
    Certificates(Vec<String>),
    /// It proves nothing.
    None,
}

impl Client {
    /// A client that sends its secret by HTTP Basic ([RFC 6749 section 2.3.1]).
    ///
    /// [RFC 6749 section 2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
    pub fn client_secret_basic(id: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        Self::new(id, Credential::Basic(secret.into()))
    }

    /// A client that sends its secret in the form ([RFC 6749 section 2.3.1]).
    ///
    /// [RFC 6749 section 2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
    pub fn client_secret_post(id: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        Self::new(id, Credential::Post(secret.into()))
    }

    /// A client that makes assertions with its secret, by HS256 ([RFC 7523 section 2.2]).
    ///
    /// [RFC 7523 section 2.2]: https://www.rfc-editor.org/rfc/rfc7523#section-2.2
    pub fn client_secret_jwt(id: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        Self::new(id, Credential::Secret(secret.into()))
    }

    /// A client that only says who it is, and gets tokens all the same, as behind a gateway that
    /// knows its clients.
    pub fn unauthenticated(id: impl Into<String>) -> Self {
        Self::new(id, Credential::None)
    }

    /// A client that signs assertions ([RFC 7523 section 2.2]). `pem` holds its public key
    /// (`PUBLIC KEY`) or, leaf first, its certificate chain.
    ///
    /// # Errors
    ///
    /// When the PEM holds neither.
    ///
    /// [RFC 7523 section 2.2]: https://www.rfc-editor.org/rfc/rfc7523#section-2.2
    pub fn private_key_jwt(id: impl Into<String>, pem: &str) -> io::Result<Self> {
        let key = match SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()) {
            Ok(key) => key,
            Err(_) => ParsedCertificate::try_from(&leaf(pem)?)
                .map_err(io::Error::other)?
                .subject_public_key_info(),
        };
        Ok(Self::new(id, Credential::Key(key)))
    }

    /// A client that presents this very leaf certificate in the TLS handshake, issued by the
    /// server's [`Pki`](crate::testing::Pki) ([RFC 8705 section 2.1]).
    ///
    /// # Errors
    ///
    /// When the PEM holds no certificate.
    ///
    /// [RFC 8705 section 2.1]: https://www.rfc-editor.org/rfc/rfc8705#section-2.1
    pub fn tls_client_auth(id: impl Into<String>, certificate_pem: &str) -> io::Result<Self> {
        let thumbprint = pki::thumbprint(&leaf(certificate_pem)?);
        Ok(Self::new(id, Credential::Certificates(vec![thumbprint])))
    }

    /// Accepts this leaf certificate too, as a server does while a client's certificate is renewed.
    /// Without effect on a client that authenticates in another way.
    ///
    /// # Errors
    ///
    /// When the PEM holds no certificate.
    pub fn also_certificate(mut self, certificate_pem: &str) -> io::Result<Self> {
        let thumbprint = pki::thumbprint(&leaf(certificate_pem)?);
        if let Credential::Certificates(leaves) = &mut self.credential {
            leaves.push(thumbprint);
        }
        Ok(self)
    }

    /// Grants only these scopes, all of them when none is asked for. Default: any scope, and none
    /// when none is asked for.
    #[must_use]
    pub fn allow_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = Some(scopes.into_iter().map(Into::into).collect());
        self
    }

    /// Binds tokens to the certificate of the connection that they were asked for on
    /// ([RFC 8705 section 3]). Default: tokens are not bound.
    ///
    /// [RFC 8705 section 3]: https://www.rfc-editor.org/rfc/rfc8705#section-3
    #[must_use]
    pub fn bind_tokens(mut self) -> Self {
        self.bound_tokens = true;
        self
    }

    /// The client identifier.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn new(id: impl Into<String>, credential: Credential) -> Self {
        Self {
            id: id.into(),
            credential,
            scopes: None,
            bound_tokens: false,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("method", &self.credential.method())
            .finish_non_exhaustive()
    }
}

impl Credential {
    pub(super) fn method(&self) -> AuthMethod {
        match self {
            Self::Basic(_) => AuthMethod::ClientSecretBasic,
            Self::Post(_) => AuthMethod::ClientSecretPost,
            Self::Secret(_) => AuthMethod::ClientSecretJwt,
            Self::None => AuthMethod::None,
            Self::Key(_) => AuthMethod::PrivateKeyJwt,
            Self::Certificates(_) => AuthMethod::TlsClientAuth,
        }
    }
}

/// How a client authenticates, by the names of the registry for token endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `client_secret_basic`
    ClientSecretBasic,
    /// `client_secret_post`
    ClientSecretPost,
    /// `client_secret_jwt`
    ClientSecretJwt,
    /// `private_key_jwt`
    PrivateKeyJwt,
    /// `tls_client_auth`
    TlsClientAuth,
    /// `none`
    None,
}

fn leaf(pem: &str) -> io::Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other)
}
