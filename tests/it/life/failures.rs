use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::sleep;
use tower::service_fn;
use tower_oauth::{
    BoxError, ErrorKind, ManualClock, TokenError, TokenHandle,
    client_auth::PrivateKeyJwt,
    events::Event,
    grant::{ClientCredentials, Fetched},
    jose::{Algorithm, Signer, SigningKeyInfo},
    token::Cause,
    transport::HttpClient,
};

use super::seconds;
use crate::support::{World, token};

fn busy(retry_after: u64) -> TokenError {
    TokenError::new(ErrorKind::Rejected, "too many requests")
        .temporary(true)
        .with_retry_after(seconds(retry_after))
}

#[tokio::test(start_paused = true)]
async fn a_failed_cold_start_becomes_ready_without_traffic() {
    let world = World::new();
    world.down();
    let handle = world.handle();
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    sleep(seconds(600)).await;
    world.up();
    sleep(seconds(31)).await;
    assert!(handle.status().usable);
    assert!(handle.status().last_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_during_a_back_off_fails_at_once_and_says_when_to_come_again() {
    let world = World::new();
    let clock = ManualClock::new(UNIX_EPOCH);
    let handle = world.builder().clock(clock).build();
    world.fail(busy(120));
    // The one who waited for the fetch is told as well as those who come later.
    for _ in 0..100 {
        let error = handle.ready().await.unwrap_err();
        assert_eq!(error.to_string(), "too many requests");
        let at = UNIX_EPOCH + Duration::from_millis(100) + seconds(120);
        assert_eq!(error.retry_at(), Some(at));
        assert_eq!(handle.status().retry_at, Some(at));
    }
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_servers_retry_after_is_honoured_by_calls_by_the_timer_and_by_hand() {
    let world = World::new();
    let handle = world.handle();
    world.fail(busy(120));
    handle.ready().await.unwrap_err();
    for _ in 0..119 {
        sleep(seconds(1)).await;
        handle.ready().await.unwrap_err();
        handle.refresh();
        world.new_identity();
    }
    assert_eq!(world.fetches(), 1);
    sleep(seconds(2)).await;
    assert!(world.fetches() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_servers_retry_after_is_honoured_while_the_token_is_good() {
    let world = World::new();
    let handle = world.handle();
    let generation = handle.token().await.unwrap().generation();
    world.fail(busy(200));
    handle.refresh();
    sleep(seconds(1)).await;
    assert_eq!(world.fetches(), 2);
    for _ in 0..198 {
        sleep(seconds(1)).await;
        handle.invalidate(generation);
        handle.refresh();
        handle.ready().await.unwrap();
    }
    assert_eq!(world.fetches(), 2);
    world.up();
    sleep(seconds(3)).await;
    assert!(handle.token().await.unwrap().generation() > generation);
}

#[tokio::test(start_paused = true)]
async fn a_servers_wish_of_a_day_is_honoured_for_five_minutes() {
    let world = World::new();
    let handle = world.handle();
    world.fail(busy(86_400));
    handle.ready().await.unwrap_err();
    world.up();
    sleep(seconds(299)).await;
    assert_eq!(world.fetches(), 1);
    sleep(seconds(2)).await;
    assert!(handle.status().usable);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_costs_the_server_little() {
    let world = World::new();
    let handle = world.handle();
    world.fail(TokenError::new(ErrorKind::Rejected, "invalid_client").temporary(false));
    for _ in 0..3600 {
        handle.ready().await.unwrap_err();
        sleep(seconds(1)).await;
    }
    // At least 15, 30, 60, 120 and then 150 seconds apart, at most twice that.
    assert!((14..=28).contains(&world.fetches()), "{}", world.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_token_asked_for_by_hand_is_fetched_during_a_back_off() {
    let world = World::new();
    let handle = world.handle();
    world.fail(TokenError::new(ErrorKind::Rejected, "invalid_client").temporary(false));
    handle.ready().await.unwrap_err();
    world.up();
    handle.refresh();
    handle.ready().await.unwrap();
    assert_eq!(world.causes(), [Cause::Cold, Cause::Forced]);
}

#[tokio::test(start_paused = true)]
async fn tokens_asked_for_by_hand_during_a_back_off_are_a_second_apart() {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.fail(TokenError::new(ErrorKind::Rejected, "invalid_client").temporary(false));
    for _ in 0..1000 {
        handle.refresh();
        sleep(Duration::from_millis(10)).await;
    }
    // Each takes a tenth of a second.
    assert!((8..=11).contains(&world.fetches()), "{}", world.fetches());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_never_ends_is_given_up_after_thirty_seconds() {
    let world = World::new();
    world.hang();
    let handle = world.handle();
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(world.underway(), 0);
    world.latency(seconds(1));
    sleep(seconds(2)).await;
    let starts = world.starts();
    assert!(starts[1] - starts[0] >= seconds(30), "{starts:?}");
    assert!(starts[1] - starts[0] <= seconds(31), "{starts:?}");
    assert!(handle.status().usable);
}

/// A key in some other machine.
struct RemoteSigner {
    key: SigningKeyInfo,
    hangs: Arc<AtomicBool>,
}

impl Signer for RemoteSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }

    fn key(&self) -> &SigningKeyInfo {
        &self.key
    }

    async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, BoxError> {
        if self.hangs.load(SeqCst) {
            pending::<()>().await;
        }
        Ok(vec![7; 64])
    }
}

#[tokio::test(start_paused = true)]
async fn a_signer_that_hangs_costs_thirty_seconds_and_no_good_token() {
    const TOKEN: &str = r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":600}"#;
    let hangs = Arc::new(AtomicBool::new(true));
    let signer = RemoteSigner {
        key: SigningKeyInfo::new(),
        hangs: Arc::clone(&hangs),
    };
    let exchange = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(
            TOKEN.as_bytes(),
        ))))
    });
    let source = ClientCredentials::builder("https://as.example/token")
        .client_id("orders")
        .auth(PrivateKeyJwt::new(signer).issuer("https://as.example"))
        .http_client(HttpClient::service(exchange))
        .build()
        .unwrap();
    let handle = TokenHandle::new(source);
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    hangs.store(false, SeqCst);
    sleep(seconds(1)).await;
    assert!(handle.status().usable);

    // It hangs again, and calls go on with the token that there is.
    hangs.store(true, SeqCst);
    for _ in 0..585 {
        handle.ready().await.unwrap();
        sleep(seconds(1)).await;
    }
    assert!(handle.status().last_error.is_some());
    sleep(seconds(10)).await;
    handle.ready().await.unwrap_err();
    handle.shutdown().await;
    assert_eq!(super::tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_source_is_an_error_and_the_next_attempt_works() {
    let world = World::new();
    world.answer(|_| panic!("the source was told to panic"));
    let handle = world.handle();
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    world.up();
    // Nobody asks again: it becomes ready by itself.
    sleep(seconds(2)).await;
    assert!(handle.status().usable);
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_observer_stops_nothing() {
    let world = World::new();
    let panics = AtomicBool::new(true);
    let handle = world
        .builder()
        .observer(move |event: &Event<'_>| {
            let first = matches!(event, Event::FetchStarted { .. }) && panics.swap(false, SeqCst);
            let told = matches!(event, Event::FetchSucceeded { .. });
            assert!(!first && !told, "the observer was told to panic");
        })
        .build();
    handle.ready().await.unwrap();
    sleep(seconds(3600)).await;
    assert_eq!(world.fetches(), 2);
    assert!(handle.status().usable);
}

#[tokio::test(start_paused = true)]
async fn a_down_server_takes_no_good_token_away() {
    let world = World::new();
    world.lifetime(seconds(100));
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.down();
    sleep(seconds(89)).await;
    assert!(world.fetches() > 1);
    handle.ready().await.unwrap();
    sleep(seconds(2)).await;
    handle.ready().await.unwrap_err();
    world.up();
    sleep(seconds(31)).await;
    handle.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_failing_renewal_are_told_why() {
    let world = World::new();
    world.answer(|number| match number {
        1 => Ok(Fetched::new(token(1)).expires_in(seconds(100))),
        _ => Err(TokenError::new(ErrorKind::Malformed, "a page of HTML")),
    });
    let handle = world.handle();
    handle.ready().await.unwrap();
    sleep(seconds(91)).await;
    let error = handle.token().await.unwrap_err();
    assert_eq!(error.to_string(), "a page of HTML");
    assert_eq!(
        handle.status().last_error.unwrap().kind(),
        ErrorKind::Malformed
    );
}
