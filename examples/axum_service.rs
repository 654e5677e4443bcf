//! A service with axum that calls another to answer, with a token of its own, and keeps the trouble with
//! that token to itself.
//!
//! `cargo run --example axum_service` runs it between embedded servers: through a rollover, an outage,
//! and an upstream that refuses every token. It prints what the service's caller got and what the
//! upstream saw, and fails if anything is not as told. A program of its own needs the feature `axum08`.

#![allow(clippy::print_stderr, reason = "a service logs why a call failed")]

use std::{
    error::Error,
    io::{self, Write},
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri, header::HOST, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use hyper_util::{client::legacy::Client as HyperUtilClient, rt::TokioExecutor};
use tokio::{net::TcpListener, task::JoinHandle};
use tower::{ServiceBuilder, ServiceExt};
use tower_oauth::{
    Clock, ManualClock, OAuth, OAuthLayer, TokenHandle,
    client_auth::PrivateKeyJwt,
    grant::ClientCredentials,
    server::{
        Readiness, StripInboundCredentials, StripInboundCredentialsLayer, Stripped, UpstreamErrors,
        UpstreamErrorsLayer, remove_hop_by_hop,
    },
    service::{AllowedOrigins, Error as CallError},
    testing::{Client, FakeAuthorizationServer, FakeResource, Pki},
    tls::{HyperClient, TlsConfig, TrustAnchors, hyper_client},
};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    run(&mut io::stdout()).await
}

// ===== the service =====

/// The client of the upstream. Read from the caller's side: trouble with the token is answered, the
/// caller's credentials are taken off, the service's own is put on.
type Upstream = UpstreamErrors<StripInboundCredentials<OAuth<HyperClient<Stripped<Body>>>>>;

/// Takes orders, and has another service look whether there is something to send.
#[derive(Clone)]
struct Orders {
    stock: Uri,
    upstream: Upstream,
}

impl Orders {
    fn router(
        stock: Uri,
        token: TokenHandle,
        tls: &TlsConfig,
        clock: impl Into<Clock>,
    ) -> Result<Router, Failure> {
        let origins = AllowedOrigins::new([stock.to_string()])?;
        let upstream = ServiceBuilder::new()
            .layer(UpstreamErrorsLayer::new().clock(clock))
            .layer(StripInboundCredentialsLayer::new().cookies())
            .layer(OAuthLayer::new(token.clone(), origins))
            .service(hyper_client(tls)?);
        Ok(Router::new()
            .route("/orders", post(Self::order))
            .with_state(Self { stock, upstream })
            .route_service("/ready", Readiness::new(token)))
    }

    /// Passes the order on as it came, with its trace and its language: what of the caller's must not
    /// go up is taken off on the way.
    async fn order(State(orders): State<Self>, order: Request) -> Response {
        let (head, body) = order.into_parts();
        let mut check = Request::post(orders.stock).body(body).expect("a URI");
        *check.headers_mut() = head.headers;
        check.headers_mut().remove(HOST);
        remove_hop_by_hop(check.headers_mut());

        match orders.upstream.oneshot(check).await {
            Ok(stock) if stock.status().is_success() => "it will be sent".into_response(),
            Ok(stock) => {
                // A 503 or 502 with the reason for the log, which never gets onto the wire.
                if let Some(error) = stock.extensions().get::<Arc<CallError>>() {
                    eprintln!("orders: {error}");
                }
                stock.map(Body::new)
            }
            Err(error) => {
                eprintln!("orders: the stock can't be asked: {error}");
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    }
}

// ===== what happens to it =====

/// Tells the story, and fails if it isn't as told.
pub(crate) async fn run(out: &mut impl Write) -> Result<(), Failure> {
    let mut story = Story::begin(out).await?;
    story
        .tell("a probe before all calls", "/ready", "200", "nothing")
        .await?;
    story
        .tell("an order", "/orders", "200", "a good token")
        .await?;

    story.server.rollover();
    let twice = "a refused token, then a good token";
    story
        .tell("after a rollover", "/orders", "200", twice)
        .await?;

    // The token expires, and there is nobody to renew it.
    story.server.take_down();
    story.clock.advance(Duration::from_secs(2 * 60 * 60));
    story
        .tell(
            "no token can be had",
            "/orders",
            "503, Retry-After",
            "nothing",
        )
        .await?;
    story.tell("a probe", "/ready", "503", "nothing").await?;

    story.server.bring_up();
    story.clock.advance(Duration::from_secs(60));
    story
        .tell("it is back", "/orders", "200", "a good token")
        .await?;
    story.tell("a probe", "/ready", "200", "nothing").await?;

    story.stock.refuse_all(true);
    let twice = "a refused token, then a refused token";
    story
        .tell("every token is refused", "/orders", "502", twice)
        .await?;

    writeln!(story.out, "as told")?;
    Ok(())
}

/// The service, the servers around it, and the one who tells what happens.
struct Story<'a, W> {
    out: &'a mut W,
    clock: ManualClock,
    server: FakeAuthorizationServer,
    stock: FakeResource,
    service: String,
    serving: JoinHandle<()>,
}

impl<'a, W: Write> Story<'a, W> {
    async fn begin(out: &'a mut W) -> Result<Self, Failure> {
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let pki = Pki::new()?;
        let key = pki.client("orders")?;
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Client::private_key_jwt("orders", key.public_key_pem())?)
            .clock(clock.clone())
            .start()
            .await?;
        let stock = FakeResource::builder(&pki)
            .trusting(&server)
            .start()
            .await?;

        let trust = TrustAnchors::from_pem(pki.ca_pem().as_bytes())?;
        let auth = PrivateKeyJwt::from_identity(&key.identity()?).issuer(server.issuer());
        let source = ClientCredentials::builder(server.token_endpoint())
            .client_id("orders")
            .auth(auth)
            .trust(trust.clone())
            .clock(clock.clone())
            .build()?;
        let token = TokenHandle::builder(source).clock(clock.clone()).build();
        let tls = TlsConfig::new(trust);
        let router = Orders::router(stock.uri("/"), token, &tls, clock.clone())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let service = format!("http://{}", listener.local_addr()?);
        writeln!(
            out,
            "the call                  the caller got    the upstream saw"
        )?;
        Ok(Self {
            out,
            clock,
            server,
            stock,
            service,
            serving: tokio::spawn(async move {
                // It never ends by itself.
                let _ = axum::serve(listener, router).await;
            }),
        })
    }

    /// Calls the service, and tells what came of it if that is as expected.
    async fn tell(&mut self, what: &str, path: &str, got: &str, saw: &str) -> Result<(), Failure> {
        let method = if path == "/ready" { "GET" } else { "POST" };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.service));
        let request = request.header("authorization", "Bearer of-the-caller");
        let client = HyperUtilClient::builder(TokioExecutor::new()).build_http();
        let response = client.request(request.body(Body::from("tea"))?).await?;
        let retry_after = match response.headers().contains_key(RETRY_AFTER) {
            true => ", Retry-After",
            false => "",
        };
        let answer = format!("{}{retry_after}", response.status().as_u16());
        let seen = self.seen();
        writeln!(self.out, "{what:24}  {answer:16}  {seen}")?;
        if [&*answer, &*seen] != [got, saw] {
            return Err(format!("{what}: should have been {got}, {saw}").into());
        }
        Ok(())
    }

    /// What the upstream saw since it was last asked.
    fn seen(&self) -> String {
        let calls = self.stock.calls();
        self.stock.forget();
        let saw = calls
            .iter()
            .map(|call| match (call.authorization(), call.accepted()) {
                (Some("Bearer of-the-caller"), _) => "the caller's token",
                (Some(_), Some(true)) => "a good token",
                (Some(_), _) => "a refused token",
                (None, _) => "no token",
            });
        match saw.collect::<Vec<_>>() {
            nothing if nothing.is_empty() => "nothing".to_owned(),
            saw => saw.join(", then "),
        }
    }
}

impl<W> Drop for Story<'_, W> {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
