use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use tower::retry::Policy;

use super::{
    Error, Rejected, Repeat,
    attempt::{Attempt, Second},
};
use crate::{
    body::RetryBody,
    error::{ErrorKind, TokenError},
    refresh::{Granted, Hold, NotHealed, Rejection, TokenHandle, Verdict},
};

/// Sends a request once more after its token was refused, with a newer one.
///
/// Inside of [`OAuthLayer`](super::OAuthLayer) the caller gets the original response, its body
/// readable, whenever no other send took place. By hand, as a policy of [`tower::retry`] around
/// [`AttachLayer`](super::AttachLayer) for requests that are `Clone`, that holds when it is known
/// at once that there won't be a newer token; when it turns out after a fetch that failed, the
/// caller gets [`Error::Token`], because the policy can't keep a response of whatever type.
///
/// ```
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use tower::{ServiceBuilder, retry::RetryLayer};
/// use tower_oauth::{refresh::TokenHandle, service::{AllowedOrigins, AttachLayer, RetryOnUnauthorized}};
///
/// # fn stack(handle: TokenHandle, client: tower::util::BoxCloneService<http::Request<Full<Bytes>>, http::Response<String>, tower_oauth::BoxError>) -> Result<(), tower_oauth::BoxError> {
/// let stack = ServiceBuilder::new()
///     .layer(RetryLayer::new(RetryOnUnauthorized::new(handle.clone())))
///     .layer(AttachLayer::new(handle, AllowedOrigins::new(["https://api.example"])?))
///     .service(client);
/// # fn is_service<S: tower::Service<http::Request<Full<Bytes>>>>(_: S) {}
/// # is_service(stack); Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RetryOnUnauthorized {
    handle: TokenHandle,
}

impl RetryOnUnauthorized {
    /// A policy that gets newer tokens from this handle: the one whose token the requests have.
    pub fn new(token: impl Into<TokenHandle>) -> Self {
        Self {
            handle: token.into(),
        }
    }

    /// The one decision of both policies: what is done about this rejection.
    fn decide(&self, rejected: &Rejected, retryable: bool) -> Verdict {
        let sent = &rejected.sent;
        self.handle.rejected(Rejection {
            generation: sent.generation,
            origin: sent.origin,
            waited: sent.waited,
            retryable,
        })
    }
}

impl<B, R> Policy<Attempt<B, R>, Response<R>, Error> for RetryOnUnauthorized
where
    B: RetryBody,
{
    type Future = Pending;

    fn retry(
        &mut self,
        attempt: &mut Attempt<B, R>,
        result: &mut Result<Response<R>, Error>,
    ) -> Option<Self::Future> {
        let rejected = result
            .as_mut()
            .ok()
            .and_then(|response| response.extensions_mut().get_mut::<Rejected>());
        let Some(rejected) = rejected else {
            attempt.give_up();
            return None;
        };
        let claimed = attempt.claim(rejected);
        let verdict = self.decide(rejected, claimed);
        let (outcome, pending) = match verdict {
            Verdict::Original(why) => {
                rejected.not_healed(why, self.handle.now().mono);
                rejected.crowded_out(attempt.is_crowded_out());
                rejected.tell(&self.handle);
                attempt.give_up();
                return None;
            }
            Verdict::Resend(granted) => Outcome::known(granted),
            Verdict::Hold(hold) => Outcome::awaited(hold),
        };
        // Only one of them is needed: the response if there is no second send.
        let held = mem::replace(result, Err(Error::Inner(Box::new(Held)))).ok();
        attempt.second = Some(Second::new(outcome, held));
        Some(pending)
    }

    fn clone_request(&mut self, attempt: &Attempt<B, R>) -> Option<Attempt<B, R>> {
        attempt.kept()
    }
}

impl<B, R, E> Policy<Request<B>, Response<R>, E> for RetryOnUnauthorized
where
    B: Clone,
{
    type Future = Pending;

    fn retry(
        &mut self,
        request: &mut Request<B>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Self::Future> {
        let response = result.as_mut().ok()?;
        let rejected = response.extensions_mut().get_mut::<Rejected>()?;
        let (outcome, pending) =
            match self.decide(rejected, !rejected.sent.again && !rejected.sent.redirected) {
                Verdict::Original(why) => {
                    rejected.not_healed(why, self.handle.now().mono);
                    return None;
                }
                Verdict::Resend(granted) => Outcome::known(granted),
                Verdict::Hold(hold) => Outcome::awaited(hold),
            };
        request.extensions_mut().insert(Again(outcome));
        Some(pending)
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        let extensions = request.extensions();
        if extensions.get::<Again>().is_some() || Repeat::is_forbidden(extensions) {
            return None;
        }
        Some(request.clone())
    }
}

/// What a wait came to, for the request that is sent after it.
#[derive(Clone)]
pub(super) struct Outcome(Arc<OnceLock<Result<Granted, NotHealed>>>);

impl Outcome {
    fn known(granted: Granted) -> (Self, Pending) {
        let outcome = Self(Arc::new(OnceLock::from(Ok(granted))));
        (outcome, Pending { wait: None })
    }

    fn awaited(hold: Hold) -> (Self, Pending) {
        let outcome = Self(Arc::new(OnceLock::new()));
        let told = outcome.clone();
        let wait: Waiting = Box::pin(async move {
            // Set once, by the one who waits.
            let _ = told.0.set(hold.newer().await);
        });
        (outcome, Pending { wait: Some(wait) })
    }

    pub(super) fn get(&self) -> Result<Granted, NotHealed> {
        self.0
            .get()
            .cloned()
            // A retry without the wait before it.
            .unwrap_or(Err(NotHealed::SameToken))
    }
}

/// In the extensions of a request: it is sent again.
#[derive(Clone)]
pub(super) struct Again(Outcome);

impl Again {
    pub(super) fn outcome(self) -> Result<Granted, Error> {
        self.0.get().map_err(|why| match why {
            NotHealed::Failed(error) => Error::Token(error),
            _ => Error::Token(TokenError::new(
                ErrorKind::Rejected,
                "the access token was refused, and no newer one could be had",
            )),
        })
    }
}

/// Stands in for a response that is held.
#[derive(Debug)]
struct Held;

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response is held until it is clear whether the request is sent again")
    }
}

impl std::error::Error for Held {}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// The wait of [`RetryOnUnauthorized`] for a newer token.
pub struct Pending {
    wait: Option<Waiting>,
}

impl Future for Pending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
