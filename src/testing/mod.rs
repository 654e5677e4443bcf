//! An authorization server and a protected resource for tests: real sockets, real TLS, no files.
//!
//! Both are embedded: they listen on a loopback port, run on the test's own runtime and end when
//! their handle is dropped. A [`Pki`] makes the certificates. The [`FakeAuthorizationServer`]
//! really verifies what it is sent, with code that shares nothing with the client's side of this
//! crate. The [`FakeResource`] accepts the tokens of that server as long as they are neither
//! expired nor revoked. Both count and record what they see, and misbehave on request: a
//! [rollover](FakeAuthorizationServer::rollover) that revokes every token, scripted and slow
//! answers, an outage, hostile answers that echo credentials, and barriers that hold requests
//! until a test has brought everything into place.
//!
//! A [`FakeProxy`] stands between them and a client, and doesn't always let it pass.
//!
//! They are made for this crate's own tests and examples, and for the tests of its users. They
//! are no base for a server: state is kept in memory and grows with every request.
//!
//! # Example
//!
//! ```
//! use tower_oauth::testing::{Client, FakeAuthorizationServer, FakeResource, Pki};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let pki = Pki::new()?;
//! let orders = pki.client("orders-service")?;
//! let server = FakeAuthorizationServer::builder(&pki)
//!     .client(Client::private_key_jwt("orders-service", orders.public_key_pem())?)
//!     .start()
//!     .await?;
//! let resource = FakeResource::builder(&pki).trusting(&server).start().await?;
//!
//! // Give the code under test `pki.ca_pem()` to trust, `orders.key_pem()` to sign with,
//! // `server.token_endpoint()` to ask and `resource.origin()` to call. Then:
//! let token = server.mint("orders-service", "orders.read")?;
//! assert!(server.is_active(token.expose()));
//! server.rollover();
//! assert!(!server.is_active(token.expose()));
//! assert_eq!(resource.counters().calls, 0);
//! # Ok(())
//! # }
//! ```

mod answer;
mod authorization_server;
mod echo;
mod gate;
mod handshake;
mod log;
mod net;
mod pki;
mod proxy;
mod resource;
mod self_signed;
mod tokens;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::{
    answer::Answer,
    authorization_server::{
        AuthMethod, AuthorizationServerCounters, Client, FakeAuthorizationServer,
        FakeAuthorizationServerBuilder, TokenRequest,
    },
    handshake::Handshake,
    pki::{ClientPem, KeyKind, Pki},
    proxy::{FakeProxy, ReceivedConnect},
    resource::{
        FakeResource, FakeResourceBuilder, ReceivedBody, ReceivedCall, Refusal, ResourceCounters,
    },
};

/// The state behind a mutex. A panic in one request doesn't take the others with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
