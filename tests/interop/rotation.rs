//! A certificate that changes while calls go on, against a server that compares that of each
//! connection with that of the token.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use http::Method;
use tokio::sync::mpsc;
use tower::Layer;
use tower_oauth::{
    ManualClock,
    client_auth::TlsClientAuth,
    events::Event,
    grant::ClientCredentials,
    keystore::RotatingIdentity,
    refresh::TokenHandle,
    service::{AllowedOrigins, OAuthLayer},
    testing::{ClientPem, Pki},
    tls::RotatingClient,
    token::Cause,
};

use super::{
    load::{Api, Load},
    server::Server,
};

const ID: &str = "rotating";

#[tokio::test(flavor = "multi_thread")]
async fn fifty_rotations_under_load_fail_no_call() {
    const ROTATIONS: usize = 50;

    let mut client = Client::start();
    let mut load = client.load();
    load.turn().await;
    // What was in use, with the number of the last connection that may show it.
    let mut retired = Vec::new();
    for turn in 0..ROTATIONS {
        // Every other one is renewed for the same key.
        let next = match turn % 2 {
            0 => client.pki.client(ID).unwrap(),
            _ => client.pki.renewed(&client.now, ID).unwrap(),
        };
        let old = client.rotate(next).await;
        // A call that began with the old pair may end with it.
        load.turn().await;
        let mark = client.server.connections().await.arrival;
        retired.push((old, mark));
        load.turn().await;
    }
    let calls = load.end().await.unwrap();

    let seen = client.server.connections().await;
    assert_eq!(seen.mismatched, 0);
    assert_eq!(seen.matched, calls);
    for (old, mark) in &retired {
        let late = seen.showing(old).filter(|it| it.arrival > *mark);
        assert_eq!(late.count(), 0);
        assert!(seen.showing(old).any(|it| it.resumed));
    }
    assert!(seen.showing(&client.now).any(|it| it.resumed));
    // One token for each identity.
    let tokens = client.server.token_requests(ID).await;
    assert_eq!(tokens, 1 + ROTATIONS as u64);
    client.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_that_the_server_refuses_leaves_the_old_pair_in_use() {
    let other_subject: fn(&Pki) -> _ = |pki| pki.client("somebody else");
    // Another `Pki` would be a namesake of this one, which makes Node cut some connections.
    let of_no_authority: fn(&Pki) -> _ = |pki| pki.self_signed_client(ID);
    for refused in [other_subject, of_no_authority] {
        let mut client = Client::start();
        let mut load = client.load();
        load.turn().await;
        let refused = refused(&client.pki).unwrap();
        client.files.write(&refused);
        client.reload();
        client.until(&Seen::Refused("invalid_client".into())).await;
        load.turn().await;

        let status = client.handle.status();
        assert!(status.usable);
        assert_eq!(status.certificate.as_deref(), Some(client.now.thumbprint()));
        let error = status.identity_error.expect("it is said why");
        assert_eq!(error.oauth_error(), Some("invalid_client"));
        assert_eq!(
            client.identity.current().thumbprint(),
            client.now.thumbprint()
        );

        // The next one is as good as any.
        let next = client.pki.client(ID).unwrap();
        client.rotate(next).await;
        load.turn().await;
        let calls = load.end().await.unwrap();
        assert!(client.handle.status().identity_error.is_none());
        let seen = client.server.connections().await;
        assert_eq!(seen.mismatched, 0);
        assert_eq!(seen.matched, calls);
        assert!(seen.showing(&client.now).next().is_some());
        assert!(seen.showing(&refused).next().is_none());
        client.close().await;
    }
}

/// A client whose files change, and the server.
struct Client {
    server: Server,
    pki: Pki,
    clock: ManualClock,
    files: Files,
    identity: RotatingIdentity,
    handle: TokenHandle,
    events: mpsc::UnboundedReceiver<Seen>,
    api: Api,
    now: ClientPem,
}

/// What an observer is told of identities.
#[derive(Debug, PartialEq)]
enum Seen {
    Rotated(String),
    Refused(String),
    ReloadFailed,
}

impl Client {
    fn start() -> Self {
        let pki = Pki::new().unwrap();
        let server = Server::start_trusting(&pki.ca_pem());
        let now = pki.client(ID).unwrap();
        let files = Files::new(&now);

        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let identity = RotatingIdentity::builder()
            .clock(clock.clone())
            .pem_files(files.certificate(), files.key())
            .unwrap();
        let source = ClientCredentials::builder(&server.facts.token_endpoint)
            .client_id(ID)
            .auth(TlsClientAuth::new(&identity))
            .scope("orders.read")
            .trust(server.trust())
            .clock(clock.clone())
            .build()
            .unwrap();
        let (told, events) = mpsc::unbounded_channel();
        let handle = TokenHandle::builder(source)
            .clock(clock.clone())
            .observer(move |event: &Event<'_>| {
                // The test may be over.
                let _ = seen(event).map(|it| told.send(it));
            })
            .build();
        let origins = AllowedOrigins::new([&server.facts.resource]).unwrap();
        let client = RotatingClient::hyper(server.trust(), &identity).unwrap();
        let api = OAuthLayer::new(handle.clone(), origins).layer(client);
        Self {
            server,
            pki,
            clock,
            files,
            identity,
            handle,
            events,
            api,
            now,
        }
    }

    fn load(&self) -> Load {
        // Half of the callers keep their connections; the others resume a session for each call.
        let paths = ["/orders", "/orders/alone"].repeat(3);
        let requests = paths
            .iter()
            .map(|path| self.server.request(Method::GET, path));
        Load::start(&self.api, requests)
    }

    /// Has the files looked at. What was tried a moment ago is a while ago then.
    fn reload(&self) {
        self.clock.advance(Duration::from_secs(2));
        self.handle.reload();
    }

    /// Puts another pair into the files, and waits until it is in use; returns the one before.
    async fn rotate(&mut self, next: ClientPem) -> ClientPem {
        self.files.write(&next);
        self.reload();
        self.until(&Seen::Rotated(next.thumbprint().into())).await;
        std::mem::replace(&mut self.now, next)
    }

    /// Waits for an event; no other one may come before.
    async fn until(&mut self, expected: &Seen) {
        let seen = self.events.recv().await;
        assert_eq!(seen.as_ref(), Some(expected));
    }

    /// Drops what calls; all its connections come to their end.
    async fn close(self) {
        drop(self.api);
        for _ in 0..1000 {
            // That of the asker is one.
            if self.server.connections().await.open == 1 {
                return;
            }
        }
        panic!("connections are left");
    }
}

fn seen(event: &Event<'_>) -> Option<Seen> {
    Some(match event {
        Event::IdentityRotated { thumbprint, .. } => {
            Seen::Rotated(thumbprint.unwrap_or_default().into())
        }
        Event::FetchFailed {
            cause: Cause::Rotation,
            error,
            ..
        } => Seen::Refused(error.oauth_error().unwrap_or_default().into()),
        Event::ReloadFailed { .. } => Seen::ReloadFailed,
        _ => return None,
    })
}

// ===== impl Files =====

/// The client's certificate and key, in a directory of their own.
struct Files(PathBuf);

impl Files {
    fn new(pem: &ClientPem) -> Self {
        let name = format!("tower-oauth-{}", pem.thumbprint());
        let files = Self(std::env::temp_dir().join(name));
        fs::create_dir(&files.0).unwrap();
        files.write(pem);
        files
    }

    fn certificate(&self) -> PathBuf {
        self.0.join("client.crt")
    }

    fn key(&self) -> PathBuf {
        self.0.join("client.key")
    }

    fn write(&self, pem: &ClientPem) {
        fs::write(self.certificate(), pem.certificate_pem()).unwrap();
        fs::write(self.key(), pem.key_pem()).unwrap();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
