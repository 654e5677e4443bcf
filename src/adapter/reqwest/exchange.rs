//! reqwest as a service over `http::Request`, as the layer wants it.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Extensions;
use reqwest::{Body, Request, Response};
use reqwest_middleware::{Error, Next, Result};
use tokio::sync::Mutex;
use tower::Service;

use super::middleware::bound_tokens;
use crate::{keystore::Shown, service::Redirected};

/// What a response is read as: reqwest's own one in place of a body, so that nothing of it is lost,
/// and those parts of its head that a decision is made by.
pub(super) type Answer = http::Response<Response>;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The rest of a chain, for one call.
#[derive(Clone)]
pub(super) struct Rest<'a> {
    next: Next<'a>,
    /// One send at a time has them.
    extensions: Arc<Mutex<&'a mut Extensions>>,
}

impl<'a> Rest<'a> {
    pub(super) fn new(next: Next<'a>, extensions: &'a mut Extensions) -> Self {
        Self {
            next,
            extensions: Arc::new(Mutex::new(extensions)),
        }
    }
}

impl<'a> Service<http::Request<Body>> for Rest<'a> {
    type Response = Answer;
    type Error = Error;
    type Future = BoxFuture<'a, Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { next, extensions } = self.clone();
        Box::pin(async move {
            if request.extensions().get::<Shown>().is_some() {
                return Err(Error::middleware(crate::service::Error::from(
                    bound_tokens(),
                )));
            }
            let mut extensions = extensions.lock().await;
            exchange(request, |request| next.run(request, &mut extensions)).await
        })
    }
}

/// A client at the end of a chain.
#[cfg(feature = "hyper")]
#[derive(Clone)]
pub(super) struct End(pub(super) reqwest::Client);

#[cfg(feature = "hyper")]
impl Service<http::Request<Body>> for End {
    type Response = Answer;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(exchange(request, move |request| async move {
            Ok(client.execute(request).await?)
        }))
    }
}

async fn exchange<F>(
    request: http::Request<Body>,
    send: impl FnOnce(Request) -> F,
) -> Result<Answer>
where
    F: Future<Output = Result<Response>>,
{
    let request = Request::try_from(request)?;
    let asked = request.url().clone();
    let mut response = send(request).await?;
    let mut answer = http::Response::new(());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = mem::take(response.headers_mut());
    // reqwest follows redirects below, and takes the token off at the border of an origin.
    if *response.url() != asked {
        let redirected = match response.url().origin() == asked.origin() {
            true => Redirected::Within,
            false => Redirected::Elsewhere,
        };
        answer.extensions_mut().insert(redirected);
    }
    Ok(answer.map(|()| response))
}

/// The response for the caller, with all that was added to it.
pub(super) fn response(answer: Answer) -> Response {
    let (head, mut response) = answer.into_parts();
    *response.headers_mut() = head.headers;
    response.extensions_mut().extend(head.extensions);
    response
}
