//! Where tokens go, and how.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth::{
    TokenHandle,
    body::ReplayBody,
    grant::{Fetched, source_fn},
    service::Error,
    token::AccessToken,
};

use super::world::World;

type Body = ReplayBody<Full<Bytes>>;

/// What a resource saw of a call, and what the caller got.
struct Outcome {
    /// The `Authorization` header of each send.
    sent: Vec<Option<String>>,
    result: Result<StatusCode, Error>,
}

/// A call through the layer of a profile with these lines.
async fn call(world: &World, lines: &str, request: Request<Body>, status: StatusCode) -> Outcome {
    let profile = world.load(&(world.with_secret() + lines)).unwrap();
    let fetches = AtomicU64::new(0);
    let source = source_fn(move |_| {
        let token = format!("token-{}", fetches.fetch_add(1, SeqCst));
        async { Ok(Fetched::new(AccessToken::new(token)?)) }
    });
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let resource = service_fn(move |request: Request<Body>| {
        let seen = Arc::clone(&seen);
        async move {
            let header = request.headers().get("authorization");
            let header = header.map(|value| value.to_str().unwrap().to_owned());
            seen.lock().unwrap().push(header);
            // A server reads what it is sent.
            let body = request.into_body();
            let _ = http_body_util::BodyExt::collect(body).await;
            let mut response = Response::new(());
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    });
    // A token that was fetched for this very request is not replaced.
    let handle = TokenHandle::new(source);
    handle.ready().await.unwrap();
    let layer = profile.layer_of(handle).unwrap();
    let result = layer.layer(resource).oneshot(request).await;
    Outcome {
        sent: std::mem::take(&mut sent.lock().unwrap()),
        result: result.map(|response| response.status()),
    }
}

fn request(uri: &str) -> Request<Body> {
    let body = ReplayBody::new(Full::from("an order"));
    Request::post(uri).body(body).unwrap()
}

async fn get(world: &World, lines: &str, uri: &str) -> Outcome {
    call(world, lines, request(uri), StatusCode::OK).await
}

impl Outcome {
    fn got_token(&self) -> bool {
        let token =
            |it: &Option<String>| it.as_ref().is_some_and(|it| it.starts_with("Bearer token"));
        matches!(&self.sent[..], [sent] if token(sent)) && self.result.is_ok()
    }

    fn is_refused(&self) -> bool {
        self.sent.is_empty() && matches!(self.result, Err(Error::Origin(_)))
    }
}

const ORIGINS: &str = "api.allowed_origins = [\"https://a.example\", \"http://b.example\"]\n";

pub(crate) async fn allowed_origins(world: &World) {
    assert!(get(world, ORIGINS, "https://a.example/").await.got_token());
    assert!(get(world, ORIGINS, "https://c.example/").await.is_refused());
    let error = world
        .load(&world.with_secret())
        .unwrap()
        .layer()
        .unwrap_err();
    assert_eq!(error.faults()[0].key(), "api.allowed_origins");
    assert!(error.faults()[0].line().is_some());
}

pub(crate) async fn any_https(world: &World) {
    let lines = "api.any_https = true\n";
    assert!(get(world, lines, "https://c.example/").await.got_token());
    assert!(get(world, lines, "http://c.example/").await.is_refused());
}

pub(crate) async fn allow_plain_http(world: &World) {
    assert!(get(world, ORIGINS, "http://b.example/").await.is_refused());
    let lines = format!("{ORIGINS}api.allow_plain_http = true\n");
    assert!(get(world, &lines, "http://b.example/").await.got_token());
}

pub(crate) async fn foreign_origins(world: &World) {
    let lines = format!("{ORIGINS}api.foreign_origins = \"send_without\"\n");
    let outcome = get(world, &lines, "https://c.example/").await;
    assert_eq!(outcome.sent, [None]);
    let lines = format!("{ORIGINS}api.foreign_origins = \"refuse\"\n");
    assert!(get(world, &lines, "https://c.example/").await.is_refused());
}

pub(crate) async fn origin_without_authority(world: &World) {
    assert!(get(world, ORIGINS, "/orders").await.is_refused());
    let lines = format!("{ORIGINS}api.origin_without_authority = \"https://a.example\"\n");
    assert!(get(world, &lines, "/orders").await.got_token());
}

pub(crate) async fn replace_authorization(world: &World) {
    let own = || {
        let mut request = request("https://a.example/");
        let value = "Basic b3duOm93bg==".parse().unwrap();
        request.headers_mut().insert("authorization", value);
        request
    };
    let outcome = call(world, ORIGINS, own(), StatusCode::OK).await;
    assert_eq!(outcome.sent, [Some("Basic b3duOm93bg==".to_owned())]);
    let lines = format!("{ORIGINS}api.replace_authorization = true\n");
    assert!(call(world, &lines, own(), StatusCode::OK).await.got_token());
}

async fn refused(world: &World, lines: &str) -> Outcome {
    let lines = format!("{ORIGINS}{lines}\n");
    call(
        world,
        &lines,
        request("https://a.example/"),
        StatusCode::UNAUTHORIZED,
    )
    .await
}

pub(crate) async fn replay_limit(world: &World) {
    // The body has eight octets.
    for (lines, sends) in [
        ("", 2),
        ("api.replay_limit = \"8B\"", 2),
        ("api.replay_limit = \"7B\"", 1),
    ] {
        let outcome = refused(world, lines).await;
        assert_eq!(outcome.sent.len(), sends, "{lines}");
    }
}

pub(crate) async fn rejection_as_error(world: &World) {
    let outcome = refused(world, "").await;
    assert_eq!(outcome.result.unwrap(), StatusCode::UNAUTHORIZED);
    let outcome = refused(world, "api.rejection_as_error = true").await;
    assert!(matches!(outcome.result, Err(Error::Rejected(_))));
}
