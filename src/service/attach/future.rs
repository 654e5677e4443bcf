use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response, request::Parts};
use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;
use tower::Service;

use super::service::{Judged, Passage, Settings};
use crate::{
    challenge::{Facts, Refusal, Verdict, decide},
    error::BoxError,
    events::RetryOutcome,
    refresh::Wait,
    service::{Error, rejected::Rejected},
};

pin_project! {
    /// The response future of [`Attach`](super::Attach).
    pub struct AttachFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        stage: Stage<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<S, B, F> {
        Failed {
            error: Option<Error>,
        },
        // Boxed, because most requests never wait.
        Waiting {
            wait: Wait,
            parked: Option<Box<Parked<S, B>>>,
        },
        Sending {
            #[pin]
            future: F,
            judged: Option<Judged>,
        },
    }
}

/// A request that waits for its token, with the service that was polled ready for it.
pub(super) struct Parked<S, B> {
    inner: SyncWrapper<S>,
    head: Parts,
    body: SyncWrapper<B>,
    passage: Passage,
    settings: Arc<Settings>,
}

impl<S, B> Parked<S, B> {
    pub(super) fn new(
        inner: S,
        request: Request<B>,
        passage: Passage,
        settings: Arc<Settings>,
    ) -> Self {
        let (head, body) = request.into_parts();
        Self {
            inner: SyncWrapper::new(inner),
            head,
            body: SyncWrapper::new(body),
            passage,
            settings,
        }
    }
}

/// What something below that follows redirects has done with a request: in the extensions of the
/// response, if that knows it.
#[cfg_attr(
    not(any(feature = "reqwest013", feature = "tower-http")),
    allow(dead_code)
)]
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Redirected {
    /// The last address is another one at the same origin. In between it may have been anywhere.
    Within,
    /// The response comes from another origin than the request was sent to.
    Elsewhere,
}

impl<S, B> AttachFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn failed(error: Error) -> Self {
        Self {
            stage: Stage::Failed { error: Some(error) },
        }
    }

    pub(super) fn waiting(wait: Wait, parked: Parked<S, B>) -> Self {
        Self {
            stage: Stage::Waiting {
                wait,
                parked: Some(Box::new(parked)),
            },
        }
    }

    /// `judged`: what the response is judged by, unless the request was none of our business.
    pub(super) fn sending(future: S::Future, judged: Option<Judged>) -> Self {
        Self {
            stage: Stage::Sending { future, judged },
        }
    }
}

impl<S, B, R> Future for AttachFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                StageProj::Failed { error } => {
                    let error = error.take().expect("polled after completion");
                    return Poll::Ready(Err(error));
                }
                StageProj::Sending { future, judged } => {
                    let response = ready!(future.poll(cx));
                    let judged = judged.take();
                    return Poll::Ready(match response {
                        Ok(mut response) => {
                            if let Some(judged) = judged {
                                judged.judge(&mut response);
                            }
                            Ok(response)
                        }
                        Err(error) => {
                            if let Some(judged) = judged {
                                judged.tell_retry(RetryOutcome::Failed);
                            }
                            Err(Error::Inner(error.into()))
                        }
                    });
                }
                StageProj::Waiting { wait, parked } => {
                    let granted = ready!(wait.as_mut().poll(cx))?;
                    let parked = parked.take().expect("a wait ends once");
                    let request = Request::from_parts(parked.head, parked.body.into_inner());
                    let passage = parked.passage.granted(&granted);
                    let mut inner = parked.inner.into_inner();
                    passage.send(&mut inner, &parked.settings, request, &granted.snapshot)
                }
            };
            this.stage.set(next.stage);
        }
    }
}

impl Judged {
    /// Where the response comes from. Below something that follows redirects it may come from
    /// anywhere (RFC 9110 section 15.4).
    fn redirected<R>(&self, response: &Response<R>) -> Option<Redirected> {
        #[cfg(feature = "reqwest013")]
        if let Some(redirected) = response.extensions().get() {
            return Some(*redirected);
        }
        self.last_asked(response)
    }

    #[cfg(feature = "tower-http")]
    fn last_asked<R>(&self, response: &Response<R>) -> Option<Redirected> {
        use tower_http::follow_redirect::RequestUri;

        let RequestUri(last) = response.extensions().get()?;
        // A request without a host stays one.
        let within = last.host().is_none() || self.settings.origins.is_of(last, self.sent.origin);
        match within {
            true => (*last != self.uri).then_some(Redirected::Within),
            false => Some(Redirected::Elsewhere),
        }
    }

    #[cfg(not(feature = "tower-http"))]
    fn last_asked<R>(&self, _: &Response<R>) -> Option<Redirected> {
        None
    }

    /// What came of a second send is an event.
    fn tell_retry(&self, outcome: RetryOutcome) {
        if self.sent.again {
            self.settings.handle.report_retry(outcome);
        }
    }

    /// Reads the response; a rejection is reported and stamped, whether or not anybody retries.
    fn judge<R>(mut self, response: &mut Response<R>) {
        let redirected = self.redirected(response);
        if redirected == Some(Redirected::Elsewhere) {
            self.tell_retry(RetryOutcome::Unclear);
            return;
        }
        self.sent.redirected = redirected.is_some();
        let handle = &self.settings.handle;
        let sent = &self.sent;
        let meaning = self
            .settings
            .classify
            .classify(response.status(), response.headers());
        if meaning.is_accepted() {
            handle.accepted(sent.origin, sent.generation);
            self.tell_retry(RetryOutcome::Healed);
            return;
        }
        // Whether there is a fetch and a retry is decided with what all requests together know.
        let facts = Facts {
            repeatable: true,
            ..Facts::default()
        };
        if decide(&meaning, facts) != Verdict::RefreshAndRetry {
            self.tell_retry(RetryOutcome::Unclear);
            return;
        }
        self.tell_retry(RetryOutcome::Refused);

        let last = handle.last();
        let credentials: Vec<&[u8]> = last
            .iter()
            .flat_map(|last| last.credentials())
            .chain([&sent.credential])
            .map(HeaderValue::as_bytes)
            .collect();
        let refusal = Refusal::read(response.headers(), &credentials);
        let origin = self
            .settings
            .origins
            .name(sent.origin, self.unlisted.as_ref());
        let mut rejected = Rejected::new(self.sent, origin, refusal, handle.now().mono);
        if !self.policy {
            rejected.report(handle);
        }
        response.extensions_mut().insert(rejected);
    }
}

impl<S, B> fmt::Debug for AttachFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachFuture").finish_non_exhaustive()
    }
}
