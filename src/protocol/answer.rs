use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, Uri, header::LOCATION};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{error::Category, value::RawValue};
use zeroize::Zeroizing;

use super::{
    endpoint,
    lifetime::{MAX_LIFETIME, seconds},
    refusal::{Fault, Refusal},
    retry_after::retry_after,
};
use crate::secret::quote;

/// The token endpoint's answer, as it arrived.
#[derive(Clone, Copy)]
pub(crate) struct Received<'a> {
    /// The origin of the endpoint.
    pub(crate) from: &'a str,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// What the request told the server in confidence.
    pub(crate) credentials: &'a [&'a [u8]],
    pub(crate) now: SystemTime,
}

/// A token, as the server described it (RFC 6749 section 5.1).
///
/// A refresh token is not part of it: with client credentials it only widens what can leak
/// (section 4.4.3).
pub(crate) struct TokenAnswer {
    /// Visible ASCII characters, at least one.
    pub(crate) access_token: Zeroizing<String>,
    /// At most a year.
    pub(crate) expires_in: Option<Duration>,
    /// More than zero, and at most `expires_in`.
    pub(crate) refresh_in: Option<Duration>,
    /// `None`: as requested.
    pub(crate) scope: Option<String>,
}

/// The members that are read. Others are passed over, a second one of these is an error.
///
/// Each is taken as it is written, so that no oddity of one, such as a number beyond `f64`, costs
/// the others.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Members<'a> {
    #[serde(borrow)]
    access_token: Option<&'a RawValue>,
    #[serde(borrow)]
    token_type: Option<&'a RawValue>,
    #[serde(borrow)]
    expires_in: Option<&'a RawValue>,
    #[serde(borrow)]
    refresh_in: Option<&'a RawValue>,
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    error_description: Option<&'a RawValue>,
    #[serde(borrow)]
    error_uri: Option<&'a RawValue>,
}

impl Received<'_> {
    /// Makes a token of it, or says why there is none.
    pub(crate) fn read(self) -> Result<TokenAnswer, Refusal> {
        self.token().map_err(|fault| self.refusal(fault))
    }

    /// Takes it for the answer to a revocation: what is in it says nothing if that went well, and it
    /// went well for a token that the server doesn't know, too (RFC 7009 section 2.2).
    pub(crate) fn acknowledged(self) -> Result<(), Refusal> {
        if self.status.is_success() {
            return Ok(());
        }
        let fault = self.token().err().unwrap_or(Fault::Status);
        Err(self.refusal(fault))
    }

    fn refusal(self, fault: Fault) -> Refusal {
        Refusal {
            fault,
            from: self.from.to_owned(),
            status: self.status,
            retry_after: retry_after(self.headers, self.now),
        }
    }

    fn token(self) -> Result<TokenAnswer, Fault> {
        if self.status.is_redirection() {
            return Err(Fault::Redirect {
                origin: self.redirect_origin(),
            });
        }
        let text = String::from_utf8_lossy(self.body);
        let members = Members::read(&text);
        // An error may come with any status, 200 included.
        if let Ok(members) = &members
            && let Some(error) = members.error.filter(|error| error.get() != "\"\"")
        {
            return Err(self.error(error, members));
        }
        if self.status != StatusCode::OK {
            return Err(Fault::Status);
        }
        let members = members?;
        let access_token = access_token(members.access_token)?;
        self.check_type(members.token_type)?;
        let expires_in = members.expires_in.and_then(seconds);
        let refresh_in = members.refresh_in.and_then(seconds).filter(|&refresh_in| {
            !refresh_in.is_zero() && refresh_in <= expires_in.unwrap_or(MAX_LIFETIME)
        });
        Ok(TokenAnswer {
            access_token,
            expires_in,
            refresh_in,
            scope: members.scope.and_then(|scope| self.scope(scope)),
        })
    }

    fn error(self, error: &RawValue, members: &Members<'_>) -> Fault {
        let text = |value: Option<&RawValue>| {
            let text: String = value.and_then(typed)?;
            Some(quote(text.trim(), self.credentials)).filter(|text| !text.is_empty())
        };
        // Some servers put an object there, with codes of their own.
        let Some(code) = typed::<String>(error) else {
            return Fault::ForeignError;
        };
        Fault::OAuth {
            code: error_code(&code, self.credentials),
            description: text(members.error_description),
            uri: text(members.error_uri),
        }
    }

    /// Only bearer tokens can be used (RFC 6749 section 7.1), whatever the case of the word.
    fn check_type(self, token_type: Option<&RawValue>) -> Result<(), Fault> {
        let token_type: String = token_type.and_then(typed).ok_or(Fault::MissingTokenType)?;
        let is = |name| token_type.eq_ignore_ascii_case(name);
        if is("Bearer") {
            Ok(())
        } else if is("DPoP") {
            Err(Fault::SenderConstrained)
        } else if is("N_A") {
            Err(Fault::NotAnAccessToken)
        } else {
            Err(Fault::UnsupportedTokenType {
                token_type: quote(&token_type, self.credentials),
            })
        }
    }

    /// The scope granted, with single spaces between its tokens. Not cut to a length, because
    /// programs compare it: so an echo takes all of it away.
    fn scope(self, scope: &RawValue) -> Option<String> {
        let text = typed(scope).or_else(|| Some(typed::<Vec<String>>(scope)?.join(" ")))?;
        let fit = |token: &&str| !token.chars().any(char::is_control);
        let tokens: Vec<&str> = text.split_whitespace().filter(fit).collect();
        let scope = tokens.join(" ");
        if echoes(&scope, self.credentials) {
            return Some("[redacted]".to_owned());
        }
        Some(scope).filter(|scope| !scope.is_empty())
    }

    /// Where a redirect leads to: its origin, because the rest may repeat what was sent.
    fn redirect_origin(self) -> Option<String> {
        let location = self.headers.get(LOCATION)?;
        let origin = endpoint::origin(&Uri::try_from(location.as_bytes()).ok()?)?;
        Some(quote(&origin, self.credentials))
    }
}

impl<'a> Members<'a> {
    fn read(text: &'a str) -> Result<Self, Fault> {
        let text = text.trim_start_matches('\u{feff}').trim();
        match text.bytes().next() {
            Some(b'{') => {}
            Some(b'<') => return Err(Fault::Html),
            Some(b'[') => return Err(Fault::NotAnObject),
            Some(_) => return Err(Fault::NotJson),
            None => return Err(Fault::Empty),
        }
        serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Eof => Fault::Truncated,
            // Every member takes any value: what is left is a member that is there twice.
            Category::Data => Fault::DuplicateMember,
            Category::Syntax | Category::Io => Fault::NotJson,
        })
    }
}

fn typed<T: DeserializeOwned>(value: &RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

fn access_token(value: Option<&RawValue>) -> Result<Zeroizing<String>, Fault> {
    let token: String = value.and_then(typed).ok_or(Fault::MissingAccessToken)?;
    let token = Zeroizing::new(token);
    if token.is_empty() {
        return Err(Fault::MissingAccessToken);
    }
    // Anything else would split or break the header that it is to stand in.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::InvalidAccessToken);
    }
    Ok(token)
}

/// The `error` code, in the characters that RFC 6749 section 5.2 allows.
fn error_code(code: &str, credentials: &[&[u8]]) -> String {
    // A short secret may well be part of a registered code.
    if Refusal::is_known(code) {
        return code.to_owned();
    }
    let allowed = |char: char| matches!(char, ' '..='~') && !matches!(char, '"' | '\\');
    let code = quote(code.trim(), credentials);
    code.replace(|char| !allowed(char), "?")
}

/// Whether 16 or more octets of a credential in a row are part of the text.
fn echoes(text: &str, credentials: &[&[u8]]) -> bool {
    let runs: HashSet<&[u8]> = credentials.iter().flat_map(|c| c.windows(16)).collect();
    text.as_bytes().windows(16).any(|run| runs.contains(run))
}

#[cfg(test)]
mod tests;
