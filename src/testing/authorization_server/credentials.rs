//! Which client a request comes from, and by which proof.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};

use super::{assertion::Assertion, client::AuthMethod, fault::Fault, record::TokenRequest};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a request presents to prove who it comes from. A TLS client certificate is a proof only
/// when there is no other: it may go along with any.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    pub(super) client_id: String,
    pub(super) proof: Proof<'a>,
}

#[derive(Debug)]
pub(super) enum Proof<'a> {
    Basic(String),
    Post(&'a str),
    Assertion(Box<Assertion<'a>>),
    Certificate(&'a str),
    None,
}

impl<'a> Presented<'a> {
    /// Reads the one proof of a request.
    pub(super) fn read(request: &'a TokenRequest) -> Result<Self, Fault> {
        let client_id = request.value("client_id");
        let (named, proof) = match method(request)? {
            AuthMethod::ClientSecretBasic => {
                let decoded = decode_basic(request.headers());
                let (id, secret) =
                    decoded.map_err(|why| Fault::invalid_client(why).challenging())?;
                (Some(id), Proof::Basic(secret))
            }
            AuthMethod::ClientSecretPost => (
                None,
                Proof::Post(request.value("client_secret").unwrap_or_default()),
            ),
            AuthMethod::ClientSecretJwt | AuthMethod::PrivateKeyJwt => {
                if request.value("client_assertion_type") != Some(JWT_BEARER) {
                    return Err(Fault::invalid_request("the client_assertion_type is wrong"));
                }
                let jwt = request.value("client_assertion").unwrap_or_default();
                let assertion = Assertion::parse(jwt).map_err(Fault::invalid_client)?;
                (
                    Some(assertion.client_id().to_owned()),
                    Proof::Assertion(Box::new(assertion)),
                )
            }
            AuthMethod::TlsClientAuth => {
                let thumbprint = request.certificate_thumbprint().unwrap_or_default();
                (None, Proof::Certificate(thumbprint))
            }
            AuthMethod::None => (None, Proof::None),
        };
        let client_id = match (named, client_id) {
            (Some(named), Some(id)) if named != id => {
                return Err(Fault::invalid_request("two different clients are named"));
            }
            (Some(named), _) => named,
            (None, Some(id)) => id.to_owned(),
            (None, None) => return Err(Fault::invalid_client("the client_id is missing")),
        };
        Ok(Self { client_id, proof })
    }
}

/// The method that a request tries. More than one is refused (RFC 6749 section 2.3).
pub(super) fn method(request: &TokenRequest) -> Result<AuthMethod, Fault> {
    let sent = |name| request.parameter(name).is_some();
    let basic = request.headers().contains_key(header::AUTHORIZATION);
    let post = sent("client_secret");
    let assertion = sent("client_assertion") || sent("client_assertion_type");
    match (basic, post, assertion) {
        (true, false, false) => Ok(AuthMethod::ClientSecretBasic),
        (false, true, false) => Ok(AuthMethod::ClientSecretPost),
        (false, false, true) => {
            let assertion = Assertion::parse(request.value("client_assertion").unwrap_or_default());
            let symmetric = assertion.is_ok_and(|assertion| assertion.is_symmetric());
            Ok(if symmetric {
                AuthMethod::ClientSecretJwt
            } else {
                AuthMethod::PrivateKeyJwt
            })
        }
        (false, false, false) if request.certificate_thumbprint().is_some() => {
            Ok(AuthMethod::TlsClientAuth)
        }
        (false, false, false) if sent("client_id") => Ok(AuthMethod::None),
        (false, false, false) => Err(Fault::invalid_client("there is no client authentication")),
        _ => Err(Fault::invalid_request(
            "more than one method of client authentication is used",
        )),
    }
}

/// Client identifier and secret, both form-decoded (RFC 6749 section 2.3.1).
fn decode_basic(headers: &HeaderMap) -> Result<(String, String), &'static str> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err("there is more than one Authorization field");
    };
    let decoded = || {
        let (scheme, encoded) = field.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
        let (id, secret) = pair.split_once(':')?;
        Some((form_decode(id)?, form_decode(secret)?))
    };
    decoded().ok_or("the Authorization field is not Basic with form-encoded id and secret")
}

/// Decodes one form-encoded value, and refuses what no form encoder writes: a client that skips
/// the encoding is found out by its first secret with a special character.
fn form_decode(encoded: &str) -> Option<String> {
    let allowed = |char: char| char.is_ascii_alphanumeric() || "*-._~+%".contains(char);
    if !encoded.chars().all(allowed) {
        return None;
    }
    let (value, _) = form_urlencoded::parse(encoded.as_bytes()).next()?;
    Some(value.into_owned())
}
