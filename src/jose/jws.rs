use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use zeroize::Zeroizing;

use super::DynSigner;
use crate::error::{ErrorKind, TokenError};

#[derive(Serialize)]
struct Header<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<&'a str>,
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    x5t_s256: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    x5c: &'a [String],
}

/// Signs `claims`: the compact serialization (RFC 7515 section 7.1).
pub(crate) async fn sign_jws(
    signer: &dyn DynSigner,
    typ: Option<&str>,
    claims: &impl Serialize,
) -> Result<Zeroizing<String>, TokenError> {
    let key = signer.key();
    let header = Header {
        typ,
        alg: signer.algorithm().name(),
        kid: key.key_id.as_deref(),
        x5t_s256: key.x5t_s256.as_deref(),
        x5c: &key.x5c,
    };
    let input = signing_input(&header, claims)?;
    let signature = signer.sign(input.as_bytes()).await.map_err(unsigned)?;
    Ok(compact(input, &signature))
}

/// Authenticates `claims` with a secret, by HS256 (RFC 7518 section 3.2).
#[cfg(feature = "jwt")]
pub(crate) fn mac_jws(
    secret: &[u8],
    typ: Option<&str>,
    claims: &impl Serialize,
) -> Result<Zeroizing<String>, TokenError> {
    let header = Header {
        typ,
        alg: "HS256",
        kid: None,
        x5t_s256: None,
        x5c: &[],
    };
    let input = signing_input(&header, claims)?;
    let mac = hs256(secret, input.as_bytes());
    Ok(compact(input, mac.as_ref()))
}

#[cfg(feature = "jwt")]
pub(super) fn hs256(secret: &[u8], input: &[u8]) -> aws_lc_rs::hmac::Tag {
    use aws_lc_rs::hmac;

    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input)
}

fn signing_input(
    header: &Header<'_>,
    claims: &impl Serialize,
) -> Result<Zeroizing<String>, TokenError> {
    let header = serde_json::to_vec(header).map_err(unserializable)?;
    let claims = serde_json::to_vec(claims).map_err(unserializable)?;
    let mut input = Zeroizing::new(String::new());
    URL_SAFE_NO_PAD.encode_string(header, &mut input);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut input);
    Ok(input)
}

fn compact(mut input: Zeroizing<String>, signature: &[u8]) -> Zeroizing<String> {
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut input);
    input
}

fn unserializable(error: serde_json::Error) -> TokenError {
    TokenError::new(
        ErrorKind::Configuration,
        "the claims can't be written as JSON",
    )
    .with_source(error)
}

fn unsigned(error: crate::error::BoxError) -> TokenError {
    match error.downcast::<TokenError>() {
        Ok(error) => *error,
        Err(error) => TokenError::new(ErrorKind::Key, "the signer failed").with_source(error),
    }
}
