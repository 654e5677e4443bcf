use std::sync::Arc;

use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rsa::{KeyPairComponents, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED,
        ECDSA_P521_SHA512_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
        RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RsaKeyPair,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;
use crate::jose::{DynSigner, sign_jws};

macro_rules! vectors {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../../tests/vectors/", $name)))
            .unwrap()
    };
}

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/keys/", $name))
    };
}

/// A signer with a private JWK of the vectors.
fn from_jwk(jwk: &Value) -> LocalSigner {
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let ec = |algorithm| {
        let point = [vec![4], member("x"), member("y")].concat();
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &member("d"), &point).unwrap()
    };
    let key = match (jwk["kty"].as_str().unwrap(), jwk["crv"].as_str()) {
        ("RSA", _) => KeyPair::Rsa(
            RsaKeyPair::from_components(&KeyPairComponents {
                public_key: PublicKeyComponents {
                    n: member("n"),
                    e: member("e"),
                },
                d: member("d"),
                p: member("p"),
                q: member("q"),
                dP: member("dp"),
                dQ: member("dq"),
                qInv: member("qi"),
            })
            .unwrap(),
        ),
        ("EC", Some("P-256")) => KeyPair::P256(ec(&ECDSA_P256_SHA256_FIXED_SIGNING)),
        ("EC", Some("P-521")) => KeyPair::P521(ec(&ECDSA_P521_SHA512_FIXED_SIGNING)),
        ("OKP", _) => KeyPair::Ed25519(
            Ed25519KeyPair::from_seed_and_public_key(&member("d"), &member("x")).unwrap(),
        ),
        other => panic!("no signer for {other:?}"),
    };
    LocalSigner::new(Some(key), "the vectors").unwrap()
}

fn algorithm(name: &str) -> Option<Algorithm> {
    use Algorithm::*;
    [RS256, PS256, PS384, ES256, ES512, EdDSA]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
}

fn verifies(signer: &LocalSigner, input: &[u8], signature: &[u8]) -> bool {
    let scheme: &'static dyn VerificationAlgorithm = match signer.algorithm {
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::ES512 => &ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDSA => &ED25519,
        other => panic!("no verification of {other}"),
    };
    UnparsedPublicKey::new(scheme, signer.key.public_key())
        .verify(input, signature)
        .is_ok()
}

/// The signing input and the signature of a compact JWS.
fn split(compact: &str) -> (&[u8], Vec<u8>) {
    let (input, signature) = compact.rsplit_once('.').unwrap();
    (input.as_bytes(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

#[test]
fn signatures_are_as_the_vectors_say() {
    let (mut equal, mut verified) = (0, 0);
    for case in vectors!("jws.json")["cases"].as_array().unwrap() {
        let Some(algorithm) = algorithm(case["alg"].as_str().unwrap()) else {
            assert_eq!(case["alg"], "HS256");
            let key = URL_SAFE_NO_PAD.decode(case["jwk"]["k"].as_str().unwrap());
            let (input, expected) = split(case["compact"].as_str().unwrap());
            let mac = crate::jose::jws::hs256(&key.unwrap(), input);
            assert_eq!(mac.as_ref(), expected);
            equal += 1;
            continue;
        };
        let signer = from_jwk(&case["jwk"]).algorithm(algorithm).unwrap();
        let (input, expected) = split(case["compact"].as_str().unwrap());
        let signature = signer.try_sign(input).unwrap();
        if case["deterministic"] == true {
            assert_eq!(signature, expected, "{}", case["id"]);
            equal += 1;
        } else {
            assert_eq!(signature.len(), expected.len(), "{}", case["id"]);
            assert!(verifies(&signer, input, &signature), "{}", case["id"]);
            verified += 1;
        }
        assert!(verifies(&signer, input, &expected), "{}", case["id"]);
    }
    assert_eq!((equal, verified), (4, 4));
}

#[tokio::test]
async fn assertions_are_as_the_vectors_say() {
    #[derive(Serialize, Deserialize)]
    struct Claims {
        iss: String,
        sub: String,
        aud: String,
        jti: String,
        iat: u64,
        exp: u64,
    }
    let jws = vectors!("jws.json");
    let mut compared = 0;
    for case in vectors!("client-assertion.json")["cases"]
        .as_array()
        .unwrap()
    {
        // The others are written with another order of members.
        let Some(header) = case["header_json"].as_str() else {
            continue;
        };
        if !header.starts_with(r#"{"typ":"client-authentication+jwt""#) {
            continue;
        }
        let (_, key) = case["key_ref"].as_str().unwrap().split_once('#').unwrap();
        let keys = jws["cases"].as_array().unwrap();
        let key = keys.iter().find(|case| case["id"] == key).unwrap();
        let signer = from_jwk(&key["jwk"])
            .algorithm(algorithm(case["alg"].as_str().unwrap()).unwrap())
            .unwrap();
        let claims: Claims = serde_json::from_str(case["claims_json"].as_str().unwrap()).unwrap();

        // The vectors' `kid` is the thumbprint, as is the default.
        let assertion = sign_jws(&signer, Some("client-authentication+jwt"), &claims)
            .await
            .unwrap();
        let (input, signature) = split(&assertion);
        assert_eq!(
            str::from_utf8(input).unwrap(),
            case["signing_input"],
            "{}",
            case["id"]
        );
        if case["signature_deterministic"] == true {
            assert_eq!(*assertion, case["client_assertion"], "{}", case["id"]);
        } else {
            assert!(verifies(&signer, input, &signature), "{}", case["id"]);
        }
        compared += 1;
    }
    assert_eq!(compared, 4);
}

#[test]
fn an_es256_signature_always_has_64_octets() {
    let signer = LocalSigner::from_pem(key!("p256-pkcs8.pem")).unwrap();
    let mut leading_zeros = 0;
    for number in 0..4000_u32 {
        let input = number.to_be_bytes();
        let signature = signer.try_sign(&input).unwrap();
        assert_eq!(signature.len(), 64);
        if signature[0] == 0 || signature[32] == 0 {
            assert!(verifies(&signer, &input, &signature));
            leading_zeros += 1;
        }
    }
    // One in 128 is expected; none at all happens once in 10^13 runs.
    assert!(leading_zeros > 0);
}

#[test]
fn every_form_of_a_key_has_the_same_thumbprint() {
    let id = |pem: &[u8]| LocalSigner::from_pem(pem).unwrap().info.key_id.unwrap();
    assert_eq!(id(key!("rsa-pkcs8.pem")), id(key!("rsa-pkcs1.pem")));
    assert_eq!(id(key!("p256-pkcs8.pem")), id(key!("p256-sec1.pem")));
    assert_eq!(id(key!("p384-pkcs8.pem")), id(key!("p384-sec1.pem")));

    let identity =
        ClientIdentity::from_pem(key!("p256-client.pem"), key!("p256-sec1.pem")).unwrap();
    let signer = LocalSigner::from_identity(&identity).unwrap();
    assert_eq!(signer.info.key_id.unwrap(), id(key!("p256-pkcs8.pem")));
}

#[test]
fn the_algorithm_follows_from_the_key() {
    for (pem, algorithm) in [
        (&key!("rsa-pkcs8.pem")[..], Algorithm::PS256),
        (key!("p256-pkcs8.pem"), Algorithm::ES256),
        (key!("p384-pkcs8.pem"), Algorithm::ES384),
        (key!("p521-pkcs8.pem"), Algorithm::ES512),
        (key!("ed25519-pkcs8.pem"), Algorithm::EdDSA),
    ] {
        assert_eq!(LocalSigner::from_pem(pem).unwrap().algorithm, algorithm);
    }
}

#[test]
fn an_algorithm_that_does_not_fit_the_key_is_refused() {
    use Algorithm::*;
    let all = [
        RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519,
    ];
    for (pem, fitting) in [
        (
            &key!("rsa-pkcs1.pem")[..],
            &[RS256, RS384, RS512, PS256, PS384, PS512][..],
        ),
        (key!("p256-sec1.pem"), &[ES256]),
        (key!("p384-sec1.pem"), &[ES384]),
        (key!("p521-pkcs8.pem"), &[ES512]),
        (key!("ed25519-pkcs8.pem"), &[EdDSA, Ed25519]),
    ] {
        for algorithm in all {
            let signer = LocalSigner::from_pem(pem).unwrap().algorithm(algorithm);
            match signer {
                Ok(signer) => {
                    assert!(fitting.contains(&algorithm), "{algorithm}");
                    signer.try_sign(b"input").unwrap();
                }
                Err(error) => {
                    assert!(!fitting.contains(&algorithm), "{error}");
                    let error: TokenError = error.into();
                    assert_eq!(error.kind(), ErrorKind::Key);
                    assert!(error.to_string().contains(algorithm.name()), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_short_rsa_key_does_not_sign() {
    let error = LocalSigner::from_pem(key!("rsa-1024.pem")).unwrap_err();
    let error: TokenError = error.into();
    assert!(error.to_string().contains("2048"), "{error}");
}

#[tokio::test]
async fn the_header_says_what_it_is_told() {
    let chain = [&key!("p256-client.pem")[..], key!("ca.pem")].concat();
    let identity = ClientIdentity::from_pem(&chain, key!("p256-sec1.pem")).unwrap();
    let header = async |signer: LocalSigner, typ| {
        let jws = sign_jws(&Arc::new(signer), typ, &()).await.unwrap();
        let (header, _) = jws.split_once('.').unwrap();
        String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
    };
    let signer = || LocalSigner::from_identity(&identity).unwrap();

    let bare = header(signer().without_key_id(), None).await;
    assert_eq!(bare, r#"{"alg":"ES256"}"#);
    let named = header(signer().key_id("2026-10"), Some("JWT")).await;
    assert_eq!(named, r#"{"typ":"JWT","alg":"ES256","kid":"2026-10"}"#);

    let full = header(signer().x5t_s256(&identity).x5c(&identity), None).await;
    let full: Value = serde_json::from_str(&full).unwrap();
    assert_eq!(full["x5t#S256"], identity.thumbprint());
    assert_eq!(full["x5c"].as_array().unwrap().len(), 2);
    assert_eq!(full["x5c"][0], STANDARD.encode(&identity.chain()[0]));
}

#[test]
fn debug_shows_no_private_key() {
    let pem = key!("p256-pkcs8.pem");
    let signer = LocalSigner::from_pem(pem).unwrap();
    let KeyPair::P256(key) = &signer.key else {
        panic!("another key");
    };
    let private: EcPrivateKeyBin<'_> = key.private_key().as_be_bytes().unwrap();
    let private = private.as_ref();
    let shown = format!("{signer:?}");
    let hex: String = private.iter().map(|octet| format!("{octet:02x}")).collect();
    assert!(!shown.contains(&hex[..16]), "{shown}");
    assert!(
        !shown.contains(&format!("{:?}", &private[..8])[1..20]),
        "{shown}"
    );
}

#[tokio::test]
async fn a_failing_signer_is_told_apart() {
    struct Failing(fn() -> BoxError, SigningKeyInfo);
    impl Signer for Failing {
        fn algorithm(&self) -> Algorithm {
            Algorithm::ES256
        }

        fn key(&self) -> &SigningKeyInfo {
            &self.1
        }

        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, BoxError> {
            Err((self.0)())
        }
    }
    let fail = async |error| {
        let signer: Box<dyn DynSigner> = Box::new(Failing(error, SigningKeyInfo::new()));
        sign_jws(&*signer, None, &()).await.unwrap_err()
    };

    let error = fail(|| "the HSM says no".into()).await;
    assert_eq!(error.kind(), ErrorKind::Key);
    assert_eq!(error.source().unwrap().to_string(), "the HSM says no");

    let error = fail(|| TokenError::new(ErrorKind::Transport, "the KMS is away").into()).await;
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.is_temporary());
}
