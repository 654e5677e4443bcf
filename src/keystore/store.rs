use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::{
    ClientIdentity, KeystoreError, Password, derive::Work, entries::Entries, fault::Fault, file,
    format::Format, identity::now, pem::Pem,
};
use crate::{clock::Clock, secret::SecretString};

/// Where a client's key and certificates are kept: PEM, PKCS#12 or JKS, told apart by content.
///
/// This is a record, and nothing is read before it is loaded: an identity for mutual TLS and
/// signed assertions by [`load`](Self::load), trusted certificates by
/// [`TrustAnchors::load`](https://docs.rs/tower-oauth/latest/tower_oauth/tls/struct.TrustAnchors.html).
/// Each time the files are read anew, and the password with them.
///
/// ```no_run
/// use tower_oauth::keystore::{KeyStore, Password};
///
/// # async fn example() -> Result<(), tower_oauth::keystore::KeystoreError> {
/// let identity = KeyStore::file("/etc/orders/keystore.p12")
///     .password(Password::file("/etc/orders/keystore.password"))
///     .alias("orders")
///     .load()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// # What is read
///
/// - PEM: PKCS#8, PKCS#1 and SEC1 keys, encrypted PKCS#8 (PBES2; with the feature `legacy-ciphers`
///   also Triple DES and RC2), with certificates in the same file or another, in any order.
/// - PKCS#12, as keytool and openssl write it: AES with PBKDF2, and what was usual before, RC2 and
///   Triple DES, with the feature `legacy-ciphers`.
/// - JKS, Java's own format. JCEKS is recognized, and refused with the command that converts it.
///
/// A file is at most 4 MiB, and may ask for 5,000,000 rounds of key derivation, all in all.
#[derive(Clone)]
#[must_use]
pub struct KeyStore {
    source: Source,
    alias: Option<String>,
    password: Option<Password>,
    key_password: Option<Password>,
    allow_unverified: bool,
    clock: Clock,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    PemFiles { certificates: PathBuf, key: PathBuf },
    Given(Arc<Zeroizing<Vec<u8>>>),
}

impl KeyStore {
    /// A file with everything in it. Its format is found by its content.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::File(path.into()))
    }

    /// Two PEM files: certificates and key.
    pub fn pem_files(certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::new(Source::PemFiles {
            certificates: certificates.into(),
            key: key.into(),
        })
    }

    /// The content of such a file, already in memory.
    pub fn bytes(content: impl Into<Vec<u8>>) -> Self {
        Self::new(Source::Given(Arc::new(Zeroizing::new(content.into()))))
    }

    /// Takes the key of this name. Default: the only one; several are an error that names them.
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.alias = Some(alias.into());
        self
    }

    /// The password of the store, or of an encrypted PEM key. Default: none.
    pub fn password(mut self, password: impl Into<Password>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// The password of the key, if it has one of its own. Default: that of the store.
    pub fn key_password(mut self, password: impl Into<Password>) -> Self {
        self.key_password = Some(password.into());
        self
    }

    /// Takes a PKCS#12 store that has no MAC, and trusted certificates out of a store whose
    /// password isn't given.
    ///
    /// Whoever can write to the file can then add certificates unnoticed. Default: an error.
    pub fn allow_unverified(mut self) -> Self {
        self.allow_unverified = true;
        self
    }

    /// Where the time is read that certificates are checked against. Default: [`Clock::system`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Reads key and certificates on a thread where that may take its time: deriving a key from a
    /// password is slow by design.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    ///
    /// # Panics
    ///
    /// When called outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A dropped future changes nothing; the thread finishes what it has begun.
    pub async fn load(&self) -> Result<ClientIdentity, KeystoreError> {
        let store = self.clone();
        aside(move || store.load_blocking()).await
    }

    /// The same as [`load`](Self::load) on this thread, which it may block for a second.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    pub fn load_blocking(&self) -> Result<ClientIdentity, KeystoreError> {
        let now = now(&self.clock);
        let (certificates, key) = match self.read()? {
            Content::Pem(certificates, key) => (certificates, key),
            Content::Entries(entries, mut work) => return self.choose(&entries, &mut work),
        };
        let key = key.as_ref().unwrap_or(&certificates);
        if let Some(alias) = &self.alias {
            return Err(KeystoreError::UnknownAlias {
                input: key.input().into(),
                alias: alias.clone(),
                aliases: Vec::new(),
            });
        }
        let password = self.password_of_key()?;
        let password = password.as_ref().map(SecretString::expose);
        ClientIdentity::from_parts(&certificates, key, |pem| pem.open(password), now)
    }

    /// The trusted certificates, at least one. Blocks.
    ///
    /// In PEM that is every certificate, in JKS every entry of that kind, in PKCS#12 those that
    /// Java has marked, or all of a store that has neither marks nor keys.
    pub(crate) fn trusted_certificates(
        &self,
    ) -> Result<Vec<CertificateDer<'static>>, KeystoreError> {
        let entries = match self.read()? {
            Content::Pem(certificates, _) => return Ok(certificates.certificates()?.to_vec()),
            Content::Entries(entries, _) => entries,
        };
        let trusted: Vec<_> = entries
            .certificates
            .into_iter()
            .filter(|it| it.trusted)
            .map(|it| it.certificate)
            .collect();
        if trusted.is_empty() {
            return Err(KeystoreError::NothingTrusted {
                input: self.input(),
            });
        }
        Ok(trusted)
    }

    /// All files that an identity is made of.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let mut paths = match &self.source {
            Source::File(path) => vec![path.clone()],
            Source::PemFiles { certificates, key } => vec![certificates.clone(), key.clone()],
            Source::Given(_) => Vec::new(),
        };
        let passwords = [&self.password, &self.key_password].into_iter().flatten();
        paths.extend(passwords.filter_map(Password::path).map(Path::to_owned));
        paths
    }

    /// What to call it in errors.
    pub(crate) fn input(&self) -> String {
        match &self.source {
            Source::File(path) => path.display().to_string(),
            Source::PemFiles { certificates, .. } => certificates.display().to_string(),
            Source::Given(_) => "the store given".into(),
        }
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            alias: None,
            password: None,
            key_password: None,
            allow_unverified: false,
            clock: Clock::system(),
        }
    }

    fn read(&self) -> Result<Content, KeystoreError> {
        let content = match &self.source {
            Source::PemFiles { certificates, key } => {
                let certificates = Pem::read(certificates)?;
                return Ok(Content::Pem(certificates, Some(Pem::read(key)?)));
            }
            Source::File(path) => Arc::new(file::read(path)?),
            Source::Given(content) => content.clone(),
        };
        let input = self.input();
        let format = Format::of(&content).map_err(|reason| KeystoreError::UnsupportedFormat {
            input: input.clone(),
            reason,
        })?;
        let password = self.password.as_ref().map(Password::read).transpose()?;
        let password = password.as_ref().map(SecretString::expose);
        let mut work = Work::new();
        let entries = match format {
            Format::Pem => return Ok(Content::Pem(Pem::parse(&content, input)?, None)),
            Format::Jks => super::jks::read(&content, password, self.allow_unverified),
            Format::Pkcs12 => {
                super::pkcs12::read(&content, password, self.allow_unverified, &mut work)
            }
        };
        match entries {
            Ok(entries) => Ok(Content::Entries(entries, work)),
            Err(fault) => Err(fault.at(input)),
        }
    }

    fn choose(&self, entries: &Entries, work: &mut Work) -> Result<ClientIdentity, KeystoreError> {
        let input = self.input();
        let entry = entries.choose(self.alias.as_deref(), &input)?;
        let of_key = match &entry.alias {
            Some(alias) => format!(
                "the entry `{}` of {input}",
                crate::secret::quote(alias, &[])
            ),
            None => input.clone(),
        };
        let chain = entries.chain(entry);
        if chain.is_empty() {
            return Err(KeystoreError::NoCertificate { input: of_key });
        }
        let password = self.password_of_key()?;
        let key = entry
            .key
            .open(password.as_ref().map(SecretString::expose), work)
            .map_err(|fault| match fault {
                Fault::WrongPassword if entries.verified => KeystoreError::WrongKeyPassword {
                    input: of_key.clone(),
                },
                fault => fault.at(&of_key),
            })?;
        ClientIdentity::new(chain, &input, key, &of_key, now(&self.clock))
    }

    fn password_of_key(&self) -> Result<Option<SecretString>, KeystoreError> {
        let password = self.key_password.as_ref().or(self.password.as_ref());
        password.map(Password::read).transpose()
    }
}

enum Content {
    /// The second one is that of the key.
    Pem(Pem, Option<Pem>),
    Entries(Entries, Work),
}

/// Works on a thread that may be blocked.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KeystoreError> + Send + 'static,
) -> Result<T, KeystoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(KeystoreError::Interrupted))
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Option<&Path> = match &self.source {
            Source::File(path) => Some(path),
            Source::PemFiles { certificates, .. } => Some(certificates),
            Source::Given(_) => None,
        };
        f.debug_struct("KeyStore")
            .field("path", &path)
            .field("alias", &self.alias)
            .field("password", &self.password)
            .finish_non_exhaustive()
    }
}
