//! What a file says, and what it is told when it can't be meant.

mod manual;
mod property;

use std::{env::VarError, path::Path};

use super::{Profile, ProfileError, Stage};

const GOOD: &str = r#"
client_id = "orders"
token_endpoint = "https://as.example/token"
token_endpoint_auth_method = "tls_client_auth"

[keystore]
path = "orders.p12"

[authorization_server.truststore]
path = "ca.pem"
"#;

fn environment(name: &str) -> Result<String, VarError> {
    match name {
        "HOST" => Ok("as.example".to_owned()),
        _ => Err(VarError::NotPresent),
    }
}

fn parse(file: &str, text: &str, name: Option<&str>) -> Result<Profile, ProfileError> {
    parse_octets(file, text.as_bytes(), name)
}

fn parse_octets(file: &str, octets: &[u8], name: Option<&str>) -> Result<Profile, ProfileError> {
    let (file, base) = (Path::new(file), Path::new("/etc/orders"));
    Profile::parse_with(octets, Some(file), base, name, &environment)
}

fn toml(text: &str) -> Result<Profile, ProfileError> {
    parse("orders.toml", text, None)
}

/// Line, key and message of each fault.
fn faults(error: &ProfileError) -> Vec<(usize, &str, &str)> {
    assert_eq!(error.stage(), Stage::File);
    error
        .faults()
        .iter()
        .map(|fault| (fault.line().unwrap_or(0), fault.key(), fault.message()))
        .collect()
}

/// `GOOD` with a line at its begin, and one at its end.
fn with(top: &str, end: &str) -> String {
    format!("{top}{GOOD}{end}")
}

#[track_caller]
fn assert_faults(text: &str, expected: &[(usize, &str, &str)]) {
    let error = toml(text).expect_err(text);
    let found = faults(&error);
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| {
            (found.0, found.1) == (expected.0, expected.1) && found.2.contains(expected.2)
        });
    assert!(fits, "{text}\n{error}\n{found:?}\n{expected:?}");
}

#[test]
fn a_good_profile_says_what_it_says() {
    let profile = toml(GOOD).unwrap();
    assert_eq!(profile.client_id(), "orders");
    assert_eq!(profile.name(), None);
    assert_eq!(profile.file(), Some(Path::new("orders.toml")));
    let endpoint = profile.token_endpoint().unwrap();
    assert_eq!(endpoint.url(), "https://as.example/token");
    assert_eq!(profile.token_endpoint_auth_method(), "tls_client_auth");
    assert!(profile.shows_certificate());
    assert_eq!(
        profile.keystore_files(),
        [Path::new("/etc/orders/orders.p12")]
    );
    let truststore = profile.truststore_file();
    assert_eq!(truststore, Some(Path::new("/etc/orders/ca.pem")));
    assert!(profile.allowed_origins().is_none());
}

#[test]
fn every_fault_names_key_and_line_and_all_are_told_at_once() {
    let text = r#"
client_id = "orders"
token_endpoint = "https://as.example/token"
token_endpoint_auth_method = "tls_client_aut"
client_secret = "hunter2"
scopes = "a b"

[keystore]
pasword_file = "x"
password = "hunter2"
poll_interval = 60

[api]
allowed_origins = "https://api.example"
replay_limit = "64k"
any_https = "yes"
"#;
    assert_faults(
        text,
        &[
            (
                4,
                "token_endpoint_auth_method",
                "did you mean \"tls_client_auth\"",
            ),
            (5, "client_secret", "`client_secret_file`"),
            (6, "scopes", "did you mean `scope`"),
            (9, "keystore.pasword_file", "did you mean `password_file`"),
            (10, "keystore.password", "`password_env`"),
            (11, "keystore.poll_interval", "\"60s\", found an integer"),
            (14, "api.allowed_origins", "expected a list"),
            (15, "api.replay_limit", "\"64KiB\""),
            (16, "api.any_https", "expected true or false, found a text"),
        ],
    );
    let error = toml(text).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    let first = error.to_string();
    assert!(
        first.starts_with("orders.toml:4:1: token_endpoint_auth_method: "),
        "{first}"
    );
}

#[test]
fn json_is_told_the_same_as_toml() {
    let text = r#"{
  "client_id": "orders",
  "token_endpoint": "https://as.example/token",
  "token_endpoint_auth_method": "tls_client_auth",
  "client_secret": "hunter2",
  "keystore": {
    "path": "orders.p12", "pasword_file": "x",
    "alias": null
  },
  "api": { "allowed_origins": ["https://api.example",
    7] },
  "limits": 10.5
}"#;
    for file in ["orders.json", "orders", "orders.JSON"] {
        let error = parse(file, text, None).unwrap_err();
        let found = faults(&error);
        let expected = [
            (5, "client_secret", "`client_secret_file`"),
            (7, "keystore.pasword_file", "did you mean `password_file`"),
            (8, "keystore.alias", "found null"),
            (11, "api.allowed_origins[1]", "found a number"),
            (12, "limits", "expected a table, found a number"),
        ];
        assert_eq!(found.len(), expected.len(), "{error}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!((found.0, found.1), (expected.0, expected.1));
            assert!(found.2.contains(expected.2), "{found:?}");
        }
        assert_eq!(error.faults()[1].column(), Some(27));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let good = r#"{"client_id": "orders", "token_endpoint": "https://as.example/token",
        "token_endpoint_auth_method": "tls_client_auth", "keystore": {"path": "orders.p12"},
        "authorization_server": {"truststore": {"path": "ca.pem"}}, "$schema": "x"}"#;
    let (json, toml) = (
        parse("o", good, None).unwrap(),
        parse("o", GOOD, None).unwrap(),
    );
    assert_eq!(format!("{json:?}"), format!("{toml:?}"));
}

#[test]
fn what_is_no_toml_and_no_json_is_told_its_line_and_nothing_of_its_text() {
    for (file, text, line) in [
        (
            "a.toml",
            "client_id = \"orders\"\nclient_secret = \"hunter2\nx = 1",
            2,
        ),
        ("a.toml", "client_id = 1\nclient_id = 2", 2),
        ("a.toml", "a = hunter2", 1),
        ("a.toml", "[a]\n[a]", 2),
        ("a.json", "{\n\"client_secret\": \"hunter2\n}", 2),
        ("a.json", "{\n\"client_secret\": \"hunter2\"", 2),
        ("a.json", "{\"client_id\": \"a\",\n\"client_id\": \"b\"}", 2),
        ("a.json", "", 1),
        ("a.json", "{}\n{}", 2),
        ("a.json", "{\"client_id\":\n \"\\ud800\"}", 2),
        ("a.json", "\n[]", 2),
    ] {
        let error = parse(file, text, None).expect_err(text);
        let found = faults(&error);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, line, "{text}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_no_text_is_told_its_line() {
    let error = parse_octets("a.toml", b"\n\nclient_id = \"\xff\"", None).unwrap_err();
    let fault = &error.faults()[0];
    assert_eq!(
        (fault.line(), fault.column()),
        (Some(3), Some(14)),
        "{error}"
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let minimal = "client_id = \"a\"\ntoken_endpoint = \"https://as.example\"\n";
    let method = |method: &str, rest: &str| {
        let trust = "authorization_server.truststore.path = \"ca.pem\"\n";
        format!("{minimal}{trust}token_endpoint_auth_method = \"{method}\"\n{rest}")
    };
    for (text, expected) in [
        (
            with("issuer = 1", ""),
            &[(1, "issuer", "expected a string, found an integer")][..],
        ),
        (
            with("token_endpoin = \"\"", ""),
            &[(1, "token_endpoin", "did you mean")],
        ),
        (
            with("client_secret_env = \"A\"", ""),
            &[(1, "client_secret_env", "needs no client secret")],
        ),
        (
            with("client_secret_file = \"A\"", ""),
            &[(1, "client_secret_file", "needs no client secret")],
        ),
        (
            with("client_secret_form_encoding = true", ""),
            &[(1, "client_secret_form_encoding", "client_secret_basic only")],
        ),
        (
            with("scope = \"a\\\"b\"", ""),
            &[(1, "scope", "can't hold")],
        ),
        (
            with("mtls_token_endpoint = \"http://as.example\"", ""),
            &[(1, "mtls_token_endpoint", "https")],
        ),
        (
            with("revocation_endpoint = \"http://as.example\"", ""),
            &[(1, "revocation_endpoint", "https")],
        ),
        (
            with("revoke_on_shutdown = true", ""),
            &[(1, "revoke_on_shutdown", "set `revocation_endpoint`")],
        ),
        (
            with("extra_parameters = { scope = \"a\" }", ""),
            &[(1, "extra_parameters.scope", "setting of its own")],
        ),
        (
            with(
                "extra_parameters = { a = \"a\" }\nextra_parameter_files = { a = \"a\" }",
                "",
            ),
            &[(2, "extra_parameter_files.a", "contradicts")],
        ),
        (
            with("", "[assertion]\naud = \"x\""),
            &[(11, "assertion", "no assertion")],
        ),
        (
            with("", "password_file = \"x\"\npassword_env = \"X\""),
            &[(
                12,
                "authorization_server.truststore.password_env",
                "contradicts",
            )],
        ),
        (
            with("", "password_env = \"X=Y\""),
            &[(
                11,
                "authorization_server.truststore.password_env",
                "name of an environment",
            )],
        ),
        (
            with(
                "",
                "[limits]\ndeadline = \"0s\"\nfetch_deadline=\"0s\"\nmax_answer=\"0B\"",
            ),
            &[
                (12, "limits.deadline", "zero"),
                (13, "limits.fetch_deadline", "zero"),
                (14, "limits.max_answer", "zero"),
            ],
        ),
        (
            with(
                "",
                "[lifetime]\nassumed = \"0s\"\nmax_token_age=\"0s\"\nmargin=\"0s\"",
            ),
            &[
                (12, "lifetime.assumed", "zero"),
                (13, "lifetime.max_token_age", "zero"),
            ],
        ),
        (
            with("", "[api]\nallowed_origins = []"),
            &[(12, "api.allowed_origins", "at least one")],
        ),
        (
            with(
                "",
                "[api]\nallowed_origins = [\"https://a.example\",\n\"https://a.example/x\"]",
            ),
            &[(13, "api.allowed_origins[1]", "not an origin")],
        ),
        (
            with(
                "",
                "[api]\nallowed_origins = [\"https://a\"]\nany_https = true",
            ),
            &[(13, "api.any_https", "contradicts")],
        ),
        (
            with("", "[api]\norigin_without_authority = \"https://a\""),
            &[(12, "api.origin_without_authority", "no effect")],
        ),
        (
            with(
                "",
                "[api]\nany_https = true\norigin_without_authority = \"a\"",
            ),
            &[(13, "api.origin_without_authority", "not an origin")],
        ),
        (
            String::new(),
            &[
                (1, "issuer", "no server"),
                (1, "client_id", "set it"),
                (1, "token_endpoint_auth_method", "set it"),
            ],
        ),
        (
            method("tls_client_auth", ""),
            &[(1, "keystore", "needs the client's key")],
        ),
        (
            method("self_signed_tls_client_auth", ""),
            &[(1, "keystore", "needs the client's key")],
        ),
        (
            method("private_key_jwt", "keystore.path = \"a\""),
            &[(1, "issuer", "for the issuer of the server")],
        ),
        (
            method("private_key_jwt", "issuer = \"https://a\""),
            &[(1, "keystore", "needs the client's key")],
        ),
        (
            method(
                "private_key_jwt",
                "assertion.file = \"a\"\nassertion.kid = \"b\"",
            ),
            &[(6, "assertion.kid", "no effect")],
        ),
        (
            method(
                "private_key_jwt",
                "assertion.file = \"a\"\nkeystore.path = \"b\"",
            ),
            &[(6, "keystore", "never used")],
        ),
        (
            method("none", "client_secret_env = \"A\""),
            &[(5, "client_secret_env", "needs no client secret")],
        ),
        (
            method(
                "none",
                "extra_headers = { Authorization = \"a\", \"a b\" = \"c\" }",
            ),
            &[
                (5, "extra_headers.Authorization", "setting of its own"),
                (5, "extra_headers.\"a b\"", "isn't a name"),
            ],
        ),
        (
            method(
                "client_secret_jwt",
                "client_secret_env = \"A\"\nassertion.alg = \"RS256\"",
            ),
            &[
                (1, "issuer", "for the issuer of the server"),
                (6, "assertion.alg", "made with a secret"),
            ],
        ),
        (
            method(
                "client_secret_jwt",
                "client_secret_env = \"A\"\nassertion.aud = \"a\"\nassertion.aud_from = \"issuer\"",
            ),
            &[(7, "assertion.aud_from", "contradicts")],
        ),
        (
            method("none", "discovery.renew_after = \"1h\""),
            &[(5, "discovery", "no effect beside `token_endpoint`")],
        ),
        (
            method("none", "issuer = \"https://a/?b\""),
            &[(5, "issuer", "query")],
        ),
        (
            method("spiffe_jwt", ""),
            &[(1, "assertion.file", "JWT-SVID")],
        ),
        (
            method("client_secret_basic", ""),
            &[(1, "client_secret_file", "needs a client secret")],
        ),
        (
            method(
                "client_secret_basic",
                "client_secret_env = \"A\"\nclient_secret_file = \"a\"",
            ),
            &[(5, "client_secret_env", "contradicts")],
        ),
        (
            method(
                "client_secret_basic",
                "client_secret_env = \"A\"\nkeystore.path = \"b\"",
            ),
            &[(6, "keystore", "never used")],
        ),
        (
            method(
                "client_secret_basic",
                "client_secret_env = \"A\"\nrequire_bound_tokens = true\n\
                 mtls_token_endpoint = \"https://b\"",
            ),
            &[
                (6, "require_bound_tokens", "no effect"),
                (7, "mtls_token_endpoint", "no effect"),
            ],
        ),
        (
            method(
                "client_secret_basic",
                "client_secret_env = \"A\"\ntls_client_certificate_bound_access_tokens = true",
            ),
            &[(
                6,
                "tls_client_certificate_bound_access_tokens",
                "set `keystore`",
            )],
        ),
    ] {
        assert_faults(&text, expected);
    }
}

#[test]
fn a_keystore_is_one_file_or_a_pair() {
    let text = |keystore: &str| GOOD.replace("path = \"orders.p12\"", keystore);
    for (keystore, line, key, message) in [
        ("", 6, "keystore", "set `path`"),
        (
            "path = \"a\"\nkey_file = \"a\"",
            7,
            "keystore.path",
            "a pair of PEM files",
        ),
        ("certificate_file = \"a\"", 6, "keystore.key_file", "no key"),
        (
            "key_file = \"a\"",
            6,
            "keystore.certificate_file",
            "no certificate",
        ),
        (
            "key_file = \"a\"\ncertificate_file = \"a\"\nalias = \"b\"",
            9,
            "keystore.alias",
            "no aliases",
        ),
        (
            "path = \"a\"\npoll_interval = \"999ms\"",
            8,
            "keystore.poll_interval",
            "a second",
        ),
    ] {
        assert_faults(&text(keystore), &[(line, key, message)]);
    }
}

#[test]
fn a_server_that_is_asked_for_its_metadata_says_the_rest_itself() {
    let text = |lines: &str| {
        let issuer = "issuer = \"https://as.example\"";
        let endpoint = "token_endpoint = \"https://as.example/token\"";
        GOOD.replace(endpoint, &format!("{issuer}\n{lines}"))
    };
    let profile = toml(&text("")).unwrap();
    assert_eq!(profile.issuer(), Some("https://as.example"));
    assert!(profile.token_endpoint().is_none());
    toml(&text("discovery.well_known = [\"oauth\", \"open_id\"]")).unwrap();
    for (line, key, message) in [
        (
            "mtls_token_endpoint = \"https://a\"",
            "mtls_token_endpoint",
            "metadata of `issuer`",
        ),
        (
            "revocation_endpoint = \"https://a\"",
            "revocation_endpoint",
            "metadata of `issuer`",
        ),
        (
            "discovery.well_known = []",
            "discovery.well_known",
            "no place",
        ),
        (
            "discovery.well_known = [\"oidc\"]",
            "discovery.well_known[0]",
            "write one of oauth",
        ),
    ] {
        assert_faults(&text(line), &[(4, key, message)]);
    }
}

#[test]
fn a_proxy_has_one_address_and_no_secret_in_it() {
    for (proxy, key, message) in [
        ("", "", "no proxy"),
        (
            "url = \"http://orders:hunter2@p:1\"",
            ".url",
            "a secret can't stand",
        ),
        ("url = \"https://p:1\"", ".url", "plain http"),
        (
            "url = \"http://p:1\"\nfrom_environment = true",
            ".from_environment",
            "this one or",
        ),
        (
            "url = \"http://p:1\"\nusername = \"a\"",
            ".username",
            "password is missing",
        ),
        (
            "url = \"http://p:1\"\npassword_env = \"A\"",
            "",
            "without its user",
        ),
        (
            "from_environment = true\nusername = \"a\"\npassword_env = \"A\"",
            ".username",
            "no effect",
        ),
        (
            "url = \"http://p:1\"\npassword = \"hunter2\"",
            ".password",
            "`password_file`",
        ),
    ] {
        for table in ["authorization_server.proxy", "api.proxy"] {
            let text = with("", &format!("[{table}]\n{proxy}"));
            let error = toml(&text).expect_err(&text);
            let found = faults(&error);
            assert_eq!(found[0].1, format!("{table}{key}"), "{error}");
            assert!(found.len() == 1 && found[0].2.contains(message), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn assertions_are_not_told_two_things() {
    let text = |assertion: &str| {
        let jwt = GOOD.replace("tls_client_auth", "private_key_jwt");
        format!("issuer = \"https://as.example\"{jwt}[assertion]\n{assertion}")
    };
    toml(&text("alg = \"PS256\"")).unwrap();
    for (assertion, line, key, message) in [
        ("alg = \"HS256\"", 12, "assertion.alg", "did you mean"),
        (
            "kid = \"a\"\nwithout_kid = true",
            13,
            "assertion.without_kid",
            "contradicts",
        ),
        (
            "typ = \"a\"\nwithout_typ = true",
            13,
            "assertion.without_typ",
            "contradicts",
        ),
        (
            "lifetime = \"1500ms\"",
            12,
            "assertion.lifetime",
            "whole seconds",
        ),
        (
            "without_client_id = true",
            12,
            "assertion.without_client_id",
            "no effect",
        ),
    ] {
        assert_faults(&text(assertion), &[(line, key, message)]);
    }
    let bare = text("key_file = \"a\"\nx5c = true\nx5t_s256 = true");
    let bare = bare.replace("[keystore]\npath = \"orders.p12\"\n", "");
    assert_faults(
        &bare,
        &[
            (11, "assertion.x5c", "bare key"),
            (12, "assertion.x5t_s256", "bare key"),
        ],
    );
}

#[test]
fn variables_stand_in_any_text_of_the_profile_asked_for() {
    let text = GOOD.replace("as.example", "${HOST}");
    let profile = toml(&text).unwrap();
    let endpoint = profile.token_endpoint().unwrap();
    assert_eq!(endpoint.url(), "https://as.example/token");
    let text = with("issuer = \"${MISSING}\"\nresource = [\"a\", \"${\"]", "");
    assert_faults(
        &text,
        &[
            (1, "issuer", "MISSING isn't set"),
            (2, "resource[1]", "$${"),
        ],
    );
}

#[test]
fn one_of_several_profiles_is_asked_for_by_its_name() {
    let indented = |name: &str| {
        GOOD.replace("[keystore]", &format!("[profile.{name}.keystore]"))
            .replace("[auth", &format!("[profile.{name}.auth"))
            .replace("client_id", &format!("[profile.{name}]\nclient_id"))
    };
    let one = indented("orders");
    let two = indented("orders") + &indented("billing").replace("ca.pem", "${MISSING}");
    let get = |text: &str, name| parse("p.toml", text, name);

    assert_eq!(get(&one, None).unwrap().name(), Some("orders"));
    assert_eq!(get(&two, Some("orders")).unwrap().name(), Some("orders"));
    assert_eq!(get(GOOD, None).unwrap().name(), None);

    for (text, name, expected) in [
        (&two, None, (2, "profile", r#""billing", "orders": ask"#)),
        (
            &two,
            Some("order"),
            (
                2,
                "profile",
                r#"no profile "order": there are "billing", "orders""#,
            ),
        ),
        (&one, Some(""), (2, "profile", r#"there are "orders""#)),
        (
            &two,
            Some("billing"),
            (
                22,
                "profile.billing.authorization_server.truststore.path",
                "MISSING",
            ),
        ),
        (&GOOD.to_owned(), Some("orders"), (1, "", "without a name")),
        (
            &format!("client_id = \"a\"\n{one}"),
            None,
            (1, "client_id", "beside"),
        ),
        (
            &"profile = 1".to_owned(),
            None,
            (1, "profile", "[profile.orders]"),
        ),
        (
            &"profile.a = 1".to_owned(),
            None,
            (1, "profile.a", "expected a table"),
        ),
        (&"[profile]".to_owned(), None, (1, "profile", "no profile")),
    ] {
        let error = get(text, name).expect_err(text);
        let found = faults(&error);
        assert_eq!(found.len(), 1, "{error}");
        assert_eq!(
            (found[0].0, found[0].1),
            (expected.0, expected.1),
            "{error}"
        );
        assert!(found[0].2.contains(expected.2), "{error}");
    }
}

#[test]
fn what_is_missing_at_home_is_an_error_of_its_stage() {
    let text = with("", "[api]\ntruststore.path = \"api.pem\"\n");
    let profile = toml(&text).unwrap();
    for (error, stage, line, part) in [
        (
            profile.identity().err(),
            Stage::Keystore,
            7,
            "/etc/orders/orders.p12",
        ),
        (
            profile.trust().err(),
            Stage::Trust,
            10,
            "/etc/orders/ca.pem",
        ),
        (
            profile.api_trust().err(),
            Stage::Trust,
            12,
            "/etc/orders/api.pem",
        ),
        (profile.source().err(), Stage::Keystore, 7, "orders.p12"),
    ] {
        let error = error.unwrap();
        assert_eq!(error.stage(), stage);
        assert_eq!(error.faults()[0].line(), Some(line), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = Profile::load("/nowhere/orders.toml").unwrap_err();
    assert_eq!(error.stage(), Stage::File);
    assert!(
        error.to_string().starts_with("/nowhere/orders.toml: "),
        "{error}"
    );
}

#[test]
fn a_key_of_any_length_is_refused() {
    // Comparing it with itself would take hours.
    let key = "a".repeat(500_000);
    assert_faults(
        &with(&format!("{key} = 1"), ""),
        &[(1, &key, "no such key")],
    );
    let nested = "a.".repeat(100_000) + "a = 1";
    assert!(toml(&nested).unwrap_err().to_string().contains("recursion"));
}
