use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    DigitallySignedStruct, Error as TlsError, ProtocolVersion, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::fault;
use crate::{
    error::{ErrorKind, TokenError},
    keystore::{Certificate, distinguished_name},
    protocol::Endpoint,
    tls::{self, TlsConfig},
};

/// A server that has nothing against the client's certificate says so by closing.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A connection to a server on which nothing has been said yet: for diagnosis.
///
/// ```no_run
/// use tower_oauth::{
///     tls::{TlsConfig, TrustAnchors},
///     transport::Probe,
/// };
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = TlsConfig::new(TrustAnchors::from_pem_file("ca.crt")?);
/// let probe = Probe::connect(&tls, "https://as.example").await?;
/// if !probe.handshake().await.asked_for_certificate() {
///     println!("this address is of no use for mutual TLS");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Probe {
    tls: TlsConfig,
    endpoint: Endpoint,
    connection: TcpStream,
}

/// What a TLS handshake with a server showed, as far as it went: for diagnosis.
#[derive(Clone, Debug)]
pub struct Handshake {
    seen: Seen,
    version: Option<&'static str>,
    outcome: Result<(), TokenError>,
}

/// The certificate of a server, whether or not it is trusted.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    subject: String,
    issuer: String,
    not_after: SystemTime,
}

/// What the handshake passes by on its way.
#[derive(Clone, Debug, Default)]
struct Seen {
    server: Option<ServerCertificate>,
    asked: bool,
    authorities: Vec<String>,
}

impl Probe {
    /// Connects to an `https` address: TCP, and the tunnel of the proxy if there is one on the way.
    /// There is no deadline.
    ///
    /// # Errors
    ///
    /// Kind [`Proxy`](ErrorKind::Proxy): the proxy stands in the way. Kind
    /// [`Transport`](ErrorKind::Transport): the server, or its name, can't be found.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn connect(tls: &TlsConfig, url: &str) -> Result<Self, TokenError> {
        let endpoint = Endpoint::new(url).map_err(|error| {
            TokenError::new(ErrorKind::Configuration, format!("no address: {error}"))
        })?;
        let connection = tls::connect(tls, endpoint.uri().clone()).await;
        Ok(Self {
            connection: connection.map_err(|error| fault::told_apart(error, &endpoint))?,
            tls: tls.clone(),
            endpoint,
        })
    }

    /// The address at the other end: the proxy's if there is one.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.peer_addr()
    }

    /// Does a TLS handshake, and ends the connection. Nothing else is sent. There is no deadline but
    /// for a second at the end, in which a server may still refuse the client's certificate.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the connection.
    pub async fn handshake(self) -> Handshake {
        let seen = Arc::default();
        let mut version = None;
        let outcome = self.shake(&seen, &mut version).await;
        let seen = lock(&seen).clone();
        Handshake {
            seen,
            version,
            outcome,
        }
    }

    async fn shake(
        self,
        seen: &Arc<Mutex<Seen>>,
        version: &mut Option<&'static str>,
    ) -> Result<(), TokenError> {
        let Self {
            tls,
            endpoint,
            connection,
        } = self;
        let host = endpoint.uri().host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|error| {
            let message = format!("{host:?} names no host");
            TokenError::new(ErrorKind::Configuration, message).with_source(error)
        })?;
        let mut config = tls.client_config()?;
        let verifier = tls.verifier(config.crypto_provider().clone())?;
        let verifier = Watched(verifier, seen.clone());
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(verifier));
        let resolver = config.client_auth_cert_resolver.clone();
        config.client_auth_cert_resolver = Arc::new(Watched(resolver, seen.clone()));

        let failed = |error: io::Error| {
            let error = tls::blame(tls.through(), endpoint.uri(), error.into());
            fault::told_apart(error, &endpoint)
        };
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, connection).await.map_err(failed)?;
        *version = match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Some("TLS 1.3"),
            _ => Some("TLS 1.2"),
        };
        // In TLS 1.3 the server judges the client's certificate after the client has finished.
        let last_word = async {
            stream.shutdown().await?;
            stream.read(&mut [0; 64]).await
        };
        match tokio::time::timeout(LAST_WORD, last_word).await {
            Ok(Err(error)) if error.get_ref().is_some_and(|it| it.is::<TlsError>()) => {
                Err(failed(error))
            }
            _ => Ok(()),
        }
    }
}

impl Handshake {
    /// The version of TLS: `TLS 1.2` or `TLS 1.3`. `None`: the handshake failed.
    pub fn version(&self) -> Option<&'static str> {
        self.version
    }

    /// The server's certificate. `None`: the handshake failed before it came.
    pub fn server_certificate(&self) -> Option<&ServerCertificate> {
        self.seen.server.as_ref()
    }

    /// Whether the server asked for a client certificate: one that doesn't can't know whose
    /// connection it is (RFC 8705 section 2).
    pub fn asked_for_certificate(&self) -> bool {
        self.seen.asked
    }

    /// The authorities whose client certificates the server says it takes. Empty: it doesn't say.
    pub fn accepted_authorities(&self) -> &[String] {
        &self.seen.authorities
    }

    /// # Errors
    ///
    /// Why the handshake failed, or why the server hung up after it.
    pub fn outcome(&self) -> Result<(), TokenError> {
        self.outcome.clone()
    }
}

impl ServerCertificate {
    /// The name of its subject, for people.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The name of its issuer, for people.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// When it expires.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

/// Lets somebody else decide, and remembers what came by.
#[derive(Debug)]
struct Watched<T: ?Sized>(Arc<T>, Arc<Mutex<Seen>>);

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ResolvesClientCert for Watched<dyn ResolvesClientCert> {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut seen = lock(&self.1);
        seen.asked = true;
        seen.authorities = root_hint_subjects
            .iter()
            .map(|it| distinguished_name(it))
            .collect();
        self.0.resolve(root_hint_subjects, sigschemes)
    }

    /// Rustls doesn't ask who says no here.
    fn has_certs(&self) -> bool {
        true
    }
}

impl ServerCertVerifier for Watched<dyn ServerCertVerifier> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        lock(&self.1).server = Certificate::parse(end_entity).map(|it| ServerCertificate {
            subject: it.subject(),
            issuer: it.issuer(),
            not_after: it.not_after,
        });
        self.0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::{
        testing::{FakeAuthorizationServer, Pki},
        tls::TrustAnchors,
    };

    async fn probe(server: &FakeAuthorizationServer, tls: &TlsConfig) -> Handshake {
        let probe = Probe::connect(tls, server.issuer()).await.unwrap();
        probe.handshake().await
    }

    #[tokio::test]
    async fn a_handshake_shows_version_certificate_and_whether_one_was_asked_for() {
        let pki = Pki::new().unwrap();
        let tls = TlsConfig::new(TrustAnchors::from_pem(pki.ca_pem().as_bytes()).unwrap());
        for (server, version) in [
            (FakeAuthorizationServer::builder(&pki), "TLS 1.3"),
            (
                FakeAuthorizationServer::builder(&pki).tls12_only(),
                "TLS 1.2",
            ),
        ] {
            let server = server.start().await.unwrap();
            let seen = probe(&server, &tls).await;
            seen.outcome().unwrap();
            assert_eq!(seen.version(), Some(version));
            assert!(seen.asked_for_certificate());
            let certificate = seen.server_certificate().unwrap();
            assert_ne!(certificate.subject(), certificate.issuer());
        }
    }

    #[tokio::test]
    async fn a_server_that_asks_for_no_certificate_is_told_from_one_that_does() {
        let pki = Pki::new().unwrap();
        let identity = pki.client("orders").unwrap().identity().unwrap();
        let tls = TlsConfig::new(TrustAnchors::from_pem(pki.ca_pem().as_bytes()).unwrap());
        let server = FakeAuthorizationServer::builder(&pki).certificate_unasked();
        let server = server.start().await.unwrap();
        let seen = probe(&server, &tls.identity(&identity)).await;
        seen.outcome().unwrap();
        assert!(!seen.asked_for_certificate());
    }

    #[tokio::test]
    async fn a_certificate_that_the_server_refuses_after_the_handshake_is_a_fault() {
        let pki = Pki::new().unwrap();
        let stranger = Pki::new().unwrap().client("orders").unwrap();
        let tls = TlsConfig::new(TrustAnchors::from_pem(pki.ca_pem().as_bytes()).unwrap());
        let tls = tls.identity(&stranger.identity().unwrap());
        for server in [
            FakeAuthorizationServer::builder(&pki),
            FakeAuthorizationServer::builder(&pki).tls12_only(),
        ] {
            let server = server.start().await.unwrap();
            let seen = probe(&server, &tls).await;
            let error = seen.outcome().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Key, "{error}");
            assert!(seen.asked_for_certificate());
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_trusted_is_seen_all_the_same() {
        let pki = Pki::new().unwrap();
        let server = FakeAuthorizationServer::builder(&pki)
            .start()
            .await
            .unwrap();
        let stranger = Pki::new().unwrap();
        let tls = TlsConfig::new(TrustAnchors::from_pem(stranger.ca_pem().as_bytes()).unwrap());
        let seen = probe(&server, &tls).await;
        let error = seen.outcome().unwrap_err();
        assert!(error.to_string().contains("isn't trusted"), "{error}");
        assert!(seen.server_certificate().is_some());
        assert_eq!(seen.version(), None);
    }
}
