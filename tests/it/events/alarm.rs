use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use http::Request;
use tokio::time::sleep;
use tower_oauth::{
    ErrorKind, TokenError,
    events::{AlarmCause, AlarmConfig, Event},
    grant::Fetched,
    service::Rejected,
    token::AccessToken,
};
use tracing::Level;

use super::{
    minutes,
    scene::{Scene, call, play, response},
};
use crate::support::{Body, refusal};

const A: &str = "https://api.example";
const B: &str = "https://b.example";

/// The alarm is raised for this cause, and for nothing else, wherever one may look.
fn assert_raised(scene: &Scene, cause: AlarmCause) {
    let raised = scene.events("AlarmRaised");
    assert_eq!(raised.len(), 1, "{raised:#?}");
    assert!(
        raised[0].contains(&format!("cause: {cause:?},")),
        "{raised:?}"
    );

    let series = format!("tower_oauth_alarm{{cause={cause}}}");
    assert_eq!(scene.alarms(), [(series, 1.0)]);

    let errors = scene.log.take(Level::ERROR);
    let [line] = &errors[..] else {
        panic!("{errors:#?}");
    };
    assert!(line.starts_with("alarm: "), "{line}");
    assert!(line.contains(&format!("cause=\"{cause}\"")), "{line}");
    // What it goes by is said, and what to do about it.
    assert!(line.contains(" refreshes wanted, of tokens ("), "{line}");
    assert!(line.contains(cause.hint()), "{line}");
}

fn assert_quiet(scene: &Scene) {
    assert_eq!(scene.events("Alarm"), [""; 0]);
    assert_eq!(scene.alarms(), []);
    assert_eq!(scene.log.take(Level::ERROR), [""; 0]);
}

/// It is cleared without anybody doing anything.
async fn assert_clears(scene: &Scene, cause: AlarmCause) {
    sleep(minutes(10)).await;
    let cleared = scene.events("AlarmCleared");
    assert_eq!(cleared.len(), 1, "{cleared:#?}");
    assert_eq!(scene.alarms(), []);
    let lines = scene.log.take(Level::INFO);
    let told = format!("cause=\"{cause}\"");
    let told = |line: &String| line.starts_with("alarm is over") && line.contains(&told);
    assert!(lines.iter().any(told), "{lines:#?}");
}

#[test]
fn one_rollover_is_an_event_and_no_alarm() {
    play(|scene| async move {
        let (handle, resource) = (scene.handle(), scene.world.resource());
        for _ in 0..50 {
            assert!(call(&handle, &resource, A).await);
        }
        scene.log.take_loud();
        scene.world.rollover();
        for _ in 0..50 {
            assert!(call(&handle, &resource, A).await);
        }
        sleep(minutes(20)).await;

        let refreshed = scene.events("Refreshed");
        assert_eq!(refreshed.len(), 1, "{refreshed:?}");
        assert!(refreshed[0].contains("cause: Rejected("), "{refreshed:?}");
        assert_eq!(scene.events("Retried").len(), 1);
        assert_eq!(
            scene.number("tower_oauth_retries_total{outcome=healed}"),
            Some(1.0)
        );
        assert_eq!(
            scene.number("tower_oauth_token_refreshes_total{cause=rejected}"),
            Some(1.0)
        );
        let loud = scene.log.take_loud();
        assert_eq!(loud.len(), 1, "{loud:#?}");
        assert!(
            loud[0].starts_with("token was refused and has been replaced"),
            "{loud:?}"
        );
        assert_quiet(&scene);
    });
}

#[test]
fn three_rollovers_in_ten_minutes_raise_the_alarm_and_it_clears() {
    play(|scene| async move {
        let (handle, resource) = (scene.handle(), scene.world.resource());
        assert!(call(&handle, &resource, A).await);
        for number in 1..=3 {
            assert_quiet(&scene);
            sleep(minutes(3)).await;
            scene.world.rollover();
            assert!(call(&handle, &resource, A).await);
            // Each is a warning of its own.
            assert_eq!(scene.log.take(Level::WARN).len(), 1, "rollover {number}");
        }
        assert_raised(&scene, AlarmCause::Rollovers);
        let rejected = "tower_oauth_token_refreshes_total{cause=rejected}";
        assert_eq!(scene.number(rejected), Some(3.0));
        assert_eq!(handle.status().alarm, Some(AlarmCause::Rollovers));
        sleep(minutes(9)).await;
        assert!(call(&handle, &resource, A).await);
        assert_eq!(handle.status().alarm, Some(AlarmCause::Rollovers));
        assert_clears(&scene, AlarmCause::Rollovers).await;
        assert_eq!(handle.status().alarm, None);
    });
}

#[test]
fn rollovers_further_apart_are_no_alarm() {
    play(|scene| async move {
        let (handle, resource) = (scene.handle(), scene.world.resource());
        assert!(call(&handle, &resource, A).await);
        for _ in 0..20 {
            sleep(minutes(6)).await;
            scene.world.rollover();
            assert!(call(&handle, &resource, A).await);
        }
        assert_quiet(&scene);
    });
}

#[test]
fn one_upstream_that_refuses_everything_raises_the_alarm_and_is_named() {
    play(|scene| async move {
        let handle = scene.handle();
        let good = scene.world.resource();
        let broken = scene.world.resource_that(|_| refusal());
        // A call a second to each, for half an hour.
        for second in 0..1800 {
            assert!(!call(&handle, &broken, B).await);
            assert!(call(&handle, &good, A).await, "second {second}");
            sleep(std::time::Duration::from_secs(1)).await;
        }
        assert_raised(&scene, AlarmCause::Upstream);
        let raised = scene.events("AlarmRaised");
        assert!(
            raised[0].contains("origin: Some(\"https://b.example\")"),
            "{raised:?}"
        );
        // A dozen lines, not thousands: the first refusal, and the tokens that were fetched for it.
        let warnings = scene.log.take(Level::WARN);
        assert!(warnings.len() <= 20, "{warnings:#?}");
        assert_clears(&scene, AlarmCause::Upstream).await;
    });
}

#[test]
fn tokens_that_no_origin_takes_are_told_from_an_upstream() {
    play(|scene| async move {
        let handle = scene.handle();
        let broken = scene.world.resource_that(|_| refusal());
        for _ in 0..300 {
            assert!(!call(&handle, &broken, A).await);
            assert!(!call(&handle, &broken, B).await);
            sleep(std::time::Duration::from_secs(1)).await;
        }
        assert_raised(&scene, AlarmCause::Tokens);
    });
}

#[test]
fn two_that_revoke_each_others_tokens_see_that_only_one_is_active() {
    play(|scene| async move {
        let (ours, theirs) = (scene.handle(), scene.world.builder().observer(()).build());
        let world = scene.world.clone();
        // The newest token alone is good.
        let resource = scene.world.resource_that(move |request: &Request<Body>| {
            let newest = format!("Bearer token-{}", world.fetches());
            match request.headers()["authorization"] == newest {
                true => http::Response::new("fine"),
                false => refusal(),
            }
        });
        let hint = async || {
            for handle in [&ours, &theirs] {
                assert!(call(handle, &resource, A).await);
            }
            // Its token is a tenth of a second old.
            let told = response(&ours, &resource, A).await;
            let told = told.extensions().get::<Rejected>().unwrap();
            assert_eq!(told.reason().name(), "cool_down");
            told.hint()
        };
        for handle in [&ours, &theirs] {
            assert!(call(handle, &resource, A).await);
        }
        // Two refusals can be anything.
        let guess = hint().await;
        assert!(guess.contains("audience"), "{guess}");
        for _ in 0..10 {
            call(&ours, &resource, A).await;
            sleep(std::time::Duration::from_secs(5)).await;
            call(&theirs, &resource, A).await;
            sleep(std::time::Duration::from_secs(5)).await;
        }
        assert_raised(&scene, AlarmCause::OneActiveToken);
        assert_eq!(ours.status().alarm, Some(AlarmCause::OneActiveToken));

        // A refusal that reaches the caller says so too, and guesses nothing else.
        let hint = hint().await;
        assert!(hint.contains(AlarmCause::OneActiveToken.hint()), "{hint}");
        assert!(!hint.contains("audience"), "{hint}");
        let rejected = scene.events("Rejected");
        assert!(rejected.last().unwrap().contains(&hint), "{rejected:#?}");
        // An origin that has never taken a token has reasons of its own.
        let broken = scene.world.resource_that(|_| refusal());
        let told = response(&ours, &broken, B).await;
        let hint = told.extensions().get::<Rejected>().unwrap().hint();
        assert!(hint.contains("audience"), "{hint}");
        assert!(!hint.contains("client_id"), "{hint}");

        sleep(minutes(1)).await;
        assert_clears(&scene, AlarmCause::OneActiveToken).await;
    });
}

#[test]
fn tokens_that_are_revoked_again_and_again_are_more_than_rollovers() {
    play(|scene| async move {
        let (handle, resource) = (scene.handle(), scene.world.resource());
        assert!(call(&handle, &resource, A).await);
        for _ in 0..20 {
            sleep(minutes(1)).await;
            scene.world.rollover();
            assert!(call(&handle, &resource, A).await);
        }
        let raised = scene.events("AlarmRaised");
        assert_eq!(raised.len(), 2, "{raised:#?}");
        assert!(raised[0].contains("cause: Rollovers"), "{raised:?}");
        assert!(raised[1].contains("cause: Revocations"), "{raised:?}");
        // The one takes the place of the other.
        let series = "tower_oauth_alarm{cause=revocations}".to_owned();
        assert_eq!(scene.alarms(), [(series, 1.0)]);
        assert_clears(&scene, AlarmCause::Revocations).await;
    });
}

#[test]
fn a_server_that_gives_the_refused_token_again_is_told_apart() {
    play(|scene| async move {
        let cached = |_| Ok(Fetched::new(AccessToken::new("cached")?).expires_in(minutes(60)));
        scene.world.answer(cached);
        let (handle, resource) = (
            scene.handle(),
            scene
                .world
                .resource_that(|request| match request.uri().host() {
                    Some("b.example") => http::Response::new("fine"),
                    _ => refusal(),
                }),
        );
        assert!(call(&handle, &resource, B).await);
        for _ in 0..60 {
            assert!(!call(&handle, &resource, A).await);
            sleep(std::time::Duration::from_secs(1)).await;
        }
        assert_raised(&scene, AlarmCause::SameToken);
        assert_eq!(scene.events("Refreshed"), [""; 0]);
    });
}

#[test]
fn a_refused_token_that_cannot_be_replaced_for_long_is_one_refusal() {
    play(|scene| async move {
        let (handle, resource) = (scene.handle(), scene.world.resource());
        assert!(call(&handle, &resource, A).await);
        scene.world.rollover();
        scene.world.down();
        for _ in 0..500 {
            assert!(!call(&handle, &resource, A).await);
            sleep(std::time::Duration::from_secs(1)).await;
        }
        assert!(scene.world.fetches() > 10);
        assert_quiet(&scene);
        scene.world.up();
        sleep(minutes(1)).await;
        assert!(call(&handle, &resource, A).await);
        assert_quiet(&scene);
    });
}

#[test]
fn a_day_of_renewals_is_no_event_that_anybody_needs_to_see() {
    play(|scene| async move {
        let (handle, resource) = (scene.handle(), scene.world.resource());
        for _ in 0..24 * 60 {
            assert!(call(&handle, &resource, A).await);
            sleep(minutes(1)).await;
        }
        while scene.world.underway() > 0 {
            sleep(std::time::Duration::from_millis(100)).await;
        }
        assert!(scene.world.fetches() >= 24);
        assert_eq!(scene.log.take_loud(), [""; 0]);
        assert_quiet(&scene);
        for silent in ["Rejected", "Retried", "FetchFailed", "LifetimeCollapsed"] {
            assert_eq!(scene.events(silent), [""; 0]);
        }
        // One line each, for a reader who wants to know.
        assert_eq!(scene.log.take(Level::INFO).len(), scene.world.fetches());
        assert_eq!(
            scene.number("tower_oauth_token_fetches_total{cause=scheduled,outcome=succeeded}"),
            Some((scene.world.fetches() - 1) as f64)
        );
        assert_eq!(
            scene.number("tower_oauth_token_refreshes_total{cause=rejected}"),
            Some(0.0)
        );
    });
}

#[test]
fn the_alarm_goes_by_the_handles_own_settings_or_not_at_all() {
    for (config, raised) in [
        (AlarmConfig::new().threshold(2), 1),
        (AlarmConfig::new().window(minutes(1)), 0),
        (AlarmConfig::off(), 0),
    ] {
        play(|scene| async move {
            let handle = scene.builder().alarm(config).build();
            for _ in 0..3 {
                let token = handle.token().await.unwrap();
                sleep(minutes(2)).await;
                handle.invalidate(token.generation());
                sleep(minutes(1)).await;
            }
            let events = scene.events("AlarmRaised");
            assert_eq!(events.len(), raised, "{events:?}");
        });
    }
}

#[test]
fn the_alarm_of_a_closed_handle_is_over() {
    play(|scene| async move {
        let handle = scene
            .builder()
            .alarm(AlarmConfig::new().threshold(1))
            .build();
        let token = handle.token().await.unwrap();
        handle.invalidate(token.generation());
        assert_eq!(scene.alarms().len(), 1);
        assert!(handle.status().alarm.is_some());
        handle.clone().close();
        assert_eq!(scene.alarms(), []);
        assert_eq!(handle.status().alarm, None);
        let expiry = scene.number("tower_oauth_token_expiry_timestamp_seconds{}");
        assert!(expiry.unwrap().is_nan(), "{expiry:?}");
        drop(handle);
        // Once, whichever way it ends.
        assert_eq!(scene.events("Closed").len(), 1);
    });
}

#[test]
fn an_observer_that_panics_at_the_alarm_keeps_no_token_from_being_renewed() {
    play(|scene| async move {
        let told = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&told);
        let observer = move |event: &Event<'_>| {
            if matches!(
                event,
                Event::AlarmRaised { .. } | Event::AlarmCleared { .. }
            ) {
                counted.fetch_add(1, SeqCst);
                panic!("the observer was told to panic");
            }
        };
        let handle = scene
            .world
            .builder()
            .observer(observer)
            .alarm(AlarmConfig::new().threshold(1))
            .build();
        let token = handle.token().await.unwrap();
        handle.invalidate(token.generation());
        sleep(minutes(300)).await;
        assert_eq!(told.load(SeqCst), 2);
        assert!(scene.world.fetches() > 5);
        assert!(handle.status().usable);
    });
}

#[test]
fn why_a_rejection_was_not_healed_is_counted() {
    play(|scene| async move {
        let handle = scene.handle();
        let broken = scene.world.resource_that(|_| refusal());
        response(&handle, &broken, A).await;
        scene
            .world
            .fail(TokenError::new(ErrorKind::Transport, "nobody answers"));
        sleep(minutes(1)).await;
        response(&handle, &broken, A).await;
        for reason in ["fresh", "no_token"] {
            let series = format!("tower_oauth_rejections_total{{reason={reason}}}");
            assert_eq!(scene.number(&series), Some(1.0), "{series}");
        }
    });
}
