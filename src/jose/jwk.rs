use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::keystore::{KeyPair, der};

/// The required members of a public JWK (RFC 7518 section 6, RFC 8037 section 2), each in
/// base64url.
pub(crate) enum PublicJwk {
    Rsa {
        n: String,
        e: String,
    },
    Ec {
        crv: &'static str,
        x: String,
        y: String,
    },
    Okp {
        crv: &'static str,
        x: String,
    },
}

impl PublicJwk {
    /// The public half of a key.
    pub(crate) fn of(key: &KeyPair) -> Option<Self> {
        let public = key.public_key();
        match key {
            KeyPair::Rsa(_) => {
                let (fields, _) = der::expect(der::SEQUENCE, public)?;
                let (n, fields) = der::expect(der::INTEGER, fields)?;
                let (e, _) = der::expect(der::INTEGER, fields)?;
                Some(Self::Rsa {
                    n: URL_SAFE_NO_PAD.encode(unsigned(n)),
                    e: URL_SAFE_NO_PAD.encode(unsigned(e)),
                })
            }
            KeyPair::P256(_) => Self::ec("P-256", public),
            KeyPair::P384(_) => Self::ec("P-384", public),
            KeyPair::P521(_) => Self::ec("P-521", public),
            KeyPair::Ed25519(_) => Some(Self::Okp {
                crv: "Ed25519",
                x: URL_SAFE_NO_PAD.encode(public),
            }),
        }
    }

    /// Both coordinates have the curve's full length: leading zeros stay (RFC 7518 section
    /// 6.2.1.2).
    fn ec(crv: &'static str, point: &[u8]) -> Option<Self> {
        let coordinates = point.strip_prefix(&[0x04])?;
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        Some(Self::Ec {
            crv,
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// The members in the order and form that the thumbprint hashes (RFC 7638 section 3.3). No
    /// value needs escaping.
    fn to_json(&self) -> String {
        match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::Ec { crv, x, y } => {
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Okp { crv, x } => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
        }
    }

    /// The SHA-256 thumbprint (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        sha256(self.to_json().as_bytes())
    }
}

/// SHA-256 in base64url without padding.
fn sha256(data: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, data))
}

/// DER puts a zero before a number that would look negative; a JWK doesn't.
fn unsigned(integer: &[u8]) -> &[u8] {
    match integer {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => integer,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_thumbprint_is_as_the_vectors_say() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/vectors/jwk-thumbprint.json")).unwrap();
        let mut compared = 0;
        for case in vectors["cases"].as_array().unwrap() {
            let jwk = &case["jwk"];
            let member = |name: &str| jwk[name].as_str().unwrap().to_owned();
            let crv = match jwk["crv"].as_str() {
                Some("P-256") => "P-256",
                Some("P-384") => "P-384",
                Some("P-521") => "P-521",
                _ => "Ed25519",
            };
            let key = match jwk["kty"].as_str().unwrap() {
                "RSA" => PublicJwk::Rsa {
                    n: member("n"),
                    e: member("e"),
                },
                "EC" => PublicJwk::Ec {
                    crv,
                    x: member("x"),
                    y: member("y"),
                },
                "OKP" => PublicJwk::Okp {
                    crv,
                    x: member("x"),
                },
                // A symmetric key never becomes a thumbprint here.
                _ => continue,
            };
            assert_eq!(key.to_json(), case["canonical_json"], "{}", case["id"]);
            assert_eq!(key.thumbprint(), case["expected"], "{}", case["id"]);
            compared += 1;
        }
        assert!(compared >= 8, "{compared} cases");
    }
}
