//! Errors of getting a token.

use std::{
    borrow::Cow,
    error::Error as StdError,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::StatusCode;

/// Any error, boxed.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Whose move is next after a [`TokenError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong or missing: nothing was sent.
    Configuration,
    /// The authorization server couldn't be reached, or the connection broke.
    Transport,
    /// The HTTP proxy on the way can't be reached, refuses to let the request through, or ends TLS
    /// itself. The authorization server knows nothing of it.
    Proxy,
    /// The authorization server answered with an error.
    Rejected,
    /// The authorization server answered with something that isn't a token response.
    Malformed,
    /// A key or certificate couldn't be read or used.
    Key,
    /// The deadline of the token call passed.
    Timeout,
    /// The shared store failed.
    Store,
    /// The token source panicked or its runtime went away.
    Internal,
    /// The token handle was shut down.
    Closed,
}

impl ErrorKind {
    /// A short, stable name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Transport => "transport",
            Self::Proxy => "proxy",
            Self::Rejected => "rejected",
            Self::Malformed => "malformed",
            Self::Key => "key",
            Self::Timeout => "timeout",
            Self::Store => "store",
            Self::Internal => "internal",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why no token could be had.
///
/// Cheap to clone: one failed fetch is told to every caller that waited for it. `Display` says
/// what happened and, after it, what to change ([`hint`](Self::hint)); what caused it is in
/// [`source`](StdError::source). No secret, token, assertion or response body is ever part of it.
#[derive(Clone)]
pub struct TokenError {
    inner: Arc<Inner>,
    retry_at: Option<SystemTime>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    oauth_error: Option<String>,
    status: Option<StatusCode>,
    temporary: bool,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl TokenError {
    /// An error of this kind. `message` becomes part of logs: it must hold no secret.
    ///
    /// Kinds [`Transport`](ErrorKind::Transport), [`Timeout`](ErrorKind::Timeout),
    /// [`Store`](ErrorKind::Store) and [`Internal`](ErrorKind::Internal) count as temporary until
    /// [`temporary`](Self::temporary) says otherwise.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let temporary = matches!(
            kind,
            ErrorKind::Transport | ErrorKind::Timeout | ErrorKind::Store | ErrorKind::Internal
        );
        Self {
            inner: Arc::new(Inner {
                kind,
                message: message.into(),
                hint: None,
                oauth_error: None,
                status: None,
                temporary,
                retry_after: None,
                source: None,
            }),
            retry_at: None,
        }
    }

    /// The same error in other words.
    #[must_use]
    pub(crate) fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.edit().message = message.into();
        self
    }

    /// Adds what to change.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.edit().hint = Some(hint.into());
        self
    }

    /// Adds the cause. Its whole chain becomes part of logs: it must hold no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.edit().source = Some(Arc::from(source.into()));
        self
    }

    /// Adds the `error` code of the token endpoint (RFC 6749 section 5.2).
    #[must_use]
    pub fn with_oauth_error(mut self, code: impl Into<String>) -> Self {
        self.edit().oauth_error = Some(code.into());
        self
    }

    /// Adds the status of the token endpoint's answer.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.edit().status = Some(status);
        self
    }

    /// Adds how long the server asks to wait (`Retry-After`, RFC 9110 section 10.2.3).
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.edit().retry_after = Some(delay);
        self
    }

    /// Says whether the same request may succeed later without any change.
    #[must_use]
    pub fn temporary(mut self, temporary: bool) -> Self {
        self.edit().temporary = temporary;
        self
    }

    /// The same error, told to a caller who comes during the back-off.
    #[must_use]
    pub(crate) fn retried_at(mut self, at: SystemTime) -> Self {
        self.retry_at = Some(at);
        self
    }

    /// Whose move is next.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The `error` code of the token endpoint, such as `invalid_client` (RFC 6749 section 5.2).
    pub fn oauth_error(&self) -> Option<&str> {
        self.inner.oauth_error.as_deref()
    }

    /// The status of the token endpoint's answer, when there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.status
    }

    /// When the next attempt is made, by the wall clock. `None`: as soon as a token is wanted.
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.retry_at
    }

    /// How long the server asked to wait, when it did.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Whether the same request may succeed later without any change.
    pub fn is_temporary(&self) -> bool {
        self.inner.temporary
    }

    /// What happened, without what to change.
    pub(crate) fn message(&self) -> &str {
        &self.inner.message
    }

    /// What to change.
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.inner)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(hint) = &self.inner.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TokenError");
        out.field("kind", &self.inner.kind)
            .field("message", &self.inner.message);
        if let Some(hint) = &self.inner.hint {
            out.field("hint", hint);
        }
        if let Some(code) = &self.inner.oauth_error {
            out.field("oauth_error", code);
        }
        if let Some(status) = &self.inner.status {
            out.field("status", status);
        }
        if let Some(at) = &self.retry_at {
            out.field("retry_at", at);
        }
        if let Some(source) = &self.inner.source {
            out.field("source", source);
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for TokenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
