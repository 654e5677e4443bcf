use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::runtime;

use super::{
    cell::Snapshot,
    control::{OriginId, Rejection},
    shared::{Ending, Shared, closed, thumbprint},
    status::Status,
    wait::Told,
};
use crate::{
    clock::Clock,
    error::TokenError,
    events::{Alarm, AlarmConfig, Event, Observer},
    grant::{DynTokenSource, TokenSource},
    keystore::ClientIdentity,
    token::{AccessToken, Age, Generation, LifetimeConfig},
};

/// One token, shared: fetched once for any number of callers, renewed in the background, replaced
/// when a resource refuses it.
///
/// Clones share the token. Building needs neither network nor runtime; the first call spawns the
/// background task on its tokio runtime. When the last clone is dropped (services and layers hold
/// clones) the task ends and a fetch under way is dropped.
#[derive(Clone)]
pub struct TokenHandle {
    pub(super) shared: Arc<Shared>,
}

/// Settings of a [`TokenHandle`].
pub struct TokenHandleBuilder {
    source: Arc<dyn DynTokenSource>,
    lifetime: LifetimeConfig,
    fetch_deadline: Duration,
    ending: Ending,
    clock: Clock,
    observer: Arc<dyn Observer>,
    alarm: AlarmConfig,
}

/// A token as it is right now.
#[derive(Clone)]
pub struct Token(Arc<Snapshot>);

// ===== impl TokenHandle =====

impl TokenHandle {
    /// A handle of this source's token, with the default settings.
    pub fn new(source: impl TokenSource) -> Self {
        Self::builder(source).build()
    }

    /// A handle of this source's token, with settings.
    pub fn builder(source: impl TokenSource) -> TokenHandleBuilder {
        TokenHandleBuilder {
            source: Arc::new(source),
            lifetime: LifetimeConfig::new(),
            fetch_deadline: Duration::from_secs(30),
            ending: Ending {
                deadline: Duration::from_secs(5),
                revokes: false,
            },
            clock: Clock::system(),
            #[cfg(feature = "tracing")]
            observer: Arc::new(crate::events::TracingObserver::new()),
            #[cfg(not(feature = "tracing"))]
            observer: Arc::new(()),
            alarm: AlarmConfig::new(),
        }
    }

    /// Waits until there is a token that may be sent; fetches one if need be.
    ///
    /// # Errors
    ///
    /// When the fetch fails; at once when one failed just now ([`TokenError::retry_at`] says when
    /// the next attempt is made, without anybody asking for it), or when the handle is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends only this wait: the fetch goes on.
    pub async fn ready(&self) -> Result<(), TokenError> {
        self.granted().await.map(drop)
    }

    /// The current token, for a client that no layer can be put around; fetches one if need be.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// As [`ready`](Self::ready).
    pub async fn token(&self) -> Result<Token, TokenError> {
        self.granted().await.map(|granted| Token(granted.snapshot))
    }

    /// Says that a resource refused the token with this number: a new one is fetched, unless the
    /// current one is newer, one is on its way, or one was fetched for that reason a second ago.
    /// The token stays in use until the new one is there. Outside of a tokio runtime it does as
    /// [`refresh`](Self::refresh).
    pub fn invalidate(&self, generation: Generation) {
        // No origin has this number.
        let origin = OriginId(u64::MAX);
        self.shared.drive(|state, now| {
            // Who says so by hand doesn't say when a token is taken. That it was refused from the
            // first is not to be assumed: it would forbid to replace it.
            state.control.accepted(origin, generation);
            let rejection = Rejection {
                generation,
                origin,
                waited: false,
                retryable: false,
            };
            let (_original, start) = state.rejected(now, rejection);
            ((), start)
        });
    }

    /// Asks for a new token now, in the background, even while a failure is being waited out; not
    /// while the server asked to be left alone (`Retry-After`). The current token stays in use
    /// until the new one is there. Outside of a tokio runtime, and without a background task on
    /// one, it leaves word for the next call.
    pub fn refresh(&self) {
        self.shared
            .drive(|state, now| ((), state.control.force(now)));
    }

    /// Says that the files of the source's identity have just been written: they are looked at now,
    /// and not only at the next regular time. Does nothing for a source without files.
    pub fn reload(&self) {
        self.shared.source.reload();
    }

    /// Closes the handle: nothing is fetched any more, waiting calls fail with
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed), and so does every later one. The background
    /// task ends soon; [`shutdown`](Self::shutdown) waits for it.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        let closes = state.control.is_open();
        state.control.close();
        state.alarm = Alarm::new(AlarmConfig::off());
        state.flight = None;
        if closes && self.shared.ending.revokes {
            let last = self.shared.cell.load_full();
            state.leaving = last.map(|it| it.token.clone());
        }
        // Who is told looks for a token, and must not find one.
        self.shared.cell.clear();
        state.tell(None, Told::Failed(closed()));
        drop(state);
        self.shared.wake.notify_one();
        if closes {
            self.shared.tell(&Event::Closed);
        }
    }

    /// Starts the background task on this runtime, instead of on that of the first call. Calls
    /// that are made outside of any runtime then have their tokens fetched there.
    pub fn spawn_on(&self, runtime: &runtime::Handle) {
        let _guard = runtime.enter();
        self.shared.drive(|_state, _now| ((), None));
    }

    /// How the token is doing.
    pub fn status(&self) -> Status {
        let now = self.shared.clock.now();
        let snapshot = self.shared.cell.load_full();
        let snapshot = snapshot.as_deref();
        let identity = snapshot.and_then(|it| it.identity.as_ref());
        let state = self.shared.lock();
        let schedule = state.control.schedule();
        Status {
            usable: state.control.is_open()
                && schedule.is_some_and(|it| it.age(now) != Age::Expired),
            generation: snapshot.map(|it| it.generation),
            usable_for: schedule.map(|it| it.usable_until.remaining(now)),
            refresh_in: schedule.map(|it| it.refresh_at.remaining(now)),
            age: snapshot.map(|it| now.mono.saturating_sub(it.received)),
            scope: snapshot.and_then(|it| it.scope.clone()),
            fetching: state.control.flying(),
            last_error: state.last_error.clone(),
            retry_at: state
                .control
                .backing_off(now)
                .map(|until| now.wall_after(until.saturating_sub(now.mono))),
            certificate: identity.and_then(thumbprint),
            certificate_not_after: identity.map(ClientIdentity::not_after),
            identity_error: state.identity_error.clone(),
            fetches: state.fetches,
            alarm: state.alarm.cause(),
            closed: !state.control.is_open(),
        }
    }
}

impl<S: TokenSource> From<S> for TokenHandle {
    fn from(source: S) -> Self {
        Self::new(source)
    }
}

impl fmt::Debug for TokenHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHandle")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

// ===== impl TokenHandleBuilder =====

impl TokenHandleBuilder {
    /// How a token's lifetime becomes a schedule.
    #[must_use]
    pub fn lifetime(mut self, lifetime: LifetimeConfig) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long one fetch may take as a whole: signing, files and transport. Default: 30 s.
    #[must_use]
    pub fn fetch_deadline(mut self, deadline: Duration) -> Self {
        self.fetch_deadline = deadline;
        self
    }

    /// Has [`TokenHandle::shutdown`] revoke the token, if the source can
    /// ([`TokenSource::revoke`]): one request, whose outcome is an event
    /// ([`Event::TokenRevoked`], [`Event::TokenNotRevoked`]) and nothing else. A handle that is only
    /// dropped or closed revokes nothing. Default: a token that isn't needed any more expires by
    /// itself.
    ///
    /// Not for a client whose replicas share tokens, or whose server keeps one token per client: it
    /// would be taken from the others.
    #[must_use]
    pub fn revoke_on_shutdown(mut self) -> Self {
        self.ending.revokes = true;
        self
    }

    /// How long [`TokenHandle::shutdown`] may take. Default: 5 s.
    #[must_use]
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.ending.deadline = deadline;
        self
    }

    /// Where the time is read. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Who is told what happens. Default: [`TracingObserver`](crate::events::TracingObserver) with
    /// the feature `tracing`, nobody without it.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// When refused tokens raise the alarm. Default: three unscheduled refreshes wanted in ten
    /// minutes.
    #[must_use]
    pub fn alarm(mut self, alarm: AlarmConfig) -> Self {
        self.alarm = alarm;
        self
    }

    /// The handle. Nothing is sent or spawned yet.
    pub fn build(self) -> TokenHandle {
        TokenHandle {
            shared: Arc::new(Shared::new(
                self.source,
                self.observer,
                self.alarm,
                self.fetch_deadline,
                self.ending,
                self.lifetime,
                self.clock,
            )),
        }
    }
}

impl fmt::Debug for TokenHandleBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHandleBuilder")
            .field("lifetime", &self.lifetime)
            .field("fetch_deadline", &self.fetch_deadline)
            .field("ending", &self.ending)
            .field("clock", &self.clock)
            .field("alarm", &self.alarm)
            .finish_non_exhaustive()
    }
}

// ===== impl Token =====

impl Token {
    /// The token itself. It is a secret.
    pub fn access_token(&self) -> &AccessToken {
        &self.0.token
    }

    /// Its number, for [`TokenHandle::invalidate`].
    pub fn generation(&self) -> Generation {
        self.0.generation
    }

    /// The identity that the token belongs to: if it is bound to a certificate, it goes over
    /// connections that show this one (RFC 8705 section 3).
    pub fn identity(&self) -> Option<&ClientIdentity> {
        self.0.identity.as_ref()
    }

    /// The scope granted, when the server said so (RFC 6749 section 5.1).
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// The finished, sensitive `Authorization` value.
    pub fn authorization(&self) -> HeaderValue {
        self.0.authorization()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
