//! The servers, and the client whose certificate changes.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{Full, combinators::BoxBody};
use tower::Layer;
use tower_oauth::{
    BoxError, ManualClock, OAuth, OAuthLayer, TokenHandle,
    client_auth::TlsClientAuth,
    events::Event,
    grant::ClientCredentials,
    keystore::RotatingIdentity,
    service::AllowedOrigins,
    testing::{Client, ClientPem, FakeAuthorizationServer, FakeResource, Pki},
    tls::{HyperClient, RotatingClient, TrustAnchors},
    transport::TransportLimits,
};

use super::{Failure, ledger::Ledger, time::Time};

const ID: &str = "orders-service";

/// How long a token request may take, in real time. No machine is so busy that an answer takes as
/// long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(2);

/// It is cloned to be sent again.
pub(crate) type Whole = Full<Bytes>;
/// It is kept while it is sent, to be sent again.
pub(crate) type Stream = BoxBody<Bytes, BoxError>;

type Api<B> = OAuth<RotatingClient<HyperClient<B>>>;

pub(crate) struct World {
    pki: Pki,
    pub(crate) clock: ManualClock,
    pub(crate) server: FakeAuthorizationServer,
    /// The first speaks HTTP/1.1, the other HTTP/2.
    pub(crate) apis: [FakeResource; 2],
    directory: PathBuf,
    /// What is in the files.
    pair: Mutex<ClientPem>,
    pub(crate) client: Clients,
}

/// All that the client consists of.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) handle: TokenHandle,
    pub(crate) whole: Api<Whole>,
    /// It makes a rejection an error.
    pub(crate) stream: Api<Stream>,
}

impl World {
    pub(crate) async fn start(time: &Time, ledger: &Arc<Ledger>) -> Result<Self, Failure> {
        let pki = Pki::new()?;
        let clock = time.clock.clone();
        let pair = pki.client(ID)?;
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Client::tls_client_auth(ID, pair.certificate_pem())?.bind_tokens())
            .clock(clock.clone())
            .start()
            .await?;
        server.set_token_lifetime(Some(Duration::from_secs(120)));
        let resource = || FakeResource::builder(&pki).trusting(&server);
        let apis = [
            resource().http1_only().start().await?,
            resource().start().await?,
        ];

        // What follows is what a program does, but for its clock and its haste.
        let directory = std::env::temp_dir().join(format!("soak-{}", pair.thumbprint()));
        fs::create_dir(&directory)?;
        let (certificate, key) = (directory.join("client.crt"), directory.join("client.key"));
        fs::write(&certificate, pair.certificate_pem())?;
        fs::write(&key, pair.key_pem())?;
        let trust = TrustAnchors::from_pem(pki.ca_pem().as_bytes())?;
        let identity = RotatingIdentity::builder()
            .clock(clock.clone())
            .pem_files(certificate, key)?;
        let source = ClientCredentials::builder(server.token_endpoint())
            .client_id(ID)
            .auth(TlsClientAuth::new(&identity))
            .trust(trust.clone())
            .clock(clock.clone())
            .limits(TransportLimits::new().deadline(DEADLINE))
            .build()?;
        let observer = Arc::clone(ledger);
        let handle = TokenHandle::builder(source)
            .clock(clock.clone())
            .observer(move |event: &Event<'_>| observer.event(event))
            .build();
        let origins = AllowedOrigins::new(apis.iter().map(FakeResource::origin))?;
        let layer = OAuthLayer::new(handle.clone(), origins);
        let client = Clients {
            handle,
            whole: layer.layer(RotatingClient::hyper(trust.clone(), &identity)?),
            stream: layer
                .rejection_as_error()
                .layer(RotatingClient::hyper(trust, &identity)?),
        };
        Ok(Self {
            pki,
            clock,
            server,
            apis,
            directory,
            pair: Mutex::new(pair),
            client,
        })
    }

    /// Puts another pair into the files, which the server knows as well as the one before.
    pub(crate) fn rotate(&self) -> Result<(), Failure> {
        let mut pair = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.pki.client(ID)?;
        let both = Client::tls_client_auth(ID, pair.certificate_pem())?;
        let both = both.also_certificate(next.certificate_pem())?;
        self.server.register(both.bind_tokens());
        fs::write(self.directory.join("client.crt"), next.certificate_pem())?;
        fs::write(self.directory.join("client.key"), next.key_pem())?;
        *pair = next;
        self.client.handle.reload();
        Ok(())
    }

    /// The servers' records grow with every request.
    pub(crate) fn forget(&self) {
        self.server.forget();
        self.apis.iter().for_each(FakeResource::forget);
    }

    /// Drops the last handle, with all clients; returns the end of the servers.
    pub(crate) fn drop_client(self) -> impl Future<Output = ()> {
        drop(self.client);
        let _ = fs::remove_dir_all(&self.directory);
        let (server, apis) = (self.server, self.apis);
        async move {
            server.shutdown().await;
            for api in apis {
                api.shutdown().await;
            }
        }
    }
}
