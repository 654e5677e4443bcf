//! The detector finds what it looks for: a client that swaps its certificate inside goes on with
//! the old one.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    crypto::aws_lc_rs::{default_provider, sign::any_supported_type},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tower::{Layer, ServiceExt};
use tower_oauth::{
    service::{AllowedOrigins, OAuthLayer},
    testing::ClientPem,
};

use super::{World, world::Body};

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_that_swaps_inside_shows_the_old_certificate_in_new_handshakes() {
    for tls12 in [false, true] {
        let world = World::with_resource(|it| if tls12 { it.tls12_only() } else { it });
        let mut world = world.await;
        let swapping = Arc::new(Swapping(Mutex::new(certified(&world.now))));
        let client = client(&world, Arc::clone(&swapping));
        let origins = AllowedOrigins::new([world.resource.origin()]).unwrap();
        let api = OAuthLayer::new(world.handle.clone(), origins).layer(client);
        let response = api.clone().oneshot(world.order()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();

        let old = world.now.clone();
        let next = world.pki.client("orders").unwrap();
        *swapping.0.lock().unwrap() = certified(&next);
        world.rotate(next).await;
        let mark = world.mark().await;
        let response = api.clone().oneshot(world.order()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(world.handshakes_since(mark, &old) > 0);
        assert!(world.resource.counters().mismatched > 0);
    }
}

/// No connection is kept, and sessions are resumed.
fn client(world: &World, identity: Arc<Swapping>) -> Client<HttpsConnector<HttpConnector>, Body> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(world.pki.ca_pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(identity);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1();
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector.build())
}

#[derive(Debug)]
struct Swapping(Mutex<Arc<CertifiedKey>>);

impl ResolvesClientCert for Swapping {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().unwrap()))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(pem: &ClientPem) -> Arc<CertifiedKey> {
    let chain = CertificateDer::pem_slice_iter(pem.certificate_pem().as_bytes());
    let key = PrivateKeyDer::from_pem_slice(pem.key_pem().as_bytes()).unwrap();
    Arc::new(CertifiedKey::new(
        chain.map(Result::unwrap).collect(),
        any_supported_type(&key).unwrap(),
    ))
}
