//! Source text as words and marks.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lexeme {
    Word(String),
    Mark(char),
}

/// The words and marks of a source text, without comments, literals and lifetimes.
pub(super) fn lexemes(source: &str) -> Vec<Lexeme> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(char) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            length
        } else if is_word(char) {
            let length = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
            found.push(Lexeme::Word(rest[..length].to_owned()));
            length
        } else {
            if !char.is_whitespace() {
                found.push(Lexeme::Mark(char));
            }
            char.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string, character or lifetime that the text begins with.
fn literal(text: &str) -> Option<usize> {
    let after_prefix = ["br", "cr", "b", "c", "r", ""]
        .into_iter()
        .find_map(|prefix| {
            let rest = text.strip_prefix(prefix)?;
            let raw = prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"');
            (raw || rest.starts_with(['"', '\''])).then_some((rest, raw))
        });
    let (rest, raw) = after_prefix?;
    let prefix = text.len() - rest.len();
    if raw {
        let fence = rest.find('"').expect("checked above");
        let end = format!("\"{}", "#".repeat(fence));
        let body = &rest[fence + 1..];
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix + fence + 1 + length);
    }
    let quote = rest.chars().next().expect("checked above");
    let body = &rest[1..];
    if quote == '\'' && !body.starts_with('\\') {
        let mut chars = body.chars();
        let first = chars.next()?;
        if chars.next() != Some('\'') {
            // A lifetime, or a label.
            let end = body.find(|char| !is_word(char)).unwrap_or(body.len());
            return Some(prefix + 1 + end);
        }
        return Some(prefix + first.len_utf8() + 2);
    }
    let mut escaped = false;
    for (at, char) in body.char_indices() {
        if !escaped && char == quote {
            return Some(prefix + at + 2);
        }
        escaped = !escaped && char == '\\';
    }
    Some(text.len())
}
