use std::{
    env, fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{
    check::check,
    document::Document,
    fault::{Faults, Origin, ProfileError, Stage},
    settings::{Server, Settings, Trust},
    variables::Environment,
};
use crate::{
    keystore::RotatingIdentity,
    protocol::{Endpoint, Scope},
    service::AllowedOrigins,
};

/// Profiles have a few hundred lines at most.
const LIMIT: u64 = 1024 * 1024;

/// How a client gets its tokens and where they may go, as one file says it.
///
/// A profile is whole: all that can be checked without opening another file has been checked when
/// there is one. Keystores, truststores and secrets are read by the methods that need them, each
/// of which is a [`Stage`] of its own. Clones share the keystore's identity.
///
/// ```no_run
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower_oauth::profile::Profile;
///
/// let profile = Profile::load("orders.toml")?;
/// let api = tower::ServiceBuilder::new()
///     .layer(profile.layer()?)
///     .service(profile.api_client::<Full<Bytes>>()?);
/// # let _ = api;
/// # Ok::<(), tower_oauth::profile::ProfileError>(())
/// ```
#[derive(Clone)]
pub struct Profile(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) name: Option<String>,
    pub(super) origin: Origin,
    pub(super) settings: Settings,
    /// One record for all that need it, from the first who asks.
    pub(super) identity: Mutex<Option<RotatingIdentity>>,
}

impl Profile {
    /// Reads the only profile of a file: TOML or JSON, by the end of its name or else by its
    /// content. Paths in it are relative to its own directory.
    ///
    /// Blocks while it reads this one file.
    ///
    /// # Errors
    ///
    /// [`Stage::File`], with all faults at once. When there are several profiles, it names them.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ProfileError> {
        Self::read(path.as_ref(), None)
    }

    /// Reads one of several profiles of a file, by its name.
    ///
    /// Blocks while it reads this one file. The other profiles in it need not make sense.
    ///
    /// # Errors
    ///
    /// [`Stage::File`], with all faults at once.
    pub fn load_named(path: impl AsRef<Path>, name: &str) -> Result<Self, ProfileError> {
        Self::read(path.as_ref(), Some(name))
    }

    /// Takes the only profile in this text. Paths in it are relative to the directory `base`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(text: &str, base: impl AsRef<Path>) -> Result<Self, ProfileError> {
        Self::parse_with(text.as_bytes(), None, base.as_ref(), None, &|name| {
            env::var(name)
        })
    }

    /// Takes one of several profiles in this text, by its name.
    ///
    /// # Errors
    ///
    /// As [`load_named`](Self::load_named).
    pub fn parse_named(
        text: &str,
        base: impl AsRef<Path>,
        name: &str,
    ) -> Result<Self, ProfileError> {
        Self::parse_with(text.as_bytes(), None, base.as_ref(), Some(name), &|name| {
            env::var(name)
        })
    }

    fn read(path: &Path, name: Option<&str>) -> Result<Self, ProfileError> {
        let origin = Origin {
            file: Some(path.to_owned()),
            ..Origin::default()
        };
        let text = read(path).map_err(|error| origin.error(Stage::File, "", error))?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse_with(&text, Some(path), base, name, &|name| env::var(name))
    }

    pub(super) fn parse_with(
        text: &[u8],
        file: Option<&Path>,
        base: &Path,
        name: Option<&str>,
        environment: Environment<'_>,
    ) -> Result<Self, ProfileError> {
        let Document {
            name,
            origin,
            table,
        } = Document::parse(text, file, name, environment)?;
        let mut faults = Faults::of(&origin);
        let settings = check(&table, base, &mut faults);
        let settings = faults.or(settings)?;
        Ok(Self(Arc::new(Inner {
            name,
            origin,
            settings,
            identity: Mutex::new(None),
        })))
    }

    // ----- what it says -----

    /// Its name, if the file has named profiles.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The file that it was read from.
    pub fn file(&self) -> Option<&Path> {
        self.0.origin.file.as_deref()
    }

    /// The issuer identifier of the authorization server.
    pub fn issuer(&self) -> Option<&str> {
        self.0.settings.issuer.as_deref()
    }

    /// The address of the token endpoint. `None`: the metadata of the [issuer](Self::issuer) says
    /// it.
    pub fn token_endpoint(&self) -> Option<&Endpoint> {
        match &self.0.settings.server {
            Server::Endpoint(endpoint) => Some(endpoint),
            Server::Issuer(_) => None,
        }
    }

    /// The address of the token endpoint for clients that show a certificate.
    pub fn mtls_token_endpoint(&self) -> Option<&str> {
        self.0.settings.mtls_token_endpoint.as_deref()
    }

    /// Who the client is.
    pub fn client_id(&self) -> &str {
        &self.0.settings.client_id
    }

    /// The registered name of the method of client authentication.
    pub fn token_endpoint_auth_method(&self) -> &'static str {
        self.0.settings.method()
    }

    /// Whether the client shows its certificate to the authorization server and to the API.
    pub fn shows_certificate(&self) -> bool {
        self.0.settings.shows_certificate()
    }

    /// The files of the keystore: one, or certificates and key.
    pub fn keystore_files(&self) -> &[PathBuf] {
        let keystore = self.0.settings.keystore.as_ref();
        keystore.map_or(&[], |keystore| &keystore.files)
    }

    /// The file that says who vouches for the authorization server. `None`: the operating system
    /// says it, or there is no TLS.
    pub fn truststore_file(&self) -> Option<&Path> {
        trust_file(self.0.settings.trust.as_ref())
    }

    /// The file that says who vouches for the API. `None`: the operating system says it, or nobody.
    pub fn api_truststore_file(&self) -> Option<&Path> {
        trust_file(self.0.settings.api.trust.as_ref())
    }

    /// The scopes asked for.
    pub fn scope(&self) -> &Scope {
        &self.0.settings.scope
    }

    /// Where tokens may go.
    pub fn allowed_origins(&self) -> Option<&AllowedOrigins> {
        self.0.settings.api.origins.as_ref()
    }
}

fn trust_file(trust: Option<&Trust>) -> Option<&Path> {
    match trust? {
        Trust::Store { path, .. } => Some(path),
        Trust::Platform => None,
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("name", &self.0.name)
            .field("file", &self.0.origin.file)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(path)?
        .take(LIMIT + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 1 MiB",
        ));
    }
    Ok(text)
}
