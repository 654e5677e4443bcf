//! What a request pays: the bare service, the token only, and the token with a retry in reserve.

#![allow(missing_docs, reason = "a bench has no readers of its docs")]

use std::{convert::Infallible, future::Ready, task::Poll};

use bytes::Bytes;
use divan::{Bencher, black_box};
use http::{Request, Response};
use http_body_util::Full;
use tokio::runtime::Runtime;
use tower::{Layer, Service};
use tower_oauth::{
    grant::{Fetched, source_fn},
    refresh::TokenHandle,
    service::{AllowedOrigins, AttachLayer, OAuthLayer},
    token::AccessToken,
};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

type Body = Full<Bytes>;

fn main() {
    divan::main();
}

/// Answers at once.
#[derive(Clone)]
struct Answer;

impl Service<Request<Body>> for Answer {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        black_box(request);
        std::future::ready(Ok(Response::new(())))
    }
}

/// A POST with 8 headers and a body of 1 KiB.
fn request() -> Request<Body> {
    let mut request = Request::post("https://api.example/orders");
    for at in 0..8 {
        request = request.header(format!("x-header-{at}"), "a value of ordinary length");
    }
    request.body(Full::from(vec![b'x'; 1024])).unwrap()
}

/// A handle whose token is there, on a runtime that lives as long.
fn ready_handle() -> (Runtime, TokenHandle) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let handle = TokenHandle::new(source_fn(|_cause| async {
        Ok(Fetched::new(AccessToken::new("t".repeat(1024))?))
    }));
    runtime.block_on(handle.ready()).unwrap();
    (runtime, handle)
}

fn measure<S>(bencher: Bencher<'_, '_>, mut service: S)
where
    S: Service<Request<Body>>,
    S::Error: std::fmt::Debug,
{
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    bencher.with_inputs(request).bench_local_values(|request| {
        let Poll::Ready(Ok(())) = service.poll_ready(&mut context) else {
            unreachable!("the service is always ready");
        };
        let mut call = std::pin::pin!(service.call(request));
        let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut context) else {
            unreachable!("the service answers at once");
        };
        response
    });
}

#[divan::bench]
fn bare(bencher: Bencher<'_, '_>) {
    measure(bencher, Answer);
}

#[divan::bench]
fn attach(bencher: Bencher<'_, '_>) {
    let (_runtime, handle) = ready_handle();
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    measure(bencher, AttachLayer::new(handle, origins).layer(Answer));
}

#[divan::bench]
fn attach_and_retry(bencher: Bencher<'_, '_>) {
    let (_runtime, handle) = ready_handle();
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    measure(bencher, OAuthLayer::new(handle, origins).layer(Answer));
}
