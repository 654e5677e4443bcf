//! The callers' side: TLS that demands a certificate, and who the caller is by it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};

use super::Failure;

/// How long a caller may take for its handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// A caller, by its verified certificate: the SHA-256 of it, as in `x5t#S256`.
///
/// A mesh would take the SPIFFE ID in the certificate, which outlives renewals. Whatever it is, it must
/// come from the handshake: a header can be written by anybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller(pub(crate) String);

impl Caller {
    fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate)))
    }
}

impl Connected<IncomingStream<'_, Inbound>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Inbound>) -> Self {
        let (_, tls) = stream.io().get_ref();
        let certificates = tls.peer_certificates().unwrap_or_default();
        Self::of(certificates.first().expect("the handshake demands one"))
    }
}

/// Listens for callers that have a certificate.
pub(crate) struct Inbound {
    tcp: TcpListener,
    tls: TlsAcceptor,
    /// Aside, so that a slow caller keeps nobody waiting.
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Inbound {
    /// Shows the certificate, and takes callers with one that `callers` has issued. All are PEM.
    pub(crate) fn new(
        tcp: TcpListener,
        [certificate, key]: [&str; 2],
        callers: &str,
    ) -> Result<Self, Failure> {
        let provider = Arc::new(default_provider());
        let mut issuers = RootCertStore::empty();
        for issuer in CertificateDer::pem_slice_iter(callers.as_bytes()) {
            issuers.add(issuer?)?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(issuers.into(), Arc::clone(&provider));
        let chain: Result<_, _> = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier.build()?)
            .with_single_cert(chain?, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?;
        Ok(Self {
            tcp,
            tls: Arc::new(config).into(),
            handshakes: JoinSet::new(),
        })
    }
}

impl Listener for Inbound {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                // axum's own, which waits when there are too many open files.
                (tcp, address) = Listener::accept(&mut self.tcp) => {
                    let handshake = self.tls.accept(tcp);
                    self.handshakes.spawn(async move {
                        Some((timeout(PATIENCE, handshake).await.ok()?.ok()?, address))
                    });
                }
                Some(ended) = self.handshakes.join_next() => {
                    // One that failed is the caller's business.
                    if let Ok(Some(accepted)) = ended {
                        return accepted;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
