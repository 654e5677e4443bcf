//! How the client proves who it is.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use tower_oauth::{
    keystore::KeyStore,
    profile::Stage,
    testing::{Client, TokenRequest},
};

use super::world::{World, token};

/// Tests can't set variables, and these are there: one has this value, the other is empty.
const VARIABLE: (&str, &str) = ("CARGO_PKG_NAME", "tower-oauth");
const EMPTY_VARIABLE: &str = "CARGO_PKG_VERSION_PRE";

const PASSWORD: &str = "keystore.password_file = \"changeit\"\n";

pub(crate) async fn method(world: &World) {
    let request = world.request(&world.with_certificate()).await;
    let shown = request.certificate_thumbprint();
    assert_eq!(shown, Some(world.client.thumbprint()));

    let text = world.with_store("keytool-p256.p12") + PASSWORD;
    let request = world.request(&text).await;
    assert!(request.certificate_thumbprint().is_some());
    let profile = world.load(&text).unwrap();
    let method = profile.token_endpoint_auth_method();
    assert_eq!(method, "self_signed_tls_client_auth");

    let request = world.request(&world.with_jwt()).await;
    assert!(request.parameter("client_assertion").is_some());
    assert!(request.certificate_thumbprint().is_none());

    world.write("svid", "a.b.c");
    let spiffe = "token_endpoint_auth_method = \"spiffe_jwt\"\nassertion.file = \"svid\"\n";
    let request = world.request(&(world.base() + spiffe)).await;
    let kind = request.parameter("client_assertion_type").unwrap();
    assert!(kind.ends_with(":jwt-spiffe"), "{kind}");

    let text = world.with_secret();
    let request = world.request(&text).await;
    assert!(request.headers().contains_key("authorization"));
    let request = world.request(&text.replace("_basic", "_post")).await;
    assert_eq!(request.parameter("client_secret"), Some("hunter 2"));

    world.write("secret", "hunter 2".repeat(4));
    let text = text.replace("_basic", "_jwt") + "issuer = \"https://as.example\"\n";
    let assertion = world.assertion(&text).await;
    assert_eq!(assertion["header"]["alg"], "HS256");
    assert_eq!(assertion["claims"]["aud"], "https://as.example");
    world.write("secret", "hunter 2\n");

    let none = world.base() + "token_endpoint_auth_method = \"none\"\n";
    let request = world.request(&none).await;
    let [.., (name, id)] = request.parameters() else {
        panic!("it says who it is");
    };
    assert_eq!((&**name, &**id), ("client_id", "orders"));
    assert!(!request.headers().contains_key("authorization"));
}

fn basic(request: &TokenRequest) -> String {
    let value = request.headers()["authorization"].to_str().unwrap();
    let pair = BASE64_STANDARD.decode(value.strip_prefix("Basic ").unwrap());
    String::from_utf8(pair.unwrap()).unwrap()
}

pub(crate) async fn client_secret_file(world: &World) {
    let request = world.request(&world.with_secret()).await;
    assert_eq!(basic(&request), "orders:hunter+2");
    let error = world.refusal(&world.with_secret().replace("\"secret\"", "\"missing\""));
    assert_eq!(error.stage(), Stage::Secret);
    assert_eq!(error.faults()[0].key(), "client_secret_file");
    assert!(error.faults()[0].line().is_some());
}

pub(crate) async fn client_secret_env(world: &World) {
    let (name, value) = VARIABLE;
    let by = |name| format!("client_secret_env = \"{name}\"");
    let text = world.with_secret();
    let file = "client_secret_file = \"secret\"";
    let request = world.request(&text.replace(file, &by(name))).await;
    assert_eq!(basic(&request), format!("orders:{value}"));
    let error = world.refusal(&text.replace(file, &by("TOWER_OAUTH_UNSET")));
    assert_eq!(error.stage(), Stage::Secret);
    assert!(error.to_string().contains("TOWER_OAUTH_UNSET"), "{error}");
}

pub(crate) async fn client_secret_form_encoding(world: &World) {
    let text = world.with_secret() + "client_secret_form_encoding = false\n";
    assert_eq!(basic(&world.request(&text).await), "orders:hunter 2");
}

pub(crate) async fn keystore_path(world: &World) {
    let text = world.with_store("keytool-p256.p12");
    let request = world.request(&(text.clone() + PASSWORD)).await;
    let store = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores/keytool-p256.p12");
    let identity = KeyStore::file(store).password("changeit").load_blocking();
    let expected = identity.unwrap().thumbprint();
    assert_eq!(request.certificate_thumbprint(), Some(&*expected));

    let error = world.refusal(&text);
    assert_eq!(error.stage(), Stage::Keystore);
    assert!(error.to_string().contains("needs its password"), "{error}");
}

pub(crate) async fn pem_files(world: &World) {
    let text = world.with_certificate();
    let request = world.request(&text).await;
    let shown = request.certificate_thumbprint();
    assert_eq!(shown, Some(world.client.thumbprint()));
    world.write("other.key", world.pki.client("other").unwrap().key_pem());
    let error = world.refusal(&text.replace("client.key", "other.key"));
    assert_eq!(error.stage(), Stage::Keystore);
}

pub(crate) async fn alias(world: &World) {
    let text = world.with_store("keytool-two-keys.p12") + PASSWORD;
    let error = world.refusal(&text);
    assert_eq!(error.stage(), Stage::Keystore);
    let mut shown = Vec::new();
    for alias in ["orders", "billing"] {
        let text = format!("{text}keystore.alias = \"{alias}\"\n");
        let request = world.request(&text).await;
        shown.push(request.certificate_thumbprint().unwrap().to_owned());
    }
    assert_ne!(shown[0], shown[1]);
}

pub(crate) async fn password_env(world: &World) {
    let text = world.with_store("openssl-empty-password.p12");
    world.refusal(&text);
    let text = format!("{text}keystore.password_env = \"{EMPTY_VARIABLE}\"\n");
    assert!(
        world
            .request(&text)
            .await
            .certificate_thumbprint()
            .is_some()
    );
}

pub(crate) async fn key_password(world: &World) {
    let text = world.with_store("keytool-key-password.jks") + PASSWORD;
    world.refusal(&text);
    let by_file = text.clone() + "keystore.key_password_file = \"keypass1\"\n";
    assert!(
        world
            .request(&by_file)
            .await
            .certificate_thumbprint()
            .is_some()
    );
    let error = world.refusal(&(text + "keystore.key_password_env = \"TOWER_OAUTH_UNSET\"\n"));
    assert!(error.to_string().contains("TOWER_OAUTH_UNSET"), "{error}");
}

pub(crate) async fn allow_unverified(world: &World) {
    let text = world.with_store("keytool-no-mac.p12") + PASSWORD;
    world.refusal(&text);
    let text = text + "keystore.allow_unverified = true\n";
    assert!(
        world
            .request(&text)
            .await
            .certificate_thumbprint()
            .is_some()
    );
}

pub(crate) async fn assertion_file(world: &World) {
    world.write("platform", "p.l.atform\n");
    let text = world.base()
        + "token_endpoint_auth_method = \"private_key_jwt\"\nassertion.file = \"platform\"\n";
    let request = world.request(&text).await;
    assert_eq!(request.parameter("client_assertion"), Some("p.l.atform"));
    assert_eq!(request.parameter("client_id"), Some("orders"));
    let request = world
        .request(&(text + "assertion.without_client_id = true\n"))
        .await;
    assert_eq!(request.parameter("client_id"), None);
}

pub(crate) async fn bare_key(world: &World) {
    world.write("rsa.pem", include_bytes!("../../keys/rsa-pkcs8.pem"));
    let text = world.base()
        + "token_endpoint_auth_method = \"private_key_jwt\"\nissuer = \"https://as.example\"\n\
           assertion.key_file = \"rsa.pem\"\n";
    for alg in ["RS384", "PS256"] {
        let text = format!("{text}assertion.alg = \"{alg}\"\n");
        let assertion = world.assertion(&text).await;
        assert_eq!(assertion["header"]["alg"], alg);
    }
    let error = world.refusal(&(text.clone() + "assertion.alg = \"ES256\"\n"));
    assert_eq!(error.stage(), Stage::Client);
    assert_eq!(error.faults()[0].key(), "assertion.alg");
    let error = world.refusal(&(world.with_jwt() + "assertion.alg = \"PS256\"\n"));
    assert_eq!(error.faults()[0].key(), "assertion.alg", "{error}");
    let error = world.refusal(&text.replace("rsa.pem", "ca.pem"));
    assert_eq!(error.stage(), Stage::Keystore);
}

/// A line of the table, and the member that it changes; an empty one is left out.
pub(crate) async fn assertion(world: &World, (line, member, value): (&str, &str, &str)) {
    let text = world.with_jwt();
    let usual = world.assertion(&text).await;
    let changed = world.assertion(&format!("{text}assertion.{line}\n")).await;
    assert!(usual.pointer(member).is_some_and(|usual| usual != value));
    let expected = (!value.is_empty()).then(|| Value::from(value));
    assert_eq!(changed.pointer(member), expected.as_ref(), "{line}");
}

pub(crate) async fn audience_from(world: &World) {
    let endpoint = world.server.token_endpoint();
    let alias = format!("{endpoint}?mtls");
    let text = world.with_jwt()
        + "tls_client_certificate_bound_access_tokens = true\n"
        + &format!("mtls_token_endpoint = \"{alias}\"\n");
    for (from, aud) in [
        ("issuer", world.server.issuer()),
        ("token_endpoint", &endpoint),
        ("called_url", &alias),
    ] {
        let text = format!("{text}assertion.aud_from = \"{from}\"\n");
        let assertion = world.assertion(&text).await;
        assert_eq!(assertion["claims"]["aud"], aud);
    }
}

pub(crate) async fn certificate_in_header(world: &World) {
    let text = world.with_jwt();
    let usual = world.assertion(&text).await["header"].take();
    assert!(
        usual["x5t#S256"].is_null() && usual["x5c"].is_null(),
        "{usual}"
    );
    let text = text + "assertion.x5t_s256 = true\nassertion.x5c = true\n";
    let header = world.assertion(&text).await["header"].take();
    assert_eq!(header["x5t#S256"], world.client.thumbprint());
    assert_eq!(header["x5c"].as_array().map(Vec::len), Some(2));
}

pub(crate) async fn assertion_lifetime(world: &World) {
    let text = world.with_jwt() + "assertion.lifetime = \"2m\"\n";
    let claims = world.assertion(&text).await["claims"].take();
    let at = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!(at("exp") - at("iat"), 120);
}

pub(crate) async fn bound_tokens(world: &World) {
    let text = world.with_jwt();
    assert_eq!(world.request(&text).await.certificate_thumbprint(), None);
    let text = text + "tls_client_certificate_bound_access_tokens = true\n";
    let request = world.request(&text).await;
    let shown = request.certificate_thumbprint();
    assert_eq!(shown, Some(world.client.thumbprint()));
}

pub(crate) async fn require_bound_tokens(world: &World) {
    // A JWT without `cnf`.
    let unbound = || world.server.answer_next(1, token("e30.e30.c2ln"));
    let text = world.with_certificate();
    unbound();
    world.fetch(&text).await.unwrap();
    unbound();
    let text = text + "require_bound_tokens = true\n";
    let error = world.fetch(&text).await.err().unwrap();
    assert!(error.to_string().contains("bound"), "{error}");
    let client = Client::tls_client_auth("orders", world.client.certificate_pem());
    world.server.register(client.unwrap().bind_tokens());
    world.fetch(&text).await.unwrap();
}
