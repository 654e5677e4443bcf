//! A server without TLS, for HTTP/1.1 and HTTP/2, that does what a test says.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{net::TcpListener, task::JoinSet};

pub(super) type Answer = Response<Full<Bytes>>;

/// It ends with this, and all its connections.
pub(super) struct Plain {
    port: u16,
    /// The paths and headers of the calls so far.
    calls: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    _tasks: JoinSet<()>,
}

impl Plain {
    /// An error from `answer` cuts the connection, or the stream.
    pub(super) async fn start<F>(
        answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<Answer>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&calls);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                let service = service_fn(move |request: Request<Incoming>| {
                    let path = request.uri().path().to_owned();
                    seen.lock().unwrap().push((path, request.headers().clone()));
                    answer(request)
                });
                connections.spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    // The client may be gone.
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            port,
            calls,
            _tasks: tasks,
        }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn url(&self, path: &str) -> String {
        self.origin() + path
    }

    pub(super) fn calls(&self) -> Vec<(String, HeaderMap)> {
        self.calls.lock().unwrap().clone()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.calls().into_iter().map(|(path, _)| path).collect()
    }
}

pub(super) fn answer(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

pub(super) fn refusal() -> Answer {
    let mut refusal = answer(StatusCode::UNAUTHORIZED);
    let challenge = "Bearer error=\"invalid_token\"".parse().unwrap();
    refusal.headers_mut().insert("www-authenticate", challenge);
    *refusal.body_mut() = Full::from("who are you?");
    refusal
}

pub(super) fn redirect(status: StatusCode, to: &str) -> Answer {
    let mut redirect = answer(status);
    let to = to.parse().unwrap();
    redirect.headers_mut().insert("location", to);
    redirect
}
