use std::{collections::BTreeSet, fmt, str::FromStr};

/// A set of scope tokens (RFC 6749 section 3.3).
///
/// The order is kept for the wire, where it means nothing: two scopes are equal when they hold the
/// same tokens.
///
/// ```
/// use tower_oauth::protocol::Scope;
///
/// let scope: Scope = "orders.read orders.write".parse()?;
/// assert_eq!(scope, "orders.write orders.read".parse()?);
/// assert_eq!(scope.to_string(), "orders.read orders.write");
/// # Ok::<(), tower_oauth::protocol::InvalidScope>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scope(Vec<String>);

impl Scope {
    /// No scope: the server falls back to its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tokens, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is no token in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the tokens of `other` that are not there yet.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        for token in other.0 {
            if !self.0.contains(&token) {
                self.0.push(token);
            }
        }
        self
    }

    fn sorted(&self) -> BTreeSet<&str> {
        self.iter().collect()
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    /// Reads tokens with spaces between them.
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let mut scope = Self::new();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if let Some(char) = token.chars().find(|&char| !is_scope_char(char)) {
                return Err(InvalidScope { char });
            }
            scope = scope.union(Self(vec![token.to_owned()]));
        }
        Ok(scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Eq for Scope {}

fn is_scope_char(char: char) -> bool {
    char.is_ascii_graphic() && !matches!(char, '"' | '\\')
}

/// A scope with a character that can't stand in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidScope {
    char: char,
}

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a scope can't hold {:?}: use printable ASCII without quotes and backslashes, with \
             spaces between several scopes",
            self.char
        )
    }
}

impl std::error::Error for InvalidScope {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_mean_nothing() {
        let scope: Scope = " a  b a ".parse().unwrap();
        assert_eq!(scope.to_string(), "a b");
        assert_eq!(scope, "b a".parse().unwrap());
        assert_ne!(scope, "a B".parse().unwrap(), "case matters");
        assert_ne!(scope, "a".parse().unwrap());
        assert!(" ".parse::<Scope>().unwrap().is_empty());
    }

    #[test]
    fn a_character_outside_the_grammar_is_refused() {
        for odd in ["a\"b", "a\\b", "a\tb", "a\r\nb", "é", "a\u{7f}", "\0"] {
            assert!(odd.parse::<Scope>().is_err(), "{odd:?}");
        }
        // Some servers want commas; for us that is one token.
        for fine in ["a,b", "https://api.example/.default", "!#$%&'()*+~[]{}"] {
            assert_eq!(fine.parse::<Scope>().unwrap().to_string(), fine);
        }
    }
}
