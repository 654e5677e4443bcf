//! reqwest with the middleware, on embedded servers: a shared token, a rollover under streams, a
//! redirect to somebody else, an API that refuses, and a token that is bound to a certificate.
//!
//! `cargo run --example reqwest_middleware` tells what happened, and fails if anything is not as told.

use std::{
    error::Error,
    io::{self, Write},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use reqwest::{Body, Client, redirect::Policy};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::task::JoinSet;
use tower_oauth::{
    ManualClock, OAuthLayer, TokenHandle,
    adapter::reqwest::{OAuthMiddleware, tls_backend},
    client_auth::{PrivateKeyJwt, TlsClientAuth},
    grant::ClientCredentials,
    keystore::ClientIdentity,
    service::{AllowedOrigins, Rejected},
    testing::{Answer, Client as Registration, FakeAuthorizationServer, FakeResource, Pki},
    tls::{TlsConfig, TrustAnchors},
    transport::HttpClient,
};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    run(&mut io::stdout()).await
}

/// Tells the whole story.
pub async fn run(out: &mut impl Write) -> Result<(), Failure> {
    let mut story = Story::begin(out).await?;
    let client = story.client()?;

    story.orders(&client, 20).await?;
    story.tell("20 orders, streams among them, share a token", 1, 20)?;

    story.rollover(&client).await?;
    let what = "the server forgets it: 20 orders are refused and sent again";
    story.tell(what, 2, 20 + 40)?;

    story.redirect(&client).await?;
    let what = "a redirect to somebody else is followed without the token";
    story.tell(what, 2, 60 + 1)?;

    story.refuse_all(&client).await?;
    let what = "the API refuses every token: the answer says what to change";
    story.tell(what, 3, 61 + 2)?;

    let client = story.client_of_bound_tokens()?;
    story.orders(&client, 20).await?;
    let what = "20 orders share one that is bound to a certificate";
    story.tell(what, 4, 63 + 20)?;

    writeln!(story.out, "as told")?;
    Ok(())
}

/// A reqwest client with the crate's TLS settings.
fn reqwest_client(tls: &TlsConfig) -> Result<reqwest::ClientBuilder, Failure> {
    let client = Client::builder().no_proxy();
    Ok(client.tls_backend_preconfigured(tls_backend(tls)?))
}

/// The servers, and the one who tells what happens.
struct Story<'a, W> {
    out: &'a mut W,
    clock: ManualClock,
    identity: ClientIdentity,
    trust: TrustAnchors,
    server: FakeAuthorizationServer,
    api: FakeResource,
    /// Would like to have a token.
    stranger: FakeResource,
}

impl<'a, W: Write> Story<'a, W> {
    async fn begin(out: &'a mut W) -> Result<Self, Failure> {
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let pki = Pki::new()?;
        let keystore = pki.client("orders")?;
        let (certificate, key) = (keystore.certificate_pem(), keystore.public_key_pem());
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Registration::private_key_jwt("orders-jwt", key)?)
            .client(Registration::tls_client_auth("orders-mtls", certificate)?.bind_tokens())
            .clock(clock.clone())
            .start()
            .await?;
        let api = FakeResource::builder(&pki).trusting(&server);
        Ok(Self {
            out,
            clock,
            identity: keystore.identity()?,
            trust: TrustAnchors::from_pem(pki.ca_pem().as_bytes())?,
            api: api.start().await?,
            stranger: FakeResource::builder(&pki).start().await?,
            server,
        })
    }

    /// A client with the middleware. The token is fetched through reqwest as well, without a
    /// secret.
    fn client(&self) -> Result<ClientWithMiddleware, Failure> {
        let tls = TlsConfig::new(self.trust.clone());
        let to_server = reqwest_client(&tls)?.redirect(Policy::none()).build()?;
        let auth = PrivateKeyJwt::from_identity(&self.identity).issuer(self.server.issuer());
        let source = ClientCredentials::builder(self.server.token_endpoint())
            .client_id("orders-jwt")
            .auth(auth)
            .http_client(HttpClient::from(to_server))
            .clock(self.clock.clone())
            .build()?;
        let middleware = OAuthMiddleware::new(self.layer(source)?)?;
        let to_api = reqwest_client(&tls)?.build()?;
        Ok(ClientBuilder::new(to_api).with(middleware).build())
    }

    /// A client whose tokens are bound to a certificate, and go out only over connections that show
    /// it.
    fn client_of_bound_tokens(&self) -> Result<ClientWithMiddleware, Failure> {
        let source = ClientCredentials::builder(self.server.token_endpoint())
            .client_id("orders-mtls")
            .auth(TlsClientAuth::new(&self.identity))
            .trust(self.trust.clone())
            .clock(self.clock.clone())
            .build()?;
        let trust = self.trust.clone();
        let make = move |identity: &ClientIdentity| -> Result<Client, Failure> {
            let tls = TlsConfig::new(trust.clone()).identity(identity);
            Ok(reqwest_client(&tls)?.build()?)
        };
        let unused = make(&self.identity)?;
        let middleware = OAuthMiddleware::rotating(self.layer(source)?, &self.identity, make)?;
        Ok(ClientBuilder::new(unused).with(middleware).build())
    }

    fn layer(&self, source: ClientCredentials) -> Result<OAuthLayer, Failure> {
        let handle = TokenHandle::builder(source).clock(self.clock.clone());
        let origins = AllowedOrigins::new([self.api.origin()])?;
        Ok(OAuthLayer::new(handle.build(), origins))
    }

    /// So many orders, all at once; every other one is a stream.
    async fn orders(&self, client: &ClientWithMiddleware, count: usize) -> Result<(), Failure> {
        finish(self.send(client, count)).await
    }

    fn send(&self, client: &ClientWithMiddleware, count: usize) -> Calls {
        let mut calls = JoinSet::new();
        for number in 0..count {
            let body = match number % 2 {
                0 => Body::from("tea"),
                _ => Body::wrap(Full::new(Bytes::from("coffee"))),
            };
            let url = self.api.uri("/orders").to_string();
            calls.spawn(client.post(url).body(body).send());
        }
        calls
    }

    async fn rollover(&self, client: &ClientWithMiddleware) -> Result<(), Failure> {
        self.api.hold();
        let calls = self.send(client, 20);
        self.api.wait_until_held(20).await;
        self.server.rollover();
        self.api.release();
        finish(calls).await
    }

    async fn redirect(&self, client: &ClientWithMiddleware) -> Result<(), Failure> {
        let to = Answer::new(StatusCode::TEMPORARY_REDIRECT);
        let to = to.header("location", self.stranger.origin());
        self.api.set_acceptance(to);
        let url = self.api.uri("/orders").to_string();
        client.post(url).body("tea").send().await?;
        self.api.set_acceptance(Answer::new(StatusCode::OK));
        match self.stranger.calls().as_slice() {
            [call] if call.authorization().is_none() => Ok(()),
            calls => Err(format!("somebody else got {} calls", calls.len()).into()),
        }
    }

    async fn refuse_all(&self, client: &ClientWithMiddleware) -> Result<(), Failure> {
        // The rollover is healed, and a while ago.
        self.clock.advance(Duration::from_secs(60));
        self.api.refuse_all(true);
        let url = self.api.uri("/orders").to_string();
        let answer = client.post(url).body("tea").send().await?;
        self.api.refuse_all(false);
        match answer.extensions().get::<Rejected>() {
            Some(rejected) if rejected.hint().contains("audience") => Ok(()),
            rejected => Err(format!("{rejected:?} doesn't say what to change").into()),
        }
    }

    /// Tells it, if the servers have counted as many.
    fn tell(&mut self, what: &str, token_requests: u64, calls: u64) -> Result<(), Failure> {
        let counters = self.api.counters();
        let counted = (self.server.counters().token_requests, counters.calls);
        if counted != (token_requests, calls) || counters.mismatched != 0 {
            let expected = (token_requests, calls);
            let count = format!("{counted:?} were counted, {expected:?} expected");
            return Err(format!("{what}: {count}, {counters:?}").into());
        }
        writeln!(
            self.out,
            "token requests: {token_requests}, calls: {calls:2}  {what}"
        )?;
        Ok(())
    }
}

type Calls = JoinSet<Result<reqwest::Response, reqwest_middleware::Error>>;

async fn finish(mut calls: Calls) -> Result<(), Failure> {
    while let Some(answer) = calls.join_next().await {
        answer??.error_for_status()?;
    }
    Ok(())
}
