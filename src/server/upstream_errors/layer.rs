use tower::Layer;

use super::{UpstreamErrors, answers::Answers};
use crate::clock::Clock;

/// Answers callers for what went wrong with the server's own credential, without telling what.
///
/// It stands around the outbound client, above
/// [`OAuthLayer`](crate::service::OAuthLayer), not around the server's handlers: *their* challenges
/// are for the caller.
///
/// | what came of the call | what the caller gets |
/// | --- | --- |
/// | no token could be had ([`Error::Token`]) | 503 with `Retry-After` |
/// | the token was refused for good ([`Error::Rejected`], or a response with [`Rejected`]) | 502 |
/// | any 401 or 407, any 4xx with a challenge, such as `insufficient_scope` | 502 |
/// | a request for an origin that gets no token ([`Error::Origin`]) | 502 |
/// | any other response | the same, without the fields below |
/// | any other error | the same error |
///
/// The 502 and 503 have no body, and no field but `Retry-After`: an upstream that refuses a token may
/// echo it anywhere. All other responses lose `WWW-Authenticate`, `Authentication-Info`,
/// `Proxy-Authenticate`, `Proxy-Authentication-Info` and `DPoP-Nonce`, in the head and in the
/// trailers: these too speak of the server's credential, and a caller would take them for its own.
///
/// A handler that calls the client gets these responses in place of the errors; what it makes of an
/// error by itself isn't looked at. Nor is a `grpc-status: 16` that comes after the body.
///
/// A gateway that passes callers' own credentials on wants their challenges passed back, and does
/// without this layer there.
///
/// For the server's log, an [`Arc<Error>`](crate::service::Error) with the reason is in the extensions of a 502 or 503,
/// unless the upstream's response was all that is known. It never gets onto the wire.
///
/// ```
/// # use std::sync::Arc;
/// use tower_oauth::service::Error;
///
/// # fn log<B>(response: &http::Response<B>) {
/// if let Some(error) = response.extensions().get::<Arc<Error>>() {
///     eprintln!("the upstream couldn't be called: {error}");
/// }
/// # }
/// ```
///
/// [`Error::Origin`]: crate::service::Error::Origin
/// [`Error::Rejected`]: crate::service::Error::Rejected
/// [`Error::Token`]: crate::service::Error::Token
/// [`Rejected`]: crate::service::Rejected
#[derive(Clone, Debug)]
pub struct UpstreamErrorsLayer {
    answers: Answers,
}

impl UpstreamErrorsLayer {
    /// Answers as said above.
    pub fn new() -> Self {
        Self {
            answers: Answers::new(),
        }
    }

    /// Where the time is read, for `Retry-After`. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.answers = self.answers.by(clock.into());
        self
    }
}

impl Default for UpstreamErrorsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for UpstreamErrorsLayer {
    type Service = UpstreamErrors<S>;

    fn layer(&self, inner: S) -> Self::Service {
        UpstreamErrors::new(inner, self.answers.clone())
    }
}
