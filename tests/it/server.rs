//! Servers that call on.

mod gateway;
mod readiness;
mod strip;
mod upstream_errors;

use std::{
    fmt::Debug,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth::server::{StripInboundCredentialsLayer, Stripped, UpstreamErrorsLayer};

use crate::support::{self, World};

/// An upstream that reads requests to their end and keeps what came.
#[derive(Clone)]
struct Upstream {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Answers the request with this number, from 0.
    answer: fn(usize) -> Response<Full<Bytes>>,
}

#[derive(Clone, Debug)]
struct Seen {
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Upstream {
    fn new(answer: fn(usize) -> Response<Full<Bytes>>) -> Self {
        Self {
            seen: Arc::default(),
            answer,
        }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What the only request was.
    fn only(&self) -> Seen {
        let [seen] = <[_; 1]>::try_from(self.seen()).unwrap();
        seen
    }
}

impl<B> Service<Request<B>> for Upstream
where
    B: Body<Data = Bytes, Error: Debug> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap();
            let mut seen = this.seen.lock().unwrap();
            seen.push(Seen {
                headers: head.headers,
                trailers: body.trailers().cloned(),
                body: body.to_bytes(),
            });
            Ok((this.answer)(seen.len() - 1))
        })
    }
}

fn fine(_: usize) -> Response<Full<Bytes>> {
    Response::new(Full::from("fine"))
}

fn refused(_: usize) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("who are you?"));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

fn refused_at_first(number: usize) -> Response<Full<Bytes>> {
    if number == 0 { refused(0) } else { fine(1) }
}

#[tokio::test(start_paused = true)]
async fn the_whole_stack_fits_a_box_that_can_be_shared() {
    let world = World::new();
    let client = service_fn(|request: Request<Stripped<support::Body>>| {
        assert_eq!(request.headers()["authorization"], "Bearer token-1");
        std::future::ready(Ok::<_, BoxError>(fine(0)))
    });
    let stack = ServiceBuilder::new()
        .boxed_clone_sync()
        .layer(UpstreamErrorsLayer::new())
        .layer(StripInboundCredentialsLayer::new())
        .layer(world.layer())
        .service(client);
    let response = stack.oneshot(support::request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
