use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::*;
use crate::error::{ErrorKind, TokenError};

fn vectors() -> Vec<Value> {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/token-response.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 61);
    cases
}

fn read(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    credentials: &[&[u8]],
) -> Result<TokenAnswer, Refusal> {
    Received {
        from: "https://as.example",
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body,
        credentials,
        now: SystemTime::UNIX_EPOCH,
    }
    .read()
}

fn fault(status: u16, body: &str) -> Fault {
    match read(status, &HeaderMap::new(), body.as_bytes(), &[]) {
        Err(refusal) => refusal.fault,
        Ok(_) => panic!("{body} is a token"),
    }
}

/// The name that the vectors have for it.
fn name(fault: &Fault) -> &'static str {
    match fault {
        Fault::Redirect { .. } => "redirect",
        Fault::OAuth { .. } => "oauth",
        Fault::Status | Fault::ForeignError => "http",
        Fault::Html | Fault::NotJson | Fault::Truncated => "not_json",
        Fault::Empty => "empty_body",
        Fault::NotAnObject => "not_an_object",
        Fault::DuplicateMember => "duplicate_member",
        Fault::MissingAccessToken => "missing_access_token",
        Fault::InvalidAccessToken => "invalid_access_token",
        Fault::MissingTokenType => "missing_token_type",
        Fault::UnsupportedTokenType { .. } => "unsupported_token_type",
        Fault::SenderConstrained => "unexpected_sender_constraint",
        Fault::NotAnAccessToken => "not_an_access_token",
    }
}

fn is_token(case: &Value, answer: &TokenAnswer) {
    let id = &case["id"];
    let expected = &case["expected"];
    let year = MAX_LIFETIME.as_secs();
    let lifetime = match &expected["lifetime_seconds"] {
        Value::String(_) => Some(year),
        seconds => seconds.as_u64(),
    };
    assert_eq!(answer.expires_in.map(|d| d.as_secs()), lifetime, "{id}");
    let refresh = expected["refresh_after_seconds"].as_u64();
    assert_eq!(answer.refresh_in.map(|d| d.as_secs()), refresh, "{id}");
    if let Some(scope) = expected["effective_scope"].as_str() {
        let asked = case["request"]["scope"].as_str();
        let effective = answer.scope.as_deref().or(asked);
        assert_eq!(effective, Some(scope), "{id}");
    }
    let body: Value = serde_json::from_str(
        case["body"]
            .as_str()
            .unwrap()
            .trim_start_matches('\u{feff}'),
    )
    .unwrap_or_default();
    if let Some(token) = body["access_token"].as_str() {
        assert_eq!(*answer.access_token, token, "{id}");
    }
}

fn is_refused(case: &Value, refusal: Refusal) {
    let id = &case["id"];
    let expected = &case["expected"];
    assert_eq!(name(&refusal.fault), expected["kind"], "{id}: {refusal:?}");
    let error = TokenError::from(refusal);
    assert_eq!(error.oauth_error(), expected["error"].as_str(), "{id}");
    assert_eq!(error.status().unwrap().as_u16(), case["status"], "{id}");
    let retry = expected["retry"].as_str().unwrap_or("never");
    let later = ["back-off", "after Retry-After", "transient: yes, bounded"];
    assert_eq!(error.is_temporary(), later.contains(&retry), "{id}");
    let after = case["headers"]["Retry-After"].as_str();
    assert_eq!(
        error
            .retry_after()
            .map(|d| d.as_secs().to_string())
            .as_deref(),
        after,
        "{id}"
    );
    assert!(!error.to_string().contains(['\r', '\n']), "{id}");
}

#[test]
fn every_answer_of_the_vectors_is_read_as_they_say() {
    // The size of an answer is bounded while it is read, in `transport`.
    let (huge, cases): (Vec<_>, Vec<_>) = vectors()
        .into_iter()
        .partition(|case| case["id"] == "huge-body");
    assert_eq!((huge.len(), cases.len()), (1, 60));
    for case in &cases {
        let mut headers = HeaderMap::new();
        headers.insert(
            "content-type",
            case["content_type"].as_str().unwrap().parse().unwrap(),
        );
        for (name, value) in case["headers"].as_object().into_iter().flatten() {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, value.as_str().unwrap().parse().unwrap());
        }
        let status = case["status"].as_u64().unwrap().try_into().unwrap();
        let body = case["body"].as_str().unwrap().as_bytes();
        match (
            read(status, &headers, body, &[]),
            &case["expected"]["result"],
        ) {
            (Ok(answer), result) if result == "token" => is_token(case, &answer),
            (Err(refusal), result) if result != "token" => is_refused(case, refusal),
            (Ok(_), _) => panic!("{} is no token", case["id"]),
            (Err(refusal), _) => panic!("{} is a token, not {refusal:?}", case["id"]),
        }
    }
}

#[test]
fn a_token_that_is_not_a_text_is_missing() {
    for token in ["null", "1", "true", "{}", "[\"a\"]", "\"\"", "\"\\ud800\""] {
        let body = format!("{{\"access_token\":{token},\"token_type\":\"Bearer\"}}");
        assert_eq!(name(&fault(200, &body)), "missing_access_token", "{token}");
    }
    for token in ["a b", " a", "a\\u0000", "a\\r\\nX: y", "a\\u007f"] {
        let body = format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\"}}");
        assert_eq!(name(&fault(200, &body)), "invalid_access_token", "{token}");
    }
}

#[test]
fn only_status_200_brings_a_token() {
    let body = "{\"access_token\":\"a\",\"token_type\":\"Bearer\"}";
    for status in [201, 204, 304, 400, 500] {
        let fault = fault(status, body);
        assert!(matches!(fault, Fault::Status | Fault::Redirect { .. }));
    }
}

#[test]
fn what_is_no_json_object_is_told_apart() {
    for (body, expected) in [
        ("", "empty_body"),
        (" \r\n", "empty_body"),
        ("\u{feff}", "empty_body"),
        ("<!doctype html><title>Sign in</title>", "not_json"),
        ("access_token=a&token_type=bearer", "not_json"),
        ("null", "not_json"),
        ("[\"a\",\"Bearer\"]", "not_an_object"),
        ("{} {}", "not_json"),
        (
            "{\"access_token\":\"a\",\"token_type\":\"Bearer\",}",
            "not_json",
        ),
        (
            "{\"token_type\":\"Bearer\",\"token_type\":\"mac\"}",
            "duplicate_member",
        ),
        ("{\"error\":\"a\",\"error\":\"b\"}", "duplicate_member"),
    ] {
        assert_eq!(name(&fault(200, body)), expected, "{body}");
    }
    let nested = format!("{{\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(name(&fault(200, &nested)), "missing_access_token");
}

#[test]
fn an_odd_octet_in_one_member_costs_no_other() {
    let body = b"{\"x\":\"\xe4\",\"access_token\":\"a\",\"token_type\":\"Bearer\"}";
    let answer = read(200, &HeaderMap::new(), body, &[]).ok().unwrap();
    assert_eq!(*answer.access_token, "a");
    let body = b"{\"error\":\"invalid_client\",\"error_description\":\"\xe4h\"}";
    let error = TokenError::from(read(401, &HeaderMap::new(), body, &[]).err().unwrap());
    assert_eq!(error.oauth_error(), Some("invalid_client"));
}

#[test]
fn an_empty_error_beside_a_token_is_none() {
    for error in ["null", "\"\""] {
        let body =
            format!("{{\"error\":{error},\"access_token\":\"a\",\"token_type\":\"bearer\"}}");
        assert!(read(200, &HeaderMap::new(), body.as_bytes(), &[]).is_ok());
    }
}

#[test]
fn a_code_inside_a_5xx_is_no_verdict() {
    let body = b"{\"error\":\"invalid_client\"}";
    for (status, temporary) in [
        (400, false),
        (401, false),
        (408, true),
        (429, true),
        (502, true),
    ] {
        let error = TokenError::from(read(status, &HeaderMap::new(), body, &[]).err().unwrap());
        assert_eq!(error.is_temporary(), temporary, "{status}");
        assert_eq!(error.oauth_error(), Some("invalid_client"));
        assert_eq!(error.kind(), ErrorKind::Rejected);
    }
}

#[test]
fn every_known_code_says_what_to_change() {
    for code in [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
    ] {
        let body = format!("{{\"error\":\"{code}\"}}");
        let refusal = read(400, &HeaderMap::new(), body.as_bytes(), &[]);
        let error = TokenError::from(refusal.err().unwrap());
        assert!(error.hint().is_some(), "{code}");
    }
    let page = read(200, &HeaderMap::new(), b"<html>", &[]).err().unwrap();
    let hint = TokenError::from(page).to_string();
    assert!(hint.contains("is this the token endpoint?"), "{hint}");
}

#[test]
fn an_error_reads_well() {
    let body = b"{\"error\":\"invalid_scope\",\"error_description\":\"no such\\r\\nscope\",\
                 \"error_uri\":\"https://as.example/help\"}";
    let error = TokenError::from(read(400, &HeaderMap::new(), body, &[]).err().unwrap());
    assert_eq!(
        error.to_string(),
        "https://as.example answered 400 invalid_scope: no such\\r\\nscope, see \
         https://as.example/help (a scope is unknown, missing, or not granted to this client: \
         compare scope(..) with the client's registration)"
    );
}

#[test]
fn an_echoed_credential_is_cut_out_of_everything() {
    const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    let headers = HeaderMap::from_iter([(
        LOCATION,
        HeaderValue::from_static(
            "https://0123456789abcdefghijklmnopqrstuvwxyz.example/0123456789abcdefghijklmnopqrstuvwxyz?s=0123456789abcdefghijklmnopqrstuvwxyz",
        ),
    )]);
    for (status, body) in [
        (401, format!("{{\"error\":\"{SECRET}\"}}")),
        (
            401,
            format!("{{\"error\":\"invalid_client\",\"error_description\":\"x {SECRET}\"}}"),
        ),
        (
            200,
            format!("{{\"error\":\"a\",\"error_uri\":\"https://as.example/{SECRET}\"}}"),
        ),
        (
            200,
            format!("{{\"access_token\":\"a\",\"token_type\":\"{SECRET}\"}}"),
        ),
        (200, format!("<html>{SECRET}")),
        (500, SECRET.to_owned()),
        (307, SECRET.to_owned()),
    ] {
        let refusal = read(status, &headers, body.as_bytes(), &[SECRET.as_bytes()]);
        let refusal = refusal.err().unwrap();
        let mut seen = format!("{refusal:?}");
        let error = TokenError::from(refusal);
        write_all(&mut seen, &error);
        assert!(!echoes(&seen, &[SECRET.as_bytes()]), "{seen}");
    }
    let body =
        format!("{{\"access_token\":\"a\",\"token_type\":\"bearer\",\"scope\":\"b {SECRET}\"}}");
    let answer = read(200, &headers, body.as_bytes(), &[SECRET.as_bytes()]);
    assert_eq!(answer.ok().unwrap().scope.as_deref(), Some("[redacted]"));
}

fn write_all(seen: &mut String, error: &TokenError) {
    use std::fmt::Write as _;
    write!(seen, "{error} {error:?} {:?}", error.oauth_error()).unwrap();
}

#[test]
fn a_registered_code_survives_a_short_secret() {
    let body = b"{\"error\":\"invalid_client\"}";
    let refusal = read(401, &HeaderMap::new(), body, &[b"client"])
        .err()
        .unwrap();
    assert_eq!(
        TokenError::from(refusal).oauth_error(),
        Some("invalid_client")
    );
}

#[test]
fn a_code_keeps_to_its_characters() {
    let body = "{\"error\":\"a\\nb\\\"c é\"}";
    let Fault::OAuth { code, .. } = fault(400, body) else {
        panic!("no code")
    };
    assert_eq!(code, "a?nb?c ?");
}

proptest::proptest! {
    #[test]
    fn no_answer_is_too_odd(
        status in 100u16..1000,
        octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64),
        value in "[-+0-9.eE\"\\\\\\[\\]{}:, a\u{e9}]{0,24}",
    ) {
        let members = ["access_token", "token_type", "expires_in", "scope", "error", "error_uri"];
        let bodies = members.map(|name| format!("{{\"{name}\":{value}}}").into_bytes());
        for body in bodies.into_iter().chain([octets.clone(), value.into_bytes()]) {
            let headers = HeaderMap::from_iter(
                HeaderValue::from_bytes(&octets).ok().map(|value| (LOCATION, value)),
            );
            if let Err(refusal) = read(status, &headers, &body, &[&octets]) {
                let _ = TokenError::from(refusal).to_string();
            }
        }
    }
}
