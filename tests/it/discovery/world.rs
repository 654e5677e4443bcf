use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use http::StatusCode;
use serde_json::Value;
use tokio::sync::mpsc;
use tower_oauth::{
    ManualClock, TokenError,
    client_auth::ClientSecretPost,
    discovery::Discovery,
    events::Event,
    grant::{ClientCredentials, ClientCredentialsBuilder, TokenSource},
    testing::{Answer, Client, FakeAuthorizationServer, Pki},
    tls::TrustAnchors,
    token::Cause,
};

pub(super) const SECRET: &str = "correct horse battery staple, correct horse";
pub(super) const OAUTH: &str = "/.well-known/oauth-authorization-server";
pub(super) const OPENID: &str = "/.well-known/openid-configuration";

/// A server, its one client, and the time.
pub(super) struct World {
    pub(super) pki: Pki,
    pub(super) clock: ManualClock,
    pub(super) server: FakeAuthorizationServer,
}

impl World {
    pub(super) async fn new() -> Self {
        let pki = Pki::new().unwrap();
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let server = FakeAuthorizationServer::builder(&pki)
            .clock(clock.clone())
            .client(Client::client_secret_post("orders", SECRET))
            .start()
            .await
            .unwrap();
        Self { pki, clock, server }
    }

    /// A source of the server's tokens that knows nothing but the issuer.
    pub(super) fn source(&self) -> ClientCredentialsBuilder {
        self.source_of(self.server.issuer())
    }

    pub(super) fn source_of(&self, server: impl Into<Discovery>) -> ClientCredentialsBuilder {
        ClientCredentials::from_issuer(server)
            .client_id("orders")
            .auth(ClientSecretPost::new(SECRET))
            .trust(TrustAnchors::from_pem(self.pki.ca_pem().as_bytes()).unwrap())
            .clock(self.clock.clone())
    }

    /// Publishes the server's metadata with other values.
    pub(super) fn publish(&self, changes: Value) {
        self.publish_at(OAUTH, changes);
    }

    pub(super) fn publish_at(&self, path: &str, changes: Value) {
        let mut document: Value = serde_json::from_str(&self.server.metadata()).unwrap();
        let Value::Object(changes) = changes else {
            panic!("the changes are members");
        };
        for (name, value) in changes {
            document[name] = value;
        }
        let answer = Answer::json(StatusCode::OK, document.to_string());
        self.server.set_metadata(path, answer);
    }

    /// The paths of the requests for metadata.
    pub(super) fn asked(&self) -> Vec<String> {
        let requests = self.server.metadata_requests();
        requests.iter().map(|uri| uri.path().to_owned()).collect()
    }

    pub(super) fn token_requests(&self) -> u64 {
        self.server.counters().token_requests
    }

    /// The same server by another name, which its certificate has too.
    pub(super) fn elsewhere(&self) -> String {
        self.server
            .token_endpoint()
            .replace("127.0.0.1", "localhost")
    }
}

/// One token.
pub(super) async fn fetch(source: &ClientCredentials) -> Result<(), TokenError> {
    source.fetch(Cause::Cold).await.map(drop)
}

/// What is told from now on, in words.
pub(super) fn listen(source: &ClientCredentials) -> mpsc::UnboundedReceiver<String> {
    let (tell, told) = mpsc::unbounded_channel();
    source.report_to(Arc::new(move |event: &Event<'_>| {
        // Nobody listens any more once the test is over.
        let _ = tell.send(match event {
            Event::MetadataNotRenewed { error, .. } => format!("not renewed: {error}"),
            Event::EndpointMoved { kept, named, .. } => format!("moved: {kept} {named}"),
            Event::NotAdvertised { list, value, .. } => format!("{list}: {value}"),
            other => format!("{other:?}"),
        });
    }));
    told
}
