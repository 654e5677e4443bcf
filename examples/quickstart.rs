//! The main job on embedded servers: a token without a client secret, shared by all calls, renewed
//! in the background, and healed after the server has forgotten it.
//!
//! `cargo run --example quickstart` prints a timeline, and fails if anything is not as told.

#![allow(clippy::print_stdout, reason = "it prints a timeline")]

use std::{
    error::Error,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::{task::JoinSet, time::Instant};
use tower::{ServiceBuilder, ServiceExt};
use tower_oauth::{
    ManualClock,
    client_auth::{ClientAuth, PrivateKeyJwt, TlsClientAuth},
    grant::ClientCredentials,
    jose::LocalSigner,
    keystore::ClientIdentity,
    refresh::TokenHandle,
    service::{AllowedOrigins, OAuth, OAuthLayer},
    testing::{Client, FakeAuthorizationServer, FakeResource, Pki},
    tls::{HyperClient, TlsConfig, TrustAnchors, hyper_client},
};

type Failure = Box<dyn Error + Send + Sync>;
type Api = OAuth<HyperClient<Full<Bytes>>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut story = Story::begin().await?;

    story.step("mutual TLS: the first call gets a token, without a client secret");
    let handle = story.handle("orders-mtls", TlsClientAuth::new(story.identity.clone()))?;
    let api = story.api(handle.clone())?;
    story.call(&api, 1).await?;
    story.expect(1, 1)?;

    story.step("50 more calls share it");
    story.call(&api, 50).await?;
    story.expect(1, 51)?;

    story.step("59 minutes later: it is renewed in the background, before it expires");
    story.clock.advance(Duration::from_secs(59 * 60));
    story.call(&api, 1).await?;
    renewed(&handle).await;
    story.expect(2, 52)?;

    story.step("the server forgets all tokens while 50 calls are under way");
    story.resource.hold();
    let calls = story.spawn(&api, 50);
    story.resource.wait_until_held(50).await;
    story.server.rollover();
    story.resource.release();
    story.finish(calls).await?;
    story.step("  every call answered 200, for one more token request");
    story.expect(3, 52 + 100)?;

    story.step("the authorization server goes down: the token is still good");
    story.server.take_down();
    story.clock.advance(Duration::from_secs(59 * 60));
    story.call(&api, 10).await?;
    story.expect(3, 152 + 10)?;
    story.server.bring_up();

    story.step("private_key_jwt: the same keystore signs, and there is still no secret");
    let signer = LocalSigner::from_identity(&story.identity)?;
    let auth = PrivateKeyJwt::new(signer).issuer(story.server.issuer());
    let by_assertion = story.api(story.handle("orders-jwt", auth)?)?;
    story.call(&by_assertion, 1).await?;
    story.step("  accepted");

    story.step("an API that refuses every token: one retry, then what to change");
    story.resource.refuse_all(true);
    let refused = by_assertion.oneshot(story.request()?).await;
    let Err(error) = refused else {
        return Err("the call should have failed".into());
    };
    story.step(&format!("  {error}"));
    if !error.to_string().contains("audience") {
        return Err("the error doesn't say what to change".into());
    }

    story.step("as told");
    Ok(())
}

/// Waits for what goes on in the background: until the second token is there.
async fn renewed(handle: &TokenHandle) {
    while handle.status().generation.map(u64::from) != Some(2) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The servers, and the one who tells what happens.
struct Story {
    began: Instant,
    clock: ManualClock,
    identity: ClientIdentity,
    trust: TrustAnchors,
    server: FakeAuthorizationServer,
    resource: FakeResource,
}

impl Story {
    /// Starts an authorization server and an API on loopback ports, with certificates of their own.
    #[allow(clippy::disallowed_methods, reason = "a timeline needs a clock")]
    async fn begin() -> Result<Self, Failure> {
        let began = Instant::now();
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let pki = Pki::new()?;
        let keystore = pki.client("orders-service")?;
        let identity = keystore.identity()?;
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Client::tls_client_auth(
                "orders-mtls",
                keystore.certificate_pem(),
            )?)
            .client(Client::private_key_jwt(
                "orders-jwt",
                keystore.public_key_pem(),
            )?)
            .clock(clock.clone())
            .start()
            .await?;
        server.set_token_lifetime(Some(Duration::from_secs(3600)));
        let resource = FakeResource::builder(&pki)
            .trusting(&server)
            .start()
            .await?;
        println!("   time  token requests  calls");
        Ok(Self {
            began,
            clock,
            identity,
            trust: TrustAnchors::from_pem(pki.ca_pem().as_bytes())?,
            server,
            resource,
        })
    }

    /// A token of this client's. Nothing is sent yet.
    fn handle(&self, client_id: &str, auth: impl ClientAuth) -> Result<TokenHandle, Failure> {
        let source = ClientCredentials::builder(self.server.token_endpoint())
            .client_id(client_id)
            .auth(auth)
            .scope("orders.read")
            .trust(self.trust.clone())
            .clock(self.clock.clone())
            .build()?;
        Ok(TokenHandle::builder(source)
            .clock(self.clock.clone())
            .build())
    }

    /// A client of the API, with the layer.
    fn api(&self, handle: TokenHandle) -> Result<Api, Failure> {
        let origins = AllowedOrigins::new([self.resource.origin()])?;
        let tls = TlsConfig::new(self.trust.clone()).identity(&self.identity);
        Ok(ServiceBuilder::new()
            .layer(OAuthLayer::new(handle, origins).rejection_as_error())
            .service(hyper_client(&tls)?))
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let order = Full::from("{\"item\":\"tea\"}");
        Ok(Request::post(self.resource.uri("/orders")).body(order)?)
    }

    fn spawn(&self, api: &Api, calls: usize) -> JoinSet<Result<StatusCode, Failure>> {
        let mut tasks = JoinSet::new();
        for _ in 0..calls {
            let (api, request) = (api.clone(), self.request());
            tasks.spawn(async move { Ok(api.oneshot(request?).await?.status()) });
        }
        tasks
    }

    async fn finish(&self, mut calls: JoinSet<Result<StatusCode, Failure>>) -> Result<(), Failure> {
        while let Some(status) = calls.join_next().await {
            match status?? {
                StatusCode::OK => {}
                status => return Err(format!("a call was answered {status}").into()),
            }
        }
        Ok(())
    }

    async fn call(&self, api: &Api, calls: usize) -> Result<(), Failure> {
        self.finish(self.spawn(api, calls)).await
    }

    /// What the servers must have counted.
    fn expect(&self, token_requests: u64, calls: u64) -> Result<(), Failure> {
        let counted = (
            self.server.counters().token_requests,
            self.resource.counters().calls,
        );
        if counted != (token_requests, calls) {
            return Err(format!(
                "{token_requests} token requests and {calls} calls should have been counted, not {counted:?}"
            )
            .into());
        }
        Ok(())
    }

    #[allow(clippy::disallowed_methods, reason = "a timeline needs a clock")]
    fn step(&mut self, what: &str) {
        println!(
            "{:5} ms  {:14}  {:5}  {what}",
            (Instant::now() - self.began).as_millis(),
            self.server.counters().token_requests,
            self.resource.counters().calls,
        );
    }
}
