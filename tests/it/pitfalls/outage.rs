//! An authorization server that is away for longer than the token lives.

use std::{
    error::Error as StdError,
    iter::successors,
    time::{Duration, UNIX_EPOCH},
};

use http::StatusCode;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::{Layer, ServiceExt};
use tower_oauth::{Error, ErrorKind, ManualClock};

use super::{
    call,
    endpoint::{Answer, Endpoint},
};
use crate::support::{World, layer, request};

/// What lives for so many seconds is sent for so many.
const LIFE: u64 = 100;
const USED: u64 = LIFE - 10;
const TOKEN: &str = r#"{"access_token":"token-1","token_type":"Bearer","expires_in":100}"#;
const NEXT: &str = r#"{"access_token":"token-2","token_type":"Bearer","expires_in":100}"#;

/// The longest back-off after a failure that may pass by itself, in seconds.
const LONGEST_BACK_OFF: u64 = 30;

#[tokio::test(start_paused = true)]
async fn an_outage_is_served_to_the_end_of_the_token_and_heals_without_a_rush() {
    let gone = Answer::json(200, TOKEN).torn();
    for (answer, kind, status, cause) in [
        (
            Answer::html(503),
            ErrorKind::Rejected,
            Some(StatusCode::SERVICE_UNAVAILABLE),
            "https://as.example answered 503",
        ),
        (gone, ErrorKind::Transport, None, "connection reset by peer"),
    ] {
        let (world, endpoint) = (World::new(), Endpoint::new(Answer::json(200, TOKEN)));
        let clock = ManualClock::new(UNIX_EPOCH);
        let (handle, resource) = (endpoint.builder().clock(clock).build(), world.resource());
        assert!(call(&handle, &resource).await);
        endpoint.answers(answer);
        sleep(Duration::from_millis(500)).await;
        for second in 0..USED {
            assert!(call(&handle, &resource).await, "{kind:?}: {second}");
            sleep(Duration::from_secs(1)).await;
        }

        // Nothing is sent from now on, and nobody waits: the server answers at once, and between
        // two attempts nobody asks it.
        let sends = world.sends();
        for second in USED..USED + 600 {
            let api = layer(handle.clone()).layer(resource.clone());
            let told = timeout(Duration::from_millis(1), api.oneshot(request())).await;
            let Err(Error::Token(error)) = told.expect("it fails at once") else {
                panic!("there is no token");
            };
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.status(), status, "{error}");
            assert!(error.is_temporary(), "{error}");
            let chain: Vec<_> = successors(Some(&error as &dyn StdError), |it| (*it).source())
                .map(ToString::to_string)
                .collect();
            assert!(chain.iter().any(|it| it.contains(cause)), "{chain:?}");
            // A time that is still to come, and no later than the longest back-off.
            let now = UNIX_EPOCH + Duration::from_millis(1000 * second + 500);
            let wait = error.retry_at().unwrap().duration_since(now).unwrap();
            assert!(wait.as_secs() < LONGEST_BACK_OFF, "{wait:?}");
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(world.sends(), sends, "an expired token was sent");
        let requests = endpoint.requests();
        assert!((10..100).contains(&requests), "{requests} token requests");

        // A thousand calls a second, and the server is back: one request, of nobody who calls.
        endpoint.answers(Answer::json(200, NEXT));
        let mut seconds = 0;
        while !handle.status().usable {
            assert!(seconds <= LONGEST_BACK_OFF, "it heals by itself");
            let mut calls = JoinSet::new();
            for _ in 0..1000 {
                let api = layer(handle.clone()).layer(resource.clone());
                calls.spawn(api.oneshot(request()));
            }
            while let Some(told) = calls.join_next().await {
                assert!(told.unwrap().is_err());
            }
            sleep(Duration::from_secs(1)).await;
            seconds += 1;
        }
        for _ in 0..1000 {
            assert!(call(&handle, &resource).await);
        }
        assert_eq!(endpoint.requests(), requests + 1);
        assert_eq!(world.sends(), sends + 1000);
    }
}
