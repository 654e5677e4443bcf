//! Client assertions: each rule is broken once, and nothing else.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tower_oauth::testing::{Client, ClientPem, KeyKind};

use super::{Kit, NOW, wire::Reply};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client with a registered key.
struct Signer {
    kit: Kit,
    pem: ClientPem,
}

impl Signer {
    async fn new(kind: KeyKind) -> Self {
        let kit = Kit::new().await;
        let pem = kit.pki.client_with_key("signer", kind).unwrap();
        let client = Client::private_key_jwt("signer", pem.public_key_pem()).unwrap();
        kit.server.register(client);
        Self { kit, pem }
    }

    /// Claims that keep every rule.
    fn claims(&self) -> Value {
        json!({
            "iss": "signer",
            "sub": "signer",
            "aud": self.kit.server.issuer(),
            "iat": NOW,
            "exp": NOW + 60,
            "jti": "first",
        })
    }

    async fn send(&self, assertion: &str) -> Reply {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion),
        ];
        let endpoint = self.kit.server.token_endpoint();
        self.kit.wire.post(&endpoint, &[], &form).await.unwrap()
    }

    /// Sends an assertion with these claims, and one member replaced.
    async fn send_with(&self, name: &str, value: Value) -> Reply {
        let mut claims = self.claims();
        claims[name] = value;
        self.send(&sign(&self.pem, "ES256", &header("ES256"), &claims))
            .await
    }

    /// The claim makes the assertion invalid, for this reason.
    async fn refuses(&self, name: &str, value: Value, why: &str) {
        let reply = self.send_with(name, value.clone()).await;
        let (status, error, description) = reply.fault();
        assert_eq!(
            (status, error.as_str()),
            (400, "invalid_client"),
            "{name} {value}"
        );
        assert!(description.contains(why), "{name} {value}: {description}");
    }

    /// The same with one claim left out.
    async fn refuses_without(&self, name: &str) {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(name);
        let reply = self
            .send(&sign(&self.pem, "ES256", &header("ES256"), &claims))
            .await;
        let (status, error, _) = reply.fault();
        assert_eq!((status, error.as_str()), (400, "invalid_client"), "{name}");
    }
}

fn header(alg: &str) -> Value {
    json!({ "alg": alg, "typ": "client-authentication+jwt" })
}

fn sign(pem: &ClientPem, alg: &str, header: &Value, claims: &Value) -> String {
    let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let message = input.as_bytes();
    let key = PrivateKeyDer::from_pem_slice(pem.key_pem().as_bytes()).unwrap();
    let key = key.secret_der();
    let random = SystemRandom::new();
    let rsa = |padding: &'static dyn signature::RsaEncoding| {
        let key = RsaKeyPair::from_pkcs8(key).unwrap();
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(padding, &random, message, &mut signature).unwrap();
        signature
    };
    let ecdsa = |algorithm| {
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key).unwrap();
        key.sign(&random, message).unwrap().as_ref().to_vec()
    };
    let signature = match alg {
        "ES256" => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        "ES384" => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
        "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
        "PS256" => rsa(&signature::RSA_PSS_SHA256),
        "EdDSA" => {
            let key = Ed25519KeyPair::from_pkcs8(key).unwrap();
            key.sign(message).as_ref().to_vec()
        }
        other => panic!("no {other} here"),
    };
    format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn each_algorithm_is_verified_with_the_key_it_fits() {
    for (kind, alg, name) in [
        (KeyKind::EcP256, "ES256", "ES256"),
        (KeyKind::EcP384, "ES384", "ES384"),
        (KeyKind::Ed25519, "EdDSA", "EdDSA"),
        (KeyKind::Ed25519, "EdDSA", "Ed25519"),
        (KeyKind::Rsa2048, "RS256", "RS256"),
        (KeyKind::Rsa2048, "PS256", "PS256"),
    ] {
        let signer = Signer::new(kind).await;
        let assertion = sign(&signer.pem, alg, &header(name), &signer.claims());
        signer.send(&assertion).await.token();
        assert_eq!(signer.kit.server.counters().private_key_jwt, 1);
    }
}

#[tokio::test]
async fn a_client_registered_by_its_certificate_signs_with_its_key() {
    let signer = Signer::new(KeyKind::EcP256).await;
    let client = Client::private_key_jwt("signer", signer.pem.certificate_pem()).unwrap();
    signer.kit.server.register(client);
    signer.send_with("jti", "other".into()).await.token();
}

#[test]
fn a_client_is_not_registered_without_a_public_key() {
    Client::private_key_jwt("signer", "not a PEM").unwrap_err();
    Client::tls_client_auth("signer", "not a PEM").unwrap_err();
}

#[tokio::test]
async fn an_assertion_is_good_once() {
    let signer = Signer::new(KeyKind::EcP256).await;
    signer.send_with("jti", "first".into()).await.token();
    signer.refuses("jti", "first".into(), "used before").await;
    signer.send_with("jti", "second".into()).await.token();
}

#[tokio::test]
async fn a_refused_assertion_does_not_use_up_its_jti() {
    let signer = Signer::new(KeyKind::EcP256).await;
    signer
        .refuses("aud", "https://other.example".into(), "aud")
        .await;
    signer.send_with("jti", "first".into()).await.token();
}

#[tokio::test]
async fn the_audience_is_exactly_the_issuer_as_one_string() {
    let signer = Signer::new(KeyKind::EcP256).await;
    let issuer = signer.kit.server.issuer();
    for aud in [
        json!([issuer]),
        json!([issuer, "https://other.example"]),
        json!(format!("{issuer}/")),
        json!(signer.kit.server.token_endpoint()),
        json!("https://other.example"),
        json!(""),
        Value::Null,
    ] {
        signer.refuses("aud", aud, "aud").await;
    }
    signer.refuses_without("aud").await;
}

#[tokio::test]
async fn issuer_and_subject_are_the_client() {
    let signer = Signer::new(KeyKind::EcP256).await;
    signer.refuses("iss", "other".into(), "iss and sub").await;
    signer.refuses("sub", "other".into(), "unknown").await;
    signer
        .refuses("sub", "orders".into(), "another method")
        .await;
    signer.refuses_without("iss").await;
    signer.refuses_without("sub").await;
}

#[tokio::test]
async fn an_expired_assertion_is_refused() {
    let signer = Signer::new(KeyKind::EcP256).await;
    signer.refuses("exp", (NOW - 1).into(), "expired").await;
    signer.refuses("exp", NOW.into(), "expired").await;
    signer.refuses_without("exp").await;
}

#[tokio::test]
async fn an_assertion_lives_five_minutes_at_most() {
    let signer = Signer::new(KeyKind::EcP256).await;
    signer
        .refuses("exp", (NOW + 400).into(), "5 minutes ahead")
        .await;
    signer
        .refuses("exp", u64::MAX.into(), "5 minutes ahead")
        .await;
    signer.send_with("exp", (NOW + 300).into()).await.token();
}

#[tokio::test]
async fn an_assertion_is_issued_now() {
    let signer = Signer::new(KeyKind::EcP256).await;
    signer.refuses("iat", (NOW + 50).into(), "future").await;
    signer.refuses("iat", u64::MAX.into(), "future").await;
    signer
        .refuses("iat", (NOW - 400).into(), "minutes ago")
        .await;
    signer.refuses("nbf", (NOW + 50).into(), "nbf").await;
    signer.refuses_without("iat").await;
}

#[tokio::test]
async fn times_are_integers() {
    let signer = Signer::new(KeyKind::EcP256).await;
    for name in ["iat", "exp"] {
        signer
            .refuses(name, json!(NOW as f64 + 10.5), "integers")
            .await;
        signer
            .refuses(name, json!((NOW + 10).to_string()), "integers")
            .await;
    }
}

#[tokio::test]
async fn an_assertion_has_a_jti() {
    let signer = Signer::new(KeyKind::EcP256).await;
    signer.refuses("jti", "".into(), "jti").await;
    signer.refuses_without("jti").await;
}

#[tokio::test]
async fn the_header_says_what_it_is_for() {
    let signer = Signer::new(KeyKind::EcP256).await;
    for wrong in [
        json!({ "alg": "ES256", "typ": "JWT" }),
        json!({ "alg": "ES256", "crit": ["b64"], "b64": true }),
    ] {
        let assertion = sign(&signer.pem, "ES256", &wrong, &signer.claims());
        assert_eq!(
            signer.send(&assertion).await.fault().1,
            "invalid_client",
            "{wrong}"
        );
    }
    let without_typ = json!({ "alg": "ES256" });
    let assertion = sign(&signer.pem, "ES256", &without_typ, &signer.claims());
    signer.send(&assertion).await.token();
}

#[tokio::test]
async fn another_key_or_algorithm_than_the_registered_is_refused() {
    let signer = Signer::new(KeyKind::EcP256).await;
    let other = signer.kit.pki.client("signer").unwrap();
    let edwards = signer
        .kit
        .pki
        .client_with_key("signer", KeyKind::Ed25519)
        .unwrap();
    let claims = signer.claims();
    for assertion in [
        sign(&other, "ES256", &header("ES256"), &claims),
        sign(&edwards, "EdDSA", &header("EdDSA"), &claims),
        sign(&signer.pem, "ES256", &header("ES384"), &claims),
        sign(&signer.pem, "ES256", &header("none"), &claims),
        sign(&signer.pem, "ES256", &header("HS256"), &claims),
    ] {
        assert_eq!(signer.send(&assertion).await.fault().1, "invalid_client");
    }
    assert_eq!(signer.kit.server.counters().issued, 0);
}

#[tokio::test]
async fn a_signature_covers_all_of_the_assertion() {
    let signer = Signer::new(KeyKind::EcP256).await;
    let good = sign(&signer.pem, "ES256", &header("ES256"), &signer.claims());
    let mut longer_life = signer.claims();
    longer_life["exp"] = (NOW + 200).into();
    let other = sign(&signer.pem, "ES256", &header("ES256"), &longer_life);
    let parts: Vec<_> = good.split('.').collect();
    let other_parts: Vec<_> = other.split('.').collect();

    for forged in [
        format!("{}.{}.{}", parts[0], other_parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.{}", parts[2]),
        format!("{good}="),
        String::new(),
    ] {
        assert_eq!(
            signer.send(&forged).await.fault().1,
            "invalid_client",
            "{forged}"
        );
    }
    signer.send(&good).await.token();
}

#[tokio::test]
async fn the_assertion_type_is_named() {
    let signer = Signer::new(KeyKind::EcP256).await;
    let good = sign(&signer.pem, "ES256", &header("ES256"), &signer.claims());
    for assertion_type in [
        "",
        "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
    ] {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", assertion_type),
            ("client_assertion", &good),
        ];
        let endpoint = signer.kit.server.token_endpoint();
        let reply = signer.kit.wire.post(&endpoint, &[], &form).await.unwrap();
        assert_eq!(reply.fault().1, "invalid_request");
    }
}
