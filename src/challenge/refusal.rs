use http::{HeaderMap, HeaderName};

use super::{classify::telling, parse};
use crate::secret::quote;

static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What a resource said about the token it refused, fit to be logged: the texts are short, on one
/// line, and hold no part of the credential that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    scheme: Option<String>,
    error: Option<String>,
    description: Option<String>,
    scope: Option<String>,
}

impl Refusal {
    /// Reads the challenge that tells most: the one with an error code, else the first. gRPC servers
    /// send none; what they say is in `grpc-message`.
    pub(crate) fn read(headers: &HeaderMap, credentials: &[&[u8]]) -> Self {
        let mut refusal = Self::read_challenges(headers, credentials);
        if refusal.description.is_none() {
            refusal.description = grpc_message(headers).map(|it| quote(&it, credentials));
        }
        refusal
    }

    fn read_challenges(headers: &HeaderMap, credentials: &[&[u8]]) -> Self {
        let challenges = parse(headers);
        let Some(challenge) = telling(&challenges)
            .map(|(challenge, _)| challenge)
            .or(challenges.first())
        else {
            return Self::default();
        };
        let param = |name| Some(quote(challenge.param(name)?, credentials));
        Self {
            scheme: Some(quote(challenge.scheme(), credentials)),
            error: param("error"),
            description: param("error_description"),
            scope: param("scope"),
        }
    }

    /// The scheme of the challenge in lower case; `None` when there was no challenge.
    pub fn scheme(&self) -> Option<&str> {
        self.scheme.as_deref()
    }

    /// The error code, such as `invalid_token` (RFC 6750 section 3.1).
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The server's own words (`error_description`, else gRPC's `grpc-message`).
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The scope that the resource asks for.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

/// The text of a gRPC status, which is percent-encoded; what is no escape stands for itself.
fn grpc_message(headers: &HeaderMap) -> Option<String> {
    let mut rest = headers.get(&GRPC_MESSAGE)?.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&octet, tail)) = rest.split_first() {
        let escaped = (octet == b'%').then(|| hex(tail.get(..2)?)).flatten();
        decoded.push(escaped.unwrap_or(octet));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    let message = String::from_utf8_lossy(&decoded).into_owned();
    Some(message).filter(|message| !message.is_empty())
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |digit: &u8| u8::try_from(char::from(*digit).to_digit(16)?).ok();
    digits
        .iter()
        .try_fold(0, |value, it| Some(value << 4 | digit(it)?))
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;

    use super::*;

    fn read(line: &str, credential: &str) -> Refusal {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        Refusal::read(&headers, &[credential.as_bytes()])
    }

    #[test]
    fn the_challenge_with_an_error_code_is_told() {
        let line =
            r#"Negotiate, Bearer error="invalid_token", error_description="expired", scope="a b""#;
        let refusal = read(line, "the token");
        assert_eq!(refusal.scheme(), Some("bearer"));
        assert_eq!(refusal.error(), Some("invalid_token"));
        assert_eq!(refusal.description(), Some("expired"));
        assert_eq!(refusal.scope(), Some("a b"));

        assert_eq!(read("Basic, Bearer", "the token").scheme(), Some("basic"));
        assert_eq!(
            Refusal::read(&HeaderMap::new(), &[b"the token"]),
            Refusal::default()
        );
    }

    #[test]
    fn an_echoed_credential_is_cut_out_of_every_text() {
        let token = "AbCdEf0123456789GhIjKlMnOp";
        let everywhere =
            format!(r#"Bearer error="{token}", error_description="{token}", scope=" {token}""#);
        let as_scheme = format!("{token} error=\"x\"");
        for line in [everywhere, as_scheme] {
            let shown = format!("{:?}", read(&line, token)).to_ascii_lowercase();
            assert!(!shown.contains("0123456789"), "{shown}");
            assert!(shown.contains("[redacted]"), "{shown}");
        }
    }

    #[test]
    fn an_escaped_echo_is_recognised() {
        let refusal = read(
            r#"Bearer error=x, error_description="got \Ab\Cd\E\f0123456789GhIjKlMnOp""#,
            "AbCdEf0123456789GhIjKlMnOp",
        );
        assert_eq!(refusal.description(), Some("got [redacted]"));
    }

    #[test]
    fn what_a_grpc_server_says_stands_in_for_a_description() {
        let token = "AbCdEf0123456789GhIjKlMnOp";
        let said = |message: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(&GRPC_MESSAGE, message.parse().unwrap());
            let refusal = Refusal::read(&headers, &[token.as_bytes()]);
            refusal.description().map(str::to_owned)
        };
        assert_eq!(said("wrong audience").as_deref(), Some("wrong audience"));
        assert_eq!(
            said("100%25 wrong%2c %e2%82%AC").as_deref(),
            Some("100% wrong, €")
        );
        assert_eq!(
            said("%, %4, %zz, %+4, %").as_deref(),
            Some("%, %4, %zz, %+4, %")
        );
        assert_eq!(
            said("got %41bCdEf0123456789GhIjKlMnOp").as_deref(),
            Some("got [redacted]")
        );
        assert_eq!(said("two%0alines").as_deref(), Some("two\\nlines"));
        assert_eq!(said("%ff").as_deref(), Some("\u{fffd}"));
        assert_eq!(said(""), None);
    }

    #[test]
    fn a_challenge_says_more_than_a_grpc_message() {
        let mut headers = HeaderMap::new();
        let line = r#"Bearer error="invalid_token", error_description="expired""#;
        headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        headers.append(&GRPC_MESSAGE, "no".parse().unwrap());
        assert_eq!(Refusal::read(&headers, &[]).description(), Some("expired"));
    }
}
