//! Client assertions, checked with the cryptographic library alone: what the client's side of
//! this crate signs is judged by code that it doesn't share.

use aws_lc_rs::{
    hmac,
    signature::{self, UnparsedPublicKey, VerificationAlgorithm},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// The longest an assertion may live, and the oldest it may be, in seconds.
const LONGEST_LIFE: u64 = 300;

/// How far a client's clock may be ahead, in seconds.
const TOLERANCE: u64 = 30;

/// A client assertion that is well-formed; nothing in it is proved.
#[derive(Debug)]
pub(super) struct Assertion<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    header: Header,
    claims: Claims,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    crit: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: u64,
    iat: u64,
    nbf: Option<u64>,
    jti: String,
}

impl<'a> Assertion<'a> {
    pub(super) fn parse(jwt: &'a str) -> Result<Self, &'static str> {
        const MALFORMED: &str = "the assertion is not a signed JWT with a JSON header and the \
                                 claims iss, sub, aud, exp, iat and jti (times as integers)";
        let parsed = || {
            let (signed, signature) = jwt.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            Some(Self {
                signed,
                signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?,
                header: part(header)?,
                claims: part(claims)?,
            })
        };
        parsed().ok_or(MALFORMED)
    }

    /// The client that it is said to come from.
    pub(super) fn client_id(&self) -> &str {
        &self.claims.sub
    }

    /// The identifier that makes it usable once.
    pub(super) fn jti(&self) -> &str {
        &self.claims.jti
    }

    /// Whether it claims to be made with a secret.
    pub(super) fn is_symmetric(&self) -> bool {
        self.header.alg.starts_with("HS")
    }

    /// Checks it as [`verify`](Self::verify) does, for a client that has a secret.
    pub(super) fn verify_with_secret(
        &self,
        secret: &str,
        issuer: &str,
        now: u64,
    ) -> Result<(), &'static str> {
        if self.header.alg != "HS256" {
            return Err("the assertion's alg is not one of this server's");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::verify(&key, self.signed.as_bytes(), &self.signature)
            .map_err(|_| "the assertion is not made with the registered secret")?;
        self.check_claims(issuer, now)
    }

    /// Checks the rules of RFC 7523 section 3 as RFC 10070 narrows them, at `now` (seconds since
    /// the Unix epoch). Whether its `jti` was seen before is left to the caller.
    pub(super) fn verify(&self, key: &[u8], issuer: &str, now: u64) -> Result<(), &'static str> {
        let Some(algorithm) = algorithm(&self.header.alg) else {
            return Err("the assertion's alg is not one of this server's");
        };
        // An algorithm that doesn't fit the key fails here too.
        UnparsedPublicKey::new(algorithm, key)
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_| "the assertion's signature is not by the registered key")?;
        self.check_claims(issuer, now)
    }

    fn check_claims(&self, issuer: &str, now: u64) -> Result<(), &'static str> {
        let Self { header, claims, .. } = self;
        let typ = header.typ.as_deref();
        let typ_fits = typ.is_none_or(|t| t.eq_ignore_ascii_case("client-authentication+jwt"));
        let rules = [
            (typ_fits, "the assertion's typ is wrong"),
            (header.crit.is_none(), "the assertion's crit is unknown"),
            (
                claims.iss == claims.sub,
                "the assertion's iss and sub differ",
            ),
            (
                claims.aud == issuer,
                "the assertion's aud is not exactly the issuer, as one string",
            ),
            (claims.exp > now, "the assertion has expired"),
            (
                claims.exp <= now + LONGEST_LIFE,
                "the assertion's exp is more than 5 minutes ahead",
            ),
            (
                claims.iat <= now + TOLERANCE && claims.iat <= claims.exp,
                "the assertion's iat is in the future",
            ),
            (
                claims.iat.saturating_add(LONGEST_LIFE) >= now,
                "the assertion's iat is more than 5 minutes ago",
            ),
            (
                claims.nbf.is_none_or(|nbf| nbf <= now),
                "the assertion's nbf is in the future",
            ),
            (!claims.jti.is_empty(), "the assertion's jti is empty"),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, broken)) => Err(broken),
            None => Ok(()),
        }
    }
}

fn part<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
    serde_json::from_slice(&json).ok()
}

fn algorithm(alg: &str) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match alg {
        "ES256" => &signature::ECDSA_P256_SHA256_FIXED,
        "ES384" => &signature::ECDSA_P384_SHA384_FIXED,
        "EdDSA" | "Ed25519" => &signature::ED25519,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}
