//! A client for one HTTP version, to be called through the layer.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tower_oauth::testing::{ClientPem, Pki};

pub(crate) type HttpsClient<B> = Client<HttpsConnector<HttpConnector>, B>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Version {
    /// A connection for each call under way.
    Http1,
    /// One connection for all calls.
    Http2,
}

impl Version {
    pub(crate) const ALL: [Self; 2] = [Self::Http1, Self::Http2];
}

/// A client that trusts this authority and shows the certificate, if there is one.
pub(crate) fn https<B>(pki: &Pki, shown: Option<&ClientPem>, version: Version) -> HttpsClient<B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(pki, shown))
        .https_only();
    let mut builder = Client::builder(TokioExecutor::new());
    match version {
        Version::Http1 => builder.build(connector.enable_http1().build()),
        Version::Http2 => builder
            .http2_only(true)
            .build(connector.enable_http2().build()),
    }
}

fn tls(pki: &Pki, shown: Option<&ClientPem>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match shown {
        None => config.with_no_client_auth(),
        Some(shown) => {
            let chain = CertificateDer::pem_slice_iter(shown.certificate_pem().as_bytes());
            let key = PrivateKeyDer::from_pem_slice(shown.key_pem().as_bytes()).unwrap();
            config
                .with_client_auth_cert(chain.map(Result::unwrap).collect(), key)
                .unwrap()
        }
    }
}
