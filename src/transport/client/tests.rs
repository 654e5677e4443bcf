use std::{
    convert::Infallible,
    future,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
    time::Duration,
};

use http_body::Frame;
use serde_json::Value;
use tower::service_fn;

use super::*;
use crate::Clock;

const CHUNK: usize = 64 * 1024;

fn endpoint() -> Endpoint {
    Endpoint::new("https://as.example/token?tenant=s3cr3t").unwrap()
}

async fn send(client: &HttpClient) -> Result<Response<Bytes>, TokenError> {
    let request = Request::post(endpoint().uri().clone())
        .body(Bytes::from_static(b"a=b"))
        .unwrap();
    client
        .send(request, &endpoint(), &TransportLimits::new())
        .await
}

/// A body of `chunks` chunks, that counts those which were read and tells `length` as its own.
struct Counted {
    left: usize,
    read: Arc<AtomicUsize>,
    length: Option<u64>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.read.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'a'; CHUNK])))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.length
            .map_or_else(Default::default, http_body::SizeHint::with_exact)
    }
}

/// What came of an answer with a body of `octets`, and how many chunks were read.
async fn answer_of(octets: usize, length: Option<u64>) -> (Result<usize, TokenError>, usize) {
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let client = HttpClient::service(service_fn(move |_: Request<Full<Bytes>>| {
        let read = Arc::clone(&counter);
        let left = octets / CHUNK;
        future::ready(Ok::<_, Infallible>(Response::new(Counted {
            left,
            read,
            length,
        })))
    }));
    let answer = send(&client).await.map(|answer| answer.body().len());
    (answer, read.load(Ordering::Relaxed))
}

#[tokio::test]
async fn reading_a_huge_answer_stops_at_the_limit() {
    // The row of the vectors that can't be written down.
    let vectors: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/token-response.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    let huge = cases.iter().find(|case| case["id"] == "huge-body").unwrap();
    assert_eq!(huge["expected"]["kind"], "body_too_large");

    const MIB: usize = 1024 * 1024;
    for length in [None, Some(10), Some(u64::MAX)] {
        let (answer, read) = answer_of(8 * MIB, length).await;
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(!error.is_temporary());
        assert!(error.to_string().contains("1048576 octets"), "{error}");
        assert_eq!(read, MIB / CHUNK + 1, "{length:?}");
    }
    let (answer, read) = answer_of(MIB, None).await;
    assert_eq!((answer.unwrap(), read), (MIB, MIB / CHUNK));
}

#[tokio::test]
async fn a_transport_that_does_not_look_is_checked() {
    struct Careless;

    impl TokenTransport for Careless {
        async fn send(
            &self,
            _: Request<Bytes>,
            max_answer: usize,
        ) -> Result<Response<Bytes>, BoxError> {
            Ok(Response::new(vec![0; max_answer + 1].into()))
        }
    }

    let error = send(&HttpClient::from_transport(Careless))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let client = HttpClient::service(service_fn(|_: Request<Full<Bytes>>| {
        future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    }));
    let clock = Clock::system();
    let error = send(&client).await.unwrap_err();
    assert_eq!(clock.now().mono.as_secs(), 10);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_temporary());
    assert!(
        error
            .to_string()
            .starts_with("https://as.example didn't answer within 10s"),
        "{error}"
    );
}

struct Silent;

impl Body for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_the_body_too() {
    let client = HttpClient::service(service_fn(|_: Request<Full<Bytes>>| async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok::<_, Infallible>(Response::new(Silent))
    }));
    let clock = Clock::system();
    let error = send(&client).await.unwrap_err();
    assert_eq!(clock.now().mono.as_secs(), 10);
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_fault_of_the_transport_is_told_by_origin_only() {
    let client = HttpClient::service(service_fn(|_: Request<Full<Bytes>>| {
        future::ready(Err::<Response<Full<Bytes>>, BoxError>(
            "connection refused".into(),
        ))
    }));
    let error = send(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.is_temporary());
    assert!(
        error
            .to_string()
            .starts_with("no answer from https://as.example (")
    );
    assert_eq!(error.source().unwrap().to_string(), "connection refused");
    assert!(!format!("{error:?}").contains("s3cr3t"));
}
