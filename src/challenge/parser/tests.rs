use http::HeaderMap;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::*;

fn corpus() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/www-authenticate.json")).unwrap()
}

fn lines_of(case: &Value) -> Vec<Vec<u8>> {
    let lines = case["field_lines"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line.as_str().unwrap().as_bytes().to_vec())
        .collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// By way of a header map, as it comes out of a response.
fn read(lines: &[Vec<u8>]) -> Vec<Challenge> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(line).unwrap());
    }
    parse(&headers)
}

fn read_str(line: &str) -> Value {
    to_json(&read(&[line.into()]))
}

fn to_json(challenges: &[Challenge]) -> Value {
    let one = |challenge: &Challenge| {
        json!({
            "scheme": challenge.scheme(),
            "params": challenge.params().collect::<Vec<_>>(),
            "token68": challenge.token68(),
        })
    };
    challenges.iter().map(one).collect()
}

#[test]
fn every_row_of_the_corpus_is_read_as_expected() {
    let corpus = corpus();
    let cases = corpus["cases"].as_array().unwrap();
    for case in cases {
        let found = to_json(&read(&lines_of(case)));
        assert_eq!(found, case["expected"], "{}", case["id"]);
    }
    assert_eq!(cases.len(), 55);
}

#[test]
fn octets_beyond_ascii_are_read() {
    let corpus = corpus();
    let cases = corpus["raw_octet_cases"].as_array().unwrap();
    for case in cases {
        let challenges = read(&[unhex(case["hex"].as_str().unwrap())]);
        assert_eq!(challenges[0].param("error"), Some("invalid_token"));
        if let Some(expected) = case.get("expected") {
            assert_eq!(to_json(&challenges), *expected, "{}", case["id"]);
        }
    }
    assert_eq!(cases.len(), 2);

    let utf8 = read(&["Bearer realm=\"foo-ä\"".into()]);
    assert_eq!(utf8[0].param("realm"), Some("foo-ä"));
}

#[test]
fn a_large_realm_hides_nothing() {
    let realm = "a".repeat(33_792);
    let line = format!("Digest realm=\"{realm}\", domain=\"foo\", Bearer error=\"invalid_token\"");
    let schemes: Vec<_> = read(&[line.into()])
        .into_iter()
        .map(|challenge| challenge.scheme)
        .collect();
    assert_eq!(json!(schemes), corpus()["large_case"]["expected_schemes"]);
}

#[test]
fn what_lies_beyond_the_limit_is_not_read() {
    let realm = format!("Digest realm=\"{}\"", "a".repeat(MAX_OCTETS));
    let challenges = read(&[b"Bearer".to_vec(), realm.into(), b"DPoP".to_vec()]);
    assert_eq!(challenges.len(), 2);
    assert!(challenges[1].params[0].1.len() < MAX_OCTETS);
}

#[test]
fn a_token68_stands_alone_in_its_element() {
    let token68 = |scheme, value| json!([{"scheme": scheme, "params": [], "token68": value}]);
    let param = |value| json!([{"scheme": "x", "params": [["a", value]], "token68": null}]);
    assert_eq!(read_str("X a"), token68("x", "a"));
    assert_eq!(read_str("X a="), token68("x", "a="));
    assert_eq!(read_str("X a== \t"), token68("x", "a=="));
    assert_eq!(read_str("X  /+ , "), token68("x", "/+"));
    assert_eq!(read_str("X a=b"), param("b"));
    assert_eq!(read_str("X a =\tb"), param("b"));
    assert_eq!(read_str("X a=\"\""), param(""));
    assert_eq!(
        read_str("X a=,Y a=b"),
        json!([
            {"scheme": "x", "params": [], "token68": "a="},
            {"scheme": "y", "params": [["a", "b"]], "token68": null},
        ])
    );
    // Neither a token68 nor a parameter.
    for odd in ["X a=b=", "X a==b", "X a =", "X a b", "X {a}"] {
        let expected = json!([{"scheme": "x", "params": [], "token68": null}]);
        assert_eq!(read_str(odd), expected, "{odd}");
    }
}

#[test]
fn a_bad_parameter_costs_only_itself() {
    for line in [
        r#"Bearer realm=my own realm, error="invalid_token""#,
        r#"Bearer realm=a:b, error="invalid_token""#,
        r#"Bearer realm=, error=invalid_token"#,
        r#"Bearer "realm, of mine", error = invalid_token;"#,
        r#"Bearer realm="x"error="invalid_token""#,
        r#"Bearer realm="x" @ "y" , error="invalid_token""#,
        r#"Bearer realm="\"", =, ==, "", @@@, error="invalid_token""#,
        "Bearer realm=\u{e9}, error=\"invalid\\_token\"",
    ] {
        let challenges = read(&[line.into()]);
        assert_eq!(challenges.len(), 1, "{line}");
        assert_eq!(
            challenges[0].param("Error"),
            Some("invalid_token"),
            "{line}"
        );
    }
}

#[test]
fn a_word_with_something_glued_to_it_is_no_scheme() {
    let basic = json!([{"scheme": "basic", "params": [], "token68": null}]);
    for line in [
        "Basic, A/B",
        "Bearer:, Basic",
        "\"Bearer\", Basic, DPoP\"\"",
    ] {
        assert_eq!(read_str(line), basic, "{line}");
    }
}

#[test]
fn an_open_quote_ends_with_its_line() {
    let challenges = read(&[
        br#"Basic realm="a, "#.to_vec(),
        br#"Bearer error="invalid_token""#.to_vec(),
    ]);
    assert_eq!(challenges[0].param("realm"), Some("a, "));
    assert_eq!(challenges[1].param("error"), Some("invalid_token"));
}

#[test]
fn a_line_goes_on_with_the_challenge_of_the_line_before() {
    let challenges = read(&[
        br#"Bearer realm="a""#.to_vec(),
        br#"error="invalid_token""#.to_vec(),
    ]);
    assert_eq!(challenges.len(), 1);
    assert_eq!(challenges[0].param("error"), Some("invalid_token"));
}

#[test]
fn of_two_parameters_with_one_name_the_first_counts() {
    let challenges = read(&[br#"Bearer error=a, Error="b""#.to_vec()]);
    assert_eq!(challenges[0].param("ERROR"), Some("a"));
    assert_eq!(challenges[0].params().count(), 2);
}

#[test]
fn values_are_never_formatted() {
    let token = "0123456789abcdef0123456789abcdef";
    let line = format!(
        "Bearer error_description=\"{token}\", {token}=\"x\", Negotiate {token}, {token} a=b"
    );
    let shown = format!("{:?}", read(&[line.into()]));
    assert!(shown.contains("bearer") && shown.contains("error_description"));
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

/// A challenge and one of the many ways to write it.
fn written_challenge() -> impl Strategy<Value = (Challenge, String)> {
    let token = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}";
    let blank = "[ \t]{0,2}";
    let comma = "[ \t]{0,2},[ \t,]{0,3}";
    let param = (token, any::<String>(), any::<bool>(), blank, blank, comma);
    let params = vec(param, 0..5).prop_map(|params| {
        let mut written = String::new();
        let mut read = Vec::new();
        for (name, value, escape_all, before, after, comma) in params {
            let value: String = value.chars().filter(|char| !char.is_control()).collect();
            let bare = !value.is_empty() && value.bytes().all(is_tchar);
            let quoted = if bare && !escape_all {
                value.clone()
            } else {
                let escaped = value.chars().map(|char| match char {
                    '"' | '\\' => format!("\\{char}"),
                    _ if char.is_ascii() && escape_all => format!("\\{char}"),
                    _ => char.to_string(),
                });
                format!("\"{}\"", escaped.collect::<String>())
            };
            if !written.is_empty() {
                written += &comma;
            }
            written += &format!("{name}{before}={after}{quoted}");
            read.push((name.to_ascii_lowercase(), value));
        }
        (written, read, None)
    });
    let token68 = "[A-Za-z0-9._~+/-]{1,20}={0,2}"
        .prop_map(|token68| (token68.clone(), Vec::new(), Some(token68)));
    (token, " {1,3}", prop_oneof![params, token68]).prop_map(
        |(scheme, space, (rest, params, token68))| {
            let written = match rest.as_str() {
                "" => scheme.clone(),
                rest => format!("{scheme}{space}{rest}"),
            };
            let scheme = scheme.to_ascii_lowercase();
            let challenge = Challenge {
                scheme,
                params,
                token68,
            };
            (challenge, written)
        },
    )
}

/// Octets that mean something to the parser, more often than chance would have them.
fn odd_octets() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        proptest::sample::select(b" \t,;=\"\\aB/@\xe4".to_vec()),
        any::<u8>(),
    ];
    vec(octet, 0..60)
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        challenges in vec((written_challenge(), " {0,2},[ \t,]{0,2}|\n"), 0..5),
    ) {
        let mut text = String::new();
        for ((_, written), separator) in &challenges {
            text += written;
            text += separator;
        }
        let expected: Vec<_> = challenges.into_iter().map(|((challenge, _), _)| challenge).collect();
        let found = parse_lines(text.split('\n').map(str::as_bytes));
        prop_assert_eq!(to_json(&found), to_json(&expected), "{}", text);
    }

    #[test]
    fn no_octets_stop_the_parser(lines in vec(odd_octets(), 0..4)) {
        for challenge in parse_lines(lines.iter().map(Vec::as_slice)) {
            prop_assert!(!challenge.scheme.is_empty());
        }
    }

    #[test]
    fn a_changed_corpus_row_does_not_stop_the_parser(
        row in 0..55_usize,
        changes in vec((any::<proptest::sample::Index>(), odd_octets()), 1..3),
    ) {
        let mut line = lines_of(&corpus()["cases"][row]).join(&b','.clone());
        for (at, octets) in changes {
            let at = at.index(line.len() + 1);
            let end = (at + octets.len() / 8).min(line.len());
            line.splice(at..end, octets);
        }
        parse_lines(std::iter::once(line.as_slice()));
    }

    #[test]
    fn what_follows_never_costs_a_good_challenge(
        (good, written) in written_challenge(),
        separator in "\n|,",
        tail in odd_octets(),
    ) {
        let octets = [written.as_bytes(), separator.as_bytes(), &tail].concat();
        let found = parse_lines(octets.splitn(2, |&octet| octet == b'\n'));
        prop_assert_eq!(&found[0].scheme, &good.scheme);
        prop_assert!(found[0].params.starts_with(&good.params));
        prop_assert_eq!(&found[0].token68, &good.token68);
    }
}
