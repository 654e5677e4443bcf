use std::{borrow::Cow, time::Duration};

use super::{
    Audience, AuthContext, ClientAuth, ClientSecret, Refused,
    assertion::{self, Terms},
};
use crate::{
    error::{ErrorKind, TokenError},
    jose::mac_jws,
    keystore::ClientIdentity,
    protocol::TokenRequest,
    secret::SecretString,
};

/// The key of HS256 has as many octets as its hash at least (RFC 7518 section 3.2).
const SHORTEST: usize = 32;

/// `client_secret_jwt`: a short-lived JWT, authenticated by HMAC with a secret that the server
/// knows too (RFC 7523 section 2.2, HS256).
///
/// The secret doesn't go over the wire, but whoever reads it at the server is the client: where
/// the server offers it, [`PrivateKeyJwt`](super::PrivateKeyJwt) is better. FAPI 2.0 forbids this
/// method.
///
/// The assertion is for the server's issuer, as the token source knows it; see
/// [`audience`](Self::audience).
#[derive(Clone, Debug)]
pub struct ClientSecretJwt {
    secret: ClientSecret,
    terms: Terms,
}

impl ClientSecretJwt {
    /// Signs assertions with this secret of 32 octets at least; a [`ClientSecret`] may change.
    pub fn new(secret: impl Into<ClientSecret>) -> Self {
        Self {
            secret: secret.into(),
            terms: Terms::default(),
        }
    }

    /// Whom an assertion is for. Default: [`Audience::Issuer`]. A text is taken exactly as it is.
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
}

impl ClientAuth for ClientSecretJwt {
    fn method(&self) -> &'static str {
        "client_secret_jwt"
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> Result<(), TokenError> {
        let claims = self.terms.claims(context)?;
        let secret = self.secret.read().await?;
        long_enough(&secret)?;
        let secret = secret.expose();
        let assertion = mac_jws(secret.as_bytes(), self.terms.typ.as_deref(), &claims)?;
        assertion::put(&assertion, context, request);
        // It isn't sent, but the server knows it.
        request.hide(secret);
        Ok(())
    }

    fn validate(&self) -> Result<(), TokenError> {
        if let Some(secret) = self.secret.at_hand() {
            long_enough(&secret)?;
        }
        self.terms.validate()
    }

    fn needs_issuer(&self) -> bool {
        self.terms.audience == Audience::Issuer
    }

    fn signing_algorithm(&self, _: Option<&ClientIdentity>) -> Option<&'static str> {
        Some("HS256")
    }

    fn hint(&self, context: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        Some(Cow::Owned(format!(
            "the server doesn't accept the assertion: the secret is wrong, or the client is \
             registered for another method, or the server expects something else than aud \"{}\" \
             (`ClientSecretJwt::audience`), typ {:?} (`typ`, `without_typ`), alg HS256; both \
             clocks must agree",
            self.terms.audience.of(context).unwrap_or_default(),
            self.terms.typ.as_deref().unwrap_or("none"),
        )))
    }

    async fn reconsider(&self, refused: &Refused<'_>) -> bool {
        // With another secret the time is another, too.
        let corrected = refused.corrects_clock();
        self.secret.has_changed(refused).await || corrected
    }
}

fn long_enough(secret: &SecretString) -> Result<(), TokenError> {
    let octets = secret.expose().len();
    if octets >= SHORTEST {
        return Ok(());
    }
    Err(TokenError::new(
        ErrorKind::Configuration,
        format!(
            "the secret has {octets} octets, and `client_secret_jwt` needs {SHORTEST} at least: \
             have the server make a longer one"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::Value;

    use super::{super::method::with_context, *};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[tokio::test]
    async fn the_assertion_is_for_the_issuer_and_authenticated_with_the_secret() {
        let auth = ClientSecretJwt::new(SECRET);
        let mut request = TokenRequest::new("client_credentials");
        let context = with_context!("orders");
        auth.authenticate(&context, &mut request).await.unwrap();
        let credentials = request.credentials();
        assert_eq!(credentials.len(), 2, "the assertion and the secret");
        let jwt = std::str::from_utf8(credentials[0]).unwrap();

        let (input, mac) = jwt.rsplit_once('.').unwrap();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
        let mac = URL_SAFE_NO_PAD.decode(mac).unwrap();
        aws_lc_rs::hmac::verify(&key, input.as_bytes(), &mac).unwrap();
        let (header, claims) = input.split_once('.').unwrap();
        let json = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(json(header)["alg"], "HS256");
        assert_eq!(json(header)["typ"], "client-authentication+jwt");
        assert_eq!(json(claims)["aud"], "https://as.example");
        assert_eq!(json(claims)["sub"], "orders");
    }

    #[test]
    fn a_short_secret_is_a_fault_of_the_settings_and_never_formatted() {
        let auth = ClientSecretJwt::new("correct horse battery staple, a");
        let error = auth.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("31 octets"), "{error}");
        assert!(!format!("{auth:?} {error:?}").contains("horse"));
        assert!(ClientSecretJwt::new(SECRET).validate().is_ok());
    }
}
