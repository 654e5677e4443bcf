//! A plain client: it shares no code with the crate, and does wrong what it is told to.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tower_oauth::testing::{ClientPem, Pki};

pub(super) struct Wire(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The token of a good answer.
    pub(super) fn token(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Status, code and description of a refusal.
    pub(super) fn fault(&self) -> (u16, String, String) {
        let json = self.json();
        let member = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        (
            self.status.as_u16(),
            member("error"),
            member("error_description"),
        )
    }
}

impl Wire {
    /// A client for HTTP/1.1.
    pub(super) fn new(pki: &Pki, identity: Option<&ClientPem>) -> Self {
        Self(over(connector(pki, identity).enable_http1().build()))
    }

    /// A client for HTTP/2.
    pub(super) fn http2(pki: &Pki, identity: Option<&ClientPem>) -> Self {
        let connector = connector(pki, identity).enable_http2().build();
        let mut builder = Client::builder(TokioExecutor::new());
        Self(builder.http2_only(true).build(connector))
    }

    /// A client that leaves the intermediate out of its chain.
    pub(super) fn with_leaf_alone(pki: &Pki, identity: &ClientPem) -> Self {
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(pki, Some(identity), 1));
        Self(over(connector.https_only().enable_http1().build()))
    }

    pub(super) async fn get(&self, uri: &str, headers: &[(&str, &str)]) -> Result<Reply, Error> {
        self.send(Method::GET, uri, headers, String::new()).await
    }

    pub(super) async fn post(
        &self,
        uri: &str,
        headers: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Result<Reply, Error> {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let content_type = ("content-type", "application/x-www-form-urlencoded");
        let headers = [&[content_type], headers].concat();
        self.send(Method::POST, uri, &headers, form).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Reply, Error> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).unwrap();
        let (head, body) = self.0.request(request).await?.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok(Reply {
            status: head.status,
            version: head.version,
            headers: head.headers,
            body,
        })
    }
}

/// A client with bodies of any kind.
pub(super) fn over<B>(
    connector: HttpsConnector<HttpConnector>,
) -> Client<HttpsConnector<HttpConnector>, B>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new()).build(connector)
}

pub(super) fn connector(
    pki: &Pki,
    identity: Option<&ClientPem>,
) -> HttpsConnectorBuilder<hyper_rustls::builderstates::WantsProtocols1> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls(pki, identity, usize::MAX))
        .https_only()
}

fn tls(pki: &Pki, identity: Option<&ClientPem>, chain_length: usize) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.certificate_pem().as_bytes());
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
            config
                .with_client_auth_cert(chain.map(Result::unwrap).take(chain_length).collect(), key)
                .unwrap()
        }
    }
}

/// The value of an `Authorization` field for Basic, form-encoded as it must be.
pub(super) fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    raw_basic(&encode(id), &encode(secret))
}

/// The same without the form-encoding.
pub(super) fn raw_basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")))
}
