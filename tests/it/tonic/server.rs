//! A gRPC server made of frames, so that it can refuse in every way there is.

use std::{
    collections::hash_map::DefaultHasher,
    convert::Infallible,
    fmt,
    hash::{Hash, Hasher},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use crate::support::World;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

/// How a token is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refuse {
    /// In the headers, when the whole request has been read.
    Late,
    /// In the headers, when so many octets of the request have been read.
    After(usize),
    /// By HTTP 401 from a gateway, before anything of the body is read.
    Gateway,
    /// In the headers at once, and by GOAWAY for the whole connection.
    GoAway,
    /// In trailers, behind a message.
    InTrailers,
    /// Not at all: the stream is reset when so many octets have been read.
    Reset(usize),
    /// Not at all: the connection is cut when so many octets have been read.
    Cut(usize),
}

/// What the messages of a request were.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Digest {
    messages: usize,
    octets: usize,
    hash: u64,
}

impl Digest {
    pub(crate) fn of<'a>(messages: impl IntoIterator<Item = &'a Bytes>) -> Self {
        let mut hasher = DefaultHasher::new();
        let mut digest = Self {
            messages: 0,
            octets: 0,
            hash: 0,
        };
        for message in messages {
            message.hash(&mut hasher);
            digest.messages += 1;
            digest.octets += message.len();
        }
        digest.hash = hasher.finish();
        digest
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:x}", self.messages, self.octets, self.hash)
    }
}

/// What the server has seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    /// Requests that are being handled.
    pub(crate) open: usize,
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    /// Octets of bodies that were read.
    pub(crate) read: usize,
}

/// Ends, with its connections, when it is dropped.
pub(crate) struct Server {
    origin: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    world: World,
    refuse: Mutex<Refuse>,
    counters: watch::Sender<Counters>,
    /// Accepted requests that came to their end.
    whole: Mutex<Vec<Digest>>,
    timeouts: Mutex<Vec<Option<HeaderValue>>>,
    /// The tokens are forgotten when so many calls were accepted.
    rollover_at: AtomicUsize,
    /// Whether accepted calls are answered.
    open: watch::Sender<bool>,
}

impl Server {
    pub(crate) async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            world: world.clone(),
            refuse: Mutex::new(Refuse::Late),
            counters: watch::Sender::default(),
            whole: Mutex::default(),
            timeouts: Mutex::default(),
            rollover_at: AtomicUsize::new(usize::MAX),
            open: watch::Sender::new(true),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            origin,
            shared,
            task,
        }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn refuse(&self, refuse: Refuse) {
        *self.shared.refuse.lock().unwrap() = refuse;
    }

    pub(crate) fn rollover_at(&self, accepted: usize) {
        self.shared.rollover_at.store(accepted, SeqCst);
    }

    /// From now on, accepted calls get no answer.
    pub(crate) fn hold(&self) {
        self.shared.open.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.shared.open.send_replace(true);
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.shared.counters.borrow()
    }

    pub(crate) async fn wait_until(&self, reached: impl FnMut(&Counters) -> bool) {
        let mut counters = self.shared.counters.subscribe();
        counters.wait_for(reached).await.unwrap();
    }

    /// The accepted requests that came to their end, sorted.
    pub(crate) fn whole(&self) -> Vec<Digest> {
        let mut whole = self.shared.whole.lock().unwrap().clone();
        whole.sort();
        whole
    }

    /// The deadlines that came with the requests.
    pub(crate) fn timeouts(&self) -> Vec<Option<HeaderValue>> {
        self.shared.timeouts.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this future, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).unwrap();
    let (end, mut ended) = watch::channel(None);
    let service = service_fn(move |request| {
        let (shared, end) = (Arc::clone(&shared), end.clone());
        async move {
            let open = Open::new(&shared);
            shared.answer(request, &end, open).await
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(4096)
        .max_pending_accept_reset_streams(4096)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // It ends with an error when the client breaks it off.
        _ = connection.as_mut() => return,
        refuse = ended.wait_for(Option::is_some) => {
            if matches!(refuse.as_deref(), Ok(Some(Refuse::Cut(_)))) {
                return;
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Counts a request until it is done with.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.counters.send_modify(|it| it.open += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters.send_modify(|it| it.open -= 1);
    }
}

impl Shared {
    async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        end: &watch::Sender<Option<Refuse>>,
        open: Open,
    ) -> Result<Response<Frames>, io::Error> {
        let timeout = request.headers().get("grpc-timeout").cloned();
        self.timeouts.lock().unwrap().push(timeout);
        let accepted = self.world.accepts(&request);
        let authorization = request.headers().get("authorization").cloned();
        let mut inbox = Inbox::new(Arc::clone(self), request);
        if !accepted {
            let mut response = self.refuse_call(&mut inbox, end).await?;
            // As servers do that were made by somebody who was looking for a fault.
            if let Some(authorization) = authorization {
                response.headers_mut().insert("x-got", authorization);
            }
            return Ok(response);
        }
        self.counters.send_modify(|it| it.accepted += 1);
        if self.counters.borrow().accepted == self.rollover_at.load(SeqCst) {
            self.world.rollover();
        }
        let mut gate = self.open.subscribe();
        gate.wait_for(|open| *open).await.expect("it is our own");

        let (outbox, response) = response();
        if inbox.path == "/Orders/Trade" {
            tokio::spawn(async move {
                let _open = open;
                while let Some(message) = inbox.next().await? {
                    outbox.message(&message.len().to_string());
                }
                inbox.came_to_its_end();
                outbox.status("0");
                Ok::<_, io::Error>(())
            });
            return Ok(response);
        }
        while inbox.next().await?.is_some() {}
        let digest = inbox.came_to_its_end().to_string();
        let answers = if inbox.path == "/Orders/Watch" { 3 } else { 1 };
        for _ in 0..answers {
            outbox.message(&digest);
        }
        outbox.status("0");
        Ok(response)
    }

    async fn refuse_call(
        &self,
        inbox: &mut Inbox,
        end: &watch::Sender<Option<Refuse>>,
    ) -> Result<Response<Frames>, io::Error> {
        let refuse = *self.refuse.lock().unwrap();
        let read = match refuse {
            Refuse::Late => usize::MAX,
            Refuse::After(octets) | Refuse::Reset(octets) | Refuse::Cut(octets) => octets,
            Refuse::Gateway | Refuse::GoAway | Refuse::InTrailers => 0,
        };
        while inbox.octets < read && inbox.next_frame().await? {}
        self.counters.send_modify(|it| it.refused += 1);
        let (outbox, mut response) = response();
        match refuse {
            Refuse::Reset(_) => return Err(io::Error::other("it is reset")),
            Refuse::Cut(_) => {
                end.send_replace(Some(refuse));
                std::future::pending().await
            }
            Refuse::Gateway => {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                *response.headers_mut() = HeaderMap::new();
                outbox.data(Bytes::from("<h1>who are you?</h1>"));
            }
            Refuse::InTrailers => {
                outbox.message("so far, so good");
                outbox.status("16");
            }
            Refuse::Late | Refuse::After(_) | Refuse::GoAway => {
                response.headers_mut().extend(status("16"));
                if refuse == Refuse::GoAway {
                    end.send_replace(Some(refuse));
                }
            }
        }
        Ok(response)
    }
}

fn status(code: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from_static(code));
    if code != "0" {
        let message = HeaderValue::from_static("token%20unknown");
        headers.insert("grpc-message", message);
    }
    headers
}

/// What comes from the client.
struct Inbox {
    shared: Arc<Shared>,
    path: String,
    body: Incoming,
    buffer: BytesMut,
    octets: usize,
    messages: Vec<Bytes>,
}

impl Inbox {
    fn new(shared: Arc<Shared>, request: Request<Incoming>) -> Self {
        Self {
            shared,
            path: request.uri().path().to_owned(),
            body: request.into_body(),
            buffer: BytesMut::new(),
            octets: 0,
            messages: Vec::new(),
        }
    }

    /// Reads on; `false` at the end of the body.
    async fn next_frame(&mut self) -> Result<bool, io::Error> {
        let Some(frame) = self.body.frame().await else {
            return Ok(false);
        };
        let data = frame
            .map_err(io::Error::other)?
            .into_data()
            .unwrap_or_default();
        self.octets += data.len();
        self.shared.counters.send_modify(|it| it.read += data.len());
        self.buffer.extend_from_slice(&data);
        Ok(true)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, io::Error> {
        loop {
            if let Some((mut head, _)) = self.buffer.split_at_checked(5) {
                assert_eq!(head.get_u8(), 0, "it isn't compressed");
                let length = head.get_u32() as usize;
                if self.buffer.len() >= 5 + length {
                    self.buffer.advance(5);
                    let message = self.buffer.split_to(length).freeze();
                    self.messages.push(message.clone());
                    return Ok(Some(message));
                }
            }
            if !self.next_frame().await? {
                assert!(self.buffer.is_empty(), "it ends within a message");
                return Ok(None);
            }
        }
    }

    fn came_to_its_end(&self) -> Digest {
        let digest = Digest::of(&self.messages);
        self.shared.whole.lock().unwrap().push(digest.clone());
        digest
    }
}

/// What goes to the client.
struct Outbox(mpsc::UnboundedSender<Frame<Bytes>>);

struct Frames(mpsc::UnboundedReceiver<Frame<Bytes>>);

fn response() -> (Outbox, Response<Frames>) {
    let (outbox, frames) = mpsc::unbounded_channel();
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .body(Frames(frames))
        .unwrap();
    (Outbox(outbox), response)
}

impl Outbox {
    // The client may be gone.

    fn data(&self, data: Bytes) {
        let _ = self.0.send(Frame::data(data));
    }

    fn message(&self, text: &str) {
        let mut message = BytesMut::new();
        message.put_u8(0);
        message.put_u32(u32::try_from(text.len()).unwrap());
        message.put(text.as_bytes());
        self.data(message.freeze());
    }

    fn status(&self, code: &'static str) {
        let _ = self.0.send(Frame::trailers(status(code)));
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_closed() && self.0.is_empty()
    }
}
