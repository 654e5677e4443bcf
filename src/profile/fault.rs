//! What is wrong with a profile: one fault, a list of them on its way, and the error.

use std::{
    error::Error as StdError,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::tree::{Place, Places, Step, dotted};
use crate::{
    error::{BoxError, ErrorKind, TokenError},
    keystore::KeystoreError,
};

/// Who has more than this many faults to mend looks again in between.
const MANY: usize = 20;

/// How far a profile got: each stage needs those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// The file itself: it can't be read, or what it says can't be meant.
    File,
    /// The client's key and certificate.
    Keystore,
    /// The authorities that vouch for the authorization server, or for the API.
    Trust,
    /// A secret that stands elsewhere: in a file, or in an environment variable.
    Secret,
    /// The proxy that the environment names.
    Proxy,
    /// What all of it is put together to.
    Client,
}

/// What is wrong with a profile.
///
/// `Display` names for each fault the file, the line, the key and the cure, one fault a line. No
/// secret is part of it.
#[derive(Clone)]
pub struct ProfileError(Arc<Inner>);

struct Inner {
    stage: Stage,
    faults: Vec<Fault>,
}

/// One thing that is wrong with a profile, and where.
pub struct Fault {
    file: Option<PathBuf>,
    place: Option<Place>,
    key: String,
    message: String,
    source: Option<BoxError>,
}

// ===== impl ProfileError =====

impl ProfileError {
    pub(super) fn new(stage: Stage, faults: Vec<Fault>) -> Self {
        Self(Arc::new(Inner { stage, faults }))
    }

    /// How far it got.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// All that is wrong, in the order of the file. At least one.
    pub fn faults(&self) -> &[Fault] {
        &self.0.faults
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.faults.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileError")
            .field("stage", &self.0.stage)
            .field("faults", &self.0.faults)
            .finish()
    }
}

impl StdError for ProfileError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.faults.first().and_then(StdError::source)
    }
}

impl From<ProfileError> for TokenError {
    fn from(error: ProfileError) -> Self {
        let kind = match error.stage() {
            Stage::Keystore => ErrorKind::Key,
            _ => ErrorKind::Configuration,
        };
        Self::new(kind, "the profile can't be used").with_source(error)
    }
}

// ===== impl Fault =====

impl Fault {
    /// The file, if the profile was read from one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The line that the key stands in, or that of the nearest table around it: from one on.
    pub fn line(&self) -> Option<usize> {
        self.place.map(|place| place.line)
    }

    /// The column, in octets: from one on.
    pub fn column(&self) -> Option<usize> {
        self.place.map(|place| place.column)
    }

    /// The key with all tables around it, such as `keystore.password_file`. Empty if it is not
    /// about a key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, and what to do about it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display())?,
            None => f.write_str("profile")?,
        }
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fault").field(&self.to_string()).finish()
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // What `Display` says already is not said twice.
        self.source.as_ref().and_then(|source| source.source())
    }
}

// ===== impl Origin =====

/// Where a profile comes from: enough to say of any key where it stands, and nothing of any value.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    pub(super) file: Option<PathBuf>,
    /// The path of the table that is the profile.
    pub(super) root: Vec<Step>,
    pub(super) places: Places,
}

impl Origin {
    /// An error about a key of the profile.
    pub(super) fn error(
        &self,
        stage: Stage,
        key: &str,
        source: impl Into<BoxError>,
    ) -> ProfileError {
        let source = source.into();
        let mut fault = self.fault(self.full(key), source.to_string());
        fault.source = Some(source);
        ProfileError::new(stage, vec![fault])
    }

    /// An error about a store: it names the key in this table that is to blame.
    pub(super) fn store_error(
        &self,
        stage: Stage,
        table: &str,
        error: KeystoreError,
    ) -> ProfileError {
        let blamed: &[&str] = match &error {
            KeystoreError::WrongPassword { .. }
            | KeystoreError::MissingPassword { .. }
            | KeystoreError::EncryptedKey { .. }
            | KeystoreError::NoPassword { .. } => &["password_file", "password_env"],
            KeystoreError::WrongKeyPassword { .. } => &["key_password_file", "key_password_env"],
            KeystoreError::UnknownAlias { .. } | KeystoreError::SeveralKeys { .. } => &["alias"],
            KeystoreError::Mismatch { .. } => &["key_file", "path"],
            _ => &["path", "certificate_file"],
        };
        let keys = blamed.iter().map(|key| format!("{table}.{key}"));
        let key = keys
            .into_iter()
            .find(|key| self.places.has(&self.full(key)));
        self.error(stage, key.as_deref().unwrap_or(table), error)
    }

    /// An error about the file as a whole.
    pub(super) fn file_error(
        &self,
        place: Option<Place>,
        message: impl Into<String>,
    ) -> ProfileError {
        let mut fault = self.fault(String::new(), message.into());
        fault.place = place;
        ProfileError::new(Stage::File, vec![fault])
    }

    fn fault(&self, key: String, message: String) -> Fault {
        Fault {
            file: self.file.clone(),
            place: self.places.of(&key),
            key,
            message,
            source: None,
        }
    }

    fn full(&self, key: &str) -> String {
        match dotted(&self.root) {
            root if root.is_empty() => key.to_owned(),
            root if key.is_empty() => root,
            root => format!("{root}.{key}"),
        }
    }
}

// ===== impl Faults =====

/// Faults of a file, while it is read.
pub(super) struct Faults<'a> {
    origin: &'a Origin,
    found: Vec<Fault>,
}

impl<'a> Faults<'a> {
    pub(super) fn of(origin: &'a Origin) -> Self {
        Self {
            origin,
            found: Vec::new(),
        }
    }

    /// Notes a fault of a key of the profile.
    pub(super) fn at(&mut self, key: &str, message: impl Into<String>) {
        let fault = self.origin.fault(self.origin.full(key), message.into());
        self.found.push(fault);
    }

    /// The same, for a key of a table that may have any keys.
    pub(super) fn at_key_of(&mut self, table: &str, key: &str, message: impl Into<String>) {
        let path = [Step::Key(table.to_owned()), Step::Key(key.to_owned())];
        self.at_path(&path, message);
    }

    /// The same, for a path that begins at the profile.
    pub(super) fn at_path(&mut self, path: &[Step], message: impl Into<String>) {
        self.at(&dotted(path), message);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MANY
    }

    /// What was read, if nothing is wrong.
    pub(super) fn or<T>(mut self, read: Option<T>) -> Result<T, ProfileError> {
        match read {
            Some(read) if self.found.is_empty() => Ok(read),
            _ => {
                self.found.sort_by_key(|fault| fault.place);
                Err(ProfileError::new(Stage::File, self.found))
            }
        }
    }
}
