use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    iter,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::UNIX_EPOCH,
};

use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{PROXY_AUTHENTICATE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Stripped, fields::Fields};
use crate::{
    clock::Clock,
    error::{BoxError, TokenError},
    service::{Error, Rejected},
};

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
/// For the server's log, an [`Arc<Error>`](Error) with the reason is in the extensions of a 502 or 503,
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
#[derive(Clone, Debug)]
pub struct UpstreamErrorsLayer {
    settings: Settings,
}

/// The service of [`UpstreamErrorsLayer`].
#[derive(Clone, Debug)]
pub struct UpstreamErrors<S> {
    inner: S,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    fields: Fields,
    clock: Clock,
}

impl UpstreamErrorsLayer {
    /// Answers as said above.
    pub fn new() -> Self {
        Self {
            settings: Settings {
                fields: Fields::new([
                    WWW_AUTHENTICATE,
                    PROXY_AUTHENTICATE,
                    HeaderName::from_static("authentication-info"),
                    HeaderName::from_static("proxy-authentication-info"),
                    HeaderName::from_static("dpop-nonce"),
                ]),
                clock: Clock::system(),
            },
        }
    }

    /// Where the time is read, for `Retry-After`. Default: [`Clock::system`].
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.settings.clock = clock.into();
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
        UpstreamErrors {
            inner,
            settings: self.settings.clone(),
        }
    }
}

// ===== impl UpstreamErrors =====

impl<S> UpstreamErrors<S> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, Request, B> Service<Request> for UpstreamErrors<S>
where
    S: Service<Request, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    type Response = Response<UpstreamBody<B>>;
    type Error = BoxError;
    type Future = UpstreamErrorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        UpstreamErrorsFuture {
            future: self.inner.call(request),
            settings: self.settings.clone(),
        }
    }
}

// ===== impl UpstreamErrorsFuture =====

pin_project! {
    /// The response future of [`UpstreamErrors`].
    pub struct UpstreamErrorsFuture<F> {
        #[pin]
        future: F,
        settings: Settings,
    }
}

impl<F, B, E> Future for UpstreamErrorsFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<UpstreamBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.future.poll(cx)) {
            Ok(response) => Ok(this.settings.pass(response)),
            Err(error) => {
                let error = error.into();
                match find_ours(&*error) {
                    Some(error) => Ok(this.settings.answer(error)),
                    None => Err(error),
                }
            }
        })
    }
}

impl<F> fmt::Debug for UpstreamErrorsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamErrorsFuture")
            .finish_non_exhaustive()
    }
}

impl Settings {
    fn pass<B>(&self, mut response: Response<B>) -> Response<UpstreamBody<B>> {
        if let Some(rejected) = response.extensions_mut().remove::<Rejected>() {
            return self.answer(Error::Rejected(Box::new(rejected)));
        }
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED
            || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            || status.is_client_error() && response.headers().contains_key(WWW_AUTHENTICATE)
        {
            return empty(StatusCode::BAD_GATEWAY);
        }
        self.fields.strip(response.headers_mut());
        response.map(|body| UpstreamBody {
            body: Some(Stripped::new(body, self.fields.clone())),
        })
    }

    fn answer<B>(&self, error: Error) -> Response<UpstreamBody<B>> {
        let mut response = match &error {
            Error::Token(error) => {
                let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
                let seconds = self.seconds_until_retry(error);
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
            _ => empty(StatusCode::BAD_GATEWAY),
        };
        response.extensions_mut().insert(Arc::new(error));
        response
    }

    /// Whole seconds, rounded up: a caller that comes too early is turned away again.
    fn seconds_until_retry(&self, error: &TokenError) -> u64 {
        let now = UNIX_EPOCH + self.clock.now().wall;
        let left = error
            .retry_at()
            .and_then(|at| at.duration_since(now).ok())
            .unwrap_or_default();
        (left.as_secs() + u64::from(left.subsec_nanos() > 0)).max(1)
    }
}

/// What is ours in an error's chain, with nothing of ours around it: a layer may stand around
/// another.
fn find_ours(error: &(dyn StdError + 'static)) -> Option<Error> {
    iter::successors(Some(error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<Error>())
        .find_map(|error| match error {
            Error::Token(error) => Some(Error::Token(error.clone())),
            Error::Rejected(rejected) => Some(Error::Rejected(rejected.clone())),
            Error::Origin(error) => Some(Error::Origin(error.clone())),
            Error::Inner(_) => None,
        })
}

fn empty<B>(status: StatusCode) -> Response<UpstreamBody<B>> {
    let mut response = Response::new(UpstreamBody { body: None });
    *response.status_mut() = status;
    response
}

// ===== impl UpstreamBody =====

pin_project! {
    /// The body of a response from [`UpstreamErrors`]: the upstream's, or an empty one.
    pub struct UpstreamBody<B> {
        #[pin]
        body: Option<Stripped<B>>,
    }
}

impl<B: Body> Body for UpstreamBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> fmt::Debug for UpstreamBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").finish_non_exhaustive()
    }
}
