//! The test kit itself: each check of the embedded servers refuses what it must refuse.

mod assertions;
mod authorization_server;
mod faults;
mod resource;
mod shutdown;
mod wire;

use std::time::{Duration, UNIX_EPOCH};

use tower_oauth::{
    ManualClock,
    testing::{Client, FakeAuthorizationServer, FakeResource, Pki},
};

use self::wire::{Reply, Wire};

/// What the servers' wall clock shows at the start of a test, in seconds.
const NOW: u64 = 1_800_000_000;

const SECRET: &str = "a secret with :/+&=% in it";

/// An authorization server with one client for Basic, and a resource that trusts it.
struct Kit {
    pki: Pki,
    clock: ManualClock,
    server: FakeAuthorizationServer,
    resource: FakeResource,
    wire: Wire,
}

impl Kit {
    async fn new() -> Self {
        let pki = Pki::new().unwrap();
        let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW));
        let server = FakeAuthorizationServer::builder(&pki)
            .client(Client::client_secret_basic("orders", SECRET))
            .clock(clock.clone())
            .start()
            .await
            .unwrap();
        let resource = FakeResource::builder(&pki)
            .trusting(&server)
            .start()
            .await
            .unwrap();
        let wire = Wire::new(&pki, None);
        Self {
            pki,
            clock,
            server,
            resource,
            wire,
        }
    }

    /// Asks for a token with the secret.
    async fn ask(&self) -> Reply {
        self.ask_for(&[]).await
    }

    /// Asks for a token with the secret and more parameters.
    async fn ask_for(&self, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(more);
        self.wire
            .post(
                &self.server.token_endpoint(),
                &[("authorization", &wire::basic("orders", SECRET))],
                &form,
            )
            .await
            .unwrap()
    }

    /// Calls the resource with a token that was just minted.
    fn minted(&self) -> String {
        let token = self.server.mint("orders", "").unwrap();
        format!("Bearer {}", token.expose())
    }

    async fn call(&self, authorization: &str) -> Reply {
        let uri = self.resource.uri("/orders");
        self.wire
            .get(&uri.to_string(), &[("authorization", authorization)])
            .await
            .unwrap()
    }
}
