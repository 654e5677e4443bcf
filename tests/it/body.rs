//! A body that is rejected while hyper sends it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::mpsc;
use tower_oauth::{
    BoxError,
    body::{Allowance, ReplayBody, ReplaySpare, RetryBody, Spare},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Http1,
    Http2,
}

const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// A body fed by the test, that counts what is read of it.
struct Fed {
    frames: mpsc::UnboundedReceiver<Frame<Bytes>>,
    read: Arc<AtomicUsize>,
    size: SizeHint,
}

/// The test's end of a `Fed`: dropped, it ends the body.
struct Feed {
    frames: mpsc::UnboundedSender<Frame<Bytes>>,
    read: Arc<AtomicUsize>,
}

fn fed() -> (Feed, Fed) {
    let (sender, frames) = mpsc::unbounded_channel();
    let read = Arc::<AtomicUsize>::default();
    let feed = Feed {
        frames: sender,
        read: Arc::clone(&read),
    };
    let size = SizeHint::default();
    (feed, Fed { frames, read, size })
}

impl Feed {
    fn data(&self, data: &'static str) {
        self.frames.send(Frame::data(Bytes::from(data))).unwrap();
    }

    fn trailers(&self, trailers: HeaderMap) {
        self.frames.send(Frame::trailers(trailers)).unwrap();
    }

    fn read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }
}

impl Body for Fed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.frames.poll_recv(cx));
        self.read
            .fetch_add(usize::from(frame.is_some()), Ordering::Relaxed);
        if let (Some(left), Some(Some(data))) =
            (self.size.exact(), frame.as_ref().map(Frame::data_ref))
        {
            self.size.set_exact(left - data.len() as u64);
        }
        Poll::Ready(frame.map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

/// What the server's side of a connection holds once the request's head is there: the upload,
/// not read yet, and the feed of the answer's body, whose head is sent.
struct Served {
    length: Option<HeaderValue>,
    upload: Incoming,
    answer: Feed,
}

/// Sends a request over a connection of its own to a server that answers with `status` before it
/// reads the body.
async fn exchange(
    version: Version,
    status: StatusCode,
    body: ReplayBody<Fed>,
) -> (Response<Incoming>, Served) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (served, mut serving) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, body) = fed();
        let length = request.headers().get(CONTENT_LENGTH).cloned();
        let upload = request.into_body();
        let call = Served {
            length,
            upload,
            answer,
        };
        served.send(call).unwrap();
        async move { Response::builder().status(status).body(body) }
    });
    let (near, far) = (TokioIo::new(near), TokioIo::new(far));
    let request = Request::post("http://api.example/orders").header("host", "api.example");
    let request = request.body(body).unwrap();
    let response = match version {
        Version::Http1 => {
            tokio::spawn(server::conn::http1::Builder::new().serve_connection(far, service));
            let (mut sender, connection) = client::conn::http1::handshake(near).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        }
        Version::Http2 => {
            let server = server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(far, service));
            let handshake = client::conn::http2::handshake(TokioExecutor::new(), near);
            let (mut sender, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    let response = response.unwrap();
    assert_eq!(response.status(), status);
    (response, serving.recv().await.unwrap())
}

/// A request of which "one " is sent and which is then answered with a 401, whose body is yet to
/// come.
struct Rejected {
    upload: Feed,
    spare: ReplaySpare<Fed>,
    response: Response<Incoming>,
    served: Served,
}

async fn rejected(version: Version) -> Rejected {
    rejected_sized(version, SizeHint::default()).await
}

async fn rejected_sized(version: Version, size: SizeHint) -> Rejected {
    let (upload, mut body) = fed();
    body.size = size;
    let (body, spare) = ReplayBody::new(body).arm(&Allowance::new(64 * 1024));
    upload.data("one ");
    let (response, mut served) = exchange(version, StatusCode::UNAUTHORIZED, body).await;
    assert_eq!(data(&mut served.upload).await, "one ");
    Rejected {
        upload,
        spare,
        response,
        served,
    }
}

impl Rejected {
    /// Sends a chunk of the 401's body and awaits it: the connection has been worked on since.
    async fn answer(&mut self, chunk: &'static str) {
        self.served.answer.data(chunk);
        assert_eq!(data(self.response.body_mut()).await, chunk);
    }
}

async fn data(body: &mut Incoming) -> Bytes {
    let frame = body.frame().await.unwrap().unwrap();
    frame.into_data().unwrap()
}

fn trailers(version: Version) -> Option<HeaderMap> {
    let trailers = || HeaderMap::from_iter([("digest".parse().unwrap(), HeaderValue::from(42))]);
    (version == Version::Http2).then(trailers)
}

#[tokio::test]
async fn the_original_401_body_is_readable_after_a_claim_that_was_given_back() {
    for version in VERSIONS {
        let mut call = rejected(version).await;
        assert!(call.spare.claim());
        call.upload.data("two");
        call.answer("not ").await;
        call.answer("this ").await;
        assert_eq!(call.upload.read(), 1, "{version:?}");

        call.spare.release();
        assert_eq!(data(&mut call.served.upload).await, "two");
        call.answer("token").await;
        drop(call.served.answer);
        let rest = call.response.into_body().collect().await.unwrap();
        assert_eq!(rest.to_bytes(), "", "{version:?}: the answer ends");

        drop(call.upload);
        let rest = call.served.upload.collect().await.unwrap();
        assert_eq!(rest.to_bytes(), "", "{version:?}: the upload ends");
    }
}

#[tokio::test]
async fn after_a_take_the_second_send_is_whole_and_the_first_is_seen_as_broken() {
    for version in VERSIONS {
        let mut call = rejected(version).await;
        assert!(call.spare.claim());
        call.answer("not this token").await;
        let body = call.spare.take().unwrap();
        drop(call.spare);

        call.upload.data("two ");
        let (response, served) = exchange(version, StatusCode::OK, body).await;
        call.upload.data("three");
        if let Some(trailers) = trailers(version) {
            call.upload.trailers(trailers);
        }
        drop(call.upload);
        let whole = served.upload.collect().await.unwrap();
        assert_eq!(whole.trailers(), trailers(version).as_ref());
        assert_eq!(whole.to_bytes(), "one two three", "{version:?}");
        drop(served.answer);
        assert_eq!(response.collect().await.unwrap().to_bytes(), "");

        let broken = call.served.upload.collect().await;
        assert!(broken.is_err(), "{version:?}: {broken:?}");
    }
}

#[tokio::test]
async fn a_body_of_known_length_keeps_its_length() {
    for version in VERSIONS {
        let call = rejected_sized(version, SizeHint::with_exact(7)).await;
        assert_eq!(call.served.length.unwrap(), "7");
        assert!(call.spare.claim());
        let body = call.spare.take().unwrap();
        let (_response, served) = exchange(version, StatusCode::OK, body).await;
        assert_eq!(served.length.unwrap(), "7", "{version:?}");
        call.upload.data("two");
        drop(call.upload);
        let whole = served.upload.collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "one two", "{version:?}");
        let broken = call.served.upload.collect().await;
        assert!(broken.is_err(), "{version:?}: {broken:?}");
    }
}

#[tokio::test]
async fn a_body_that_was_uploaded_to_its_end_is_sent_again() {
    for version in VERSIONS {
        let call = rejected(version).await;
        call.upload.data("two");
        if let Some(trailers) = trailers(version) {
            call.upload.trailers(trailers);
        }
        drop(call.upload);
        let first = call.served.upload.collect().await.unwrap();
        assert_eq!(first.trailers(), trailers(version).as_ref());
        assert_eq!(first.to_bytes(), "two", "{version:?}: after what was read");

        assert!(call.spare.claim());
        let body = call.spare.take().unwrap();
        let (_response, served) = exchange(version, StatusCode::OK, body).await;
        let whole = served.upload.collect().await.unwrap();
        assert_eq!(whole.trailers(), trailers(version).as_ref());
        assert_eq!(whole.to_bytes(), "one two", "{version:?}");
    }
}

#[tokio::test]
async fn hyper_pumps_a_claimed_body_no_further() {
    for version in VERSIONS {
        let mut call = rejected(version).await;
        assert!(call.spare.claim());
        for _ in 0..31 {
            call.upload.data("more");
            call.answer("slow ").await;
        }
        assert_eq!(call.upload.read(), 1, "{version:?}");
    }
}
