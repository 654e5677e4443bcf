//! Upstreams that refuse early and break off at once, octet by octet: the call is healed or fails
//! clearly, and what is cut off never looks whole.

use std::sync::{Arc, Mutex};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::{Layer, ServiceExt};
use tower_oauth::{
    Error, OAuthLayer,
    service::{AllowedOrigins, Rejected},
};

use super::order::{Boxed, Kind, Order, Refused};
use crate::support::World;

const KIB: usize = 1024;

/// How an upstream goes on behind its 401.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// It reads on.
    Stays,
    /// It says that it says no more, and reads on.
    Finishes,
    /// Octets that it hasn't read become a reset.
    Closes,
    /// It closes in the middle of its 401.
    ClosesInside,
    /// RST_STREAM with this code, and it reads on.
    Resets(u32),
    /// GOAWAY with this code, and it reads on.
    GoesAway(u32),
    /// GOAWAY, and it closes.
    GoesAwayAndCloses,
}

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// An upstream that refuses the first request.
struct Upstream {
    origin: String,
    seen: Arc<Mutex<Seen>>,
    serving: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    /// How many requests have begun.
    begun: usize,
    /// The bodies that came to an end, whatever was answered.
    whole: Vec<Bytes>,
}

/// What is refused, and how.
#[derive(Clone, Copy, Debug)]
struct Terms {
    http2: bool,
    /// Octets of the body that are read before the refusal.
    read: usize,
    then: Then,
}

impl Upstream {
    async fn start(terms: Terms) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let (mut serving, all) = (JoinSet::new(), Arc::clone(&seen));
        serving.spawn(async move {
            let (mut connections, mut first) = (JoinSet::new(), true);
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, refuses) = (Arc::clone(&all), std::mem::take(&mut first));
                connections.spawn(async move {
                    // The client may be gone.
                    let _ = match (terms.http2, refuses) {
                        (true, _) => Frames::new(stream, seen, terms, refuses).serve().await,
                        (false, true) => refuse_http1(stream, &seen, terms).await,
                        (false, false) => serve_http1(stream, seen).await,
                    };
                });
            }
        });
        Self {
            origin,
            seen,
            serving,
        }
    }
}

// ===== HTTP/1.1 =====

async fn refuse_http1(
    mut stream: TcpStream,
    seen: &Mutex<Seen>,
    terms: Terms,
) -> std::io::Result<()> {
    let mut got = Vec::new();
    let head = loop {
        stream.read_buf(&mut got).await?;
        if let Some(at) = got.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
    };
    seen.lock().unwrap().begun += 1;
    while got.len() < head + terms.read {
        stream.read_buf(&mut got).await?;
    }
    let refusal =
        b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 3\r\n\r\nno\n";
    match terms.then {
        Then::ClosesInside => return stream.write_all(&refusal[..30]).await,
        _ => stream.write_all(refusal).await?,
    }
    match terms.then {
        Then::Closes => return Ok(()),
        Then::Finishes => stream.shutdown().await?,
        _ => {}
    }
    while stream.read_buf(&mut got).await? > 0 {}
    seen.lock().unwrap().whole.extend(ended(&got, head));
    Ok(())
}

/// The content of this request, if it came to an end.
fn ended(request: &[u8], head: usize) -> Option<Bytes> {
    let (head, mut body) = request.split_at(head);
    let head = String::from_utf8_lossy(head);
    if let Some((_, length)) = head.split_once("content-length: ") {
        let length = length.lines().next()?.parse().ok()?;
        return Some(Bytes::copy_from_slice(body.get(..length)?));
    }
    let mut content = BytesMut::new();
    loop {
        let line = body.windows(2).position(|it| it == b"\r\n")?;
        let length = usize::from_str_radix(str::from_utf8(&body[..line]).ok()?, 16).unwrap();
        if length == 0 {
            return Some(content.freeze());
        }
        let chunk = body.get(line + 2..line + 2 + length)?;
        content.extend_from_slice(chunk);
        body = body.get(line + 2 + length + 2..)?;
    }
}

async fn serve_http1(stream: TcpStream, seen: Arc<Mutex<Seen>>) -> std::io::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        seen.lock().unwrap().begun += 1;
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            seen.lock().unwrap().whole.push(body);
            Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::default()))
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(std::io::Error::other)
}

// ===== HTTP/2 =====

/// A connection by hand: as much of RFC 9113 as one client with one call at a time needs.
struct Frames {
    stream: TcpStream,
    seen: Arc<Mutex<Seen>>,
    terms: Terms,
    /// Whether the first request is refused.
    refuses: bool,
}

/// Types of frames, and their flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Entry 8 of HPACK's static table is `:status 200`; the other has its name only.
const OK: &[u8] = &[0x88];
const UNAUTHORIZED: &[u8] = b"\x08\x03401";

impl Frames {
    fn new(stream: TcpStream, seen: Arc<Mutex<Seen>>, terms: Terms, refuses: bool) -> Self {
        Self {
            stream,
            seen,
            terms,
            refuses,
        }
    }

    async fn serve(mut self) -> std::io::Result<()> {
        let mut preface = [0; 24];
        self.stream.read_exact(&mut preface).await?;
        self.send(SETTINGS, 0, 0, &[]).await?;
        let (mut current, mut body, mut refused) = (0, BytesMut::new(), false);
        loop {
            let (kind, flags, id, payload) = self.next().await?;
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await?,
                PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload).await?,
                HEADERS if id != current => {
                    self.seen.lock().unwrap().begun += 1;
                    (current, refused) = (id, false);
                    body.clear();
                }
                DATA => {
                    body.extend_from_slice(&payload);
                    if !payload.is_empty() {
                        let more = u32::try_from(payload.len()).unwrap().to_be_bytes();
                        self.send(WINDOW_UPDATE, 0, 0, &more).await?;
                        self.send(WINDOW_UPDATE, 0, id, &more).await?;
                    }
                }
                _ => {}
            }
            let is_refused = self.refuses && id == 1;
            if is_refused && !refused && current == 1 && body.len() >= self.terms.read {
                refused = true;
                if !self.refuse().await? {
                    return Ok(());
                }
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                self.seen.lock().unwrap().whole.push(body.split().freeze());
                if !is_refused {
                    let flags = END_HEADERS | END_STREAM;
                    self.send(HEADERS, flags, id, OK).await?;
                }
            }
        }
    }

    /// Refuses the first request; `false` when the connection is to be closed.
    async fn refuse(&mut self) -> std::io::Result<bool> {
        let mut frames = BytesMut::new();
        put(&mut frames, HEADERS, END_HEADERS, 1, UNAUTHORIZED);
        put(&mut frames, DATA, END_STREAM, 1, b"no\n");
        match self.terms.then {
            Then::Resets(code) => put(&mut frames, RST_STREAM, 0, 1, &code.to_be_bytes()),
            Then::GoesAway(code) => put(&mut frames, GOAWAY, 0, 0, &goaway(code)),
            Then::GoesAwayAndCloses => put(&mut frames, GOAWAY, 0, 0, &goaway(NO_ERROR)),
            Then::ClosesInside => frames.truncate(12),
            Then::Stays | Then::Finishes | Then::Closes => {}
        }
        self.stream.write_all(&frames).await?;
        if self.terms.then == Then::Finishes {
            self.stream.shutdown().await?;
        }
        Ok(!matches!(
            self.terms.then,
            Then::Closes | Then::ClosesInside | Then::GoesAwayAndCloses
        ))
    }

    async fn next(&mut self) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let mut head = &head[..];
        let length = head.get_uint(3);
        let (kind, flags, id) = (head.get_u8(), head.get_u8(), head.get_u32());
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await?;
        Ok((kind, flags, id, payload))
    }

    async fn send(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> std::io::Result<()> {
        let mut frame = BytesMut::new();
        put(&mut frame, kind, flags, id, payload);
        self.stream.write_all(&frame).await
    }
}

fn put(frames: &mut BytesMut, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    frames.put_uint(payload.len() as u64, 3);
    frames.put_u8(kind);
    frames.put_u8(flags);
    frames.put_u32(id);
    frames.put_slice(payload);
}

/// The last stream that is served is the first one.
fn goaway(code: u32) -> [u8; 8] {
    let mut payload = [0, 0, 0, 1, 0, 0, 0, 0];
    payload[4..].copy_from_slice(&code.to_be_bytes());
    payload
}

// ===== the calls =====

fn client(http2: bool) -> Client<HttpConnector, Boxed> {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.http2_only(http2).build(HttpConnector::new())
}

/// Sends this order to such an upstream with a token that it refuses; whether it was healed.
async fn is_healed(terms: Terms, order: Order) -> bool {
    let case = (terms, order);
    let world = World::new();
    world.latency(std::time::Duration::ZERO);
    let upstream = Upstream::start(terms).await;
    let handle = world.handle();
    handle.ready().await.unwrap();
    let origins = AllowedOrigins::new([&*upstream.origin]).unwrap();
    let refused = Refused::default();
    let api = OAuthLayer::new(handle, origins).layer(refused.noted(client(terms.http2)));

    let uri = format!("{}{}", upstream.origin, order.path());
    let body = order.stream(&refused);
    let request = order.request(uri.parse().unwrap(), http::Version::default(), body);
    let outcome = api.oneshot(request).await;

    let healed = match outcome {
        Ok(response) if response.status() == StatusCode::OK => true,
        Ok(response) => {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{case:?}");
            let rejected: &Rejected = response.extensions().get().unwrap();
            // What was sent by then is more than is kept.
            assert!(!order.held && !order.is_kept(), "{case:?} {rejected:?}");
            if let Ok(body) = response.into_body().collect().await {
                assert_eq!(body.to_bytes(), "no\n", "{case:?}");
            }
            false
        }
        Err(error) => {
            assert!(matches!(error, Error::Inner(_)), "{case:?} {error:?}");
            assert!(!error.to_string().is_empty(), "{case:?}");
            false
        }
    };
    // Whatever became of it: what came to an end came whole.
    let mut serving = upstream.serving;
    serving.shutdown().await;
    let seen = upstream.seen.lock().unwrap();
    let content = order.content();
    for body in &seen.whole {
        assert!(*body == content, "{case:?}: {} octets", body.len());
    }
    assert!(!healed || !seen.whole.is_empty(), "{case:?}");
    assert!(seen.begun <= 2 && world.fetches() <= 2, "{case:?}");
    healed
}

/// A source that holds after 10 KiB until it is refused, of a known length and of none, and one
/// that is as fast as can be and longer than what is kept.
fn orders() -> [Order; 3] {
    let order = |size, kind, held| Order {
        number: 7,
        size,
        kind,
        held,
    };
    [
        order(20 * KIB, Kind::Sized, true),
        order(100 * KIB, Kind::Trailed, true),
        order(2000 * KIB, Kind::Trailed, false),
    ]
}

// Called on one thread: the source is told of the refusal below the layer, and goes on when the layer
// knows of it too.
async fn each(http2: bool, then: impl IntoIterator<Item = Then>, always: &[Then]) {
    for then in then {
        for read in [0, 10 * KIB] {
            let terms = Terms { http2, read, then };
            for order in orders() {
                let healed = is_healed(terms, order).await;
                if order.held && always.contains(&then) {
                    assert!(healed, "{terms:?} {order:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn over_http1_a_refusal_that_breaks_off_is_healed_or_fails_clearly() {
    let all = [
        Then::Stays,
        Then::Finishes,
        Then::Closes,
        Then::ClosesInside,
    ];
    each(false, all, &[Then::Stays, Then::Finishes]).await;
}

#[tokio::test]
async fn over_http2_a_refusal_that_breaks_off_is_healed_or_fails_clearly() {
    let healed = [
        Then::Stays,
        Then::Resets(NO_ERROR),
        Then::Resets(CANCEL),
        Then::Resets(INTERNAL_ERROR),
    ];
    let others = [
        // The second send may still take the connection that is going away.
        Then::GoesAway(NO_ERROR),
        Then::Finishes,
        Then::Closes,
        Then::ClosesInside,
        Then::GoesAway(ENHANCE_YOUR_CALM),
        Then::GoesAwayAndCloses,
    ];
    each(true, healed.into_iter().chain(others), &healed).await;
}
