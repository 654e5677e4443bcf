//! The servers and callers around the gateway, and its file.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{body::Body, extract::Request, http::header::HOST};
use http::Response;
use hyper::body::Incoming;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tower::ServiceExt;
use tower_oauth::{
    ManualClock,
    events::Event,
    testing::{Client, ClientPem, FakeAuthorizationServer, FakeResource, Pki},
    tls::{TlsConfig, TrustAnchors, hyper_client},
};

use super::{
    Failure,
    gateway::{Gateway, Grant},
    inbound::{Caller, Inbound},
};

/// Something that the gateway's observer was told.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    Changed,
    Refused(String),
    Fetching(bool),
}

pub(crate) struct World {
    pub(crate) server: FakeAuthorizationServer,
    /// Speaks HTTP/1.1.
    pub(crate) orders: FakeResource,
    /// Speaks HTTP/2.
    pub(crate) bills: FakeResource,
    /// May call `orders`.
    pub(crate) shop: ClientPem,
    /// May call `bills`.
    pub(crate) office: ClientPem,
    /// Has a good certificate, and may call nobody.
    pub(crate) stranger: ClientPem,
    pub(crate) address: SocketAddr,
    pub(crate) pki: Pki,
    clock: ManualClock,
    directory: PathBuf,
    gateway: Arc<Gateway>,
    told: mpsc::UnboundedReceiver<Told>,
    serving: JoinHandle<()>,
}

impl World {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let pki = Pki::new()?;
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let mut server = FakeAuthorizationServer::builder(&pki).clock(clock.clone());
        let mut keys = Vec::new();
        for name in ["orders", "orders-next", "bills"] {
            let key = pki.client(name)?;
            server = server.client(Client::private_key_jwt(name, key.public_key_pem())?);
            keys.push((name, key));
        }
        let server = server.start().await?;
        let orders = FakeResource::builder(&pki).trusting(&server).http1_only();
        let bills = FakeResource::builder(&pki).trusting(&server);
        let (orders, bills) = (orders.start().await?, bills.start().await?);

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let directory = format!("tower-oauth-gateway-{}", address.port());
        let directory = std::env::temp_dir().join(directory);
        fs::create_dir_all(&directory)?;
        for (name, key) in keys {
            fs::write(directory.join(format!("{name}.key")), key.key_pem())?;
        }
        fs::write(directory.join("ca.pem"), pki.ca_pem())?;
        let file = directory.join("gateway.toml");
        fs::write(&file, profiles(&server, &orders, &bills, "orders"))?;

        let [shop, office, stranger] = ["shop", "office", "stranger"].map(|name| pki.client(name));
        let (shop, office, stranger) = (shop?, office?, stranger?);
        let grant = |caller: &ClientPem, api: &FakeResource, profile| -> Result<_, Failure> {
            Ok(Grant {
                caller: Caller(caller.thumbprint().to_owned()),
                host: host(api).parse()?,
                profile,
            })
        };
        let grants = [
            grant(&shop, &orders, "orders")?,
            grant(&office, &bills, "bills")?,
        ];
        let (tell, told) = mpsc::unbounded_channel();
        let observer = Arc::new(move |event: &Event<'_>| {
            let told = match event {
                Event::ProfileChanged => Told::Changed,
                Event::ProfileRefused { error, .. } => Told::Refused(why(error)),
                Event::FetchStarted { .. } => Told::Fetching(true),
                Event::FetchSucceeded { .. } | Event::FetchFailed { .. } => Told::Fetching(false),
                _ => return,
            };
            let _ = tell.send(told);
        });
        let gateway = Arc::new(Gateway::open(&file, grants, &clock, &observer)?);

        let own = pki.loopback_server()?;
        let own = [own.certificate_pem(), own.key_pem()];
        let inbound = Inbound::new(listener, own, &pki.ca_pem())?;
        let router = gateway.router();
        let router = router.into_make_service_with_connect_info::<Caller>();
        Ok(Self {
            serving: tokio::spawn(async move {
                // It never ends by itself.
                let _ = axum::serve(inbound, router).await;
            }),
            server,
            orders,
            bills,
            shop,
            office,
            stranger,
            address,
            clock,
            pki,
            directory,
            gateway,
            told,
        })
    }

    /// Calls this API through the gateway, which hears by `Host` where to.
    pub(crate) async fn call(
        &self,
        caller: &ClientPem,
        api: &FakeResource,
        body: Body,
    ) -> Result<Response<Incoming>, Failure> {
        let request = Request::post(format!("https://{}/orders?day=1", self.address))
            .header(HOST, host(api))
            .body(body)?;
        let trust = TrustAnchors::from_pem(self.pki.ca_pem().as_bytes())?;
        let tls = TlsConfig::new(trust).identity(&caller.identity()?);
        Ok(hyper_client(&tls)?.oneshot(request).await?)
    }

    /// The file's text, with this client for `orders`.
    pub(crate) fn profiles(&self, client: &str) -> String {
        profiles(&self.server, &self.orders, &self.bills, client)
    }

    /// Writes the file, and calls `orders` until the gateway has said what it makes of it. All calls
    /// must be answered well. The result is what it said.
    pub(crate) async fn change(&mut self, text: &str) -> Result<Told, Failure> {
        while self.told.try_recv().is_ok() {}
        fs::write(self.directory.join("gateway.toml"), text)?;
        let profile = self.gateway.profile("orders").ok_or("no such profile")?;
        profile.reload();
        let mut fetching = false;
        loop {
            match self.told.try_recv() {
                Ok(Told::Fetching(is)) => fetching = is,
                Ok(told) => return Ok(told),
                // The file has to rest for a second. A server's answer takes no time.
                Err(_) if fetching => {}
                Err(_) => self.clock.advance(Duration::from_millis(100)),
            }
            let answer = self.call(&self.shop, &self.orders, "tea".into()).await?;
            if !answer.status().is_success() {
                return Err(format!("a call was answered {}", answer.status()).into());
            }
        }
    }

    /// The `client_id` that calls of `orders` go by.
    pub(crate) fn client_id(&self) -> String {
        let profile = self.gateway.profile("orders");
        profile.map_or_else(String::new, |it| it.profile().client_id().to_owned())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Host and port.
pub(crate) fn host(api: &FakeResource) -> &str {
    api.origin().trim_start_matches("https://")
}

/// The chain of errors, in a line.
fn why(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn profiles(
    server: &FakeAuthorizationServer,
    orders: &FakeResource,
    bills: &FakeResource,
    client: &str,
) -> String {
    let profile = |name: &str, client: &str, api: &FakeResource| {
        let (issuer, endpoint, api) = (server.issuer(), server.token_endpoint(), api.origin());
        format!(
            r#"
[profile.{name}]
issuer = "{issuer}"
token_endpoint = "{endpoint}"
client_id = "{client}"
token_endpoint_auth_method = "private_key_jwt"
assertion.key_file = "{client}.key"
authorization_server.truststore.path = "ca.pem"
api.truststore.path = "ca.pem"
api.allowed_origins = ["{api}"]
"#
        )
    };
    profile("orders", client, orders) + &profile("bills", "bills", bills)
}
