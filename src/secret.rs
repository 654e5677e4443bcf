//! Values that must not be seen: they format as `[redacted]` and are wiped when dropped.

mod file;

use std::{collections::HashSet, fmt};

use zeroize::Zeroizing;

pub(crate) use self::file::read_file;

/// A secret text, such as a client secret.
///
/// `Debug` shows `[redacted]`, there is no `Display`, and the memory is wiped on drop.
#[derive(Clone)]
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretString {
    fn from(value: String) -> Self {
        Self(Zeroizing::new(value))
    }
}

impl From<&str> for SecretString {
    fn from(value: &str) -> Self {
        Self::from(value.to_owned())
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The longest text of a server's that is repeated anywhere.
const MAX_QUOTED: usize = 256;

/// A run of this many octets of a credential is cut out of a server's text.
const MAX_RUN: usize = 16;

/// Makes a server's text fit to be repeated: at most 256 characters, control characters escaped,
/// and any run of 16 or more octets of the credentials cut out, in whatever case, because servers
/// echo what they were sent.
pub(crate) fn quote(text: &str, credentials: &[&[u8]]) -> String {
    let lower = text.to_ascii_lowercase();
    let bytes = lower.as_bytes();
    let mut hidden = vec![false; bytes.len()];
    for credential in credentials {
        let run = credential.len().min(MAX_RUN);
        // Shorter than this, a run would hide ordinary words.
        if run < 4 {
            continue;
        }
        let credential = Zeroizing::new(credential.to_ascii_lowercase());
        let runs: HashSet<&[u8]> = credential.windows(run).collect();
        for (at, window) in bytes.windows(run).enumerate() {
            if runs.contains(window) {
                hidden[at..at + run].fill(true);
            }
        }
    }

    let mut out = String::new();
    let mut length = 0;
    let mut hiding = false;
    for (at, char) in text.char_indices() {
        if hidden[at] {
            if !hiding {
                out.push_str("[redacted]");
                length += "[redacted]".len();
            }
            hiding = true;
            continue;
        }
        hiding = false;
        let escaped = char.escape_debug();
        length += escaped.len();
        if length > MAX_QUOTED {
            out.push('…');
            break;
        }
        // Quotes read better as they are; everything else that `escape_debug` touches is unfit.
        if matches!(char, '"' | '\'') {
            out.push(char);
        } else {
            out.extend(escaped);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_formatted() {
        let secret = SecretString::from("correct horse battery staple");
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }

    #[test]
    fn an_echoed_credential_is_cut_out_of_a_quoted_text() {
        let secret = b"0123456789abcdefghijklmnop";
        assert_eq!(
            quote("secret 0123456789abcdefghijklmnop is wrong", &[secret]),
            "secret [redacted] is wrong"
        );
        assert_eq!(
            quote("part 3456789abcdefghijk!", &[secret]),
            "part [redacted]!"
        );
        assert_eq!(
            quote("LOUD 3456789ABCDEFGHIJK!", &[secret]),
            "LOUD [redacted]!"
        );
        assert_eq!(quote("short 01234", &[secret]), "short 01234");
        assert_eq!(quote("pin hunter2!", &[b"hunter2"]), "pin [redacted]!");
    }

    #[test]
    fn a_quoted_text_stays_on_one_line_and_short() {
        assert_eq!(quote("a\r\nb \"c\"", &[]), "a\\r\\nb \"c\"");
        assert!(quote(&"x".repeat(9000), &[]).chars().count() <= 257);
        assert_eq!(quote("密钥", &[]), "密钥");
    }
}
