use http::Extensions;

/// How often one request may be sent: in its extensions, for [`OAuthLayer`](super::OAuthLayer) and
/// [`RetryOnUnauthorized`](super::RetryOnUnauthorized).
///
/// It stays in the extensions, so that a layer further in sees it too; it never is on the wire.
///
/// ```
/// use tower_oauth::service::Repeat;
///
/// // A resource that acts before it authenticates must not see this twice.
/// let request = http::Request::post("https://api.example/payments")
///     .extension(Repeat::Never)
///     .body("42 EUR")?;
/// # Ok::<_, http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// It is sent once, whatever its body. If its token is refused, the caller gets the resource's
    /// response, and the next request a newer token. While another request's rejection is being
    /// healed, it waits for that token first, 2 s at most.
    Never,
    /// It may be sent twice, and so many octets of its body are kept, in place of
    /// [`replay_limit`](super::OAuthLayer::replay_limit). They are still taken out of the layer's
    /// [`replay_budget`](super::OAuthLayer::replay_budget). Of no concern to bodies that are cloned.
    Within(usize),
}

impl Repeat {
    pub(super) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied()
    }

    /// Whether the request with these extensions must not be sent twice.
    pub(super) fn is_forbidden(extensions: &Extensions) -> bool {
        Self::of(extensions) == Some(Self::Never)
    }
}
