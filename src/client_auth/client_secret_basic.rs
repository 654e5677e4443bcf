use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::{AuthContext, ClientAuth, ClientSecret, Refused};
use crate::{
    error::TokenError,
    protocol::{TokenRequest, form_encode},
    secret::SecretString,
};

/// `client_secret_basic`: client_id and secret in the `Authorization` header (RFC 6749 section
/// 2.3.1).
///
/// The secret is shared with the server and goes over the wire each time. Where the server offers
/// it, [`PrivateKeyJwt`](super::PrivateKeyJwt) or [`TlsClientAuth`](super::TlsClientAuth) is better.
#[derive(Clone, Debug)]
pub struct ClientSecretBasic {
    secret: ClientSecret,
    form_encoding: bool,
}

impl ClientSecretBasic {
    /// Authenticates with this secret; a [`ClientSecret`] may change.
    pub fn new(secret: impl Into<ClientSecret>) -> Self {
        Self {
            secret: secret.into(),
            form_encoding: true,
        }
    }

    /// Sends client_id and secret as they are. Default: both are form-encoded first, as RFC 6749
    /// section 2.3.1 wants it.
    ///
    /// For servers that skip the decoding: without this, they refuse secrets with characters other
    /// than letters, digits and `* - . _`.
    #[must_use]
    pub fn without_form_encoding(mut self) -> Self {
        self.form_encoding = false;
        self
    }

    fn authorization(&self, client_id: &str, secret: &SecretString) -> HeaderValue {
        let secret = secret.expose();
        let pair = if self.form_encoding {
            let (client_id, secret) = (form_encode(client_id), form_encode(secret));
            Zeroizing::new(format!("{}:{}", *client_id, *secret))
        } else {
            Zeroizing::new(format!("{client_id}:{secret}"))
        };
        let scheme = "Basic ";
        // Base64 makes four characters of three; growing would leave a copy behind.
        let room = scheme.len() + pair.len().div_ceil(3) * 4;
        let mut value = Zeroizing::new(String::with_capacity(room));
        value.push_str(scheme);
        STANDARD.encode_string(pair.as_bytes(), &mut value);
        HeaderValue::from_maybe_shared(Bytes::from_owner(value))
            .expect("base64 is made of visible ASCII characters")
    }
}

impl ClientAuth for ClientSecretBasic {
    fn method(&self) -> &'static str {
        "client_secret_basic"
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> Result<(), TokenError> {
        let secret = self.secret.read().await?;
        request.hide(secret.expose());
        request.set_authorization(self.authorization(context.client_id(), &secret));
        Ok(())
    }

    fn hint(&self, _: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        let hint = "client_id or secret is wrong, or the client is registered for another method; a \
             server that doesn't form-decode them needs `without_form_encoding()`";
        Some(hint.into())
    }

    async fn reconsider(&self, refused: &Refused<'_>) -> bool {
        self.secret.has_changed(refused).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_pair_of_the_vectors_makes_its_header() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/vectors/basic-auth.json")).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 12);
        for case in cases {
            let client_id = case["client_id"].as_str().unwrap();
            let secret = SecretString::from(case["client_secret"].as_str().unwrap());
            let auth = ClientSecretBasic::new(secret.clone());
            assert_eq!(
                auth.authorization(client_id, &secret),
                case["authorization"].as_str().unwrap(),
                "{}",
                case["id"]
            );
            if let Some(raw) = case["authorization_without_encoding_step"].as_str() {
                let auth = auth.without_form_encoding();
                assert_eq!(
                    auth.authorization(client_id, &secret),
                    raw,
                    "{}",
                    case["id"]
                );
            }
        }
    }

    #[test]
    fn the_secret_is_never_formatted() {
        let auth = ClientSecretBasic::new("correct horse");
        assert!(!format!("{auth:?}").contains("horse"));
    }
}
