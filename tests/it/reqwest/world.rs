//! Both servers, and clients with the middleware.

use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower_oauth::{
    OAuthLayer, TokenHandle,
    adapter::reqwest::{OAuthMiddleware, tls_backend},
    client_auth::ClientSecretBasic,
    grant::ClientCredentials,
    service::AllowedOrigins,
    testing::{
        Client as Registration, FakeAuthorizationServer, FakeResource, FakeResourceBuilder, Pki,
    },
    tls::{TlsConfig, TrustAnchors},
};

pub(super) const ID: &str = "orders";
pub(super) const SECRET: &str = "a secret of some length";

pub(super) struct World {
    pub(super) pki: Pki,
    pub(super) server: FakeAuthorizationServer,
    pub(super) resource: FakeResource,
    pub(super) handle: TokenHandle,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with_resource(|resource| resource).await
    }

    pub(super) async fn with_resource(
        terms: impl FnOnce(FakeResourceBuilder<'_>) -> FakeResourceBuilder<'_>,
    ) -> Self {
        let pki = Pki::new().unwrap();
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Registration::client_secret_basic(ID, SECRET))
            .start()
            .await
            .unwrap();
        let resource = terms(FakeResource::builder(&pki).trusting(&server));
        let resource = resource.start().await.unwrap();
        let source = ClientCredentials::builder(server.token_endpoint())
            .client_id(ID)
            .auth(ClientSecretBasic::new(SECRET))
            .trust(trust(&pki))
            .build()
            .unwrap();
        Self {
            pki,
            server,
            resource,
            handle: TokenHandle::new(source),
        }
    }

    pub(super) fn layer(&self) -> OAuthLayer {
        layer(self.handle.clone(), self.resource.origin())
    }

    pub(super) fn api(&self) -> ClientWithMiddleware {
        api(client(&self.pki), self.layer())
    }

    pub(super) fn orders(&self) -> String {
        self.resource.uri("/orders").to_string()
    }

    pub(super) fn token_requests(&self) -> u64 {
        self.server.counters().token_requests
    }
}

/// A client that trusts this authority.
pub(super) fn client(pki: &Pki) -> Client {
    let tls = tls_backend(&TlsConfig::new(trust(pki))).unwrap();
    let client = Client::builder().no_proxy().tls_backend_preconfigured(tls);
    client.build().unwrap()
}

/// A client that trusts nobody: for servers without TLS.
pub(super) fn plain_client() -> Client {
    let client = Client::builder().no_proxy();
    let client = client.tls_backend_preconfigured(backend());
    client.build().unwrap()
}

/// TLS settings for clients that won't need any.
pub(super) fn backend() -> impl std::any::Any {
    tls_backend(&TlsConfig::new(trust(&Pki::new().unwrap()))).unwrap()
}

pub(super) fn api(client: Client, layer: OAuthLayer) -> ClientWithMiddleware {
    let middleware = OAuthMiddleware::new(layer).unwrap();
    ClientBuilder::new(client).with(middleware).build()
}

pub(super) fn layer(handle: TokenHandle, origin: &str) -> OAuthLayer {
    OAuthLayer::new(handle, AllowedOrigins::new([origin]).unwrap())
}

pub(super) fn trust(pki: &Pki) -> TrustAnchors {
    TrustAnchors::from_pem(pki.ca_pem().as_bytes()).unwrap()
}
