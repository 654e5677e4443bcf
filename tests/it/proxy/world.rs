//! Both servers, a client with a certificate, and a proxy between.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower_oauth::{
    TokenError,
    client_auth::{ClientAuth, ClientSecretBasic, TlsClientAuth},
    grant::{ClientCredentials, ClientCredentialsBuilder, Fetched, TokenSource},
    keystore::ClientIdentity,
    testing::{Client, ClientPem, FakeAuthorizationServer, FakeProxy, FakeResource, Pki},
    tls::{Proxy, TlsConfig, TrustAnchors},
    token::Cause,
    transport::TransportLimits,
};

pub(crate) const USER: &str = "proxy-user";
pub(crate) const PASSWORD: &str = "proxy-pa55word";

pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) keystore: ClientPem,
    pub(crate) server: FakeAuthorizationServer,
    pub(crate) resource: FakeResource,
    pub(crate) proxy: FakeProxy,
}

impl World {
    pub(crate) async fn new() -> Self {
        let pki = Pki::new().unwrap();
        let keystore = pki.client("orders").unwrap();
        let certificate = Client::tls_client_auth("orders", keystore.certificate_pem());
        let server = FakeAuthorizationServer::builder(&pki)
            .client(certificate.unwrap())
            .client(Client::client_secret_basic("orders-secret", "the secret"))
            .start()
            .await
            .unwrap();
        let resource = FakeResource::builder(&pki)
            .trusting(&server)
            .start()
            .await
            .unwrap();
        let proxy = FakeProxy::start().await.unwrap();
        Self {
            pki,
            keystore,
            server,
            resource,
            proxy,
        }
    }

    pub(crate) fn identity(&self) -> ClientIdentity {
        self.keystore.identity().unwrap()
    }

    pub(crate) fn trust(&self) -> TrustAnchors {
        TrustAnchors::from_pem(self.pki.ca_pem().as_bytes()).unwrap()
    }

    pub(crate) fn settings(&self) -> Proxy {
        Proxy::http(self.proxy.url()).unwrap()
    }

    pub(crate) fn tls(&self) -> TlsConfig {
        TlsConfig::new(self.trust()).proxy(self.settings())
    }

    /// A source that shows its certificate.
    pub(crate) fn source(&self) -> ClientCredentialsBuilder {
        self.source_with("orders", TlsClientAuth::new(self.identity()))
    }

    /// A source that has none.
    pub(crate) fn source_with_secret(&self) -> ClientCredentialsBuilder {
        self.source_with("orders-secret", ClientSecretBasic::new("the secret"))
    }

    fn source_with(&self, id: &str, auth: impl ClientAuth) -> ClientCredentialsBuilder {
        ClientCredentials::builder(self.server.token_endpoint())
            .client_id(id)
            .auth(auth)
            .trust(self.trust())
            .proxy(self.settings())
            // Longer than anything takes here.
            .limits(TransportLimits::new().deadline(Duration::from_secs(120)))
    }

    /// The address of the server, as a proxy is told it.
    pub(crate) fn server_address(&self) -> &str {
        self.server.issuer().strip_prefix("https://").unwrap()
    }

    pub(crate) fn order(&self) -> Request<Full<Bytes>> {
        Request::post(self.resource.uri("/orders"))
            .body(Full::from("an order"))
            .unwrap()
    }
}

pub(crate) async fn fetch(source: ClientCredentialsBuilder) -> Result<Fetched, TokenError> {
    source.build().unwrap().fetch(Cause::Cold).await
}
