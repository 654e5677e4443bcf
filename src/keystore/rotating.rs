use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, Semaphore, watch};

#[cfg(any(feature = "hyper", feature = "jwt"))]
use super::KeyStore;
use super::{
    ClientIdentity, KeystoreError,
    identity::now,
    look::{Files, Look, Next},
    watch::Watch,
};
use crate::{clock::Clock, error::TokenError};

/// A client's identity that changes while calls go on: certificates are renewed every few weeks,
/// or hours.
///
/// One record for all that need the identity: mutual TLS and signed assertions towards the
/// authorization server ([`client_auth`](crate::client_auth)), and mutual TLS towards the API
/// ([`RotatingClient`](https://docs.rs/tower-oauth/latest/tower_oauth/tls/struct.RotatingClient.html)).
/// They take it at the time of use. Clones share the record.
///
/// While a [`TokenHandle`](crate::refresh::TokenHandle) works with it, the files are looked at
/// once a minute. When they have changed, key and certificates are read together, and nothing is
/// done before they belong together. Then a token is fetched with the new identity, and only when
/// the server has given one do calls go on with the two of them. Until then, and whenever the new
/// files can't be used or the server refuses them, the old identity stays in use.
///
/// ```no_run
/// use tower_oauth::keystore::RotatingIdentity;
///
/// # fn main() -> Result<(), tower_oauth::keystore::KeystoreError> {
/// let identity = RotatingIdentity::from_pem_files("client.crt", "client.key")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RotatingIdentity(Arc<Shared>);

struct Shared {
    files: Option<Arc<Files>>,
    poll: Duration,
    notices: Vec<Duration>,
    clock: Clock,
    record: watch::Sender<Record>,
    /// Somebody asks for a look by hand.
    asked: Notify,
    look: Mutex<Look>,
    /// Whose turn it is to look.
    turn: Semaphore,
}

/// What is known right now.
#[derive(Clone)]
pub(super) struct Record {
    /// The last one that an authorization server took.
    pub(super) current: ClientIdentity,
    /// The last one that was read.
    pub(super) latest: ClientIdentity,
    /// Why what is in the files now couldn't be read.
    pub(super) failure: Option<TokenError>,
    /// How many failures there were.
    pub(super) failures: u64,
}

impl RotatingIdentity {
    /// Reads a certificate chain and its key from two PEM files, which may be one and the same,
    /// and keeps an eye on them.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    pub fn from_pem_files(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, KeystoreError> {
        Self::builder().pem_files(certificates, key)
    }

    /// Loads the identity of this store, and keeps an eye on its files, that of the password
    /// included.
    ///
    /// Blocks while it reads, which a password can make last for a second.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    #[cfg(any(feature = "hyper", feature = "jwt"))]
    #[cfg_attr(docsrs, doc(cfg(any(feature = "hyper", feature = "jwt"))))]
    pub fn from_keystore(store: KeyStore) -> Result<Self, KeystoreError> {
        Self::builder().keystore(store)
    }

    /// An identity that never changes. Its certificate's end is watched all the same.
    pub fn fixed(identity: ClientIdentity) -> Self {
        Self::builder().fixed(identity)
    }

    /// Begins with the settings.
    pub fn builder() -> RotatingIdentityBuilder {
        RotatingIdentityBuilder {
            poll: Duration::from_secs(60),
            notices: [30, 7, 1].map(days).to_vec(),
            clock: Clock::system(),
        }
    }

    /// The identity in use: the last one that an authorization server gave a token to, or the
    /// first one.
    pub fn current(&self) -> ClientIdentity {
        self.0.record.borrow().current.clone()
    }

    /// Asks for a look at the files now, for those who know that they have just been written. The
    /// look itself is made in the background of a [`TokenHandle`](crate::refresh::TokenHandle).
    pub fn reload(&self) {
        self.0.asked.notify_one();
    }

    /// The last one that was read, whether any server has seen it yet or not.
    pub(crate) fn latest(&self) -> ClientIdentity {
        self.0.record.borrow().latest.clone()
    }

    /// A server gave a token to this one.
    pub(crate) fn adopt(&self, identity: &ClientIdentity) {
        self.0.record.send_if_modified(|record| {
            // Of two that were tried side by side the newer one stays.
            if record.latest.number() == identity.number() {
                record.current = identity.clone();
            }
            // Nobody waits for what a server thinks.
            false
        });
    }

    pub(crate) fn is_fixed(&self) -> bool {
        self.0.files.is_none()
    }

    /// Whether both are always the same identity.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let fixed = self.is_fixed() && other.is_fixed();
        Arc::ptr_eq(&self.0, &other.0)
            || fixed && self.current().number() == other.current().number()
    }

    /// Tells one source of what changes from now on.
    pub(crate) fn watch(&self) -> Watch {
        Watch::new(self.clone(), self.0.record.subscribe())
    }

    // ----- for the watch -----

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn poll(&self) -> Duration {
        self.0.poll
    }

    /// How long before its end a certificate is spoken of, longest first.
    pub(super) fn notices(&self) -> &[Duration] {
        &self.0.notices
    }

    /// Looks at the files whenever it is time to. Of all who wait here, one looks.
    ///
    /// # Cancel safety
    ///
    /// A dropped look changes nothing; whoever is next looks again.
    pub(super) async fn keep_looking(&self) {
        match &self.0.files {
            Some(files) => loop {
                self.look(files).await;
            },
            None => std::future::pending().await,
        }
    }

    async fn look(&self, files: &Arc<Files>) {
        let clock = &self.0.clock;
        let _turn = self.0.turn.acquire().await;
        let at = self.0.look().at();
        let by_hand = tokio::select! {
            () = clock.sleep_until(at) => false,
            () = self.0.asked.notified() => true,
        };
        let files = Arc::clone(files);
        let mut next = self.0.look().clone();
        let aside = move || {
            let sight = files.sight();
            let read = next.saw(sight, by_hand).then(|| files.load());
            (next, read)
        };
        let learned = tokio::task::spawn_blocking(aside).await;
        let mut look = self.0.look();
        let next = match learned {
            Ok((seen, read)) => {
                *look = seen;
                self.0.learned(&mut look, read)
            }
            // The runtime shuts down, or the loader panicked: nothing was learned.
            Err(_) => Next::Poll,
        };
        look.rest(clock.now().mono, next, self.0.poll);
    }
}

impl Shared {
    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learned(
        &self,
        look: &mut Look,
        read: Option<Result<ClientIdentity, KeystoreError>>,
    ) -> Next {
        let failing = self.record.borrow().failure.is_some();
        match read {
            None if failing && look.is_at_rest() => {
                self.record.send_modify(|record| record.failure = None);
                Next::Poll
            }
            None => look.pace(),
            Some(Ok(identity)) => {
                look.loaded();
                self.record.send_modify(|record| {
                    record.latest = identity;
                    record.failure = None;
                });
                Next::Poll
            }
            Some(Err(error)) => {
                let next = look.failed();
                let error = TokenError::from(error);
                let told = self
                    .record
                    .borrow()
                    .failure
                    .as_ref()
                    .map(ToString::to_string);
                let news = look.is_new_failure() || told != Some(error.to_string());
                if next == Next::Poll && news {
                    self.record.send_modify(|record| {
                        record.failure = Some(error);
                        record.failures += 1;
                    });
                }
                next
            }
        }
    }
}

impl From<ClientIdentity> for RotatingIdentity {
    fn from(identity: ClientIdentity) -> Self {
        Self::fixed(identity)
    }
}

impl From<&ClientIdentity> for RotatingIdentity {
    fn from(identity: &ClientIdentity) -> Self {
        Self::fixed(identity.clone())
    }
}

impl From<&Self> for RotatingIdentity {
    fn from(identity: &Self) -> Self {
        identity.clone()
    }
}

impl fmt::Debug for RotatingIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingIdentity")
            .field("files", &self.0.files.as_ref().map(|files| files.paths()))
            .finish_non_exhaustive()
    }
}

// ===== impl RotatingIdentityBuilder =====

/// Settings of a [`RotatingIdentity`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RotatingIdentityBuilder {
    poll: Duration,
    notices: Vec<Duration>,
    clock: Clock,
}

impl RotatingIdentityBuilder {
    /// How often the files are looked at, give or take a tenth. Default: 60 s.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll = interval.max(Duration::from_secs(1));
        self
    }

    /// How long before the end of the certificate in use its owner is told
    /// ([`Event::CertificateExpiring`](crate::events::Event::CertificateExpiring)), and told again.
    /// What is longer than half of the certificate's life isn't counted. Default: 30, 7 and 1
    /// days.
    pub fn expiry_notices(mut self, before: impl IntoIterator<Item = Duration>) -> Self {
        self.notices = before.into_iter().collect();
        self
    }

    /// Where the time is read. Default: [`Clock::system`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Reads a certificate chain and its key from two PEM files, which may be one and the same.
    ///
    /// Blocks while it reads.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    pub fn pem_files(
        self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<RotatingIdentity, KeystoreError> {
        let (certificates, key) = (certificates.into(), key.into());
        let paths = vec![certificates.clone(), key.clone()];
        let clock = self.clock.clone();
        self.files(paths, move || {
            ClientIdentity::from_pem_files_at(&certificates, &key, now(&clock))
        })
    }

    /// Loads the identity of this store.
    ///
    /// Blocks while it reads, which a password can make last for a second.
    ///
    /// # Errors
    ///
    /// A [`KeystoreError`] names the file and the cure.
    #[cfg(any(feature = "hyper", feature = "jwt"))]
    #[cfg_attr(docsrs, doc(cfg(any(feature = "hyper", feature = "jwt"))))]
    pub fn keystore(self, store: KeyStore) -> Result<RotatingIdentity, KeystoreError> {
        self.files(store.paths(), move || store.load_blocking())
    }

    /// Loads the identity by a function of your own, now and whenever one of these files has
    /// changed. The function may block.
    ///
    /// # Errors
    ///
    /// That of the function.
    pub fn files<P: AsRef<Path>>(
        self,
        paths: impl IntoIterator<Item = P>,
        load: impl Fn() -> Result<ClientIdentity, KeystoreError> + Send + Sync + 'static,
    ) -> Result<RotatingIdentity, KeystoreError> {
        let paths = paths.into_iter().map(|path| path.as_ref().to_owned());
        let files = Files::new(paths.collect(), Box::new(load));
        // Seen before it is read: what changes in between is seen again, and never missed.
        let mut look = Look::new(files.sight());
        let identity = files.load()?;
        look.rest(self.clock.now().mono, Next::Poll, self.poll);
        Ok(self.build(identity, Some(Arc::new(files)), look))
    }

    /// An identity that never changes.
    pub fn fixed(mut self, identity: ClientIdentity) -> RotatingIdentity {
        // There is nothing to look at but the calendar.
        self.poll = Duration::from_secs(60 * 60);
        self.build(identity, None, Look::default())
    }

    fn build(
        mut self,
        identity: ClientIdentity,
        files: Option<Arc<Files>>,
        look: Look,
    ) -> RotatingIdentity {
        self.notices.sort_unstable();
        self.notices.reverse();
        RotatingIdentity(Arc::new(Shared {
            files,
            poll: self.poll,
            notices: self.notices,
            clock: self.clock,
            record: watch::Sender::new(Record {
                current: identity.clone(),
                latest: identity,
                failure: None,
                failures: 0,
            }),
            asked: Notify::new(),
            look: Mutex::new(look),
            turn: Semaphore::new(1),
        }))
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

#[cfg(all(test, any(feature = "hyper", feature = "jwt")))]
mod tests;
