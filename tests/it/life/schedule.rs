use std::time::Duration;

use tokio::{task::JoinSet, time::sleep};
use tower_oauth::{
    grant::Fetched,
    token::{Cause, LifetimeConfig},
};

use super::seconds;
use crate::support::{World, token};

const HOUR: Duration = seconds(3600);

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_expires_and_used_meanwhile() {
    let world = World::new();
    let handle = world.handle();
    let first = handle.token().await.unwrap().generation();
    world.latency(seconds(8));
    while world.fetches() == 1 {
        sleep(seconds(1)).await;
    }
    assert_eq!(world.causes(), [Cause::Cold, Cause::Scheduled]);
    let begun = world.starts()[1];
    assert!(
        begun >= seconds(3540 - 300) && begun <= seconds(3540),
        "{begun:?}"
    );
    assert_eq!(handle.token().await.unwrap().generation(), first);
    assert_eq!(world.underway(), 1);

    sleep(seconds(10)).await;
    let second = handle.token().await.unwrap();
    assert_eq!(u64::from(second.generation()), 2);
    assert_eq!(second.access_token().expose(), "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_for_ever_without_traffic() {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    sleep(HOUR * 24).await;
    assert!((25..=28).contains(&world.fetches()), "{}", world.fetches());
    assert!(handle.status().usable);
}

#[tokio::test(start_paused = true)]
async fn the_servers_refresh_in_is_honoured() {
    let world = World::new();
    world.answer(|number| {
        let fetched = Fetched::new(token(number)).expires_in(HOUR);
        Ok(fetched.refresh_in(seconds(600)))
    });
    let handle = world.handle();
    handle.ready().await.unwrap();
    sleep(seconds(599)).await;
    assert_eq!(world.fetches(), 1);
    sleep(seconds(1)).await;
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_unknown_lifetime_is_renewed_but_used_until_it_is_refused() {
    let world = World::new();
    world.answer(|number| Ok(Fetched::new(token(number))));
    let handle = world.handle();
    let generation = handle.token().await.unwrap().generation();
    world.down();
    sleep(seconds(301)).await;
    assert!(world.fetches() > 1);
    sleep(HOUR * 24).await;
    assert_eq!(handle.token().await.unwrap().generation(), generation);
    assert!(handle.status().last_error.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_tokens_life_counts_from_when_it_was_asked_for() {
    let world = World::new();
    world.latency(seconds(20));
    world.lifetime(seconds(100));
    let handle = world.handle();
    handle.ready().await.unwrap();
    // The ten seconds before its end are not used.
    let usable_for = handle.status().usable_for.unwrap();
    assert_eq!(usable_for.as_secs_f64().round(), 70.0);
}

#[tokio::test(start_paused = true)]
async fn a_maximum_age_caps_a_long_life() {
    let world = World::new();
    world.lifetime(HOUR * 24);
    let lifetime = LifetimeConfig::new().max_token_age(seconds(600));
    let handle = world.builder().lifetime(lifetime).build();
    handle.ready().await.unwrap();
    sleep(seconds(540)).await;
    assert_eq!(world.fetches(), 2);

    // Its successor is thrown away at that age, too, when there is no other.
    world.down();
    sleep(seconds(592)).await;
    assert!(!handle.status().usable);
    handle.token().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_born_due_makes_no_loop() {
    for (expires_in, refresh_in) in [
        (Duration::ZERO, None),
        (Duration::from_nanos(1), None),
        (seconds(1), None),
        (HOUR, Some(Duration::ZERO)),
    ] {
        let world = World::new();
        world.answer(move |number| {
            let fetched = Fetched::new(token(number)).expires_in(expires_in);
            Ok(match refresh_in {
                Some(after) => fetched.refresh_in(after),
                None => fetched,
            })
        });
        let handle = world.handle();
        handle.ready().await.unwrap();
        sleep(HOUR).await;
        // One each five seconds, and a tenth for the fetch itself.
        let fetches = world.fetches();
        assert!((700..=707).contains(&fetches), "{expires_in:?}: {fetches}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_pause_makes_one_fetch_a_second_of_tokens_without_life() {
    let world = World::new();
    world.lifetime(Duration::ZERO);
    let handle = world.handle();
    let caller = tokio::spawn(async move {
        for _ in 0..1000 {
            handle.token().await.unwrap();
        }
    });
    caller.await.unwrap();
    let starts = world.starts();
    assert_eq!(starts.len(), 1000);
    for pair in starts.windows(2) {
        assert!(pair[1] - pair[0] >= seconds(1), "{pair:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_of_life_and_two_of_latency_serve_every_caller() {
    let world = World::new();
    world.latency(seconds(2));
    world.lifetime(seconds(1));
    let handle = world.handle();
    let mut callers = JoinSet::new();
    for _ in 0..600 {
        let handle = handle.clone();
        callers.spawn(async move { handle.token().await.map(drop) });
        sleep(Duration::from_millis(100)).await;
    }
    while let Some(served) = callers.join_next().await {
        served.unwrap().unwrap();
    }
    // Two seconds each, and a second between them.
    assert!((19..=21).contains(&world.fetches()), "{}", world.fetches());
}

#[tokio::test(start_paused = true)]
async fn an_endless_life_overflows_nothing() {
    let world = World::new();
    world.answer(|number| {
        let fetched = Fetched::new(token(number)).expires_in(Duration::MAX);
        Ok(fetched.refresh_in(Duration::MAX))
    });
    let handle = world.handle();
    handle.ready().await.unwrap();
    sleep(HOUR * 24 * 365).await;
    assert!(handle.status().usable);
    assert_eq!(world.fetches(), 1);
}
