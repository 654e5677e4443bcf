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
    let header = serde_json::to_vec(&header).map_err(unserializable)?;
    let claims = serde_json::to_vec(claims).map_err(unserializable)?;

    let mut jws = Zeroizing::new(String::new());
    URL_SAFE_NO_PAD.encode_string(header, &mut jws);
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut jws);
    let signature = signer.sign(jws.as_bytes()).await.map_err(unsigned)?;
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
    Ok(jws)
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
