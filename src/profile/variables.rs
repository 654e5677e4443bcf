//! `${NAME}` in a text stands for an environment variable.

use std::env::VarError;

/// Where variables come from: the process's environment, but for tests.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

/// Puts the values of variables in the place of their names. `$${` stands for `${`.
///
/// # Errors
///
/// What is wrong, and what to do about it.
pub(super) fn expand(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        rest = &rest[at + 2..];
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            continue;
        }
        out.push_str(before);
        let name = rest.split_once('}').filter(|(name, _)| is_name(name));
        let Some((name, after)) = name else {
            return Err(
                "`${` begins the name of an environment variable, as in `${NAME}`: write `$${` \
                 for the characters themselves"
                    .to_owned(),
            );
        };
        let value = environment(name).map_err(|error| match error {
            VarError::NotPresent => {
                format!("the environment variable {name} isn't set: set it, or take it out here")
            }
            VarError::NotUnicode(_) => format!("the environment variable {name} isn't UTF-8"),
        })?;
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(part) && !name.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_becomes_its_value_and_nothing_else_changes() {
        let environment = |name: &str| match name {
            "HOST" => Ok("as.example".to_owned()),
            "TRICKY" => Ok("${HOST}".to_owned()),
            _ => Err(VarError::NotPresent),
        };
        for (text, expected) in [
            ("", Some("")),
            ("plain $ {HOST} $HOST }", Some("plain $ {HOST} $HOST }")),
            ("https://${HOST}/token", Some("https://as.example/token")),
            ("${HOST}${HOST}", Some("as.exampleas.example")),
            ("$${HOST}", Some("${HOST}")),
            ("$$${HOST}", Some("$${HOST}")),
            ("$${${HOST}", Some("${as.example")),
            ("${TRICKY}", Some("${HOST}")),
            ("${", None),
            ("${}", None),
            ("${HOST", None),
            ("${HO ST}", None),
            ("${1}", None),
            ("${MISSING}", None),
        ] {
            let expanded = expand(text, &environment);
            assert_eq!(expanded.as_deref().ok(), expected, "{text}");
        }
        let error = expand("a ${MISSING} b", &environment).unwrap_err();
        assert!(error.contains("MISSING"), "{error}");
    }
}
