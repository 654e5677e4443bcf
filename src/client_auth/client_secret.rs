use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Refused;
use crate::{
    error::{BoxError, ErrorKind, TokenError},
    secret::{SecretString, read_file},
};

/// The secret of a client that shares one with the server: a text, or where to read it.
///
/// What is read is read anew for each token request, so that a secret that changes needs no
/// restart. If the server refuses it (`invalid_client`) and by then another one is there, that one
/// is sent at once, in the same fetch.
///
/// ```no_run
/// use tower_oauth::client_auth::{ClientSecret, ClientSecretBasic};
///
/// let auth = ClientSecretBasic::new(ClientSecret::file("/var/run/secrets/orders/client-secret"));
/// # let _ = auth;
/// ```
#[derive(Clone)]
pub struct ClientSecret(Place);

#[derive(Clone)]
enum Place {
    Given(SecretString),
    File(Arc<Path>),
    Function(Arc<Read>),
}

type Read = dyn Fn() -> Result<SecretString, BoxError> + Send + Sync;

impl ClientSecret {
    /// The content of this file, UTF-8 and 16 KiB at most, without the line break at its end.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(path.into().into()))
    }

    /// What this function gives: it may block, and is called on a thread for that. The chain of its
    /// error becomes part of logs: it must hold no secret.
    pub fn from_fn<S, E>(read: impl Fn() -> Result<S, E> + Send + Sync + 'static) -> Self
    where
        S: Into<SecretString>,
        E: Into<BoxError>,
    {
        Self(Place::Function(Arc::new(move || {
            read().map(Into::into).map_err(Into::into)
        })))
    }

    /// The secret, where it can be looked at before it is needed. Blocks.
    #[cfg(feature = "jwt")]
    pub(super) fn at_hand(&self) -> Option<SecretString> {
        match &self.0 {
            Place::Function(_) => None,
            place => place.read().ok(),
        }
    }

    /// The secret as it is now.
    pub(super) async fn read(&self) -> Result<Cow<'_, SecretString>, TokenError> {
        let place = match &self.0 {
            Place::Given(secret) => return Ok(Cow::Borrowed(secret)),
            elsewhere => elsewhere.clone(),
        };
        let read = tokio::task::spawn_blocking(move || place.read()).await;
        read.map_err(|_| TokenError::new(ErrorKind::Internal, "reading was broken off"))?
            .map(Cow::Owned)
    }

    /// Whether there is another one by now than the one that was refused.
    pub(super) async fn has_changed(&self, refused: &Refused<'_>) -> bool {
        if matches!(self.0, Place::Given(_)) {
            return false;
        }
        let now = self.read().await;
        now.is_ok_and(|secret| !refused.was_told(secret.expose()))
    }
}

impl Place {
    /// Blocks.
    fn read(&self) -> Result<SecretString, TokenError> {
        // Whoever writes it may be late: what is wrong may pass by itself.
        let missing = |message: String| TokenError::new(ErrorKind::Key, message).temporary(true);
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(path) => read_file(path).map_err(|said| {
                missing(format!("the client secret in {said}"))
                    .with_hint("check that it is mounted there, and that this process may read it")
            }),
            Self::Function(read) => read().map_err(|error| {
                missing("the client secret can't be had".to_owned()).with_source(error)
            }),
        }
    }
}

impl From<SecretString> for ClientSecret {
    fn from(secret: SecretString) -> Self {
        Self(Place::Given(secret))
    }
}

impl From<&str> for ClientSecret {
    fn from(secret: &str) -> Self {
        SecretString::from(secret).into()
    }
}

impl From<String> for ClientSecret {
    fn from(secret: String) -> Self {
        SecretString::from(secret).into()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Given(secret) => secret.fmt(f),
            Place::File(path) => write!(f, "[in file {}]", path.display()),
            Place::Function(_) => f.write_str("[from a function]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    #[tokio::test]
    async fn a_secret_elsewhere_is_read_each_time_and_never_formatted() {
        let calls = AtomicUsize::new(0);
        let secret = ClientSecret::from_fn(move || {
            let call = calls.fetch_add(1, SeqCst);
            Ok::<_, BoxError>(format!("hunter{call}"))
        });
        for expected in ["hunter0", "hunter1"] {
            assert_eq!(secret.read().await.unwrap().expose(), expected);
        }
        assert!(!format!("{secret:?}").contains("hunter"));

        let name = format!("tower-oauth-{}-client-secret", std::process::id());
        let path = std::env::temp_dir().join(name);
        let secret = ClientSecret::file(&path);
        for content in ["hunter2", "hunter3\n", "hunter4\r\n"] {
            fs::write(&path, content).unwrap();
            assert_eq!(secret.read().await.unwrap().expose(), content.trim_end());
        }
        fs::remove_file(&path).unwrap();
        let debug = format!("{secret:?}");
        assert!(debug.contains("client-secret") && !debug.contains("hunter"));
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_had_is_an_error_that_may_pass() {
        let broken = ClientSecret::from_fn(|| Err::<String, _>("the vault is sealed"));
        let panics = ClientSecret::from_fn(|| -> Result<String, BoxError> { panic!("at once") });
        for (secret, said, kind) in [
            (
                ClientSecret::file("/nowhere/to/be/found"),
                "/nowhere/to/be/found",
                ErrorKind::Key,
            ),
            (broken, "can't be had", ErrorKind::Key),
            (panics, "broken off", ErrorKind::Internal),
        ] {
            let error = secret.read().await.unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(error.kind(), kind);
            assert!(error.is_temporary(), "{error}");
        }
    }
}
