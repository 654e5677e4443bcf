//! What a token endpoint may answer in place of a token.

use std::time::Duration;

use http::StatusCode;
use tokio::time::sleep;
use tower_oauth::ErrorKind;

use super::{
    call,
    endpoint::{Answer, Endpoint},
};
use crate::support::World;

const TOKEN: &str = r#"{"access_token":"token-1","token_type":"Bearer","expires_in":600}"#;
const INVALID_CLIENT: &str = r#"{"error":"invalid_client"}"#;

#[tokio::test(start_paused = true)]
async fn no_odd_answer_takes_the_good_token_away_or_ends_renewal() {
    let busy = Answer {
        header: ("retry-after", "7"),
        ..Answer::json(429, "")
    };
    for (odd, kind) in [
        (Answer::json(200, ""), ErrorKind::Malformed),
        (Answer::json(200, "{}"), ErrorKind::Malformed),
        (Answer::json(204, ""), ErrorKind::Rejected),
        (Answer::html(200), ErrorKind::Malformed),
        (Answer::html(403), ErrorKind::Rejected),
        (Answer::json(500, ""), ErrorKind::Rejected),
        (Answer::html(502), ErrorKind::Rejected),
        (Answer::html(503), ErrorKind::Rejected),
        (busy, ErrorKind::Rejected),
        (Answer::json(200, TOKEN).torn(), ErrorKind::Transport),
    ] {
        let (world, endpoint) = (World::new(), Endpoint::new(Answer::json(200, TOKEN)));
        let (handle, resource) = (endpoint.handle(), world.resource());
        assert!(call(&handle, &resource).await);
        endpoint.answers(odd);
        // It lives for 590 seconds, and is to be renewed after 480 to 540.
        for second in 1..585 {
            sleep(Duration::from_secs(1)).await;
            assert!(call(&handle, &resource).await, "{odd:?}: {second}");
        }
        let status = handle.status();
        assert!(status.usable && status.last_error.is_some(), "{odd:?}");

        sleep(Duration::from_secs(10)).await;
        let error = handle.ready().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{odd:?}: {error}");
        assert!(!call(&handle, &resource).await);
        let requests = endpoint.requests();
        assert!((3..60).contains(&requests), "{odd:?}: {requests} requests");

        // An hour later still, and without traffic.
        sleep(Duration::from_secs(3600)).await;
        assert!(endpoint.requests() > requests, "{odd:?}");
        endpoint.answers(Answer::json(200, TOKEN));
        sleep(Duration::from_secs(301)).await;
        assert!(handle.status().usable, "{odd:?}");
        assert!(call(&handle, &resource).await, "{odd:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_looks_final_is_not_believed_from_a_torn_connection_or_a_broken_server() {
    for (answer, kind) in [
        (
            Answer::json(401, INVALID_CLIENT).torn(),
            ErrorKind::Transport,
        ),
        (
            Answer::json(400, r#"{"error":"inval"#).torn(),
            ErrorKind::Transport,
        ),
        (Answer::json(400, "").torn(), ErrorKind::Transport),
        (Answer::json(500, INVALID_CLIENT), ErrorKind::Rejected),
        (Answer::json(503, INVALID_CLIENT), ErrorKind::Rejected),
    ] {
        let endpoint = Endpoint::new(answer);
        let handle = endpoint.handle();
        let error = handle.ready().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{answer:?}: {error}");
        assert!(error.is_temporary(), "{answer:?}: {error}");
        // What is temporary is tried again within half a second, what isn't not before 15.
        endpoint.answers(Answer::json(200, TOKEN));
        sleep(Duration::from_secs(1)).await;
        assert!(handle.status().usable, "{answer:?}");
    }

    // The same words in an answer that is whole are a verdict.
    let endpoint = Endpoint::new(Answer::json(401, INVALID_CLIENT));
    let handle = endpoint.handle();
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.oauth_error(), Some("invalid_client"));
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    assert!(!error.is_temporary());
    endpoint.answers(Answer::json(200, TOKEN));
    sleep(Duration::from_secs(1)).await;
    assert!(!handle.status().usable);
    sleep(Duration::from_secs(30)).await;
    assert!(handle.status().usable);
}

#[tokio::test(start_paused = true)]
async fn invalid_client_for_an_hour_costs_thirty_token_requests_at_most() {
    let (world, endpoint) = (
        World::new(),
        Endpoint::new(Answer::json(401, INVALID_CLIENT)),
    );
    let (handle, resource) = (endpoint.handle(), world.resource());
    for _ in 0..3600 {
        assert!(!call(&handle, &resource).await);
        sleep(Duration::from_secs(1)).await;
    }
    let requests = endpoint.requests();
    assert!((10..=30).contains(&requests), "{requests} token requests");
    assert_eq!(world.sends(), 0);
}
