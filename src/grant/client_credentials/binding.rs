use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    error::{ErrorKind, TokenError},
    keystore::ClientIdentity,
    token::AccessToken,
};

/// What a token says of the certificate that it is bound to (RFC 8705 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// It is bound to the certificate shown.
    Own,
    /// It is bound to another one: no resource that looks will take it.
    Other,
    /// It can be read, and isn't bound to a certificate.
    None,
    /// It says nothing to us: most tokens are none of a client's business.
    Opaque,
}

impl Binding {
    pub(super) fn of(token: &AccessToken, identity: &ClientIdentity) -> Self {
        match confirmation(token.expose()) {
            None => Self::Opaque,
            Some(None) => Self::None,
            Some(Some(thumbprint)) if is_of(&thumbprint, identity) => Self::Own,
            Some(Some(_)) => Self::Other,
        }
    }

    /// Fails unless the token may be bound to the certificate shown.
    pub(super) fn check(self) -> Result<(), TokenError> {
        let wrong =
            |message, hint| Err(TokenError::new(ErrorKind::Malformed, message).with_hint(hint));
        match self {
            Self::Own | Self::Opaque => Ok(()),
            Self::Other => wrong(
                "the token is bound to another certificate than the one shown to the server",
                "something on the way ends TLS and shows a certificate of its own, or tells the \
                 server of an old one",
            ),
            Self::None => wrong(
                "the token isn't bound to the certificate shown to the server",
                "turn on certificate-bound tokens for this client at the server \
                 (`tls_client_certificate_bound_access_tokens`), and check that the address asks \
                 for client certificates (`mtls_token_endpoint`)",
            ),
        }
    }
}

/// The `x5t#S256` of a token's `cnf`, if it has one; `None` if the token isn't a readable JWT.
fn confirmation(token: &str) -> Option<Option<String>> {
    #[derive(Deserialize)]
    struct Claims {
        cnf: Option<Confirmation>,
    }
    #[derive(Deserialize)]
    struct Confirmation {
        #[serde(rename = "x5t#S256")]
        thumbprint: Option<String>,
    }
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(claims).ok()?);
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some(claims.cnf.and_then(|cnf| cnf.thumbprint))
}

#[cfg(any(feature = "hyper", feature = "jwt"))]
fn is_of(thumbprint: &str, identity: &ClientIdentity) -> bool {
    // Some servers pad.
    thumbprint.trim_end_matches('=') == identity.thumbprint()
}

/// Nothing in this build can show a certificate, or knows what its thumbprint is.
#[cfg(not(any(feature = "hyper", feature = "jwt")))]
fn is_of(_: &str, _: &ClientIdentity) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(claims: &serde_json::Value) -> String {
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        format!("eyJhbGciOiJub25lIn0.{claims}.c2ln")
    }

    #[test]
    fn only_a_jwt_says_what_it_is_bound_to() {
        let bound = token(&json!({"cnf": {"x5t#S256": "abc"}, "sub": "a"}));
        assert_eq!(confirmation(&bound), Some(Some("abc".into())));
        for unbound in [
            json!({}),
            json!({"cnf": null}),
            json!({"cnf": {"jkt": "x"}}),
        ] {
            assert_eq!(confirmation(&token(&unbound)), Some(None), "{unbound}");
        }
        for opaque in [
            "opaque",
            "a.b.c",
            "a.e30",
            "a.e30.c.d.e",
            &token(&json!("text")),
            &token(&json!({"cnf": "text"})),
            &token(&json!({"cnf": {"x5t#S256": 7}})),
        ] {
            assert_eq!(confirmation(opaque), None, "{opaque}");
        }
    }

    #[cfg(any(feature = "hyper", feature = "jwt"))]
    #[test]
    fn a_token_belongs_to_the_certificate_that_it_names() {
        let identity = ClientIdentity::from_pem(
            include_bytes!("../../../tests/keys/p256-client.pem"),
            include_bytes!("../../../tests/keys/p256-sec1.pem"),
        );
        let identity = identity.unwrap();
        let own = identity.thumbprint();
        for (claims, expected, good) in [
            (json!({"cnf": {"x5t#S256": own}}), Binding::Own, true),
            (
                json!({"cnf": {"x5t#S256": own.clone() + "="}}),
                Binding::Own,
                true,
            ),
            (
                json!({"cnf": {"x5t#S256": "another"}}),
                Binding::Other,
                false,
            ),
            (json!({"cnf": {"x5t#S256": ""}}), Binding::Other, false),
            (json!({}), Binding::None, false),
        ] {
            let token = AccessToken::new(token(&claims)).unwrap();
            let binding = Binding::of(&token, &identity);
            assert_eq!(binding, expected, "{claims}");
            assert_eq!(binding.check().is_ok(), good, "{claims}");
        }
        let opaque = AccessToken::new("opaque").unwrap();
        assert_eq!(Binding::of(&opaque, &identity), Binding::Opaque);
        assert!(Binding::Opaque.check().is_ok());
    }
}
