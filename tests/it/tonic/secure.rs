//! Over TLS, against the servers of the kit.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use hyper_rustls::HttpsConnectorBuilder;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tonic::transport::{Channel, Endpoint};
use tower::ServiceBuilder;
use tower_oauth::{
    OAuthLayer,
    adapter::tonic::StatusLayer,
    client_auth::ClientSecretBasic,
    grant::ClientCredentials,
    service::AllowedOrigins,
    testing::{Answer, Client, FakeAuthorizationServer, FakeResource, Pki, Refusal},
    tls::TrustAnchors,
};

use super::Orders;

fn channel(pki: &Pki, origin: &str) -> Channel {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http2()
        .build();
    Channel::new(connector, Endpoint::from_shared(origin.to_owned()).unwrap())
}

fn grpc(status: &str) -> Answer {
    Answer::new(StatusCode::OK)
        .header("content-type", "application/grpc")
        .header("grpc-status", status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_outlives_its_token_over_tls() {
    let pki = Pki::new().unwrap();
    let server = FakeAuthorizationServer::builder(&pki)
        .client(Client::client_secret_basic("orders", "a secret"))
        .start()
        .await
        .unwrap();
    let resource = FakeResource::builder(&pki)
        .trusting(&server)
        .start()
        .await
        .unwrap();
    resource.set_acceptance(grpc("0"));
    resource.set_refusal(Refusal::Custom(grpc("16")));

    let source = ClientCredentials::builder(server.token_endpoint())
        .client_id("orders")
        .auth(ClientSecretBasic::new("a secret"))
        .trust(TrustAnchors::from_pem(pki.ca_pem().as_bytes()).unwrap())
        .build()
        .unwrap();
    let origins = AllowedOrigins::new([resource.origin()]).unwrap();
    let origins = origins.without_authority(resource.origin()).unwrap();
    let service = ServiceBuilder::new()
        .layer(StatusLayer::new())
        .layer(OAuthLayer::new(source, origins).rejection_as_error())
        .service(channel(&pki, resource.origin()));
    let mut api = Orders::new(service);

    for _ in 0..2 {
        let mut answers = api.watch(Bytes::from("an order")).await.unwrap();
        assert_eq!(answers.message().await.unwrap(), None);
        server.rollover();
    }
    assert_eq!(server.counters().token_requests, 2);
    let bodies = resource.calls();
    assert_eq!(bodies.len(), 3);
    for call in bodies {
        assert!(call.body().unwrap().is(b"\0\0\0\0\x08an order"));
    }
}
