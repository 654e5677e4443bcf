use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use super::{
    Audience, AuthContext, ClientAuth, Refused,
    assertion::{self, Terms},
};
#[cfg(feature = "jwt")]
use crate::jose::{LocalSigner, SigningKeyError};
use crate::{
    error::TokenError,
    jose::{DynSigner, Signer, sign_jws},
    keystore::{ClientIdentity, RotatingIdentity},
    protocol::TokenRequest,
};

/// `private_key_jwt`: a short-lived JWT, signed with the client's own key (RFC 7523 section 2.2,
/// RFC 10070).
///
/// An assertion is for the server's issuer, as the token source knows it; where that isn't
/// accepted, for another [`audience`](Self::audience). Which key it is (`kid`, `x5t#S256`) the
/// [`Signer`] says. Its times are those of this machine; when the server refuses them and shows
/// another time, those of the server ([`Refused::corrects_clock`]).
#[derive(Clone)]
pub struct PrivateKeyJwt {
    key: Key,
    terms: Terms,
}

#[derive(Clone)]
enum Key {
    /// Wherever it is, its signer knows.
    Signer(Arc<dyn DynSigner>),
    #[cfg(feature = "jwt")]
    Identity(Arc<super::identity_signer::IdentitySigner>),
}

impl PrivateKeyJwt {
    /// Signs assertions with this key.
    pub fn new(signer: impl Signer) -> Self {
        Self::with_key(Key::Signer(Arc::new(signer)))
    }

    /// Signs assertions with the key of this identity, which may change: each assertion is signed
    /// with the key that its fetch works with. The algorithm follows from the key, and `kid` is its
    /// thumbprint, as [`LocalSigner::from_identity`] has it.
    ///
    /// A new key is used at once for one token request, and from then on when the server has
    /// accepted it. So it may be put into the files before the server knows its public half.
    #[cfg(feature = "jwt")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
    pub fn from_identity(identity: impl Into<RotatingIdentity>) -> Self {
        Self::from_identity_with(identity, LocalSigner::from_identity)
    }

    /// The same, with a signer that is set up by a function: another algorithm, or the certificate
    /// in the header.
    ///
    /// ```no_run
    /// use tower_oauth::{
    ///     client_auth::PrivateKeyJwt, jose::{Algorithm, LocalSigner}, keystore::RotatingIdentity,
    /// };
    ///
    /// let identity = RotatingIdentity::from_pem_files("client.crt", "client.key")?;
    /// let auth = PrivateKeyJwt::from_identity_with(identity, |identity| {
    ///     let signer = LocalSigner::from_identity(identity)?.algorithm(Algorithm::RS256)?;
    ///     Ok(signer.without_key_id().x5t_s256(identity))
    /// });
    /// # Ok::<(), tower_oauth::TokenError>(())
    /// ```
    #[cfg(feature = "jwt")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jwt")))]
    pub fn from_identity_with(
        identity: impl Into<RotatingIdentity>,
        signer: impl Fn(&ClientIdentity) -> Result<LocalSigner, SigningKeyError> + Send + Sync + 'static,
    ) -> Self {
        let signer = super::identity_signer::IdentitySigner::new(identity.into(), signer);
        Self::with_key(Key::Identity(Arc::new(signer)))
    }

    fn with_key(key: Key) -> Self {
        Self {
            key,
            terms: Terms::default(),
        }
    }

    /// The server's issuer identifier becomes the one audience of each assertion (RFC 10070
    /// section 4). Default: that of the token source
    /// ([`from_issuer`](crate::grant::ClientCredentials::from_issuer),
    /// [`issuer`](crate::grant::ClientCredentialsBuilder::issuer)).
    ///
    /// An assertion for the issuer can't be used at another server, whatever addresses that one
    /// lists as its own.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.audience(issuer.into())
    }

    /// Whom an assertion is for, in place of the issuer: for servers that ask for the address of
    /// their token endpoint. A text is taken exactly as it is. Default: [`Audience::Issuer`].
    ///
    /// Anything else is weaker: a malicious server that names the address as its own can use the
    /// assertion there. Use a key of its own for such a server.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.terms.audience = audience.into();
        self
    }

    /// How long an assertion is valid, in whole seconds. Default: 60 s.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.terms.lifetime = lifetime;
        self
    }

    /// The `typ` header. Default: `client-authentication+jwt` (RFC 10070 section 4); a few old
    /// servers accept only `JWT`.
    #[must_use]
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.terms.typ = Some(typ.into());
        self
    }

    /// Leaves out the `typ` header.
    #[must_use]
    pub fn without_typ(mut self) -> Self {
        self.terms.typ = None;
        self
    }

    /// Who signs this time.
    fn signer(&self, identity: Option<&ClientIdentity>) -> Result<Arc<dyn DynSigner>, TokenError> {
        let _ = identity;
        Ok(match &self.key {
            Key::Signer(signer) => Arc::clone(signer),
            #[cfg(feature = "jwt")]
            Key::Identity(signer) => signer.signer(identity)?,
        })
    }
}

impl ClientAuth for PrivateKeyJwt {
    fn method(&self) -> &'static str {
        "private_key_jwt"
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> Result<(), TokenError> {
        let claims = self.terms.claims(context)?;
        let signer = self.signer(context.identity())?;
        let assertion = sign_jws(&*signer, self.terms.typ.as_deref(), &claims).await?;
        assertion::put(&assertion, context, request);
        Ok(())
    }

    fn validate(&self) -> Result<(), TokenError> {
        self.terms.validate()?;
        match &self.key {
            Key::Signer(_) => Ok(()),
            #[cfg(feature = "jwt")]
            Key::Identity(signer) => signer.signer(None).map(drop).map_err(TokenError::from),
        }
    }

    fn identity(&self) -> Option<&RotatingIdentity> {
        match &self.key {
            Key::Signer(_) => None,
            #[cfg(feature = "jwt")]
            Key::Identity(signer) => Some(signer.identity()),
        }
    }

    fn needs_issuer(&self) -> bool {
        self.terms.audience == Audience::Issuer
    }

    fn signing_algorithm(&self, identity: Option<&ClientIdentity>) -> Option<&'static str> {
        Some(self.signer(identity).ok()?.algorithm().name())
    }

    fn hint(&self, context: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        let signer = self.signer(context.identity()).ok()?;
        let key = signer.key();
        let sent = |value: Option<&str>| value.map_or("none".to_owned(), |it| format!("\"{it}\""));
        Some(Cow::Owned(format!(
            "the server doesn't accept the assertion: compare what was sent with what it expects: \
             aud {} (`PrivateKeyJwt::issuer` or `audience`), typ {} (`typ`, `without_typ`), alg {} \
             (`LocalSigner::algorithm`), kid {} (`key_id`, `without_key_id`), x5t#S256 {} \
             (`x5t_s256`); the public key must be registered for this client_id, and both clocks \
             must agree",
            sent(self.terms.audience.of(context).ok()),
            sent(self.terms.typ.as_deref()),
            signer.algorithm().name(),
            sent(key.key_id.as_deref()),
            sent(key.x5t_s256.as_deref()),
        )))
    }

    async fn reconsider(&self, refused: &Refused<'_>) -> bool {
        refused.corrects_clock()
    }
}

impl fmt::Debug for PrivateKeyJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("PrivateKeyJwt");
        match &self.key {
            Key::Signer(signer) => out
                .field("algorithm", &signer.algorithm())
                .field("key_id", &signer.key().key_id),
            #[cfg(feature = "jwt")]
            Key::Identity(signer) => out.field("identity", signer.identity()),
        };
        out.field("audience", &self.terms.audience)
            .field("typ", &self.terms.typ)
            .field("lifetime", &self.terms.lifetime)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::{super::method::with_context, *};
    use crate::{
        BoxError,
        error::ErrorKind,
        jose::{Algorithm, SigningKeyInfo},
    };

    struct FakeSigner(SigningKeyInfo);

    impl Signer for FakeSigner {
        fn algorithm(&self) -> Algorithm {
            Algorithm::ES256
        }

        fn key(&self) -> &SigningKeyInfo {
            &self.0
        }

        async fn sign(&self, input: &[u8]) -> Result<Vec<u8>, BoxError> {
            if input.len() > 10_000 {
                return Err("too long".into());
            }
            Ok(b"signature".to_vec())
        }
    }

    fn auth() -> PrivateKeyJwt {
        PrivateKeyJwt::new(FakeSigner(SigningKeyInfo::new().key_id("k1")))
    }

    async fn authenticate(
        auth: &PrivateKeyJwt,
        client_id: &str,
    ) -> Result<TokenRequest, TokenError> {
        let mut request = TokenRequest::new("client_credentials");
        let context = with_context!(client_id);
        auth.authenticate(&context, &mut request).await?;
        Ok(request)
    }

    async fn assertion(auth: &PrivateKeyJwt) -> (Value, Value) {
        let request = authenticate(auth, "orders").await.unwrap();
        // An assertion is a credential: the last one that was hidden.
        let credentials = request.credentials();
        let assertion = std::str::from_utf8(credentials.last().unwrap()).unwrap();
        let parts: Vec<_> = assertion
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        assert_eq!(parts[2], b"signature");
        let json = |part: &[u8]| serde_json::from_slice(part).unwrap();
        (json(&parts[0]), json(&parts[1]))
    }

    #[tokio::test]
    async fn the_assertion_says_who_for_whom_and_how_long() {
        let (header, mut claims) = assertion(&auth()).await;
        assert_eq!(
            header,
            json!({"typ": "client-authentication+jwt", "alg": "ES256", "kid": "k1"})
        );
        assert_eq!(claims["jti"].take().as_str().unwrap().len(), 22);
        assert_eq!(
            claims,
            json!({
                "iss": "orders",
                "sub": "orders",
                "aud": "https://as.example",
                "iat": 1_700_000_000,
                "exp": 1_700_000_060,
                "jti": null,
            })
        );
    }

    #[tokio::test]
    async fn what_a_server_insists_on_can_be_set() {
        let auth = auth()
            .audience("https://as.example/token")
            .lifetime(Duration::from_secs(300))
            .typ("JWT");
        let (header, claims) = assertion(&auth).await;
        assert_eq!(header["typ"], "JWT");
        assert_eq!(claims["aud"], "https://as.example/token");
        assert_eq!(claims["exp"], 1_700_000_300);
        let (header, _) = assertion(&auth.without_typ()).await;
        assert_eq!(header.get("typ"), None);
    }

    #[tokio::test]
    async fn the_audience_is_whom_the_server_wants_it_to_be() {
        for (audience, aud) in [
            (Audience::Issuer, "https://as.example"),
            (Audience::TokenEndpoint, "https://as.example/token"),
            (Audience::CalledUrl, "https://mtls.as.example/token"),
            ("urn:as".into(), "urn:as"),
        ] {
            let auth = auth().audience(audience.clone());
            assert_eq!(auth.needs_issuer(), audience == Audience::Issuer);
            assert_eq!(assertion(&auth).await.1["aud"], aud);
        }
    }

    #[test]
    fn an_assertion_for_nobody_or_no_time_is_a_fault_of_the_settings() {
        assert!(auth().validate().is_ok());
        for wrong in [
            auth().issuer(""),
            auth().lifetime(Duration::from_millis(999)),
        ] {
            let error = wrong.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
        }
    }

    #[tokio::test]
    async fn a_signer_that_fails_is_an_error_of_the_key() {
        let error = authenticate(&auth(), &"x".repeat(20_000))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
    }
}
