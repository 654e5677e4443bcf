//! The crate against npm's oidc-provider, a certified server that is not ours.
//!
//! `tests/interop/run.sh` installs the server and runs this. Where the server can't start, the
//! tests fail.

mod load;
mod rotation;
mod server;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use serde::de::DeserializeOwned;
use serde_json::Value;
use server::{Connections, Server};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_oauth::{
    ErrorKind,
    client_auth::{ClientAuth, ClientSecretBasic, PrivateKeyJwt, TlsClientAuth},
    grant::{ClientCredentials, TokenSource},
    jose::{Algorithm, LocalSigner},
    keystore::ClientIdentity,
    service::{AllowedOrigins, OAuth, OAuthLayer, Rejected},
    tls::{HyperClient, TlsConfig, hyper_client},
    token::Cause,
};

type Http = HyperClient<Empty<Bytes>>;

impl Server {
    fn source(&self, client_id: &str, auth: impl ClientAuth) -> ClientCredentials {
        ClientCredentials::builder(&self.facts.token_endpoint)
            .client_id(client_id)
            .auth(auth)
            .scope("orders.read")
            .trust(self.trust())
            .build()
            .unwrap()
    }

    fn http(&self, identity: Option<&ClientIdentity>) -> Http {
        let tls = TlsConfig::new(self.trust());
        let tls = match identity {
            Some(identity) => tls.identity(identity),
            None => tls,
        };
        hyper_client(&tls).unwrap()
    }

    fn api(&self, source: ClientCredentials, identity: Option<&ClientIdentity>) -> OAuth<Http> {
        let origins = AllowedOrigins::new([&self.facts.resource]).unwrap();
        OAuthLayer::new(source, origins).layer(self.http(identity))
    }

    fn request(&self, method: Method, path: &str) -> Request<Empty<Bytes>> {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.facts.resource))
            .body(Empty::new())
            .unwrap()
    }

    async fn orders(&self, api: &OAuth<Http>) -> http::Response<hyper::body::Incoming> {
        api.clone()
            .oneshot(self.request(Method::GET, "/orders"))
            .await
            .unwrap()
    }

    async fn revoke_all(&self) {
        let request = self.request(Method::POST, "/revoke-all");
        let response = self.http(None).request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }

    /// How often this client has asked for a token, by the server's count.
    async fn token_requests(&self, client_id: &str) -> u64 {
        let counts: Value = self.read("/token-requests").await;
        counts[client_id].as_u64().unwrap_or(0)
    }

    /// Asks over a connection of its own.
    async fn connections(&self) -> Connections {
        self.read("/connections").await
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        let request = self.request(Method::GET, path);
        let response = self.http(None).request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    /// Gets a token and uses it; lets the server revoke it under twenty calls, which all succeed
    /// by one more token.
    async fn use_and_heal(
        &self,
        client_id: &str,
        auth: impl ClientAuth,
        identity: Option<&ClientIdentity>,
    ) {
        let api = self.api(self.source(client_id, auth), identity);
        for _ in 0..2 {
            let response = self.orders(&api).await;
            assert_eq!(response.status(), StatusCode::OK, "{client_id}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "the orders");
        }
        assert_eq!(self.token_requests(client_id).await, 1, "{client_id}");

        self.revoke_all().await;
        let mut calls = JoinSet::new();
        for _ in 0..20 {
            calls.spawn(api.clone().oneshot(self.request(Method::GET, "/orders")));
        }
        while let Some(call) = calls.join_next().await {
            let response = call.unwrap().unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{client_id}");
        }
        assert_eq!(self.token_requests(client_id).await, 2, "{client_id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_assertions_get_tokens_that_heal() {
    use Algorithm::{ES256, Ed25519, EdDSA, PS256, RS256};

    let server = Server::start();
    for (client_id, identity, algorithm) in [
        ("assertion-ps256", server.rsa(), PS256),
        ("assertion-rs256", server.rsa(), RS256),
        ("assertion-es256", server.p256(), ES256),
        ("assertion-eddsa", server.ed25519(), EdDSA),
        ("assertion-ed25519", server.ed25519(), Ed25519),
    ] {
        let signer = LocalSigner::from_identity(&identity).unwrap();
        let signer = signer.algorithm(algorithm).unwrap();
        let auth = PrivateKeyJwt::new(signer).issuer(&server.facts.issuer);
        server.use_and_heal(client_id, auth, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_gets_bound_tokens_that_heal() {
    let server = Server::start();
    let identity = server.p256();
    let auth = TlsClientAuth::new(identity.clone());
    server
        .use_and_heal("mutual-tls", auth, Some(&identity))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_odd_characters_gets_tokens_that_heal() {
    let server = Server::start();
    let auth = ClientSecretBasic::new(server.facts.secret.as_str());
    server.use_and_heal("basic client", auth, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_of_no_use_without_its_certificate() {
    let server = Server::start();
    let source = server.source("mutual-tls", TlsClientAuth::new(server.p256()));
    let response = server.orders(&server.api(source, None)).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.extensions().get::<Rejected>().is_some());
    let connections = server.connections().await;
    assert_eq!(connections.matched, 0);
    assert!(connections.mismatched > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_is_told_with_a_hint() {
    let server = Server::start();
    let stranger = LocalSigner::from_pem(include_bytes!("../keys/p256-pkcs8.pem")).unwrap();
    let stranger = PrivateKeyJwt::new(stranger).issuer(&server.facts.issuer);
    let elsewhere = LocalSigner::from_identity(&server.p256()).unwrap();
    let elsewhere = PrivateKeyJwt::new(elsewhere).audience("https://elsewhere.example");
    for source in [
        server.source("assertion-es256", stranger),
        server.source("assertion-es256", elsewhere),
        server.source("mutual-tls", TlsClientAuth::new(server.rsa())),
        server.source("basic client", ClientSecretBasic::new("another secret")),
    ] {
        let error = source.fetch(Cause::Cold).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        assert_eq!(error.oauth_error(), Some("invalid_client"), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
}
