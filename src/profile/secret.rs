//! Where a secret stands that must not stand in a profile.

use std::{env, path::PathBuf};

use crate::secret::{SecretString, read_file};

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
            Self::File(path) => read_file(path),
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
