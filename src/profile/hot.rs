//! A profile whose file changes while calls go on.

use std::{
    fmt, fs,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{runtime, sync::Notify, task::spawn_blocking};
use tower::Service;

use super::{Profile, ProfileError};
use crate::{
    clock::Clock,
    error::{ErrorKind, TokenError},
    events::{Event, Observer},
    refresh::TokenHandle,
    service::OAuthLayer,
};

/// A file that is being written is left alone: it is read when two looks agree.
const SETTLED: Duration = Duration::from_secs(1);

/// A service that is put together from a profile, and again whenever its file has changed.
///
/// The file is looked at regularly, and so are the truststores that it names. A change is taken as a
/// whole or not at all: the profile is loaded and checked, the service is put together, and a token
/// is fetched for it. Only then do calls go to the new service; those under way end on the old one,
/// and so does its token. Whatever fails before that is an event
/// ([`Event::ProfileRefused`]), and everything stays as it was. A profile that only lacks its token
/// is tried again at each look. Certificates are none of this: a keystore that changes is a
/// [`RotatingIdentity`](crate::keystore::RotatingIdentity)'s own business.
///
/// ```no_run
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower_oauth::profile::HotProfile;
///
/// let api = HotProfile::builder("orders.toml").build(|profile, layer| {
///     Ok(tower::ServiceBuilder::new()
///         .layer(layer)
///         .service(profile.api_client::<Full<Bytes>>()?))
/// })?;
/// # let _ = api;
/// # Ok::<(), tower_oauth::profile::ProfileError>(())
/// ```
///
/// Clones share the file's watcher: a task that the first call spawns, and that ends with the last
/// clone.
pub struct HotProfile<S> {
    shared: Arc<Shared<S>>,
    /// With its number. A clone at rest has none: it would keep an old service alive.
    ready: Option<(u64, S)>,
}

/// Settings of a [`HotProfile`].
#[must_use]
pub struct HotProfileBuilder {
    file: PathBuf,
    name: Option<String>,
    poll_interval: Duration,
    clock: Clock,
    observer: Arc<dyn Observer>,
}

struct Shared<S> {
    settings: HotProfileBuilder,
    digests: RandomState,
    make: Box<Make<S>>,
    current: ArcSwap<Current<S>>,
    refused: Mutex<Option<TokenError>>,
    /// There is a task that looks at the file.
    watched: AtomicBool,
    asked: Arc<Notify>,
}

type Make<S> = dyn Fn(&Profile, OAuthLayer) -> Result<S, ProfileError> + Send + Sync;

/// What calls go to.
struct Current<S> {
    number: u64,
    service: S,
    profile: Profile,
    handle: TokenHandle,
    /// What the files held before they were loaded.
    seen: u64,
}

impl HotProfile<()> {
    /// Settings of a service of this file's only profile. Paths are as for
    /// [`Profile::load`].
    pub fn builder(file: impl AsRef<Path>) -> HotProfileBuilder {
        HotProfileBuilder {
            file: file.as_ref().to_owned(),
            name: None,
            poll_interval: Duration::from_secs(60),
            clock: Clock::system(),
            #[cfg(feature = "tracing")]
            observer: Arc::new(crate::events::TracingObserver::new()),
            #[cfg(not(feature = "tracing"))]
            observer: Arc::new(()),
        }
    }
}

impl<S> HotProfile<S> {
    /// The profile that calls go by.
    pub fn profile(&self) -> Profile {
        self.shared.current.load().profile.clone()
    }

    /// The token that calls go with, for a health page.
    pub fn handle(&self) -> TokenHandle {
        self.shared.current.load().handle.clone()
    }

    /// Why the file, as it is now, isn't what calls go by. `None`: it is.
    pub fn refused(&self) -> Option<TokenError> {
        self.shared.refused().clone()
    }

    /// Says that the file has just been written: it is looked at now, and not only at the next
    /// regular time.
    pub fn reload(&self) {
        self.shared.asked.notify_one();
    }
}

impl HotProfileBuilder {
    /// Which of the file's profiles. Default: the only one.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How often the file is looked at. Default: 60 s; at least one second.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(SETTLED);
        self
    }

    /// Where the time is read. Default: [`Clock::system`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Who is told what happens, to the file and to its tokens. Default: as for a
    /// [`TokenHandle`].
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Loads the file, and puts the service together from the profile and its layer. The function
    /// is called again for each change; it may block.
    ///
    /// Needs neither network nor runtime. Blocks while it reads keystore and truststores, which a
    /// password can make last for a second.
    ///
    /// # Errors
    ///
    /// Whatever [`Profile::load`] and [`Profile::layer`] refuse, and the function's own.
    pub fn build<S: Clone>(
        self,
        make: impl Fn(&Profile, OAuthLayer) -> Result<S, ProfileError> + Send + Sync + 'static,
    ) -> Result<HotProfile<S>, ProfileError> {
        let digests = RandomState::new();
        let first = self.load(&digests, &make)?;
        Ok(HotProfile {
            ready: None,
            shared: Arc::new(Shared {
                settings: self,
                digests,
                make: Box::new(make),
                current: ArcSwap::from_pointee(first),
                refused: Mutex::new(None),
                watched: AtomicBool::new(false),
                asked: Arc::default(),
            }),
        })
    }

    fn load<S>(&self, digests: &RandomState, make: &Make<S>) -> Result<Current<S>, ProfileError> {
        // What comes after the look is seen by the next one.
        let text = fs::read(&self.file).ok();
        let profile = match &self.name {
            Some(name) => Profile::load_named(&self.file, name)?,
            None => Profile::load(&self.file)?,
        };
        let seen = digests.hash_one((text, stores(&profile)));
        let handle = profile.handle_with(|source| source.clock(self.clock.clone()))?;
        let observer = Arc::clone(&self.observer);
        let handle = handle
            .clock(self.clock.clone())
            .observer(move |event: &Event<'_>| observer.event(event))
            .build();
        let service = make(&profile, profile.layer_of(handle.clone())?)?;
        Ok(Current {
            number: 0,
            service,
            profile,
            handle,
            seen,
        })
    }
}

/// What the truststores of a profile hold.
fn stores(profile: &Profile) -> [Option<Vec<u8>>; 2] {
    let files = [profile.truststore_file(), profile.api_truststore_file()];
    files.map(|file| fs::read(file?).ok())
}

impl<S> Shared<S> {
    fn refused(&self) -> MutexGuard<'_, Option<TokenError>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== the watcher =====

impl<S: Send + Sync + 'static> Shared<S> {
    /// Sees to it that somebody looks at the file.
    fn watch(self: &Arc<Self>) {
        if self.watched.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = runtime::Handle::try_current() else {
            return;
        };
        if !self.watched.swap(true, Ordering::AcqRel) {
            let watching = Watching(Arc::downgrade(self));
            let (clock, interval) = (self.settings.clock.clone(), self.settings.poll_interval);
            runtime.spawn(watching.run(clock, interval, Arc::clone(&self.asked)));
        }
    }

    /// What the files hold now.
    async fn look(self: &Arc<Self>) -> u64 {
        let shared = Arc::clone(self);
        let look = spawn_blocking(move || {
            let text = fs::read(&shared.settings.file).ok();
            let stores = stores(&shared.current.load().profile);
            shared.digests.hash_one((text, stores))
        });
        // Interrupted by the end of the runtime: nothing is seen, and nobody asks again.
        look.await.unwrap_or_else(|_| self.current.load().seen)
    }

    /// Loads the files aside.
    async fn load(self: &Arc<Self>) -> Result<Current<S>, TokenError> {
        let shared = Arc::clone(self);
        let load = spawn_blocking(move || shared.settings.load(&shared.digests, &*shared.make));
        match load.await {
            Ok(loaded) => loaded.map_err(TokenError::from),
            Err(error) => Err(
                TokenError::new(ErrorKind::Internal, "the profile wasn't loaded")
                    .with_source(error),
            ),
        }
    }

    /// Lets calls go on with what was loaded, if it gets a token; else gives it back.
    async fn adopt(&self, mut loaded: Current<S>) -> Result<(), (Current<S>, TokenError)> {
        if let Err(error) = loaded.handle.ready().await {
            return Err((loaded, error));
        }
        loaded.number = self.current.load().number + 1;
        self.current.store(Arc::new(loaded));
        *self.refused() = None;
        self.settings.observer.event(&Event::ProfileChanged);
        Ok(())
    }

    fn refuse(&self, error: TokenError) {
        let event = Event::ProfileRefused { error: &error };
        self.settings.observer.event(&event);
        *self.refused() = Some(error);
    }
}

/// The task that looks at the file. When its runtime ends, the next call spawns another.
struct Watching<S>(Weak<Shared<S>>);

impl<S> Drop for Watching<S> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.watched.store(false, Ordering::Release);
        }
    }
}

impl<S: Send + Sync + 'static> Watching<S> {
    async fn run(self, clock: Clock, interval: Duration, asked: Arc<Notify>) {
        let mut judged = None;
        // What was loaded, and lacks its token.
        let mut waiting: Option<Current<S>> = None;
        loop {
            let at = clock.now().mono.saturating_add(interval);
            tokio::select! {
                () = clock.sleep_until(at) => {}
                () = asked.notified() => {}
            }
            let Some(shared) = self.0.upgrade() else {
                return;
            };
            let judged = judged.get_or_insert_with(|| shared.current.load().seen);
            let mut seen = shared.look().await;
            if seen == *judged {
                if let Some(loaded) = waiting.take() {
                    match shared.adopt(loaded).await {
                        Ok(()) => *judged = shared.current.load().seen,
                        Err((loaded, _)) => waiting = Some(loaded),
                    }
                }
                continue;
            }
            loop {
                clock
                    .sleep_until(clock.now().mono.saturating_add(SETTLED))
                    .await;
                let again = shared.look().await;
                if again == seen {
                    break;
                }
                seen = again;
            }
            *judged = seen;
            waiting = None;
            if seen == shared.current.load().seen {
                // It is again what calls go by.
                *shared.refused() = None;
                continue;
            }
            match shared.load().await {
                Err(error) => shared.refuse(error),
                Ok(loaded) => {
                    // With other truststores the files looked at are others, too.
                    *judged = loaded.seen;
                    if let Err((loaded, error)) = shared.adopt(loaded).await {
                        shared.refuse(error);
                        *judged = seen;
                        waiting = Some(loaded);
                    }
                }
            }
        }
    }
}

// ===== the service =====

impl<S, R> Service<R> for HotProfile<S>
where
    S: Service<R> + Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.shared.watch();
        let current = self.shared.current.load();
        let (number, service) = match &mut self.ready {
            Some(ready) => ready,
            none => none.insert((current.number, current.service.clone())),
        };
        if *number != current.number {
            (*number, *service) = (current.number, current.service.clone());
        }
        service.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        let (_, service) = self.ready.as_mut().expect("`poll_ready` comes first");
        service.call(request)
    }
}

impl<S> Clone for HotProfile<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            ready: None,
        }
    }
}

impl<S> fmt::Debug for HotProfile<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotProfile")
            .field("profile", &self.shared.current.load().profile)
            .field("refused", &*self.shared.refused())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HotProfileBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotProfileBuilder")
            .field("file", &self.file)
            .field("name", &self.name)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}
