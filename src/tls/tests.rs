use std::sync::Arc;

use rustls::{
    ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use super::*;
use crate::{
    error::ErrorKind,
    keystore::{ClientIdentity, KeyStore, KeystoreError},
};

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/keys/", $name))
    };
}

fn trust() -> TrustAnchors {
    TrustAnchors::from_pem(key!("ca.pem")).unwrap()
}

fn identity() -> ClientIdentity {
    ClientIdentity::from_pem(key!("p256-client.pem"), key!("p256-sec1.pem")).unwrap()
}

/// A server that demands a client certificate.
fn server() -> ServerConnection {
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
    ServerConnection::new(config.into()).unwrap()
}

/// Carries the handshake to and fro until both are done or one gives up.
fn handshake(config: &TlsConfig, host: &'static str) -> Result<ServerConnection, rustls::Error> {
    let config = Arc::new(config.client_config().unwrap());
    let mut client = ClientConnection::new(config, host.try_into().unwrap()).unwrap();
    let mut server = server();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(server)
}

#[test]
fn the_identity_is_shown_to_a_server_that_asks() {
    let tls = TlsConfig::new(trust()).identity(&identity());
    let server = handshake(&tls, "localhost").unwrap();
    assert_eq!(server.peer_certificates().unwrap(), identity().chain());
}

#[test]
fn without_an_identity_no_certificate_is_shown() {
    let error = handshake(&TlsConfig::new(trust()), "localhost").unwrap_err();
    assert_eq!(error, rustls::Error::NoCertificatesPresented);
}

#[test]
fn a_server_of_another_authority_or_name_is_refused() {
    let stranger = TrustAnchors::from_pem(key!("p256-client.pem")).unwrap();
    for (trust, host) in [(stranger, "localhost"), (trust(), "api.example")] {
        let tls = TlsConfig::new(trust).identity(&identity());
        let error = handshake(&tls, host).unwrap_err();
        assert!(
            matches!(error, rustls::Error::InvalidCertificate(_)),
            "{error}"
        );
    }
}

fn store(name: &str) -> KeyStore {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores");
    KeyStore::file([directory, name].join("/"))
}

#[test]
fn truststores_of_every_format_are_read() {
    for name in [
        "keytool-trust.jks",
        "keytool-trust.p12",
        "openssl-no-key.p12",
    ] {
        let trust = TrustAnchors::load_blocking(&store(name).password("changeit"));
        let tls = TlsConfig::new(trust.unwrap()).identity(&identity());
        handshake(&tls, "localhost").unwrap();
    }
    let pem = TrustAnchors::load_blocking(&store("../keys/ca.pem")).unwrap();
    handshake(&TlsConfig::new(pem).identity(&identity()), "localhost").unwrap();
}

#[test]
fn a_truststore_without_its_password_is_read_only_on_request() {
    let store = store("keytool-trust.jks");
    let error = TrustAnchors::load_blocking(&store).unwrap_err();
    assert!(
        matches!(error, KeystoreError::MissingPassword { .. }),
        "{error}"
    );
    TrustAnchors::load_blocking(&store.allow_unverified()).unwrap();
}

#[tokio::test]
async fn the_chain_of_a_key_is_not_trusted() {
    for name in [
        "keytool-chain.jks",
        "keytool-chain.p12",
        "openssl-chain.p12",
    ] {
        let store = store(name).password("changeit");
        let error = TrustAnchors::load(&store).await.unwrap_err();
        assert!(
            matches!(error, KeystoreError::NothingTrusted { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("keytool -importcert"), "{error}");
    }
}

#[test]
fn no_process_wide_provider_is_installed_and_alpn_is_left_to_the_connector() {
    let config = TlsConfig::new(trust()).client_config().unwrap();
    assert!(CryptoProvider::get_default().is_none());
    assert!(config.alpn_protocols.is_empty());
}

#[test]
fn anchors_that_are_none_are_refused() {
    let error = TrustAnchors::from_pem(key!("p256-pkcs8.pem")).unwrap_err();
    assert!(
        matches!(error, KeystoreError::NoCertificate { .. }),
        "{error}"
    );
    let damaged = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let error = TrustAnchors::from_pem(damaged).unwrap_err();
    assert!(
        matches!(error, KeystoreError::UnsupportedCertificate { .. }),
        "{error}"
    );
    let error = TrustAnchors::from_pem_file("absent/ca.crt").unwrap_err();
    assert!(error.to_string().contains("absent/ca.crt"), "{error}");
    let error: crate::TokenError = error.into();
    assert_eq!(error.kind(), ErrorKind::Key);
}

#[cfg(feature = "platform-roots")]
#[test]
fn the_platform_can_be_trusted() {
    let tls = TlsConfig::new(TrustAnchors::platform());
    // Where the machine has no authorities at all, that is an error and not a panic.
    if let Err(error) = tls.client_config() {
        assert_eq!(error.kind(), ErrorKind::Configuration);
    }
}

#[tokio::test]
async fn the_client_speaks_https_only() {
    let client = hyper_client::<String>(&TlsConfig::new(trust())).unwrap();
    let error = client
        .get("http://127.0.0.1:9/".parse().unwrap())
        .await
        .unwrap_err();
    let chain = format!("{error:?}");
    assert!(chain.contains("unsupported scheme http"), "{chain}");
}
