use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    error::{ErrorKind, TokenError},
    events::Observer,
    keystore::{Change, ClientIdentity},
    token::{AccessToken, Cause},
};

/// Gets tokens. One source, one token at a time: a [`TokenHandle`](crate::refresh::TokenHandle)
/// never runs two fetches side by side, and runs each in a task of its own.
///
/// [`ClientCredentials`](crate::grant::ClientCredentials) is the ready-made one; a closure becomes
/// one by [`source_fn`].
pub trait TokenSource: Send + Sync + 'static {
    /// Gets a new token.
    ///
    /// With [`Cause::Rotation`] the fetch works with the client's new identity and makes it the
    /// current one when it succeeds.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the handle is closed or the fetch takes longer than its
    /// deadline.
    fn fetch(&self, cause: Cause) -> impl Future<Output = Result<Fetched, TokenError>> + Send;

    /// Resolves when there is news of the client's identity since the last call. Default: never.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the handle is. News that it didn't bring must come with the next
    /// one.
    fn changed(&self) -> impl Future<Output = Change> + Send {
        std::future::pending()
    }

    /// Tells the server that this token isn't needed any more (RFC 7009), once. Default: an error of
    /// kind [`Configuration`](ErrorKind::Configuration), because it can't be done.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when a shutdown takes longer than its deadline.
    fn revoke(&self, token: &AccessToken) -> impl Future<Output = Result<(), TokenError>> + Send {
        let _ = token;
        std::future::ready(Err(TokenError::new(
            ErrorKind::Configuration,
            "this token source can't revoke tokens",
        )))
    }

    /// Whether it is known before the first fetch that tokens come with a TLS identity
    /// ([`Fetched::identity`]). Default: `false`, which says nothing.
    fn has_identity(&self) -> bool {
        false
    }

    /// Somebody says that the identity's files have just been written: they are to be looked at
    /// now. Default: does nothing.
    fn reload(&self) {}

    /// Whom to tell of what happens inside. Called once, when a
    /// [`TokenHandle`](crate::refresh::TokenHandle) takes the source over; whoever wraps a source
    /// passes it on. Default: does nothing.
    fn report_to(&self, observer: Arc<dyn Observer>) {
        let _ = observer;
    }
}

/// What a [`TokenSource`] brought.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub(crate) token: AccessToken,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) refresh_in: Option<Duration>,
    pub(crate) scope: Option<String>,
    pub(crate) identity: Option<ClientIdentity>,
    /// It says itself that it is bound to another certificate.
    pub(crate) misbound: bool,
}

impl Fetched {
    /// A token of unknown lifetime.
    pub fn new(token: AccessToken) -> Self {
        Self {
            token,
            expires_in: None,
            refresh_in: None,
            scope: None,
            identity: None,
            misbound: false,
        }
    }

    /// How long the token lives (`expires_in`), counted from when the fetch began.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.expires_in = Some(lifetime);
        self
    }

    /// When the server wants the token renewed (`refresh_in`): an upper bound for the schedule.
    #[must_use]
    pub fn refresh_in(mut self, after: Duration) -> Self {
        self.refresh_in = Some(after);
        self
    }

    /// The scope granted (RFC 6749 section 5.1), which may differ from what was asked for.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// The TLS identity that the token belongs to (RFC 8705 section 3).
    #[must_use]
    pub fn identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }
}

/// Makes a [`TokenSource`] of a closure.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth::{grant::{Fetched, source_fn}, token::AccessToken};
///
/// let source = source_fn(|_cause| async {
///     let token = AccessToken::new("from somewhere else")?;
///     Ok(Fetched::new(token).expires_in(Duration::from_secs(600)))
/// });
/// # let _ = source;
/// ```
pub fn source_fn<F, Fut>(fetch: F) -> SourceFn<F>
where
    F: Fn(Cause) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched, TokenError>> + Send,
{
    SourceFn(fetch)
}

/// The [`TokenSource`] that [`source_fn`] makes.
#[derive(Clone)]
pub struct SourceFn<F>(F);

impl<F> fmt::Debug for SourceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFn").finish_non_exhaustive()
    }
}

impl<F, Fut> TokenSource for SourceFn<F>
where
    F: Fn(Cause) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched, TokenError>> + Send,
{
    fn fetch(&self, cause: Cause) -> impl Future<Output = Result<Fetched, TokenError>> + Send {
        (self.0)(cause)
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The object-safe twin of [`TokenSource`].
pub(crate) trait DynTokenSource: Send + Sync + 'static {
    fn fetch(&self, cause: Cause) -> BoxFuture<'_, Result<Fetched, TokenError>>;
    fn changed(&self) -> BoxFuture<'_, Change>;
    fn revoke<'a>(&'a self, token: &'a AccessToken) -> BoxFuture<'a, Result<(), TokenError>>;
    #[cfg(feature = "reqwest013")]
    fn has_identity(&self) -> bool;
    fn reload(&self);
    fn report_to(&self, observer: Arc<dyn Observer>);
}

impl<T: TokenSource> DynTokenSource for T {
    fn fetch(&self, cause: Cause) -> BoxFuture<'_, Result<Fetched, TokenError>> {
        Box::pin(TokenSource::fetch(self, cause))
    }

    fn changed(&self) -> BoxFuture<'_, Change> {
        Box::pin(TokenSource::changed(self))
    }

    fn revoke<'a>(&'a self, token: &'a AccessToken) -> BoxFuture<'a, Result<(), TokenError>> {
        Box::pin(TokenSource::revoke(self, token))
    }

    #[cfg(feature = "reqwest013")]
    fn has_identity(&self) -> bool {
        TokenSource::has_identity(self)
    }

    fn reload(&self) {
        TokenSource::reload(self);
    }

    fn report_to(&self, observer: Arc<dyn Observer>) {
        TokenSource::report_to(self, observer);
    }
}
