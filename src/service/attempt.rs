//! A request as the retry inside of `OAuth` sees it: a type of our own, so that the kept copy need
//! not be a clone of the body and the response of the first send can be kept beside it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response, request::Parts};
use pin_project_lite::pin_project;
use sync_wrapper::SyncWrapper;
use tower::Service;

use super::{
    Error, Rejected, Repeat,
    attach::{Attach, AttachFuture, Settings, Ticket},
    policy::Outcome,
};
use crate::{
    body::{Allowance, RetryBody, Spare},
    error::BoxError,
    refresh::NotHealed,
};

/// One request, on its first or second send.
pub(super) struct Attempt<B: RetryBody, R> {
    head: Parts,
    /// The body to send now; the kept copy has none until it takes the spare's.
    body: SyncWrapper<Option<B>>,
    /// `None` once the request won't be sent again.
    spare: Option<B::Spare>,
    has_body: bool,
    pub(super) second: Option<Second<R>>,
}

/// What a second send begins with.
pub(super) struct Second<R> {
    outcome: Outcome,
    held: SyncWrapper<Option<Response<R>>>,
}

impl<R> Second<R> {
    pub(super) fn new(outcome: Outcome, held: Option<Response<R>>) -> Self {
        Self {
            outcome,
            held: SyncWrapper::new(held),
        }
    }
}

impl<B: RetryBody, R> Attempt<B, R> {
    /// The first send; as much of the body is kept for another as the layer allows, or the request
    /// itself.
    pub(super) fn first(request: Request<B>, allowance: &Allowance) -> Self {
        let (head, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        let (body, spare) = match Repeat::of(&head.extensions) {
            Some(Repeat::Never) => (body, None),
            Some(Repeat::Within(octets)) => {
                kept_within(body, &allowance.clone().with_octets(octets))
            }
            None => kept_within(body, allowance),
        };
        Self {
            head,
            body: SyncWrapper::new(Some(body)),
            spare,
            has_body,
            second: None,
        }
    }

    /// What is kept of it for a second send; nothing when there can't be one.
    pub(super) fn kept(&self) -> Option<Self> {
        if self.second.is_some() {
            return None;
        }
        Some(Self {
            head: self.head.clone(),
            body: SyncWrapper::new(None),
            spare: Some(self.spare.clone()?),
            has_body: self.has_body,
            second: None,
        })
    }

    /// Whether it can be sent again, now that it was refused there. A body doesn't go past strangers
    /// a second time on our account.
    pub(super) fn claim(&self, rejected: &Rejected) -> bool {
        if rejected.sent.redirected && self.has_body {
            return false;
        }
        self.spare.as_ref().is_some_and(Spare::claim)
    }

    /// There is no second send: an open claim is given back, and what was kept is freed, however
    /// long the caller holds on to the finished future.
    pub(super) fn give_up(&mut self) {
        self.spare = None;
    }

    pub(super) fn is_crowded_out(&self) -> bool {
        self.spare.as_ref().is_some_and(Spare::is_crowded_out)
    }
}

/// Arms the body. A spare that is of no use from the start is none.
fn kept_within<B: RetryBody>(body: B, allowance: &Allowance) -> (B, Option<B::Spare>) {
    let (body, spare) = body.arm(allowance);
    (body, Some(spare).filter(Spare::is_retryable))
}

/// Sends attempts through [`Attach`].
#[derive(Clone, Debug)]
pub(super) struct Attempts<S> {
    attach: Attach<S>,
}

impl<S> Attempts<S> {
    pub(super) fn new(attach: Attach<S>) -> Self {
        Self { attach }
    }

    pub(super) fn attach(&self) -> &Attach<S> {
        &self.attach
    }
}

impl<S, B, R> Service<Attempt<B, R>> for Attempts<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    B: RetryBody,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = AttemptFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.attach.poll_inner(cx)
    }

    fn call(&mut self, attempt: Attempt<B, R>) -> Self::Future {
        let Some(second) = attempt.second else {
            let retryable = attempt.spare.is_some();
            let body = attempt
                .body
                .into_inner()
                .expect("a first send has its body");
            let ticket = Ticket {
                granted: None,
                again: false,
                // Without a copy the policy above isn't asked.
                policy: retryable,
                once: !retryable,
            };
            let request = Request::from_parts(attempt.head, body);
            return AttemptFuture::Sent {
                future: self.attach.send(request, ticket),
            };
        };

        let held = second.held.into_inner();
        let why = match second.outcome.get() {
            Ok(granted) => match attempt.spare.as_ref().and_then(Spare::take) {
                Some(body) => {
                    drop(held);
                    let ticket = Ticket {
                        granted: Some(granted),
                        again: true,
                        policy: false,
                        once: true,
                    };
                    let request = Request::from_parts(attempt.head, body);
                    return AttemptFuture::Sent {
                        future: self.attach.send(request, ticket),
                    };
                }
                None => NotHealed::Why(crate::refresh::Why::NotRepeatable),
            },
            Err(why) => why,
        };
        drop(attempt.spare);
        let mut held = held.expect("a second attempt has the response of the first");
        self.attach.settings().not_healed(&mut held, why);
        AttemptFuture::Original {
            response: SyncWrapper::new(Some(held)),
        }
    }
}

impl Settings {
    /// The response of the first send goes to the caller, with the reason.
    fn not_healed<R>(&self, response: &mut Response<R>, why: NotHealed) {
        if let Some(rejected) = response.extensions_mut().get_mut::<Rejected>() {
            rejected.not_healed(why, self.handle.now().mono);
            rejected.tell(&self.handle);
        }
    }
}

pin_project! {
    /// The response future of [`Attempts`].
    #[project = AttemptProj]
    pub(super) enum AttemptFuture<S, B, R>
    where
        S: Service<Request<B>>,
    {
        Sent {
            #[pin]
            future: AttachFuture<S, B>,
        },
        Original {
            response: SyncWrapper<Option<Response<R>>>,
        },
    }
}

impl<S, B, R> Future for AttemptFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AttemptProj::Sent { future } => Poll::Ready(ready!(future.poll(cx))),
            AttemptProj::Original { response } => {
                let response = response.get_mut().take().expect("polled after completion");
                Poll::Ready(Ok(response))
            }
        }
    }
}

impl<B: RetryBody, R> fmt::Debug for Attempt<B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}

impl<S, B, R> fmt::Debug for AttemptFuture<S, B, R>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptFuture").finish_non_exhaustive()
    }
}
