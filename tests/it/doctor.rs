//! The doctor: a healthy profile, and twelve that are not, each by one fault.

#[allow(dead_code, reason = "the tests call what `main` calls")]
#[path = "../../examples/doctor/main.rs"]
mod program;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tower_oauth::{
    ManualClock,
    testing::{
        Client, FakeAuthorizationServer, FakeAuthorizationServerBuilder, FakeProxy, FakeResource,
        Pki,
    },
};

const PASSWORD: &str = "changeit";

/// A profile in a directory of its own, and the servers that it is for.
struct Patient {
    pki: Pki,
    directory: Directory,
    /// Keys, and their values as TOML writes them.
    profile: BTreeMap<&'static str, String>,
    server: FakeAuthorizationServer,
    resource: FakeResource,
}

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn quoted(text: impl AsRef<str>) -> String {
    Value::from(text.as_ref()).to_string()
}

impl Patient {
    async fn healthy(method: &str) -> Self {
        Self::at(method, |server| server).await
    }

    async fn at(
        method: &str,
        terms: impl FnOnce(FakeAuthorizationServerBuilder<'_>) -> FakeAuthorizationServerBuilder<'_>,
    ) -> Self {
        let pki = Pki::new().unwrap();
        let client = pki.client("orders-service").unwrap();
        let registered = match method {
            "private_key_jwt" => Client::private_key_jwt("orders", client.public_key_pem()),
            _ => Client::tls_client_auth("orders", client.certificate_pem()),
        };
        let server = FakeAuthorizationServer::builder(&pki).client(
            registered
                .unwrap()
                .allow_scopes(["orders.read"])
                .bind_tokens(),
        );
        let server = terms(server).start().await.unwrap();
        let resource = FakeResource::builder(&pki).trusting(&server);
        let resource = resource.start().await.unwrap();

        let name = format!(
            "tower-oauth-doctor-{}",
            server.issuer().rsplit(':').next().unwrap()
        );
        let directory = Directory(std::env::temp_dir().join(name));
        fs::create_dir_all(&directory.0).unwrap();
        let write = |name: &str, text: &str| fs::write(directory.0.join(name), text).unwrap();
        write("client.crt", client.certificate_pem());
        write("client.key", client.key_pem());
        write("ca.crt", &pki.ca_pem());
        let another = pki.client("another").unwrap();
        write("another.key", another.key_pem());
        write("another-ca.crt", &Pki::new().unwrap().ca_pem());
        write("right.password", PASSWORD);
        write("wrong.password", "not it");
        for store in ["keytool-two-keys.p12", "keytool-expired.p12"] {
            let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores");
            fs::copy(stores.join(store), directory.0.join(store)).unwrap();
        }
        let profile = BTreeMap::from([
            ("issuer", quoted(server.issuer())),
            ("token_endpoint", quoted(server.token_endpoint())),
            ("client_id", quoted("orders")),
            ("token_endpoint_auth_method", quoted(method)),
            ("tls_client_certificate_bound_access_tokens", "true".into()),
            ("scope", quoted("orders.read")),
            ("keystore.certificate_file", quoted("client.crt")),
            ("keystore.key_file", quoted("client.key")),
            ("authorization_server.truststore.path", quoted("ca.crt")),
            (
                "api.allowed_origins",
                format!("[{}]", quoted(resource.origin())),
            ),
            ("api.truststore.path", quoted("ca.crt")),
        ]);
        Self {
            pki,
            directory,
            profile,
            server,
            resource,
        }
    }

    fn set(&mut self, key: &'static str, value: impl AsRef<str>) -> &mut Self {
        self.profile.insert(key, quoted(value));
        self
    }

    /// The other keys of a keystore go.
    fn keystore(&mut self, path: &str, password: &str) -> &mut Self {
        self.profile.retain(|key, _| !key.starts_with("keystore."));
        self.set("keystore.path", path)
            .set("keystore.password_file", password)
    }

    /// The exit code, and what is said.
    async fn examine(&self, more: &[&str]) -> (u8, String) {
        let file = self.directory.0.join("profile.toml");
        let lines = self
            .profile
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        fs::write(&file, lines.collect::<String>()).unwrap();
        let arguments = [file.to_str().unwrap()]
            .into_iter()
            .chain(more.iter().copied());
        let mut said = Vec::new();
        let code = program::run(arguments.map(str::to_owned), false, &mut said);
        let code = code.await.unwrap();
        (code, String::from_utf8(said).unwrap())
    }

    /// Stops at this step, and names the setting, the value and the cure.
    async fn stops_at(&self, step: &str, code: u8, setting: &str, value: &str, cure: &str) {
        let (stopped, said) = self.examine(&["--json"]).await;
        let lines: Vec<Value> = said
            .lines()
            .map(|it| serde_json::from_str(it).unwrap())
            .collect();
        let (last, before) = lines.split_last().unwrap();
        assert!(before.iter().all(|line| line["ok"] == true), "{said}");
        assert_eq!(last["ok"], false, "{said}");
        assert_eq!(last["step"], step, "{said}");
        assert_eq!(stopped, code, "{said}");
        assert_eq!(last["exit_code"], code, "{said}");
        for (field, part) in [("setting", setting), ("value", value), ("cure", cure)] {
            let text = last[field].as_str().unwrap();
            assert!(text.contains(part), "{field}: {text:?} should say {part:?}");
        }
    }
}

#[tokio::test]
async fn a_healthy_profile_gets_as_far_as_the_call() {
    for method in ["tls_client_auth", "private_key_jwt"] {
        let patient = Patient::healthy(method).await;
        let orders = patient.resource.uri("/orders").to_string();
        let (code, said) = patient.examine(&["--call", &orders]).await;
        assert_eq!(code, 0, "{said}");
        let steps: Vec<_> = said
            .lines()
            .map(|it| it.split(' ').nth(1).unwrap())
            .collect();
        let expected = [
            "profile", "keystore", "trust", "network", "tls", "clock", "request", "token", "call",
        ];
        assert_eq!(steps, expected, "{said}");
        assert!(said.contains("orders.read"), "{said}");
        assert!(!said.contains('\x1b'), "{said}");
        // One token request, of which nothing secret is shown.
        let requests = patient.server.requests();
        assert_eq!(requests.len(), 1);
        let parameters = requests[0].parameters();
        let assertion = parameters
            .iter()
            .find(|(name, _)| name == "client_assertion");
        if let Some((_, assertion)) = assertion {
            assert!(!said.contains(assertion.as_str()), "{said}");
            assert!(said.contains("client_assertion=***"), "{said}");
            assert!(said.contains("aud=https://127.0.0.1"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_the_keystores() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient.keystore("keytool-two-keys.p12", "wrong.password");
    patient
        .stops_at(
            "keystore",
            11,
            "keystore.password_file (",
            "wrong.password",
            "tries a password",
        )
        .await;
}

#[tokio::test]
async fn a_wrong_alias_is_the_keystores() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient
        .keystore("keytool-two-keys.p12", "right.password")
        .set("keystore.alias", "invoices");
    patient
        .stops_at(
            "keystore",
            11,
            "keystore.alias (",
            "invoices",
            "there is `orders`, `billing`",
        )
        .await;
}

#[tokio::test]
async fn an_expired_certificate_is_the_keystores() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient.keystore("keytool-expired.p12", "right.password");
    patient
        .stops_at(
            "keystore",
            11,
            "keystore.path (",
            "keytool-expired.p12",
            "renew it",
        )
        .await;
}

#[tokio::test]
async fn a_key_of_another_certificate_is_the_keystores() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient.set("keystore.key_file", "another.key");
    patient
        .stops_at(
            "keystore",
            11,
            "keystore.key_file (",
            "another.key",
            "the key of this certificate",
        )
        .await;
}

#[tokio::test]
async fn a_wrong_authority_is_seen_in_tls() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient.set("authorization_server.truststore.path", "another-ca.crt");
    let setting = "authorization_server.truststore";
    patient
        .stops_at(
            "tls",
            14,
            setting,
            "another-ca.crt",
            "trust the authority at the top of its chain",
        )
        .await;
}

#[tokio::test]
async fn a_wrong_name_is_seen_in_tls() {
    let patient = Patient::at("tls_client_auth", |server| server.misnamed()).await;
    patient
        .stops_at(
            "tls",
            14,
            "token_endpoint",
            "https://127.0.0.1",
            "with a name that the server's",
        )
        .await;
}

#[tokio::test]
async fn a_server_that_asks_for_no_certificate_is_seen_in_tls() {
    let patient = Patient::at("tls_client_auth", |server| server.certificate_unasked()).await;
    patient
        .stops_at(
            "tls",
            14,
            "token_endpoint",
            "/oauth2/token",
            "mtls_endpoint_aliases",
        )
        .await;
}

#[tokio::test]
async fn a_proxy_that_intercepts_is_seen_in_tls() {
    let proxy = FakeProxy::start().await.unwrap();
    let mut patient = Patient::healthy("tls_client_auth").await;
    proxy.intercept(&patient.pki).unwrap();
    patient.set("authorization_server.proxy.url", proxy.url());
    let setting = "authorization_server.proxy";
    patient
        .stops_at("tls", 14, setting, proxy.url(), "no_proxy")
        .await;
}

#[tokio::test]
async fn a_proxy_that_stands_in_the_way_is_the_networks() {
    let proxy = FakeProxy::start().await.unwrap();
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient.set("authorization_server.proxy.url", proxy.url());
    let (code, said) = patient.examine(&[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("is reached through {}", proxy.url())),
        "{said}"
    );

    proxy.require_basic_auth("orders", PASSWORD);
    let setting = "authorization_server.proxy";
    patient
        .stops_at("network", 13, setting, proxy.url(), "password")
        .await;
}

#[tokio::test]
async fn the_address_that_metadata_names_is_looked_at_before_the_token() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient.profile.remove("token_endpoint");
    let (code, said) = patient.examine(&[]).await;
    assert_eq!(code, 0, "{said}");
    let steps: Vec<_> = said
        .lines()
        .map(|it| it.split(' ').nth(1).unwrap())
        .collect();
    let expected = [
        "profile", "keystore", "trust", "network", "tls", "clock", "network", "tls", "request",
        "token",
    ];
    assert_eq!(steps, expected, "{said}");

    let mut patient = Patient::at("tls_client_auth", |server| server.certificate_unasked()).await;
    patient.profile.remove("token_endpoint");
    let (code, said) = patient.examine(&[]).await;
    assert_eq!(code, 14, "{said}");
    assert!(
        said.contains("doesn't ask for a client certificate"),
        "{said}"
    );

    let mut patient = Patient::healthy("tls_client_auth").await;
    patient.profile.remove("token_endpoint");
    let other = format!("{}/tenant", patient.server.issuer());
    patient.set("issuer", &other);
    patient
        .stops_at("request", 16, "issuer", &other, "issuer")
        .await;
}

#[tokio::test]
async fn a_wrong_audience_is_the_tokens() {
    let mut patient = Patient::healthy("private_key_jwt").await;
    patient.set("assertion.aud", "https://elsewhere.example");
    patient
        .stops_at(
            "token",
            17,
            "assertion.aud",
            "aud=https://elsewhere.example",
            "compare what was sent",
        )
        .await;
}

#[tokio::test]
async fn an_unknown_scope_is_the_tokens() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient.set("scope", "orders.read orders.burn");
    patient
        .stops_at(
            "token",
            17,
            "scope",
            "orders.burn",
            "registered for these scopes",
        )
        .await;
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_the_clocks() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    #[allow(
        clippy::disallowed_methods,
        reason = "it is the machine's clock that is examined"
    )]
    let now = SystemTime::now();
    for there in [now - HOUR, now + HOUR] {
        let clock = ManualClock::new(there);
        let patient = Patient::at("private_key_jwt", |server| server.clock(clock)).await;
        patient
            .stops_at("clock", 15, "the clock of this machine", "GMT", "chronyd")
            .await;
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_the_networks() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    // Held, so that nobody else listens there.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("https://{}/oauth2/token", held.local_addr().unwrap());
    patient.set("token_endpoint", &address);
    patient
        .stops_at(
            "network",
            13,
            "token_endpoint",
            &address,
            "nobody listens there",
        )
        .await;
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_handshake_is_not_blamed_on_trust() {
    let patient = Patient::healthy("tls_client_auth").await;
    patient.server.take_down();
    patient
        .stops_at(
            "tls",
            14,
            "token_endpoint",
            "/oauth2/token",
            "check name and network",
        )
        .await;
}

#[tokio::test]
async fn a_token_that_the_api_refuses_is_the_calls() {
    let patient = Patient::healthy("tls_client_auth").await;
    patient.resource.refuse_all(true);
    let orders = patient.resource.uri("/orders").to_string();
    let (code, said) = patient.examine(&["--call", &orders]).await;
    assert_eq!(code, 18, "{said}");
    assert!(said.contains("refuses the token: 401"), "{said}");
}

#[tokio::test]
async fn a_file_that_makes_no_sense_is_told_by_line_and_without_its_text() {
    let mut patient = Patient::healthy("tls_client_auth").await;
    patient
        .set("client_secret", "s3cr3t-value")
        .set("scopes", "orders.read");
    let (code, said) = patient.examine(&[]).await;
    assert_eq!(code, 10, "{said}");
    for part in ["client_secret (", "scopes (", "profile.toml:"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("s3cr3t-value"), "{said}");
}

#[tokio::test]
async fn a_person_gets_colours_and_a_question_gets_its_usage() {
    let mut said = Vec::new();
    let missing = ["/nowhere/profile.toml".to_owned()];
    let code = program::run(missing, true, &mut said).await.unwrap();
    let text = String::from_utf8(said).unwrap();
    assert_eq!(code, 10, "{text}");
    assert!(
        text.starts_with("\x1b[31mfault\x1b[0m profile   "),
        "{text}"
    );

    for wrong in [
        &["--call", "nowhere"][..],
        &["--what"],
        &[],
        &["a", "b"],
        &["a", "--profile"],
    ] {
        let mut said = Vec::new();
        let wrong = wrong.iter().map(|it| (*it).to_owned());
        assert_eq!(program::run(wrong, false, &mut said).await.unwrap(), 2);
        assert!(
            String::from_utf8(said)
                .unwrap()
                .contains("usage: doctor PROFILE")
        );
    }
}
