use std::time::Duration;

use tokio::time::sleep;
use tracing::Level;

use super::{
    minutes,
    scene::{call, play},
};

#[test]
fn a_renewal_that_fails_is_a_warning_until_there_is_no_token_left() {
    play(|scene| async move {
        scene.world.lifetime(Duration::from_secs(100));
        let handle = scene.handle();
        handle.ready().await.unwrap();
        scene.world.down();
        sleep(Duration::from_secs(89)).await;
        let warnings = scene.log.take(Level::WARN);
        assert!(!warnings.is_empty());
        for line in warnings {
            assert!(
                line.starts_with("no new token, the old one is used"),
                "{line}"
            );
            assert!(line.contains("nobody answers"), "{line}");
        }
        assert_eq!(scene.log.take(Level::ERROR), [""; 0]);

        // An attempt may have ended just before the token did, and another just after.
        sleep(Duration::from_secs(2)).await;
        scene.log.take_loud();
        sleep(minutes(1)).await;
        let errors = scene.log.take(Level::ERROR);
        assert!(!errors.is_empty());
        for line in errors {
            assert!(line.starts_with("no token "), "{line}");
            assert!(line.contains("retry_in=Some("), "{line}");
        }
        assert_eq!(scene.log.take(Level::WARN), [""; 0]);
    });
}

#[test]
fn a_token_that_is_renewed_in_time_is_no_news_but_one_line() {
    play(|scene| async move {
        let (handle, resource) = (scene.handle(), scene.world.resource());
        for _ in 0..1000 {
            assert!(call(&handle, &resource, "https://api.example").await);
        }
        let lines = scene.log.take(Level::INFO);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(scene.log.take_loud(), [""; 0]);
        // A call that goes well says nothing, at no level: the rest is of the one fetch.
        assert_eq!(scene.log.take(Level::DEBUG).len(), 1);
    });
}

#[test]
fn a_lifetime_that_collapses_is_a_warning_once() {
    play(|scene| async move {
        let handle = scene.handle();
        handle.ready().await.unwrap();
        scene.world.lifetime(minutes(1));
        sleep(minutes(60)).await;
        let warnings = scene.log.take(Level::WARN);
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(warnings[0].contains("from=3600s to=60s"), "{warnings:?}");
        assert_eq!(
            scene.number("tower_oauth_token_lifetime_collapses_total{}"),
            Some(1.0)
        );
    });
}

#[test]
fn the_end_of_the_token_is_shown_as_a_moment() {
    const EXPIRY: &str = "tower_oauth_token_expiry_timestamp_seconds{}";
    play(|scene| async move {
        let begun = 60.0 * 1_000_000.0;
        let handle = scene.handle();
        scene.world.down();
        handle.ready().await.unwrap_err();
        assert_eq!(scene.number(EXPIRY), Some(0.0));
        scene.world.up();
        sleep(Duration::from_secs(10)).await;
        let first = scene.number(EXPIRY).unwrap();
        // An hour less ten seconds, from some moment in these ten seconds on.
        assert!((begun + 3590.0..begun + 3600.0).contains(&first), "{first}");

        // The same whenever it is read, until there is another token.
        sleep(minutes(40)).await;
        assert_eq!(scene.number(EXPIRY), Some(first));
        sleep(minutes(30)).await;
        assert!(scene.number(EXPIRY).unwrap() > first + 3000.0);
        scene.world.answer(|number| {
            Ok(tower_oauth::grant::Fetched::new(crate::support::token(
                number,
            )))
        });
        handle.refresh();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.number(EXPIRY), Some(f64::INFINITY));
    });
}
