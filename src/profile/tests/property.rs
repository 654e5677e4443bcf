//! Ten thousand damaged files: each is refused, or is a whole profile.

use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, FileFailurePersistence},
};

use super::{Profile, parse, parse_octets};

const TOML: &str = r#"
#:schema schema.json
[profile.orders]
issuer = "https://${HOST}"
token_endpoint = "https://as.example/token"
mtls_token_endpoint = "https://mtls.as.example/token"
revocation_endpoint = "https://mtls.as.example/revoke"
revoke_on_shutdown = true
client_id = "orders"
token_endpoint_auth_method = "private_key_jwt"
tls_client_certificate_bound_access_tokens = true
require_bound_tokens = true
scope = "orders.read orders.write"
resource = ["https://api.example"]
extra_parameters = { "x.y" = "z", b = '$${c}' }
[profile.orders.keystore]
path = "orders.p12"
alias = "orders"
password_file = "orders.password"
poll_interval = "5m"
expiry_notices = ["30d", "7d"]
[profile.orders.authorization_server.proxy]
url = "http://proxy.example:3128"
username = "orders"
password_env = "PROXY_PASSWORD"
no_proxy = ["localhost", "10.0.0.0/8"]
[profile.orders.assertion]
alg = "ES256"
kid = "1"
lifetime = "30s"
[profile.orders.authorization_server]
truststore = { path = "as.jks", password_env = "AS_PASSWORD" }
[profile.orders.api]
allowed_origins = ["https://api.example", "https://b.example:8443"]
foreign_origins = "send_without"
replay_limit = "128KiB"
truststore.path = "api.pem"
[profile.orders.lifetime]
margin = "2m"
max_token_age = "1h"
[profile.orders.limits]
deadline = "5s"
max_answer = "64KiB"
"#;

const JSON: &str = r#"{
  "$schema": "schema.json",
  "issuer": "https://${HOST}/tenant",
  "discovery": { "well_known": ["open_id"], "renew_after": "1h", "endpoint_hosts": ["b.example"] },
  "client_id": "\u006frders",
  "token_endpoint_auth_method": "client_secret_basic",
  "client_secret_env": "ORDERS_SECRET",
  "scope": "orders.read",
  "extra_parameters": { "a": "b" }, "extra_headers": { "x-a": "b" },
  "authorization_server": { "truststore": { "path": "ca.pem" } },
  "api": { "allowed_origins": ["https://api.example"], "replay_limit": "0B" },
  "limits": { "deadline": "500ms", "fetch_deadline": "20s" }
}
"#;

/// What damage is done with: pieces of the formats, and values that no key takes.
const PIECES: &[&str] = &[
    "",
    "\"",
    "'",
    "\"\"\"",
    "=",
    ".",
    ",",
    ":",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "#",
    "\n",
    "\r",
    "\0",
    "\u{feff}",
    "\u{10ffff}",
    "ä",
    "\\",
    "\\u",
    "\\ud800",
    "${",
    "}",
    "${HOST}",
    "$${",
    "${MISSING}",
    "null",
    "true",
    "false",
    "nan",
    "-1",
    "99999999999999999999999999",
    "1e999",
    "0xffffffffffffffffffff",
    "1979-05-27",
    "\"99999999999999999999d\"",
    "\"18446744073709551615GiB\"",
    "[profile.orders]",
    "[profile]",
    "\"profile\": {}, ",
    "password = \"x\"\n",
    "\"client_id\": 1, ",
];

/// How each format nests.
const NESTS: &[(&str, &str)] = &[
    ("[", "]"),
    ("{\"a\":", "}"),
    ("{a=", "}"),
    ("a.", ""),
    ("[", ""),
];

#[derive(Clone, Debug)]
enum Damage {
    Octet(Index, u8),
    Insert(Index, &'static str),
    /// What stands between two quotes becomes something deep.
    Nest(Index, (&'static str, &'static str), usize),
    Remove(Index, usize),
    Truncate(Index),
    DoubleLine(Index),
    RemoveLine(Index),
    SwapLines(Index, Index),
    /// A value, or whatever stands between two quotes, becomes another.
    Replace(Index, &'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    let piece = || select(PIECES);
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, octet)| Damage::Octet(at, octet)),
        (index(), piece()).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (index(), select(NESTS), 1..3000_usize)
            .prop_map(|(at, piece, depth)| Damage::Nest(at, piece, depth)),
        (index(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        index().prop_map(Damage::Truncate),
        index().prop_map(Damage::DoubleLine),
        index().prop_map(Damage::RemoveLine),
        (index(), index()).prop_map(|(a, b)| Damage::SwapLines(a, b)),
        (index(), piece()).prop_map(|(at, piece)| Damage::Replace(at, piece)),
    ]
}

impl Damage {
    fn to(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let lines = |text: &[u8]| -> Vec<Vec<u8>> {
            text.split_inclusive(|&octet| octet == b'\n')
                .map(<[u8]>::to_vec)
                .collect()
        };
        match self {
            Self::Octet(at, octet) => *at.get_mut(text) = *octet,
            Self::Insert(at, piece) => {
                let at = at.index(text.len());
                text.splice(at..at, piece.bytes());
            }
            Self::Nest(at, (open, close), depth) => {
                let deep = format!("{}1{}", open.repeat(*depth), close.repeat(*depth));
                replace(text, *at, &deep);
            }
            Self::Remove(at, length) => {
                let at = at.index(text.len());
                text.drain(at..text.len().min(at + length));
            }
            Self::Truncate(at) => text.truncate(at.index(text.len())),
            Self::DoubleLine(at) => {
                let mut all = lines(text);
                let line = at.get(&all).clone();
                all.insert(at.index(all.len()), line);
                *text = all.concat();
            }
            Self::RemoveLine(at) => {
                let mut all = lines(text);
                all.remove(at.index(all.len()));
                *text = all.concat();
            }
            Self::SwapLines(a, b) => {
                let mut all = lines(text);
                let (a, b) = (a.index(all.len()), b.index(all.len()));
                all.swap(a, b);
                *text = all.concat();
            }
            Self::Replace(at, piece) => replace(text, *at, piece),
        }
    }
}

/// Replaces what stands between two quotes.
fn replace(text: &mut Vec<u8>, at: Index, by: &str) {
    let marks = text.iter().enumerate().filter(|(_, octet)| **octet == b'"');
    let marks: Vec<usize> = marks.map(|(at, _)| at).collect();
    if marks.len() > 1 {
        let first = at.index(marks.len() - 1);
        text.splice(marks[first]..=marks[first + 1], by.bytes());
    }
}

/// Whatever a profile says can be asked for, and comes to an end without the files it names.
fn assert_whole(profile: &Profile) {
    assert!(!profile.client_id().is_empty());
    assert!(profile.token_endpoint().is_some() || profile.issuer().is_some());
    assert!(!profile.token_endpoint_auth_method().is_empty());
    let _ = format!("{profile:?} {:?}", profile.allowed_origins());
    if let Err(error) = profile.handle_builder() {
        assert!(error.faults()[0].line().is_some(), "{error}");
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 10_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    })]

    #[test]
    fn a_damaged_file_is_refused_or_a_whole_profile(
        json in any::<bool>(),
        damages in prop::collection::vec(damage(), 1..4),
        named in any::<bool>(),
    ) {
        let mut text = if json { JSON } else { TOML }.as_bytes().to_vec();
        for damage in &damages {
            damage.to(&mut text);
        }
        match parse_octets("orders", &text, named.then_some("orders")) {
            Ok(profile) => assert_whole(&profile),
            Err(error) => {
                for fault in error.faults() {
                    let lines = text.split(|&octet| octet == b'\n').count();
                    let line = fault.line().unwrap_or(1);
                    prop_assert!((1..=lines).contains(&line), "{}", error);
                    prop_assert!(!fault.message().is_empty());
                }
                prop_assert!(!error.faults().is_empty());
            }
        }
    }
}

#[test]
fn the_files_are_good_before_they_are_damaged() {
    assert_whole(&parse("orders", TOML, None).unwrap());
    assert_whole(&parse("orders", JSON, None).unwrap());
}
