use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower_oauth::{ErrorKind, TokenError, events::AlarmConfig, grant::Fetched};

use super::{minutes, scene::play};
use crate::support::token;

/// 60 million seconds after the epoch, as the scene begins.
const BEGUN: u64 = 60_000_000;

fn page(status: &tower_oauth::refresh::Status) -> Value {
    serde_json::to_value(status).unwrap()
}

#[test]
fn before_the_first_token_everything_is_there_and_empty() {
    play(|scene| async move {
        assert_eq!(
            page(&scene.handle().status()),
            json!({
                "usable": false,
                "generation": null,
                "usable_for_seconds": null,
                "refresh_in_seconds": null,
                "age_seconds": null,
                "scope": null,
                "fetching": null,
                "last_error": null,
                "retry_at": null,
                "certificate": null,
                "certificate_not_after": null,
                "identity_error": null,
                "fetches": 0,
                "alarm": null,
                "closed": false,
            })
        );
    });
}

#[test]
fn a_handle_in_trouble_says_all_of_it_and_nothing_of_the_token() {
    play(|scene| async move {
        let expires_in = Duration::from_secs(3600);
        scene.world.answer(move |number| {
            let fetched = Fetched::new(token(number)).expires_in(expires_in);
            // The schedule has no jitter then.
            Ok(fetched.refresh_in(minutes(30)).scope("orders.read"))
        });
        let handle = scene
            .builder()
            .alarm(AlarmConfig::new().threshold(1))
            .build();
        handle.ready().await.unwrap();
        let error = TokenError::new(ErrorKind::Rejected, "the server is down")
            .with_hint("wait")
            .with_oauth_error("temporarily_unavailable")
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .with_retry_after(minutes(2))
            .temporary(true);
        scene.world.fail(error);
        sleep(minutes(10)).await;
        handle.invalidate(handle.token().await.unwrap().generation());
        sleep(minutes(1)).await;

        let expected = json!({
            "usable": true,
            "generation": 1,
            "usable_for_seconds": 3600 - 10 - 660 - 1,
            "refresh_in_seconds": 1800 - 660 - 1,
            "age_seconds": 660,
            "scope": "orders.read",
            "fetching": null,
            "last_error": {
                "kind": "rejected",
                "message": "the server is down (wait)",
                "oauth_error": "temporarily_unavailable",
                "status": 503,
                "temporary": true,
            },
            "retry_at": BEGUN + 600 + 120,
            "certificate": null,
            "certificate_not_after": null,
            "identity_error": null,
            "fetches": 2,
            "alarm": "rollovers",
            "closed": false,
        });
        let page = page(&handle.status());
        assert!(!page.to_string().contains("token-1"), "{page}");
        assert_eq!(page, expected);
    });
}
