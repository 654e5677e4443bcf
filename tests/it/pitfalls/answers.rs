//! What a token endpoint may answer in place of a token.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::Full;
use tokio::time::sleep;
use tower::service_fn;
use tower_oauth::{
    BoxError, ErrorKind, SecretString, client_auth::ClientSecretBasic, grant::ClientCredentials,
    refresh::TokenHandle, transport::HttpClient,
};

use super::call;
use crate::support::World;

const TOKEN: &str = r#"{"access_token":"token-1","token_type":"Bearer","expires_in":600}"#;
const INVALID_CLIENT: &str = r#"{"error":"invalid_client"}"#;

/// What is answered to every token request.
#[derive(Clone, Copy, Debug)]
struct Answer {
    status: u16,
    header: (&'static str, &'static str),
    body: &'static str,
    /// The connection breaks at the end of the body.
    torn: bool,
}

impl Answer {
    const fn json(status: u16, body: &'static str) -> Self {
        Self {
            status,
            header: ("content-type", "application/json"),
            body,
            torn: false,
        }
    }

    const fn html(status: u16) -> Self {
        Self {
            header: ("content-type", "text/html"),
            ..Self::json(status, "<html><h1>Sign in</h1></html>")
        }
    }

    const fn torn(self) -> Self {
        Self { torn: true, ..self }
    }
}

/// A token endpoint, at the end of a real grant and transport.
#[derive(Clone)]
struct Endpoint(Arc<Inner>);

struct Inner {
    answer: Mutex<Answer>,
    requests: AtomicUsize,
}

impl Endpoint {
    fn new(answer: Answer) -> Self {
        Self(Arc::new(Inner {
            answer: Mutex::new(answer),
            requests: AtomicUsize::new(0),
        }))
    }

    fn answers(&self, answer: Answer) {
        *self.0.answer.lock().unwrap() = answer;
    }

    fn requests(&self) -> usize {
        self.0.requests.load(SeqCst)
    }

    fn handle(&self) -> TokenHandle {
        let endpoint = self.clone();
        let exchange = service_fn(move |_: Request<Full<Bytes>>| {
            endpoint.0.requests.fetch_add(1, SeqCst);
            let answer = *endpoint.0.answer.lock().unwrap();
            async move {
                let (name, value) = answer.header;
                Response::builder()
                    .status(answer.status)
                    .header(name, value)
                    .body(Torn {
                        data: Some(Bytes::from_static(answer.body.as_bytes())),
                        torn: answer.torn,
                    })
            }
        });
        let source = ClientCredentials::builder("https://as.example/token")
            .client_id("orders")
            .auth(ClientSecretBasic::new(SecretString::from("a secret")))
            .http_client(HttpClient::service(exchange))
            .build()
            .unwrap();
        TokenHandle::new(source)
    }
}

/// A body that may break off.
struct Torn {
    data: Option<Bytes>,
    torn: bool,
}

impl http_body::Body for Torn {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match self.data.take() {
            Some(data) => Some(Ok(Frame::data(data))),
            None if std::mem::take(&mut self.torn) => Some(Err("connection reset by peer".into())),
            None => None,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn no_odd_answer_takes_the_good_token_away_or_ends_renewal() {
    let busy = Answer {
        header: ("retry-after", "7"),
        ..Answer::json(429, "")
    };
    for (odd, kind) in [
        (Answer::json(200, ""), ErrorKind::Malformed),
        (Answer::json(200, "{}"), ErrorKind::Malformed),
        (Answer::json(204, ""), ErrorKind::Rejected),
        (Answer::html(200), ErrorKind::Malformed),
        (Answer::html(403), ErrorKind::Rejected),
        (Answer::json(500, ""), ErrorKind::Rejected),
        (Answer::html(502), ErrorKind::Rejected),
        (Answer::html(503), ErrorKind::Rejected),
        (busy, ErrorKind::Rejected),
        (Answer::json(200, TOKEN).torn(), ErrorKind::Transport),
    ] {
        let (world, endpoint) = (World::new(), Endpoint::new(Answer::json(200, TOKEN)));
        let (handle, resource) = (endpoint.handle(), world.resource());
        assert!(call(&handle, &resource).await);
        endpoint.answers(odd);
        // It lives for 590 seconds, and is to be renewed after 480 to 540.
        for second in 1..585 {
            sleep(Duration::from_secs(1)).await;
            assert!(call(&handle, &resource).await, "{odd:?}: {second}");
        }
        let status = handle.status();
        assert!(status.usable && status.last_error.is_some(), "{odd:?}");

        sleep(Duration::from_secs(10)).await;
        let error = handle.ready().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{odd:?}: {error}");
        assert!(!call(&handle, &resource).await);
        let requests = endpoint.requests();
        assert!((3..60).contains(&requests), "{odd:?}: {requests} requests");

        // An hour later still, and without traffic.
        sleep(Duration::from_secs(3600)).await;
        assert!(endpoint.requests() > requests, "{odd:?}");
        endpoint.answers(Answer::json(200, TOKEN));
        sleep(Duration::from_secs(301)).await;
        assert!(handle.status().usable, "{odd:?}");
        assert!(call(&handle, &resource).await, "{odd:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_looks_final_is_not_believed_from_a_torn_connection_or_a_broken_server() {
    for (answer, kind) in [
        (
            Answer::json(401, INVALID_CLIENT).torn(),
            ErrorKind::Transport,
        ),
        (
            Answer::json(400, r#"{"error":"inval"#).torn(),
            ErrorKind::Transport,
        ),
        (Answer::json(400, "").torn(), ErrorKind::Transport),
        (Answer::json(500, INVALID_CLIENT), ErrorKind::Rejected),
        (Answer::json(503, INVALID_CLIENT), ErrorKind::Rejected),
    ] {
        let endpoint = Endpoint::new(answer);
        let handle = endpoint.handle();
        let error = handle.ready().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
        assert!(error.is_temporary(), "{answer:?}: {error}");
        // What is temporary is tried again within half a second, what isn't not before 15.
        endpoint.answers(Answer::json(200, TOKEN));
        sleep(Duration::from_secs(1)).await;
        assert!(handle.status().usable, "{answer:?}");
    }

    // The same words in an answer that is whole are a verdict.
    let endpoint = Endpoint::new(Answer::json(401, INVALID_CLIENT));
    let handle = endpoint.handle();
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.oauth_error(), Some("invalid_client"));
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(!error.is_temporary());
    endpoint.answers(Answer::json(200, TOKEN));
    sleep(Duration::from_secs(1)).await;
    assert!(!handle.status().usable);
    sleep(Duration::from_secs(30)).await;
    assert!(handle.status().usable);
}

#[tokio::test(start_paused = true)]
async fn invalid_client_for_an_hour_costs_thirty_token_requests_at_most() {
    let (world, endpoint) = (
        World::new(),
        Endpoint::new(Answer::json(401, INVALID_CLIENT)),
    );
    let (handle, resource) = (endpoint.handle(), world.resource());
    for _ in 0..3600 {
        assert!(!call(&handle, &resource).await);
        sleep(Duration::from_secs(1)).await;
    }
    let requests = endpoint.requests();
    assert!((10..=30).contains(&requests), "{requests} token requests");
    assert_eq!(world.sends(), 0);
}
