//! What only the house itself may see: the identity in a request's extensions.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use tokio::{sync::Notify, time::sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{AllowedOrigins, AttachLayer, OAuthLayer};
use crate::{
    error::{ErrorKind, TokenError},
    grant::{Fetched, TokenSource},
    keystore::{Change, ClientIdentity, Shown},
    refresh::TokenHandle,
    token::{AccessToken, Cause},
};

/// A source with two identities, whose tokens are named after the identity they are bound to.
#[derive(Clone)]
struct Bound(Arc<Inner>);

struct Inner {
    identities: [ClientIdentity; 2],
    current: Mutex<usize>,
    fetches: Mutex<usize>,
    changed: Notify,
    refused: AtomicBool,
}

impl Bound {
    fn new() -> Self {
        let identity = || {
            let certificate = include_bytes!("../../tests/keys/p256-client.pem");
            let key = include_bytes!("../../tests/keys/p256-pkcs8.pem");
            ClientIdentity::from_pem(certificate, key).unwrap()
        };
        Self(Arc::new(Inner {
            identities: [identity(), identity()],
            current: Mutex::new(0),
            fetches: Mutex::new(0),
            changed: Notify::new(),
            refused: AtomicBool::new(false),
        }))
    }

    /// A resource that takes a token only with its own identity, and only the newest.
    fn answer(&self, request: &Request<String>) -> StatusCode {
        let token = request.headers()["authorization"].to_str().unwrap();
        let [old, new] = &self.0.identities;
        let named = match token {
            token if token.starts_with("Bearer old-") => old,
            _ => new,
        };
        let shown: &Shown = request.extensions().get().unwrap();
        assert_eq!(shown.identity().number(), named.number(), "{token}");
        match token.ends_with(&format!("-{}", self.0.fetches.lock().unwrap())) {
            true => StatusCode::OK,
            false => StatusCode::UNAUTHORIZED,
        }
    }
}

impl TokenSource for Bound {
    async fn fetch(&self, cause: Cause) -> Result<Fetched, TokenError> {
        if cause == Cause::Rotation && self.0.refused.load(SeqCst) {
            let error = TokenError::new(ErrorKind::Rejected, "invalid_client");
            return Err(error.temporary(false));
        }
        let mut current = self.0.current.lock().unwrap();
        if cause == Cause::Rotation {
            *current = 1;
        }
        let mut fetches = self.0.fetches.lock().unwrap();
        *fetches += 1;
        let token = AccessToken::new(format!("{}-{fetches}", ["old", "new"][*current]))?;
        Ok(Fetched::new(token).identity(self.0.identities[*current].clone()))
    }

    async fn changed(&self) -> Change {
        self.0.changed.notified().await;
        Change::New
    }
}

fn origins() -> AllowedOrigins {
    AllowedOrigins::new(["https://api.example"]).unwrap()
}

fn request() -> Request<String> {
    Request::post("https://api.example/orders")
        .body(String::new())
        .unwrap()
}

fn layered(
    source: &Bound,
) -> (
    TokenHandle,
    impl Service<Request<String>, Response = Response<()>, Error = super::Error>,
) {
    let handle = TokenHandle::new(source.clone());
    let resource = source.clone();
    let api = OAuthLayer::new(handle.clone(), origins()).layer(service_fn(
        move |request: Request<String>| {
            let mut response = Response::new(());
            *response.status_mut() = resource.answer(&request);
            async { Ok::<_, Infallible>(response) }
        },
    ));
    (handle, api)
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_with_the_identity_that_its_token_belongs_to() {
    let source = Bound::new();
    let (handle, mut api) = layered(&source);
    for _ in 0..2 {
        // With a wait for the token, and without.
        let response = api.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    source.0.changed.notify_one();
    sleep(Duration::from_secs(1)).await;
    let token = handle.token().await.unwrap();
    assert_eq!(token.access_token().expose(), "new-2");
    let response = api.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_second_send_goes_with_the_identity_of_the_newer_token() {
    let source = Bound::new();
    let (handle, mut api) = layered(&source);
    handle.ready().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    // The old token dies with its certificate, and the call comes before the new one is there.
    *source.0.fetches.lock().unwrap() += 1;
    source.0.changed.notify_one();
    let response = api.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    sleep(Duration::from_secs(10)).await;
    let response = api.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let token = handle.token().await.unwrap();
    assert!(token.access_token().expose().starts_with("new-"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_identity_leaves_the_old_pair_together() {
    let source = Bound::new();
    let (handle, mut api) = layered(&source);
    handle.ready().await.unwrap();
    source.0.refused.store(true, SeqCst);
    source.0.changed.notify_one();
    sleep(Duration::from_secs(10)).await;
    let response = api.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let token = handle.token().await.unwrap();
    assert_eq!(token.access_token().expose(), "old-1");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_no_identity_leaves_the_extensions_alone() {
    let source = crate::grant::source_fn(|_| async { Ok(Fetched::new(AccessToken::new("a")?)) });
    let api = AttachLayer::new(TokenHandle::new(source), origins()).layer(service_fn(
        |request: Request<String>| async move {
            assert!(request.extensions().is_empty());
            Ok::<_, Infallible>(Response::new(()))
        },
    ));
    api.oneshot(request()).await.unwrap();
}
