use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::Request;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{ErrorKind, protocol::Endpoint, tls::TrustAnchors, transport::TransportLimits};

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/keys/", $name))
    };
}

fn trust() -> TrustAnchors {
    TrustAnchors::from_pem(key!("ca.pem")).unwrap()
}

fn identity() -> ClientIdentity {
    ClientIdentity::from_pem(key!("p256-client.pem"), key!("p256-sec1.pem")).unwrap()
}

/// Demands a client certificate.
fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(key!("ca.pem")).unwrap();
    roots.add(authority).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(key!("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_slice(key!("server-key.pem")).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers `{}` when the request's body has arrived, which ends in `!`.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut request = Vec::new();
    while !request.ends_with(b"!") {
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return;
        }
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    stream.write_all(answer).await.unwrap();
    stream.flush().await.unwrap();
}

async fn answer_with_tls(stream: TcpStream) {
    match acceptor().accept(stream).into_fallible().await {
        Ok(stream) => answer(stream).await,
        // A socket closed over unread octets is reset, which can take the alert with it.
        Err((_, mut stream)) => while stream.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {},
    }
}

/// One exchange with a server that serves one connection.
async fn exchange<F: Future<Output = ()> + Send + 'static>(
    client: &HttpClient,
    scheme: &str,
    serve: fn(TcpStream) -> F,
) -> Result<Bytes, TokenError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    let url = format!("{scheme}://localhost:{port}/token");
    let endpoint = Endpoint::allow_plain_http(&url).unwrap();
    let request = Request::post(url)
        .body(Bytes::from_static(b"a=b!"))
        .unwrap();
    let answer = client
        .send(request, &endpoint, &TransportLimits::new())
        .await;
    answer.map(|answer| answer.into_body())
}

#[tokio::test]
async fn the_certificate_reaches_the_server() {
    let client = HttpClient::hyper(trust(), Some(identity())).unwrap();
    assert!(client.identity().is_some());
    let answer = exchange(&client, "https", answer_with_tls).await;
    assert_eq!(answer.unwrap(), "{}");
}

#[tokio::test]
async fn a_certificate_that_is_wanted_and_not_shown_is_a_fault_of_the_key() {
    let client = HttpClient::hyper(trust(), None).unwrap();
    let error = exchange(&client, "https", answer_with_tls)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key, "{error:?}");
    assert!(error.hint().unwrap().contains("identity"));
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_nothing() {
    let stranger = TrustAnchors::from_pem(key!("p256-client.pem")).unwrap();
    let client = HttpClient::hyper(stranger, Some(identity())).unwrap();
    let error = exchange(&client, "https", answer_with_tls)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(!error.is_temporary());
    assert!(error.to_string().contains("isn't trusted"), "{error:?}");
}

#[tokio::test]
async fn plain_http_needs_a_client_without_tls() {
    let client = HttpClient::plain_http();
    let body = exchange(&client, "http", answer::<TcpStream>)
        .await
        .unwrap();
    assert_eq!(body, "{}");

    let client = HttpClient::hyper(trust(), None).unwrap();
    let error = exchange(&client, "http", answer::<TcpStream>)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn nobody_there_is_a_temporary_fault() {
    let client = HttpClient::hyper(trust(), None).unwrap();
    let error = exchange(&client, "https", |stream| async { drop(stream) })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.is_temporary());
}

#[test]
fn a_client_is_made_without_a_runtime() {
    HttpClient::hyper(trust(), Some(identity())).unwrap();
    HttpClient::plain_http();
}

async fn answer_with_a_self_signed_certificate(stream: TcpStream) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream);
    if let Err((_, mut stream)) = accepted.into_fallible().await {
        while stream.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {}
    }
}

#[tokio::test]
async fn why_a_server_is_not_trusted_is_told_with_its_cure() {
    let client = HttpClient::hyper(trust(), None).unwrap();
    let error = exchange(&client, "https", answer_with_a_self_signed_certificate)
        .await
        .unwrap_err();
    let hint = error.hint().unwrap();
    assert!(hint.contains("add this very certificate"), "{error:?}");
}
