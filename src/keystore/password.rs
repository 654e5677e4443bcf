use std::{
    env, fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::KeystoreError;
use crate::secret::SecretString;

/// Where the password of a [`KeyStore`](super::KeyStore) comes from.
///
/// A file or an environment variable is read anew each time the store is loaded, so that password
/// and store can change together. `Debug` shows the place, never the password.
#[derive(Clone)]
pub struct Password(Source);

#[derive(Clone)]
enum Source {
    Value(SecretString),
    File(PathBuf),
    Env(String),
}

impl Password {
    /// The content of this file, without the line break at its end.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// The value of this environment variable.
    pub fn env(name: impl Into<String>) -> Self {
        Self(Source::Env(name.into()))
    }

    /// The file that it comes from, if it does.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.0 {
            Source::File(path) => Some(path),
            Source::Value(_) | Source::Env(_) => None,
        }
    }

    /// Reads it. Blocks.
    pub(super) fn read(&self) -> Result<SecretString, KeystoreError> {
        match &self.0 {
            Source::Value(value) => Ok(value.clone()),
            Source::File(path) => {
                let input = || format!("the password file {}", path.display());
                let text = read_text(path).map_err(|source| KeystoreError::Unreadable {
                    input: input(),
                    source,
                })?;
                let text = str::from_utf8(&text).map_err(|_| KeystoreError::Malformed {
                    input: input(),
                    reason: "it isn't UTF-8, or longer than 4096 octets",
                })?;
                let text = text.strip_suffix('\n').unwrap_or(text);
                Ok(text.strip_suffix('\r').unwrap_or(text).into())
            }
            Source::Env(name) => {
                let value = env::var(name).map_err(|error| KeystoreError::NoPassword {
                    variable: name.clone(),
                    unset: matches!(error, env::VarError::NotPresent),
                })?;
                Ok(value.into())
            }
        }
    }
}

/// The octet past the limit is one that no UTF-8 has: what is too long is no text.
fn read_text(path: &PathBuf) -> std::io::Result<Zeroizing<Vec<u8>>> {
    const LIMIT: usize = 4096;
    // Of its full size from the start: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(LIMIT + 2));
    File::open(path)?
        .take(LIMIT as u64 + 1)
        .read_to_end(&mut text)?;
    if text.len() > LIMIT {
        text.push(0xff);
    }
    Ok(text)
}

impl From<SecretString> for Password {
    fn from(value: SecretString) -> Self {
        Self(Source::Value(value))
    }
}

impl From<&str> for Password {
    fn from(value: &str) -> Self {
        Self(Source::Value(value.into()))
    }
}

impl From<String> for Password {
    fn from(value: String) -> Self {
        Self(Source::Value(value.into()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Value(value) => value.fmt(f),
            Source::File(path) => write!(f, "[in file {}]", path.display()),
            Source::Env(name) => write!(f, "[in variable {name}]"),
        }
    }
}
