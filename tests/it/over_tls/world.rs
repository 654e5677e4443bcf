//! Both servers, their clients, and the crate between them.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::ServiceExt;
use tower_oauth::{
    ManualClock,
    client_auth::{ClientAuth, ClientSecretBasic, PrivateKeyJwt, TlsClientAuth},
    grant::{ClientCredentials, ClientCredentialsBuilder},
    jose::LocalSigner,
    keystore::ClientIdentity,
    refresh::TokenHandle,
    service::{AllowedOrigins, Error, OAuth, OAuthLayer},
    testing::{Client, ClientPem, FakeAuthorizationServer, FakeResource, Pki},
    tls::TrustAnchors,
};

use super::client::{self, HttpsClient, Version};

pub(crate) const SECRET: &str = r#"a "secret" with \ and :/+&=% in it"#;

pub(crate) type Api<B> = OAuth<HttpsClient<B>>;

/// A method of client authentication.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    Secret,
    Assertion,
    Certificate,
}

impl By {
    /// The client that authenticates so.
    pub(crate) fn client_id(self) -> &'static str {
        match self {
            Self::Secret => "orders-secret",
            Self::Assertion => "orders-assertion",
            Self::Certificate => "orders-certificate",
        }
    }
}

/// Both servers, the clients that are registered, and the one clock of all.
pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) clock: ManualClock,
    pub(crate) keystore: ClientPem,
    pub(crate) server: FakeAuthorizationServer,
    pub(crate) resource: FakeResource,
}

impl World {
    pub(crate) async fn new() -> Self {
        let pki = Pki::new().unwrap();
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let keystore = pki.client("orders").unwrap();
        let server = FakeAuthorizationServer::builder(&pki)
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        let resource = FakeResource::builder(&pki)
            .trusting(&server)
            .start()
            .await
            .unwrap();
        let world = Self {
            pki,
            clock,
            keystore,
            server,
            resource,
        };
        for by in [By::Secret, By::Assertion, By::Certificate] {
            world.server.register(world.registration(by));
        }
        world
    }

    pub(crate) fn registration(&self, by: By) -> Client {
        let id = by.client_id();
        match by {
            By::Secret => Client::client_secret_basic(id, SECRET),
            By::Assertion => Client::private_key_jwt(id, self.keystore.public_key_pem()).unwrap(),
            By::Certificate => {
                Client::tls_client_auth(id, self.keystore.certificate_pem()).unwrap()
            }
        }
    }

    pub(crate) fn identity(&self) -> ClientIdentity {
        identity(&self.keystore)
    }

    /// A source for the client that authenticates so.
    pub(crate) fn source(&self, by: By) -> ClientCredentialsBuilder {
        let id = by.client_id();
        match by {
            By::Secret => self.source_with(id, ClientSecretBasic::new(SECRET)),
            By::Assertion => {
                let signer = LocalSigner::from_identity(&self.identity()).unwrap();
                let auth = PrivateKeyJwt::new(signer).issuer(self.server.issuer());
                self.source_with(id, auth)
            }
            By::Certificate => self.source_with(id, TlsClientAuth::new(self.identity())),
        }
    }

    pub(crate) fn source_with(
        &self,
        client_id: &str,
        auth: impl ClientAuth,
    ) -> ClientCredentialsBuilder {
        ClientCredentials::builder(self.server.token_endpoint())
            .client_id(client_id)
            .auth(auth)
            .scope("orders.read")
            .trust(TrustAnchors::from_pem(self.pki.ca_pem().as_bytes()).unwrap())
            .clock(self.clock.clone())
    }

    pub(crate) fn handle(&self, source: ClientCredentialsBuilder) -> TokenHandle {
        TokenHandle::builder(source.build().unwrap())
            .clock(self.clock.clone())
            .build()
    }

    pub(crate) fn layer(&self, token: impl Into<TokenHandle>) -> OAuthLayer {
        let origins = AllowedOrigins::new([self.resource.origin()]).unwrap();
        OAuthLayer::new(token, origins)
    }

    /// A client of the resource with a token of this source.
    pub(crate) fn api(
        &self,
        version: Version,
        source: ClientCredentialsBuilder,
    ) -> Api<Full<Bytes>> {
        let client = client::https(&self.pki, None, version);
        tower::Layer::layer(&self.layer(self.handle(source)), client)
    }

    pub(crate) fn order(&self) -> Request<Full<Bytes>> {
        Request::post(self.resource.uri("/orders"))
            .body(Full::from("an order"))
            .unwrap()
    }

    /// One call.
    pub(crate) async fn call(&self, api: &Api<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        api.clone().oneshot(self.order()).await
    }

    pub(crate) fn token_requests(&self) -> u64 {
        self.server.counters().token_requests
    }
}

pub(crate) fn identity(pem: &ClientPem) -> ClientIdentity {
    let (chain, key) = (pem.certificate_pem(), pem.key_pem());
    ClientIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
}
