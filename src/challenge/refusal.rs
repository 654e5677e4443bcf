use http::HeaderMap;

use super::{classify::telling, parse};
use crate::secret::quote;

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
    /// Reads the challenge that tells most: the one with an error code, else the first.
    pub(crate) fn read(headers: &HeaderMap, credentials: &[&[u8]]) -> Self {
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

    /// The server's own words (`error_description`).
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The scope that the resource asks for.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
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
}
