//! Hostile answers: every credential that came with a request goes back with the answer, in all
//! the places that end up in logs.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;

use super::answer::Answer;

/// Every credential in these header fields and parameters, as sent and decoded.
pub(super) fn credentials(headers: &HeaderMap, parameters: &[(String, String)]) -> String {
    let mut seen = Vec::new();
    for field in headers.get_all(header::AUTHORIZATION) {
        let field = String::from_utf8_lossy(field.as_bytes());
        if let Some((_, credential)) = field.split_once(' ')
            && let Ok(pair) = BASE64_STANDARD.decode(credential)
            && let Ok(pair) = String::from_utf8(pair)
        {
            let decoded = form_urlencoded::parse(pair.as_bytes());
            seen.extend(decoded.map(|(part, _)| part.into_owned()));
            seen.push(pair);
        }
        seen.push(field.into_owned());
    }
    for (name, value) in parameters {
        if matches!(
            name.as_str(),
            "client_secret" | "client_assertion" | "token"
        ) {
            seen.push(value.clone());
        }
    }
    seen.join(" ")
}

/// Writes what was seen into `WWW-Authenticate`, `Location`, `error_description` and the body.
pub(super) fn into(mut answer: Answer, seen: &str) -> Answer {
    let quoted: String = seen
        .chars()
        .filter(|char| !char.is_control())
        .flat_map(|char| {
            let escape = matches!(char, '"' | '\\').then_some('\\');
            escape.into_iter().chain([char])
        })
        .collect();
    let target: String = form_urlencoded::byte_serialize(seen.as_bytes()).collect();
    // The answer's own challenge keeps its meaning: it only gets a description.
    let challenge = match answer.headers.get(header::WWW_AUTHENTICATE) {
        Some(challenge) => String::from_utf8_lossy(challenge.as_bytes()).into_owned(),
        None => "Bearer realm=\"hostile\"".to_owned(),
    };
    let challenge = format!("{challenge}, error_description=\"{quoted}\"");
    let location = format!("https://127.0.0.1/?seen={target}");
    for (name, value) in [
        (header::WWW_AUTHENTICATE, challenge),
        (header::LOCATION, location),
    ] {
        let value = HeaderValue::from_bytes(value.as_bytes());
        let value = value.expect("there are no control characters in it");
        answer.headers.insert(name, value);
    }
    answer.body = match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(mut members)) => {
            members.insert("error_description".to_owned(), seen.into());
            Bytes::from(Value::Object(members).to_string())
        }
        _ => Bytes::from([&answer.body, seen.as_bytes()].concat()),
    };
    answer
}
