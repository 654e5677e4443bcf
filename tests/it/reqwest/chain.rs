//! The middleware among others, and what it leaves as it was.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use http::{Extensions, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use reqwest::{Body, Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next, Result};
use tower_oauth::{
    adapter::reqwest::OAuthMiddleware,
    refresh::TokenHandle,
    service::{Rejected, RejectedReason, Repeat},
};

use super::{
    plain::{self, Plain, refusal},
    world::{World, api, layer, plain_client},
};
use crate::support;

/// Counts what passes, and marks it.
#[derive(Clone, Default)]
pub(super) struct Probe(Arc<Seen>);

#[derive(Default)]
struct Seen {
    tokens: Mutex<Vec<Option<String>>>,
    refusals: AtomicUsize,
    marks: Mutex<Vec<usize>>,
}

/// In the extensions: how many sends there were.
#[derive(Clone, Default)]
struct Mark(usize);

impl Probe {
    pub(super) fn refusals(&self) -> usize {
        self.0.refusals.load(SeqCst)
    }

    /// The tokens that requests had which came through.
    pub(super) fn tokens(&self) -> Vec<Option<String>> {
        self.0.tokens.lock().unwrap().clone()
    }

    /// What was in the extensions when responses came back.
    fn marks(&self) -> Vec<usize> {
        self.0.marks.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Middleware for Probe {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let token = request.headers().get(AUTHORIZATION);
        let token = token.map(|it| it.to_str().unwrap().to_owned());
        if token.is_some() {
            extensions.get_or_insert_default::<Mark>().0 += 1;
        }
        self.0.tokens.lock().unwrap().push(token);
        let response = next.run(request, extensions).await?;
        let mark = extensions.get().map_or(0, |Mark(sends)| *sends);
        self.0.marks.lock().unwrap().push(mark);
        if response.status() == StatusCode::UNAUTHORIZED {
            self.0.refusals.fetch_add(1, SeqCst);
        }
        Ok(response)
    }
}

/// A server that takes the tokens of this world, and a handle whose token it has forgotten.
async fn forgotten() -> (support::World, Plain, TokenHandle) {
    let world = support::World::new();
    world.latency(std::time::Duration::ZERO);
    let seen = world.clone();
    let server = Plain::start(move |request| {
        let mut answer = match seen.accepts(&request) {
            true => plain::answer(StatusCode::OK),
            false => refusal(),
        };
        let trace = "t-1".parse().unwrap();
        answer.headers_mut().insert("x-trace", trace);
        async {
            let _ = request.into_body().collect().await;
            Ok(answer)
        }
    })
    .await;
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    (world, server, handle)
}

#[tokio::test]
async fn those_above_see_one_call_and_those_below_both_sends() {
    let (_world, server, handle) = forgotten().await;
    let (above, below) = (Probe::default(), Probe::default());
    let oauth = OAuthMiddleware::new(layer(handle, &server.origin())).unwrap();
    let api = ClientBuilder::new(plain_client())
        .with(above.clone())
        .with(oauth)
        .with(below.clone())
        .build();
    let response = api.get(server.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(above.tokens(), [None]);
    let sent = ["Bearer token-1", "Bearer token-2"].map(|it| Some(it.to_owned()));
    assert_eq!(below.tokens(), sent);
    // What is put into the extensions below stays there, and is seen above.
    assert_eq!(below.marks(), [1, 2]);
    assert_eq!(above.marks(), [2]);
    assert_eq!((above.refusals(), below.refusals()), (0, 1));
}

#[tokio::test]
async fn a_response_is_the_one_that_reqwest_has_made() {
    let (world, server, handle) = forgotten().await;
    world.down();
    let api = api(plain_client(), layer(handle, &server.origin()));
    let url = server.url("/orders?at=1");
    let response = api.get(&url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.url().as_str(), url);
    assert!(response.remote_addr().is_some());
    assert_eq!(response.headers()["x-trace"], "t-1");
    assert!(response.headers().contains_key("www-authenticate"));
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert!(matches!(rejected.reason(), RejectedReason::NoToken(_)));
    assert_eq!(response.content_length(), Some(12));
    assert_eq!(response.text().await.unwrap(), "who are you?");
}

#[tokio::test]
async fn the_timeout_of_a_request_is_that_of_each_send() {
    let (_world, server, handle) = forgotten().await;
    let below = Timeouts::default();
    let oauth = OAuthMiddleware::new(layer(handle, &server.origin())).unwrap();
    let api = ClientBuilder::new(plain_client())
        .with(oauth)
        .with(below.clone())
        .build();
    let timeout = std::time::Duration::from_secs(77);
    let call = api.get(server.url("/")).timeout(timeout);
    assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(*below.0.lock().unwrap(), [Some(timeout); 2]);
}

#[derive(Clone, Default)]
struct Timeouts(Arc<Mutex<Vec<Option<std::time::Duration>>>>);

#[async_trait::async_trait]
impl Middleware for Timeouts {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        self.0.lock().unwrap().push(request.timeout().copied());
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn a_callers_own_authorization_is_left_alone() {
    let (world, server, handle) = forgotten().await;
    let api = api(plain_client(), layer(handle, &server.origin()));
    let call = api.get(server.url("/")).bearer_auth("mine");
    let response = call.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.extensions().get::<Rejected>().is_none());
    let [(_, headers)] = server.calls().try_into().unwrap();
    assert_eq!(headers[AUTHORIZATION], "Bearer mine");
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn a_request_says_in_the_chains_extensions_whether_it_is_sent_again() {
    for (repeat, sends) in [
        (None, 2),
        (Some(Repeat::Never), 1),
        (Some(Repeat::Within(7)), 1),
        (Some(Repeat::Within(8)), 2),
    ] {
        let (_world, server, handle) = forgotten().await;
        let api = api(plain_client(), layer(handle, &server.origin()));
        let body = Body::wrap(Full::new(Bytes::from("an order")));
        let call = api.post(server.url("/")).body(body);
        let call = match repeat {
            Some(repeat) => call.with_extension(repeat),
            None => call,
        };
        let response = call.send().await.unwrap();
        assert_eq!(server.calls().len(), sends, "{repeat:?}");
        let told = response.extensions().get::<Rejected>();
        let forbidden = told.is_some_and(|it| matches!(it.reason(), RejectedReason::Forbidden));
        assert_eq!(forbidden, repeat == Some(Repeat::Never));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_calls_share_one_fetch() {
    let world = World::new().await;
    let api = world.api();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..500 {
        calls.spawn(api.get(world.orders()).send());
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.token_requests(), 1);
    assert_eq!(world.resource.counters().refused, 0);
}
