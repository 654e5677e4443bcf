//! The embedded HTTP proxy.

use std::{
    fmt, io,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    gate::Gate,
    lock,
    log::Log,
    pki::{Pki, Terms},
};
use crate::tls::{TlsConfig, TrustAnchors};

/// What the head of a request may have.
const MAX_HEAD: u64 = 64 * 1024;

/// An HTTP proxy on a loopback port, which takes `CONNECT` ([RFC 9110 section 9.3.6]) and nothing
/// else, and gets in the way as a test tells it.
///
/// What it is told counts for the requests that arrive from then on; tunnels that stand are left
/// alone. When this is dropped, the listener and all its connections end.
///
/// ```
/// use tower_oauth::{
///     testing::FakeProxy,
///     tls::Proxy,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fake = FakeProxy::start().await?;
/// fake.require_basic_auth("orders", "pa55word");
/// let proxy = Proxy::http(fake.url())?.basic_auth("orders", "pa55word")?;
///
/// // Give `proxy` to the code under test, and have it call something. Then:
/// assert!(fake.requests().is_empty());
/// # let _ = proxy;
/// # Ok(())
/// # }
/// ```
///
/// [RFC 9110 section 9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
pub struct FakeProxy {
    url: String,
    authority: Pki,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    gate: Gate,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    credentials: Option<String>,
    requests: Log<ReceivedConnect>,
}

#[derive(Clone, Default)]
enum Mode {
    #[default]
    Pass,
    Refuse(StatusCode),
    CloseEarly,
    Intercept(TlsAcceptor, TlsConnector),
}

impl FakeProxy {
    /// A proxy that lets everybody pass.
    ///
    /// # Errors
    ///
    /// When there is no port to be had, or the cryptographic library fails.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            gate: Gate::new(),
            state: Mutex::default(),
        });
        Ok(Self {
            url,
            authority: Pki::named("intercepting proxy")?,
            task: tokio::spawn(accept(listener, Arc::clone(&shared))),
            shared,
        })
    }

    /// The address: `http://127.0.0.1:` and the port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets requests pass, as in the beginning. Credentials that are required stay required.
    pub fn pass(&self) {
        self.set_mode(Mode::Pass);
    }

    /// Answers 407 to requests without these credentials ([RFC 7617]). Default: none are required.
    ///
    /// [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
    pub fn require_basic_auth(&self, user: &str, password: &str) {
        let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
        lock(&self.shared.state).credentials = Some(format!("Basic {pair}"));
    }

    /// Answers every request with this status.
    pub fn refuse(&self, status: StatusCode) {
        self.set_mode(Mode::Refuse(status));
    }

    /// Closes the connection in place of an answer.
    pub fn close_early(&self) {
        self.set_mode(Mode::CloseEarly);
    }

    /// Ends TLS itself, with a certificate of an authority of its own ([`ca_pem`](Self::ca_pem)),
    /// and begins it anew with the server, which must have a certificate of `servers`. A client's
    /// certificate gets lost on the way.
    ///
    /// # Errors
    ///
    /// When the cryptographic library fails.
    pub fn intercept(&self, servers: &Pki) -> io::Result<()> {
        let terms = Terms {
            certificate_unasked: true,
            http1_only: true,
            ..Terms::default()
        };
        let acceptor = TlsAcceptor::from(self.authority.server(terms)?);
        let trust =
            TrustAnchors::from_pem(servers.ca_pem().as_bytes()).map_err(io::Error::other)?;
        let config = TlsConfig::new(trust).client_config();
        let connector = TlsConnector::from(Arc::new(config.map_err(io::Error::other)?));
        self.set_mode(Mode::Intercept(acceptor, connector));
        Ok(())
    }

    /// The root certificate of the proxy's own authority as PEM: what a client has to trust that
    /// is to be intercepted.
    pub fn ca_pem(&self) -> String {
        self.authority.ca_pem()
    }

    /// Holds requests: who has arrived waits for an answer until [`release`](Self::release).
    pub fn hold(&self) {
        self.shared.gate.shut();
    }

    /// Lets all held requests go on, and new ones pass.
    pub fn release(&self) {
        self.shared.gate.open();
    }

    /// Waits until at least `count` requests are held.
    ///
    /// # Cancel safety
    ///
    /// It only looks on: dropping it changes nothing.
    pub async fn wait_until_held(&self, count: usize) {
        self.shared.gate.holds(count).await;
    }

    /// The requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<ReceivedConnect> {
        lock(&self.shared.state).requests.kept()
    }

    fn set_mode(&self, mode: Mode) {
        lock(&self.shared.state).mode = mode;
    }
}

impl Drop for FakeProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for FakeProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeProxy")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "Pass",
            Self::Refuse(_) => "Refuse",
            Self::CloseEarly => "CloseEarly",
            Self::Intercept(..) => "Intercept",
        })
    }
}

// ===== impl ReceivedConnect =====

/// A request as a [`FakeProxy`] got it.
#[derive(Clone, Debug)]
pub struct ReceivedConnect {
    target: String,
    headers: HeaderMap,
}

impl ReceivedConnect {
    /// Where to: host and port, as they stood in the request.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The header fields. Credentials are marked as sensitive.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// `None`: it isn't a whole request for a tunnel.
    async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut lines = stream.take(MAX_HEAD).lines();
        let first = lines.next_line().await.ok()??;
        let target = first.strip_prefix("CONNECT ")?.strip_suffix(" HTTP/1.1")?;
        let mut headers = HeaderMap::new();
        loop {
            let line = lines.next_line().await.ok()??;
            if line.is_empty() {
                let target = target.to_owned();
                return Some(Self { target, headers });
            }
            let (name, value) = line.split_once(':')?;
            let mut value: HeaderValue = value.trim().parse().ok()?;
            let name: HeaderName = name.parse().ok()?;
            value.set_sensitive(name == http::header::PROXY_AUTHORIZATION);
            headers.append(name, value);
        }
    }
}

// ===== the connections =====

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this future, and every connection with it.
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&shared);
                    // It ends with an error when one of both sides breaks off: nothing to be done.
                    tasks.spawn(async move { let _ = serve(stream, &shared).await; });
                }
                // A failure to accept is the peer's, or a lack of descriptors that passes.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = BufReader::new(stream);
    let Some(request) = ReceivedConnect::read(&mut client).await else {
        return answer(&mut client, "405 Method Not Allowed\r\nAllow: CONNECT").await;
    };
    let (mode, credentials) = {
        let mut state = lock(&shared.state);
        state.requests.push(request.clone());
        (state.mode.clone(), state.credentials.clone())
    };
    shared.gate.pass().await;
    let sent = request.headers.get(http::header::PROXY_AUTHORIZATION);
    if credentials.is_some_and(|it| sent.is_none_or(|sent| *sent != it)) {
        let head = "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"fake\"";
        return answer(&mut client, head).await;
    }
    match mode {
        Mode::Refuse(status) => return answer(&mut client, status.as_str()).await,
        Mode::CloseEarly => return Ok(()),
        Mode::Pass | Mode::Intercept(..) => {}
    }
    let Ok(mut server) = TcpStream::connect(&request.target).await else {
        return answer(&mut client, "502 Bad Gateway").await;
    };
    server.set_nodelay(true)?;
    client
        .write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        .await?;
    let Mode::Intercept(acceptor, connector) = mode else {
        return copy_bidirectional(&mut client, &mut server).await.map(drop);
    };
    let host = request.target.rsplit_once(':').map_or("", |(host, _)| host);
    let host = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut client = match acceptor.accept(client).into_fallible().await {
        Ok(client) => client,
        // A socket closed over unread octets is reset, which can take the alert with it.
        Err((error, mut client)) => {
            while client.read(&mut [0; 1024]).await? > 0 {}
            return Err(error);
        }
    };
    let mut server = connector.connect(host, server).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn answer(client: &mut BufReader<TcpStream>, status: &str) -> io::Result<()> {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}
