//! The sockets: one loopback listener with TLS, HTTP/1.1 and HTTP/2, which can be taken down.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::{HandshakeKind, ServerConfig};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use super::{
    answer::AnswerBody,
    handshake::{Arrival, Connections},
    pki,
};

/// Connections that may wait to be accepted: a crowd of clients connects at the same moment.
const BACKLOG: u32 = 1024;

/// Streams on one HTTP/2 connection, running or just cancelled by a crowd of dropped callers.
const STREAMS: u32 = 4096;

/// Room for a token of 16 KiB among other header fields.
const HEADER_LIST: u32 = 64 * 1024;

/// What a server does with a request.
pub(super) trait Handler: Send + Sync + 'static {
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> impl Future<Output = Response<AnswerBody>> + Send;
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The number of the connection, from 1.
    pub(super) connection: u64,
    /// The `x5t#S256` of the certificate presented in the handshake, verified by then.
    pub(super) thumbprint: Option<String>,
}

// ===== impl Bound =====

/// A port that is taken, but not served yet.
pub(super) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    pub(super) fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(super) fn origin(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Serves until the returned handle is dropped.
    pub(super) fn serve(self, tls: Arc<ServerConfig>, handler: Arc<impl Handler>) -> Serving {
        let power = watch::Sender::new(Power {
            up: true,
            outages: 0,
        });
        let connections = Arc::new(Connections::default());
        let acceptor = Acceptor {
            tls: TlsAcceptor::from(tls),
            handler,
            power: power.subscribe(),
            connections: Arc::clone(&connections),
        };
        Serving {
            power,
            connections,
            task: tokio::spawn(acceptor.accept(self.listener)),
        }
    }
}

// ===== impl Serving =====

/// A listener with all its connections. They end when this is dropped: the task sees that
/// `power` is gone.
#[derive(Debug)]
pub(super) struct Serving {
    power: watch::Sender<Power>,
    connections: Arc<Connections>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Power {
    up: bool,
    /// How often it was taken down: a connection doesn't outlive an outage that it missed.
    outages: u64,
}

impl Serving {
    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Ends all connections and drops new ones. The port stays taken, so that nobody else gets it.
    pub(super) fn take_down(&self) {
        self.power.send_modify(|power| {
            power.up = false;
            power.outages += 1;
        });
    }

    pub(super) fn bring_up(&self) {
        self.power.send_modify(|power| power.up = true);
    }

    /// Ends the listener and all connections, and waits for the listener's end.
    pub(super) async fn shutdown(self) {
        drop(self.power);
        // It ends with an error only when the runtime is going down, and the listener with it.
        let _ = self.task.await;
    }
}

// ===== impl Acceptor =====

struct Acceptor<H> {
    tls: TlsAcceptor,
    handler: Arc<H>,
    power: watch::Receiver<Power>,
    connections: Arc<Connections>,
}

impl<H: Handler> Acceptor<H> {
    async fn accept(mut self, listener: TcpListener) {
        // Dropped with this future, and every connection with it.
        let mut tasks = JoinSet::new();
        let mut outages = 0;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => Some(accepted),
                changed = self.power.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
                Some(_) = tasks.join_next() => None,
            };
            let power = *self.power.borrow_and_update();
            if power.outages != outages {
                outages = power.outages;
                tasks.abort_all();
            }
            match accepted {
                Some(Ok((stream, _))) if power.up => {
                    let connection = Connection {
                        handler: Arc::clone(&self.handler),
                        power: self.power.clone(),
                        accepted_at: power,
                    };
                    let tls = self.tls.clone();
                    tasks.spawn(connection.serve(stream, tls, self.connections.arrived()));
                }
                // A failure to accept is the peer's, or a lack of descriptors that passes.
                Some(_) => tokio::task::yield_now().await,
                None => {}
            }
        }
    }
}

// ===== impl Connection =====

struct Connection<H> {
    handler: Arc<H>,
    power: watch::Receiver<Power>,
    accepted_at: Power,
}

impl<H: Handler> Connection<H> {
    async fn serve(self, stream: TcpStream, tls: TlsAcceptor, arrival: Arrival) {
        // Both failures are the peer's: it sees its own end of them.
        let _ = stream.set_nodelay(true);
        let Ok(stream) = tls.accept(stream).await else {
            return;
        };
        let session = stream.get_ref().1;
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let thumbprint = leaf.map(pki::thumbprint);
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let peer = Peer {
            connection: arrival.shook_hands(thumbprint.clone(), resumed),
            thumbprint,
        };

        // The tasks of HTTP/2 streams end by themselves when their connection is dropped.
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http2()
            .max_concurrent_streams(STREAMS)
            .max_pending_accept_reset_streams(STREAMS as usize)
            .max_header_list_size(HEADER_LIST);
        let this = Arc::new(self);
        let service = service_fn(move |request| {
            let (this, peer) = (Arc::clone(&this), peer.clone());
            async move { this.answer(request, &peer).await }
        });
        // It ends with an error when the client breaks it off: nothing to be done.
        let _ = builder
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    /// The handler's answer, unless there was an outage before or meanwhile.
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> io::Result<Response<AnswerBody>> {
        self.check_power()?;
        let response = self.handler.handle(request, peer).await;
        self.check_power()?;
        Ok(response)
    }

    fn check_power(&self) -> io::Result<()> {
        if *self.power.borrow() == self.accepted_at {
            Ok(())
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}
