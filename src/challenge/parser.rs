use std::fmt;

use http::{
    HeaderMap,
    header::{HeaderValue, WWW_AUTHENTICATE},
};

/// How many octets of `WWW-Authenticate` are read of one response; what comes after is ignored.
const MAX_OCTETS: usize = 64 * 1024;

/// One challenge of a `WWW-Authenticate` header (RFC 9110 section 11.6.1).
///
/// The texts in it are the server's, and servers echo what they were sent: a parameter may hold
/// the very token that was refused. `Debug` therefore shows the scheme and the parameters' names
/// only; for a text that may be logged, see [`Refusal`](super::Refusal).
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    params: Vec<(String, String)>,
    token68: Option<String>,
}

impl Challenge {
    /// The authentication scheme in lower case, such as `bearer`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The value of the first parameter of this name, unquoted. The name's case doesn't matter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// All parameters in the order sent, names in lower case, values unquoted.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What stands in place of parameters in challenges such as Negotiate's.
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }

    fn new(scheme: &[u8]) -> Self {
        Self {
            scheme: lower_case(scheme),
            params: Vec::new(),
            token68: None,
        }
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.params.iter().map(|(name, _)| shown(name)).collect();
        f.debug_struct("Challenge")
            .field("scheme", &shown(&self.scheme))
            .field("params", &names)
            .finish_non_exhaustive()
    }
}

/// A name fit to be seen: a credential may be echoed where a name is expected, too.
fn shown(name: &str) -> &str {
    const LONG: [&str; 3] = [
        "authorization_uri",
        "error_description",
        "resource_metadata",
    ];
    if name.len() < 16 || LONG.contains(&name) {
        name
    } else {
        "[redacted]"
    }
}

/// Reads every challenge of every `WWW-Authenticate` line, in order.
///
/// What breaks the grammar is passed over and never costs a challenge that came before it: a
/// parameter without a usable value is dropped, words without a place are skipped up to the next
/// comma, a quote that isn't closed ends with its line. Semicolons count as commas, a missing
/// comma between two parameters is forgiven. Values are taken as UTF-8, or else as ISO-8859-1.
/// The work is linear in the header's size, and only its first 64 KiB are read.
///
/// ```
/// use http::{HeaderMap, header::WWW_AUTHENTICATE};
///
/// let mut headers = HeaderMap::new();
/// headers.append(WWW_AUTHENTICATE, "Negotiate YII=".parse()?);
/// headers.append(WWW_AUTHENTICATE, r#"Bearer realm="x", error="invalid_token""#.parse()?);
///
/// let challenges = tower_oauth::challenge::parse(&headers);
/// assert_eq!(challenges[0].token68(), Some("YII="));
/// assert_eq!(challenges[1].scheme(), "bearer");
/// assert_eq!(challenges[1].param("error"), Some("invalid_token"));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn parse(headers: &HeaderMap) -> Vec<Challenge> {
    let lines = headers.get_all(WWW_AUTHENTICATE).into_iter();
    parse_lines(lines.map(HeaderValue::as_bytes))
}

/// Several lines are one list (RFC 9110 section 5.3), so a line may go on with the parameters of
/// the line before.
fn parse_lines<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut left = MAX_OCTETS;
    for line in lines {
        let line = &line[..line.len().min(left)];
        left -= line.len();
        Reader { rest: line }.read(&mut challenges);
    }
    challenges
}

/// What is left of a field line. Every method takes octets off its front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn read(mut self, challenges: &mut Vec<Challenge>) {
        // Only where a list element begins may a scheme stand. Without a comma before it, a lone
        // word is part of a value that should have been quoted.
        let mut element_begins = true;
        while let Some(&octet) = self.rest.first() {
            if is_blank(octet) {
                self.skip(1);
            } else if is_comma(octet) {
                self.skip(1);
                element_begins = true;
            } else {
                self.read_word(element_begins, challenges);
                element_begins = false;
            }
        }
    }

    fn read_word(&mut self, element_begins: bool, challenges: &mut Vec<Challenge>) {
        let word = self.take_while(is_tchar);
        let delimited = self.rest.first().is_none_or(|&next| is_delimiter(next));
        self.take_while(is_blank);
        if !word.is_empty() && self.rest.first() == Some(&b'=') {
            self.skip(1);
            self.take_while(is_blank);
            // A parameter before any scheme belongs to nobody.
            if let (Some(value), Some(challenge)) = (self.take_value(), challenges.last_mut()) {
                challenge.params.push((lower_case(word), value));
            }
        } else if !word.is_empty() && delimited && element_begins {
            let mut challenge = Challenge::new(word);
            challenge.token68 = self.take_token68();
            challenges.push(challenge);
        } else {
            self.skip_element();
        }
    }

    fn take_value(&mut self) -> Option<String> {
        if self.rest.first() == Some(&b'"') {
            return Some(text(self.take_quoted()));
        }
        let token = self.take_while(is_tchar);
        if !token.is_empty() && self.rest.first().is_none_or(|&next| is_delimiter(next)) {
            return Some(text(token.to_vec()));
        }
        self.skip_element();
        None
    }

    /// Takes a quoted-string (RFC 9110 section 5.6.4), closed or not.
    fn take_quoted(&mut self) -> Vec<u8> {
        self.skip(1);
        let mut value = Vec::new();
        loop {
            match *self.rest {
                [] => break,
                [b'"', ..] => {
                    self.skip(1);
                    break;
                }
                [b'\\', escaped, ..] => {
                    value.push(escaped);
                    self.skip(2);
                }
                [octet, ..] => {
                    value.push(octet);
                    self.skip(1);
                }
            }
        }
        value
    }

    /// Takes a token68 (RFC 9110 section 11.2). `a=` is one and `a=b` is a parameter: what tells
    /// them apart is that a token68 stands alone in its list element.
    fn take_token68(&mut self) -> Option<String> {
        let mut ahead = Reader { rest: self.rest };
        let start = ahead.rest;
        let characters = ahead.take_while(is_token68).len();
        let padding = ahead.take_while(|octet| octet == b'=').len();
        ahead.take_while(is_blank);
        let alone = ahead.rest.first().is_none_or(|&next| is_comma(next));
        if characters == 0 || !alone {
            return None;
        }
        self.rest = ahead.rest;
        Some(text(start[..characters + padding].to_vec()))
    }

    /// Passes over what has no meaning, up to the next comma outside quotes.
    fn skip_element(&mut self) {
        while let Some(&octet) = self.rest.first() {
            match octet {
                b'"' => drop(self.take_quoted()),
                _ if is_comma(octet) => break,
                _ => self.skip(1),
            }
        }
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&octet| !belongs(octet));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip(&mut self, octets: usize) {
        self.rest = &self.rest[octets..];
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

fn is_comma(octet: u8) -> bool {
    matches!(octet, b',' | b';')
}

fn is_delimiter(octet: u8) -> bool {
    is_blank(octet) || is_comma(octet)
}

/// RFC 9110 section 5.6.2.
fn is_tchar(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

fn is_token68(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~+/".contains(&octet)
}

fn lower_case(token: &[u8]) -> String {
    text(token.to_ascii_lowercase())
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests;
