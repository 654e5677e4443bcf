//! A token endpoint that answers what it is told, at the end of a real grant and transport.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Full;
use tower::service_fn;
use tower_oauth::{
    BoxError, SecretString,
    client_auth::ClientSecretBasic,
    grant::ClientCredentials,
    refresh::{TokenHandle, TokenHandleBuilder},
    transport::HttpClient,
};

/// What is answered to every token request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) header: (&'static str, &'static str),
    pub(super) body: &'static str,
    /// The connection breaks at the end of the body.
    pub(super) torn: bool,
}

impl Answer {
    pub(super) const fn json(status: u16, body: &'static str) -> Self {
        Self {
            status,
            header: ("content-type", "application/json"),
            body,
            torn: false,
        }
    }

    pub(super) const fn html(status: u16) -> Self {
        Self {
            header: ("content-type", "text/html"),
            ..Self::json(status, "<html><h1>Sign in</h1></html>")
        }
    }

    pub(super) const fn torn(self) -> Self {
        Self { torn: true, ..self }
    }
}

/// The endpoint.
#[derive(Clone)]
pub(super) struct Endpoint(Arc<Inner>);

struct Inner {
    answer: Mutex<Answer>,
    requests: AtomicUsize,
}

impl Endpoint {
    pub(super) fn new(answer: Answer) -> Self {
        Self(Arc::new(Inner {
            answer: Mutex::new(answer),
            requests: AtomicUsize::new(0),
        }))
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.0.answer.lock().unwrap() = answer;
    }

    pub(super) fn requests(&self) -> usize {
        self.0.requests.load(SeqCst)
    }

    pub(super) fn handle(&self) -> TokenHandle {
        self.builder().build()
    }

    pub(super) fn builder(&self) -> TokenHandleBuilder {
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
        TokenHandle::builder(source)
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
