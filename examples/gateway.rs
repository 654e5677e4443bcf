//! A gateway: callers come with credentials of their own, and it calls on with a token of its own.
//!
//! `cargo run --example gateway` runs it between embedded servers: with and without a token, to an
//! upstream that gets none, after a rollover, and to one that refuses every token. It prints what
//! callers got and what upstreams saw, and fails if anything is not as told.

#![allow(clippy::print_stderr, reason = "a gateway logs why a call failed")]

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
    http::{
        HeaderMap, HeaderName, StatusCode, Uri,
        header::{CONNECTION, HOST, RETRY_AFTER, TE, TRANSFER_ENCODING, UPGRADE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as HyperUtilClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_oauth::{
    BoxError, Clock, ManualClock, OAuthLayer, TokenHandle,
    client_auth::TlsClientAuth,
    grant::ClientCredentials,
    keystore::RotatingIdentity,
    server::{Readiness, StripInboundCredentialsLayer, Stripped, UpstreamErrorsLayer},
    service::{AllowedOrigins, Error as CallError, ForeignOrigin},
    testing::{Answer, Client, FakeAuthorizationServer, FakeResource, Pki, Refusal},
    tls::{HyperClient, RotatingClient, TrustAnchors},
};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    run(&mut io::stdout()).await
}

// ===== the gateway =====

/// `/orders/...` goes to an upstream that wants the token, `/public/...` to one that gets none.
struct Gateway {
    orders: String,
    public: String,
    upstream: BoxCloneSyncService<Request, Response, BoxError>,
}

impl Gateway {
    /// The gateway as a router. Its token goes to the origin of `orders` alone.
    fn router(
        token: TokenHandle,
        client: RotatingClient<HyperClient<Stripped<Body>>>,
        clock: impl Into<Clock>,
        orders: &str,
        public: &str,
    ) -> Result<Router, Failure> {
        let origins = AllowedOrigins::new([orders])?.foreign(ForeignOrigin::SendWithout);
        let upstream = ServiceBuilder::new()
            .map_response(|response: Response<_>| response.map(Body::new))
            .layer(UpstreamErrorsLayer::new().clock(clock))
            .layer(StripInboundCredentialsLayer::new().cookies())
            .layer(OAuthLayer::new(token.clone(), origins))
            .service(client);
        let gateway = Self {
            orders: orders.to_owned(),
            public: public.to_owned(),
            upstream: BoxCloneSyncService::new(upstream),
        };
        Ok(Router::new()
            .route_service("/ready", Readiness::new(token))
            .fallback(Self::call)
            .with_state(Arc::new(gateway)))
    }

    async fn call(State(gateway): State<Arc<Self>>, request: Request) -> Response {
        let Some(request) = gateway.going_up(request) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        match gateway.upstream.clone().oneshot(request).await {
            Ok(mut response) => {
                if let Some(error) = response.extensions().get::<Arc<CallError>>() {
                    eprintln!("gateway: {error}");
                }
                remove_hop_by_hop(response.headers_mut());
                response
            }
            Err(error) => {
                eprintln!("gateway: the upstream failed: {error}");
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    }

    /// The request to the upstream. Only what the gateway knows decides where it goes.
    fn going_up(&self, request: Request) -> Option<Request> {
        let (mut head, body) = request.into_parts();
        let origin = match head.uri.path().split('/').nth(1)? {
            "orders" => &self.orders,
            "public" => &self.public,
            _ => return None,
        };
        let uri: Uri = format!("{origin}{}", head.uri.path_and_query()?)
            .parse()
            .ok()?;
        remove_hop_by_hop(&mut head.headers);
        head.headers.remove(HOST);
        // A new request, because the version of the caller's connection isn't the upstream's.
        let mut up = Request::new(body);
        *up.method_mut() = head.method;
        *up.uri_mut() = uri;
        *up.headers_mut() = head.headers;
        Some(up)
    }
}

/// Removes what is for one connection only (RFC 9110 section 7.6.1).
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection"] {
        headers.remove(name);
    }
}

// ===== what happens to it =====

/// Tells the story, and fails if it isn't as told.
pub(crate) async fn run(out: &mut impl Write) -> Result<(), Failure> {
    let world = World::start().await?;
    writeln!(
        out,
        "the call                  the caller got       the upstream saw"
    )?;
    let mut told = |what: &str, got: Got, expected: [&str; 2]| -> Result<(), Failure> {
        writeln!(out, "{what:24}  {:19}  {}", got.answer, got.seen)?;
        if [&*got.answer, &*got.seen] == expected {
            Ok(())
        } else {
            Err(format!("{what}: should have been {expected:?}").into())
        }
    };

    told(
        "a probe before all calls",
        world.call("/ready").await?,
        ["200", "nothing"],
    )?;

    world.server.take_down();
    told(
        "no token can be had",
        world.call("/orders/1").await?,
        ["503, Retry-After: 1", "nothing"],
    )?;
    told("a probe", world.call("/ready").await?, ["503", "nothing"])?;

    world.server.bring_up();
    world.clock.advance(Duration::from_secs(60));
    world.token.ready().await?;
    told("a probe", world.call("/ready").await?, ["200", "nothing"])?;
    told(
        "a token",
        world.call("/orders/2").await?,
        ["200", "a good token"],
    )?;

    world.server.rollover();
    told(
        "after a rollover",
        world.call("/orders/3").await?,
        ["200", "a refused token, then a good token"],
    )?;

    told(
        "a foreign origin",
        world.call("/public/news").await?,
        ["200", "no token"],
    )?;

    // It refuses every token, and sends it back in all places that it can think of.
    world.orders.refuse_all(true);
    world.orders.set_hostile(true);
    world.clock.advance(Duration::from_secs(60));
    told(
        "every token is refused",
        world.call("/orders/4").await?,
        ["502", "a refused token, then a refused token"],
    )?;

    writeln!(out, "as told")?;
    Ok(())
}

/// The gateway, and the servers around it.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) server: FakeAuthorizationServer,
    pub(crate) orders: FakeResource,
    pub(crate) public: FakeResource,
    pub(crate) token: TokenHandle,
    pub(crate) gateway: String,
    caller: HyperUtilClient<HttpConnector, Full<Bytes>>,
}

/// What came of a call.
struct Got {
    answer: String,
    seen: String,
}

impl World {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let pki = Pki::new()?;
        let keystore = pki.client("gateway")?;
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Client::tls_client_auth(
                "gateway",
                keystore.certificate_pem(),
            )?)
            .clock(clock.clone())
            .start()
            .await?;
        let orders = FakeResource::builder(&pki)
            .trusting(&server)
            .start()
            .await?;
        let public = FakeResource::builder(&pki).start().await?;
        public.set_refusal(Refusal::Custom(Answer::new(StatusCode::OK).body("news")));

        let trust = TrustAnchors::from_pem(pki.ca_pem().as_bytes())?;
        let identity = RotatingIdentity::from(keystore.identity()?);
        let source = ClientCredentials::builder(server.token_endpoint())
            .client_id("gateway")
            .auth(TlsClientAuth::new(&identity))
            .trust(trust.clone())
            .clock(clock.clone())
            .build()?;
        let token = TokenHandle::builder(source).clock(clock.clone()).build();
        let router = Gateway::router(
            token.clone(),
            RotatingClient::hyper(trust, &identity)?,
            clock.clone(),
            orders.origin(),
            public.origin(),
        )?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let gateway = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            clock,
            server,
            orders,
            public,
            token,
            gateway,
            caller: HyperUtilClient::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// A call to the gateway, with every credential that a caller may have.
    async fn call(&self, path: &str) -> Result<Got, Failure> {
        let mut request = Request::get(format!("{}{path}", self.gateway));
        for name in CREDENTIALS {
            request = request.header(name, "the-callers-own");
        }
        let response = self.caller.request(request.body(Full::default())?).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();

        let mut answer = head.status.as_u16().to_string();
        if let Some(seconds) = head.headers.get(RETRY_AFTER) {
            answer += &format!(", Retry-After: {}", seconds.to_str()?);
        }
        let silent = body.is_empty() || head.status.is_success() || path == "/ready";
        if !silent || head.headers.contains_key("www-authenticate") {
            return Err(format!("{path}: too much was told to the caller").into());
        }
        Ok(Got {
            answer,
            seen: self.seen()?,
        })
    }

    /// What the upstreams saw since they were last asked.
    fn seen(&self) -> Result<String, Failure> {
        let mut seen = Vec::new();
        for upstream in [&self.orders, &self.public] {
            for call in upstream.calls() {
                let mut values = call.headers().values();
                if values.any(|value| value == "the-callers-own") {
                    return Err("a credential of the caller's went up".into());
                }
                seen.push(match (call.authorization(), call.accepted()) {
                    (None, _) => "no token",
                    (Some(_), Some(true)) => "a good token",
                    (Some(_), _) => "a refused token",
                });
            }
            upstream.forget();
        }
        if seen.is_empty() {
            seen.push("nothing");
        }
        Ok(seen.join(", then "))
    }
}

const CREDENTIALS: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "dpop",
    "x-forwarded-client-cert",
    "client-cert",
    "client-cert-chain",
    "cookie",
];
