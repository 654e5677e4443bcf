use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tower::{Layer, Service};

use super::{status, timeout::timeout};
use crate::{error::BoxError, service::Error};

/// Above [`OAuthLayer`](crate::service::OAuthLayer): makes every error a [`Status`], as [`status`]
/// does, and holds each call to its `grpc-timeout` as a whole: the wait for a token, both sends.
///
/// The channel's own timer runs for each send by itself, and not while a token is waited for.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct StatusLayer;

impl StatusLayer {
    /// The layer. There is nothing to set.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for StatusLayer {
    type Service = WithStatus<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithStatus { inner }
    }
}

/// The service of [`StatusLayer`].
///
/// # Errors
///
/// What [`status`] makes of the inner service's error; `DEADLINE_EXCEEDED` when the `grpc-timeout`
/// of the request has passed before a response was there. What a response streams after that has
/// no deadline here.
///
/// # Panics
///
/// A request with a `grpc-timeout` panics outside of a tokio runtime with a timer, as it does in the
/// channel.
///
/// # Cancel safety
///
/// Dropping the response future ends this request only, and so does its deadline: a fetch it
/// waited for goes on.
#[derive(Clone, Debug)]
pub struct WithStatus<S> {
    inner: S,
}

impl<S> WithStatus<S> {
    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B> Service<Request<B>> for WithStatus<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = Status;
    type Future = StatusFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(cx).map_err(of_any)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let deadline = timeout(request.headers()).map(|after| Deadline {
            sleep: Box::pin(sleep(after)),
            after,
        });
        StatusFuture {
            call: self.inner.call(request),
            deadline,
        }
    }
}

/// Between us and the OAuth layer may be others, with errors of their own.
fn of_any(error: impl Into<BoxError>) -> Status {
    match error.into().downcast::<Error>() {
        Ok(error) => status(*error),
        Err(error) => Status::from_error(error),
    }
}

struct Deadline {
    // Boxed, because most calls have none.
    sleep: Pin<Box<Sleep>>,
    after: Duration,
}

impl Deadline {
    /// What is said when it has come.
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Status> {
        let late = self.sleep.as_mut().poll(cx).is_ready();
        late.then(|| {
            let after = self.after;
            Status::deadline_exceeded(format!("no response within the call's {after:?}"))
        })
    }
}

pin_project! {
    /// The response future of [`WithStatus`].
    pub struct StatusFuture<F> {
        #[pin]
        call: F,
        deadline: Option<Deadline>,
    }
}

impl<F, R, E> Future for StatusFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: Into<BoxError>,
{
    type Output = Result<R, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let late = this.deadline.as_mut().and_then(|it| it.poll(cx));
        match (this.call.poll(cx), late) {
            (Poll::Ready(Ok(response)), _) => Poll::Ready(Ok(response)),
            // The channel's own timer, which says less, goes off at the same moment.
            (_, Some(late)) => Poll::Ready(Err(late)),
            (Poll::Ready(Err(error)), None) => Poll::Ready(Err(of_any(error))),
            (Poll::Pending, None) => Poll::Pending,
        }
    }
}

impl<F> fmt::Debug for StatusFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::pin};

    use http::Response;
    use tonic::Code;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::error::{ErrorKind, TokenError};

    /// `boxed_clone_sync` wants it.
    #[test]
    fn the_future_is_sync_if_that_of_the_call_is() {
        fn is_sync<T: Send + Sync>() {}
        is_sync::<StatusFuture<std::future::Ready<()>>>();
    }

    #[tokio::test]
    async fn errors_of_other_layers_become_what_tonic_makes_of_them() {
        let failing = |error: fn() -> BoxError| {
            let service = service_fn(move |_: Request<()>| async move { Err::<(), _>(error()) });
            let service = ServiceBuilder::new()
                .layer(StatusLayer::new())
                .service(service);
            service.oneshot(Request::new(()))
        };
        let ours = failing(|| Error::from(TokenError::new(ErrorKind::Timeout, "slow")).into());
        assert_eq!(ours.await.unwrap_err().code(), Code::Unavailable);
        let theirs = failing(|| Status::aborted("theirs").into());
        assert_eq!(theirs.await.unwrap_err().code(), Code::Aborted);
        let strange = failing(|| "strange".into());
        assert_eq!(strange.await.unwrap_err().code(), Code::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_below_that_goes_off_as_well_has_no_say() {
        let service = service_fn(|_: Request<()>| async {
            sleep(Duration::from_secs(1)).await;
            Err::<(), BoxError>("Timeout expired".into())
        });
        let request = Request::get("/").header("grpc-timeout", "1S");
        let call = StatusLayer::new()
            .layer(service)
            .oneshot(request.body(()).unwrap());
        assert_eq!(call.await.unwrap_err().code(), Code::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_is_that_of_the_request() {
        let service = service_fn(|_: Request<()>| pending::<Result<Response<()>, BoxError>>());
        let service = StatusLayer::new().layer(service);
        let request = Request::get("/").header("grpc-timeout", "1500m");
        let call = service.clone().oneshot(request.body(()).unwrap());
        let day = Duration::from_secs(24 * 60 * 60);
        let late = tokio::time::timeout(day, call).await.unwrap().unwrap_err();
        assert_eq!(late.code(), Code::DeadlineExceeded);
        assert_eq!(late.message(), "no response within the call's 1.5s");

        // Without one it waits for ever.
        let mut call = pin!(service.oneshot(Request::new(())));
        assert!(tokio::time::timeout(day, call.as_mut()).await.is_err());
    }
}
