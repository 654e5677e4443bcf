//! A hyper client with the layer: HTTP/1.1 and HTTP/2, bodies that stream, and what the caller is told
//! when a call can't be healed.
//!
//! `cargo run --example hyper_client` runs it against embedded servers, prints what happens, and fails if
//! that is not as told. A program of its own needs the default features, and `http2` for HTTP/2.

use std::{
    error::Error,
    io::{self, Write},
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use tower::{ServiceBuilder, ServiceExt};
use tower_oauth::{
    BoxError, ManualClock, OAuth, OAuthLayer, TokenHandle,
    client_auth::PrivateKeyJwt,
    grant::ClientCredentials,
    service::{AllowedOrigins, Error as CallError},
    testing::{Client, FakeAuthorizationServer, FakeResource, Pki},
    tls::{HyperClient, TlsConfig, TrustAnchors, hyper_client},
};

type Failure = Box<dyn Error + Send + Sync>;

/// Any body fits. One that streams is kept while it is sent, in case it has to be sent again.
type Body = BoxBody<Bytes, BoxError>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    run(&mut io::stdout()).await
}

/// Tells the story, and fails if it isn't as told.
pub(crate) async fn run(out: &mut impl Write) -> Result<(), Failure> {
    let story = Story::begin().await?;

    for api in story.apis() {
        let answer = story.send(api, order("tea")).await?;
        writeln!(
            out,
            "an order over {:?}: {}",
            answer.version(),
            answer.status()
        )?;
    }
    story.expect(1)?;

    story.server.rollover();
    for api in story.apis() {
        api.forget();
        let answer = story.send(api, order("milk")).await?;
        let arrived = api.calls().into_iter().filter(|call| {
            let body = call.body();
            body.is_some_and(|it| it.is(b"milk") && it.trailers() == Some(&trailers()))
        });
        let (status, arrived) = (answer.status(), arrived.count());
        writeln!(
            out,
            "after a rollover: {status}, arrived whole {arrived} times"
        )?;
    }
    story.expect(2)?;

    // More than is kept of a body, 64 KiB by default. What came is the API's own answer.
    story.clock.advance(Duration::from_secs(60));
    story.server.rollover();
    let [api, _] = story.apis();
    let answer = story.send(api, order(&"bread ".repeat(100_000))).await?;
    let status = answer.status();
    let says = answer.into_body().collect().await?.to_bytes();
    let says = String::from_utf8_lossy(&says);
    writeln!(
        out,
        "too large to be sent again: {status}, {}",
        says.trim_end()
    )?;
    let answer = story.send(api, order("jam")).await?;
    writeln!(out, "the next one: {}", answer.status())?;
    story.expect(3)?;

    // The token expires, and there is nobody to renew it.
    story.server.take_down();
    story.clock.advance(Duration::from_secs(2 * 60 * 60));
    api.forget();
    let Err(error) = story.send(api, order("salt")).await else {
        return Err("a call without a token was answered".into());
    };
    let Some(CallError::Token(error)) = CallError::find_in(&*error) else {
        return Err(error);
    };
    let again = if error.is_temporary() {
        "may pass"
    } else {
        "stays"
    };
    writeln!(
        out,
        "no token can be had: an error of kind {}, which {again}",
        error.kind()
    )?;
    if !api.calls().is_empty() {
        return Err("a call went out without a token".into());
    }
    writeln!(out, "as told")?;
    Ok(())
}

/// A body whose length nobody knows, with trailers.
fn order(text: &str) -> Body {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes())).map_frame(|frame| frame);
    let body = body.with_trailers(async { Some(Ok(trailers())) });
    body.map_err(|never| match never {}).boxed()
}

fn trailers() -> HeaderMap {
    let checked = HeaderValue::from_static("yes");
    HeaderMap::from_iter([(http::HeaderName::from_static("x-checked"), checked)])
}

/// The servers, and the client.
struct Story {
    clock: ManualClock,
    server: FakeAuthorizationServer,
    /// Speaks HTTP/1.1.
    api_1: FakeResource,
    /// Speaks HTTP/2.
    api_2: FakeResource,
    client: OAuth<HyperClient<Body>>,
}

impl Story {
    async fn begin() -> Result<Self, Failure> {
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let pki = Pki::new()?;
        let key = pki.client("orders")?;
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Client::private_key_jwt("orders", key.public_key_pem())?)
            .clock(clock.clone())
            .start()
            .await?;
        let api_1 = FakeResource::builder(&pki).trusting(&server).http1_only();
        let api_2 = FakeResource::builder(&pki).trusting(&server);
        let (api_1, api_2) = (api_1.start().await?, api_2.start().await?);

        let trust = TrustAnchors::from_pem(pki.ca_pem().as_bytes())?;
        let auth = PrivateKeyJwt::from_identity(&key.identity()?).issuer(server.issuer());
        let source = ClientCredentials::builder(server.token_endpoint())
            .client_id("orders")
            .auth(auth)
            .trust(trust.clone())
            .clock(clock.clone())
            .build()?;
        let token = TokenHandle::builder(source).clock(clock.clone()).build();
        let origins = AllowedOrigins::new([api_1.origin(), api_2.origin()])?;
        let client = ServiceBuilder::new()
            .layer(OAuthLayer::new(token, origins))
            .service(hyper_client(&TlsConfig::new(trust))?);
        Ok(Self {
            clock,
            server,
            api_1,
            api_2,
            client,
        })
    }

    fn apis(&self) -> [&FakeResource; 2] {
        [&self.api_1, &self.api_2]
    }

    async fn send(&self, api: &FakeResource, order: Body) -> Result<Response<Incoming>, Failure> {
        let request = Request::post(api.uri("/orders"));
        // Without it, HTTP/1.1 has no trailers.
        let request = request.header("trailer", "x-checked").body(order)?;
        Ok(self.client.clone().oneshot(request).await?)
    }

    /// What the authorization server must have counted.
    fn expect(&self, token_requests: u64) -> Result<(), Failure> {
        match self.server.counters().token_requests {
            counted if counted == token_requests => Ok(()),
            counted => Err(format!("{counted} token requests, {token_requests} expected").into()),
        }
    }
}
