//! Where a secret stands that must not stand in a profile.

use std::{
    env,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::secret::SecretString;

/// More than any client secret has.
const LIMIT: usize = 16 * 1024;

/// Where a secret is to be read.
#[derive(Clone, Debug)]
pub(super) enum SecretPlace {
    /// It isn't one: it stands in the profile.
    Given(SecretString),
    File(PathBuf),
    Variable(String),
}

impl SecretPlace {
    /// The key that names it, of the two that can.
    pub(super) fn key(&self, plain: &str) -> String {
        match self {
            Self::Given(_) => plain.to_owned(),
            Self::File(_) => format!("{plain}_file"),
            Self::Variable(_) => format!("{plain}_env"),
        }
    }

    /// Reads it. Blocks. A line break at the end of a file doesn't count.
    pub(super) fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Given(value) => Ok(value.clone()),
            Self::File(path) => {
                let text = read(path)
                    .map_err(|error| format!("{} can't be read: {error}", path.display()))?;
                let text =
                    str::from_utf8(&text).map_err(|_| format!("{} isn't UTF-8", path.display()))?;
                let text = text.strip_suffix('\n').unwrap_or(text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() {
                    return Err(format!("{} is empty", path.display()));
                }
                Ok(text.into())
            }
            Self::Variable(name) => match env::var(name) {
                Ok(value) if value.is_empty() => {
                    Err(format!("the environment variable {name} is empty"))
                }
                Ok(value) => Ok(value.into()),
                Err(env::VarError::NotPresent) => Err(format!(
                    "the environment variable {name}, which should hold it, isn't set"
                )),
                Err(env::VarError::NotUnicode(_)) => {
                    Err(format!("the environment variable {name} isn't UTF-8"))
                }
            },
        }
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Of its full size from the start: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(LIMIT + 2));
    File::open(path)?
        .take(LIMIT as u64 + 1)
        .read_to_end(&mut text)?;
    if text.len() > LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 16 KiB",
        ));
    }
    Ok(text)
}
