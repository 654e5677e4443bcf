//! When the caller gets the response of the first send.

use std::{
    convert::Infallible,
    error::Error as StdError,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use http::{Request, Response, StatusCode};
use tokio::{sync::Semaphore, time::sleep};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth::{
    BoxError, ErrorKind, TokenError, TokenHandle,
    events::Event,
    grant::Fetched,
    service::{Error, OAuth, RejectedReason},
    token::AccessToken,
};

use super::{assert_original, assert_reason, told};
use crate::support::{Body, Resource, Watcher, World, layer, refusal, request};

/// A service whose handle has a token that was just revoked.
async fn revoked(world: &World) -> OAuth<Resource> {
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    world.rollover();
    layer.layer(world.resource())
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_gives_the_original_back() {
    let world = World::new();
    let api = revoked(&world).await;
    world.down();
    let response = api.clone().oneshot(request()).await.unwrap();
    assert_original(&response, |it| matches!(it, RejectedReason::NoToken(_)));
    assert!(told(&response).hint().contains("nobody answers"));
    assert_eq!((world.fetches(), world.sends()), (2, 1));
    // Those who come in the back-off have it at once.
    let response = api.oneshot(request()).await.unwrap();
    assert_original(&response, |it| matches!(it, RejectedReason::BackOff { .. }));
    assert_eq!((world.fetches(), world.sends()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_or_hangs_gives_the_original_back() {
    let world = World::new();
    let api = revoked(&world).await;
    world.answer(|_| panic!("the source was told to panic"));
    let response = api.oneshot(request()).await.unwrap();
    assert_original(&response, |it| matches!(it, RejectedReason::NoToken(_)));

    let world = World::new();
    let api = revoked(&world).await;
    world.hang();
    let response = api.oneshot(request()).await.unwrap();
    assert_original(&response, |it| matches!(it, RejectedReason::NoToken(_)));
}

#[tokio::test(start_paused = true)]
async fn closing_the_handle_gives_the_original_back() {
    let world = World::new();
    let api = revoked(&world).await;
    world.hang();
    let handle = api.handle().clone();
    let call = tokio::spawn(api.oneshot(request()));
    sleep(Duration::from_secs(1)).await;
    handle.close();
    let response = call.await.unwrap().unwrap();
    assert_original(&response, |it| matches!(it, RejectedReason::NoToken(_)));
}

#[tokio::test(start_paused = true)]
async fn closing_the_handle_as_the_new_token_comes_says_that_it_was_closed() {
    let world = World::new();
    let closes = Arc::new(OnceLock::<TokenHandle>::new());
    let close = Arc::clone(&closes);
    // Whoever holds a refusal has been told of the token by then, and hasn't gone on yet.
    let observer = move |event: &Event<'_>| {
        if let (Event::FetchSucceeded { .. }, Some(handle)) = (event, close.get()) {
            handle.close();
        }
    };
    let layer = layer(world.builder().observer(observer).build());
    layer.handle().ready().await.unwrap();
    sleep(Duration::from_secs(10)).await;
    world.rollover();
    closes.set(layer.handle().clone()).unwrap();
    let response = layer.layer(world.resource()).oneshot(request()).await;
    assert_original(&response.unwrap(), |it| {
        matches!(it, RejectedReason::Closed)
    });
    assert_eq!((world.fetches(), world.sends()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_refusal_is_the_second_response() {
    let world = World::new();
    let sends = AtomicUsize::new(0);
    let api = world.layer().layer(world.resource_that(move |_| {
        let mut response = refusal();
        *response.body_mut() = ["first", "second", "third"][sends.fetch_add(1, SeqCst)];
        response
    }));
    api.handle().ready().await.unwrap();
    let response = api.oneshot(request()).await.unwrap();
    assert_eq!(*response.body(), "second");
    assert_reason(&response, |it| matches!(it, RejectedReason::Again));
    assert_eq!(u64::from(told(&response).generation()), 2);
    assert_eq!(told(&response).origin(), "https://api.example");
    assert_eq!(told(&response).refusal().error(), Some("invalid_token"));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_fetched_for_the_request_is_not_replaced() {
    let world = World::new();
    let api = world.layer().layer(world.resource_that(|_| refusal()));
    let response = api.oneshot(request()).await.unwrap();
    assert_original(&response, |it| matches!(it, RejectedReason::Fresh));
    assert_eq!((world.fetches(), world.sends()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_newer_than_the_one_waited_for_is_replaced() {
    let world = World::new();
    let api = world.layer().layer(world.resource());
    let handle = api.handle().clone();
    let mut call = pin!(api.oneshot(request()));
    assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
    sleep(Duration::from_secs(1)).await;
    handle.refresh();
    sleep(Duration::from_secs(1)).await;
    world.rollover();
    // It waited for the first token, and gets the second.
    assert_eq!(call.await.unwrap().status(), StatusCode::OK);
    assert_eq!((world.fetches(), world.sends()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_second_refusal_of_a_token_that_was_not_fetched_for_it_replaces_that_one_too() {
    let world = World::new();
    let api = world.layer().layer(world.resource());
    let handle = api.handle().clone();
    handle.ready().await.unwrap();
    world.rollover();
    let mut call = pin!(api.oneshot(request()));
    assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
    sleep(Duration::from_secs(2)).await;
    handle.refresh();
    sleep(Duration::from_secs(1)).await;
    world.rollover();
    let response = call.await.unwrap();
    assert_reason(&response, |it| matches!(it, RejectedReason::Again));
    assert_eq!(u64::from(told(&response).generation()), 3);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((world.fetches(), world.sends()), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_refused_token_is_told() {
    let world = World::new();
    let api = revoked(&world).await;
    sleep(Duration::from_secs(90)).await;
    world.down();
    let response = api.oneshot(request()).await.unwrap();
    assert_eq!(told(&response).token_age(), Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn the_refused_token_brought_again_is_not_sent_again() {
    let world = World::new();
    world.answer(|_| Ok(Fetched::new(AccessToken::new("cached")?)));
    let api = world.layer().layer(world.resource_that(|_| refusal()));
    api.handle().ready().await.unwrap();
    let response = api.clone().oneshot(request()).await.unwrap();
    assert_original(&response, |it| matches!(it, RejectedReason::SameToken));
    assert_eq!((world.fetches(), world.sends()), (2, 1));
    let response = api.oneshot(request()).await.unwrap();
    assert_original(&response, |it| {
        matches!(it, RejectedReason::CoolDown { .. })
    });
    assert_eq!((world.fetches(), world.sends()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_under_a_new_number_is_not_sent_again() {
    let world = World::new();
    world.answer(|number| {
        let name = ["a", "b", "a", "c"][number - 1];
        Ok(Fetched::new(AccessToken::new(name)?))
    });
    let gate = Arc::new(Semaphore::new(0));
    let sent = Arc::new(std::sync::Mutex::new(Vec::new()));
    let layer = world.layer();
    let handle = layer.handle().clone();
    handle.ready().await.unwrap();
    let api = layer.layer(service_fn({
        let (gate, sent) = (Arc::clone(&gate), Arc::clone(&sent));
        move |request: Request<Body>| {
            let (gate, sent) = (Arc::clone(&gate), Arc::clone(&sent));
            async move {
                let token = request.headers()["authorization"].to_str().unwrap();
                sent.lock().unwrap().push(token.to_owned());
                let _pass = gate.acquire().await.unwrap();
                Ok::<_, Infallible>(match token {
                    "Bearer c" => Response::new("fine"),
                    _ => refusal(),
                })
            }
        }
    }));
    let call = tokio::spawn(api.oneshot(request()));
    for _ in 0..2 {
        sleep(Duration::from_secs(10)).await;
        handle.refresh();
    }
    sleep(Duration::from_secs(10)).await;
    assert_eq!(handle.token().await.unwrap().access_token().expose(), "a");
    gate.add_permits(1);
    assert_eq!(*call.await.unwrap().unwrap().body(), "fine");
    assert_eq!(*sent.lock().unwrap(), ["Bearer a", "Bearer c"]);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_can_be_an_error_that_is_found_in_a_chain() {
    let world = World::new();
    let mut api = ServiceBuilder::new()
        .timeout(Duration::from_secs(60))
        .layer(world.layer().rejection_as_error())
        .service(world.resource_that(|_| refusal()));
    let error = api
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap_err();
    let error = std::io::Error::other(Wrapped(error));
    let Some(Error::Rejected(rejected)) = Error::find_in(&error) else {
        panic!("{error:?}");
    };
    assert!(matches!(rejected.reason(), RejectedReason::Fresh));
    assert!(rejected.to_string().contains("audience"), "{rejected}");
    assert!(Error::find_in(&std::io::Error::other("x")).is_none());
}

#[derive(Debug)]
struct Wrapped(BoxError);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("wrapped")
    }
}

impl StdError for Wrapped {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.0.as_ref())
    }
}

#[tokio::test(start_paused = true)]
async fn a_healed_call_is_no_error_where_rejections_are() {
    let world = World::new();
    let layer = world.layer().rejection_as_error();
    layer.handle().ready().await.unwrap();
    world.rollover();
    let api = layer.layer(world.resource());
    assert_eq!(
        api.oneshot(request()).await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_sent_and_the_error_says_why() {
    let world = World::new();
    world.fail(
        TokenError::new(ErrorKind::Rejected, "the client is refused")
            .with_source(std::io::Error::other("the cause")),
    );
    let api = world.layer().layer(world.resource());
    let error = api.oneshot(request()).await.unwrap_err();
    assert_eq!(error.to_string(), "no access token: the client is refused");
    assert_eq!(error.source().unwrap().to_string(), "the cause");
    assert!(matches!(error, Error::Token(_)));
    assert_eq!(world.sends(), 0);
}

#[tokio::test(start_paused = true)]
async fn with_a_closed_handle_nothing_is_sent_however_good_the_token_was() {
    let world = World::new();
    let api = world.layer().layer(world.resource());
    api.clone().oneshot(request()).await.unwrap();
    api.handle().close();
    let Err(Error::Token(error)) = api.oneshot(request()).await else {
        panic!("it was sent");
    };
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(world.sends(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_inside_is_passed_on() {
    let world = World::new();
    let api = world.layer().layer(service_fn(|_: Request<Body>| async {
        Err::<Response<()>, _>(std::io::Error::other("a broken pipe"))
    }));
    let error = api.oneshot(request()).await.unwrap_err();
    assert!(matches!(error, Error::Inner(_)));
    assert_eq!(error.source().unwrap().to_string(), "a broken pipe");
    assert!(Error::find_in(&error).is_some());
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_told_late_does_not_hush_the_next_run() {
    let world = World::new();
    let watcher = Watcher::default();
    let handle = world.builder().observer(watcher.clone()).build();
    handle.ready().await.unwrap();
    let refusing = Arc::new(AtomicBool::new(true));
    let api = layer(handle).layer(world.resource_that({
        let refusing = Arc::clone(&refusing);
        move |_| match refusing.load(SeqCst) {
            true => refusal(),
            false => Response::new("fine"),
        }
    }));
    world.down();
    // Held, while the same token is accepted elsewhere behind the same origin.
    let held = tokio::spawn(api.clone().oneshot(request()));
    sleep(Duration::from_millis(50)).await;
    refusing.store(false, SeqCst);
    api.clone().oneshot(request()).await.unwrap();
    assert_eq!(
        held.await.unwrap().unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(watcher.warnings().len(), 1);

    api.clone().oneshot(request()).await.unwrap();
    refusing.store(true, SeqCst);
    api.oneshot(request()).await.unwrap();
    assert_eq!(watcher.warnings().len(), 2);
}
