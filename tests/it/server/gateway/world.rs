//! A gateway to one upstream that gets a token and to one that gets none, with the servers around it.

use std::{
    error::Error,
    net::Ipv4Addr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri, header::HOST},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_oauth::{
    BoxError, Clock, ManualClock, OAuthLayer, TokenHandle,
    client_auth::TlsClientAuth,
    grant::ClientCredentials,
    keystore::RotatingIdentity,
    server::{
        Readiness, StripInboundCredentialsLayer, Stripped, UpstreamErrorsLayer, remove_hop_by_hop,
    },
    service::{AllowedOrigins, ForeignOrigin},
    testing::{Answer, Client, FakeAuthorizationServer, FakeResource, Pki, Refusal},
    tls::{HyperClient, RotatingClient, TrustAnchors},
};

type Failure = Box<dyn Error + Send + Sync>;

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
                remove_hop_by_hop(response.headers_mut());
                response
            }
            Err(_) => StatusCode::BAD_GATEWAY.into_response(),
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

/// The gateway, and the servers around it.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) server: FakeAuthorizationServer,
    pub(crate) orders: FakeResource,
    pub(crate) public: FakeResource,
    pub(crate) token: TokenHandle,
    pub(crate) gateway: String,
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
        })
    }
}
