use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, UNIX_EPOCH},
};

use http::{Request, StatusCode};
use tokio::{sync::Barrier, task::JoinSet, time::sleep};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth::{ManualClock, TokenError, grant::Fetched, service::RejectedReason};

use super::{assert_reason, told};
use crate::support::{Body, Watcher, World, layer, refusal, request, request_to, token};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(start_paused = true)]
async fn ten_thousand_first_calls_make_one_token_request() {
    let world = World::new();
    let api = world.layer().layer(world.resource());
    let mut calls = JoinSet::new();
    for _ in 0..10_000 {
        calls.spawn(api.clone().oneshot(request()));
    }
    while let Some(response) = calls.join_next().await {
        assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!((world.fetches(), world.sends()), (1, 10_000));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_refused_at_once_make_one_more_token_request() {
    let world = World::new();
    let barrier = Arc::new(Barrier::new(10_001));
    let holding = Arc::new(AtomicBool::new(false));
    let mut api = world.layer().layer(service_fn({
        let (resource, barrier, holding) =
            (world.resource(), Arc::clone(&barrier), Arc::clone(&holding));
        move |request: Request<Body>| {
            let (resource, barrier) = (resource.clone(), Arc::clone(&barrier));
            let held = holding.load(SeqCst);
            async move {
                if held {
                    barrier.wait().await;
                }
                resource.oneshot(request).await
            }
        }
    }));
    api.ready().await.unwrap().call(request()).await.unwrap();

    holding.store(true, SeqCst);
    let mut calls = JoinSet::new();
    for _ in 0..10_000 {
        calls.spawn(api.clone().oneshot(request()));
    }
    sleep(Duration::from_secs(1)).await;
    holding.store(false, SeqCst);
    world.rollover();
    barrier.wait().await;
    while let Some(response) = calls.join_next().await {
        assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!((world.fetches(), world.sends()), (2, 1 + 2 * 10_000));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_staggered_around_a_rollover_make_one_more_token_request() {
    let world = World::new();
    let mut api = world.layer().layer(world.resource());
    api.ready().await.unwrap().call(request()).await.unwrap();

    let mut calls = JoinSet::new();
    for call in 0..10_000_u64 {
        let api = api.clone();
        calls.spawn(async move {
            sleep(Duration::from_micros(300 * call)).await;
            api.oneshot(request()).await
        });
    }
    sleep(Duration::from_millis(1500)).await;
    world.rollover();
    while let Some(response) = calls.join_next().await {
        assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.fetches(), 2);
    assert!(world.sends() > 10_001, "none was refused");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_refuses_every_token_neither_hammers_nor_harms() {
    const ROLLOVERS: [u64; 3] = [100, 300, 500];
    let world = World::new();
    let layer = world.layer();
    let a = layer.layer(world.resource_that(|_| refusal()));
    let b = layer.layer(world.resource());

    let rolling = tokio::spawn({
        let world = world.clone();
        async move {
            let mut now = 0;
            for at in ROLLOVERS {
                sleep(Duration::from_secs(at - now)).await;
                now = at;
                world.rollover();
            }
        }
    });
    // A thousand calls a second, ten at a time.
    let refused = tokio::spawn(async move {
        for _ in 0..60_000 {
            for _ in 0..10 {
                tokio::spawn(a.clone().oneshot(request()));
            }
            sleep(Duration::from_millis(10)).await;
        }
    });
    let mut failures = Vec::new();
    for tenth in 0..6000_u32 {
        let begun = Duration::from_millis(100) * tenth;
        let request = request_to("https://b.example/orders");
        let call = tokio::spawn(b.clone().oneshot(request));
        sleep(Duration::from_millis(100)).await;
        // It waits for a token, of which each takes no longer than that.
        if call.await.unwrap().unwrap().status() != StatusCode::OK {
            failures.push(begun);
        }
    }
    refused.await.unwrap();
    rolling.await.unwrap();
    for failure in failures {
        let soon = |at| {
            failure + Duration::from_millis(100) >= at && failure <= at + Duration::from_secs(2)
        };
        let explained = ROLLOVERS.into_iter().map(Duration::from_secs).any(soon);
        assert!(explained, "a failure at {failure:?}");
    }
    // The first, the three that are needed, and a dozen for the upstream that takes none.
    let fetches = world.fetches();
    assert!((4..=20).contains(&fetches), "{fetches} token requests");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_refuses_every_token_gets_no_call_more_than_twice() {
    let world = World::new();
    let watcher = Watcher::default();
    let handle = world.builder().observer(watcher.clone()).build();
    let refusing = Arc::new(AtomicBool::new(true));
    let sends = Arc::new(AtomicUsize::new(0));
    let api = layer(handle).layer(world.resource_that({
        let (refusing, sends) = (Arc::clone(&refusing), Arc::clone(&sends));
        move |_| {
            sends.fetch_add(1, SeqCst);
            match refusing.load(SeqCst) {
                true => refusal(),
                false => http::Response::new("fine"),
            }
        }
    }));
    for _ in 0..6000 {
        let response = api.clone().oneshot(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(
            told(&response).hint().contains("audience"),
            "{:?}",
            told(&response)
        );
        assert!((1..=2).contains(&sends.swap(0, SeqCst)));
        sleep(Duration::from_millis(100)).await;
    }
    // One, two, four and so on seconds between them, up to five minutes.
    assert!((8..=12).contains(&world.fetches()), "{}", world.fetches());
    assert_eq!(watcher.rejections(), 6000);
    let warnings = watcher.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("audience"), "{warnings:?}");

    // The next run is news again.
    refusing.store(false, SeqCst);
    api.clone().oneshot(request()).await.unwrap();
    refusing.store(true, SeqCst);
    for _ in 0..100 {
        api.clone().oneshot(request()).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(watcher.warnings().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_origins_cool_down_doubles_to_five_minutes_until_it_accepts_a_token() {
    type Bring = fn(usize) -> Result<Fetched, TokenError>;
    let new: Bring = |number| Ok(Fetched::new(token(number)).expires_in(DAY));
    let same: Bring = |_| Ok(Fetched::new(token(1)).expires_in(DAY));
    for bring in [new, same] {
        let world = World::new();
        world.answer(bring);
        let refusing = Arc::new(AtomicBool::new(true));
        let api = world.layer().layer(world.resource_that({
            let refusing = Arc::clone(&refusing);
            move |_| match refusing.load(SeqCst) {
                true => refusal(),
                false => http::Response::new("fine"),
            }
        }));
        let refused_for = async |seconds: u32| {
            for _ in 0..4 * seconds {
                api.clone().oneshot(request()).await.unwrap();
                sleep(Duration::from_millis(250)).await;
            }
        };
        // Whole seconds between the fetches since this one.
        let pauses = |first: usize| -> Vec<u64> {
            let starts = &world.starts()[first - 1..];
            let between = starts.windows(2).map(|it| it[1] - it[0]);
            between.map(|it| it.as_secs()).collect()
        };
        refused_for(1200).await;
        let doubled = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        assert_eq!(pauses(1), doubled);

        // It accepts one, and the next refusal is a rollover like any other.
        let fetches = world.fetches();
        refusing.store(false, SeqCst);
        api.clone().oneshot(request()).await.unwrap();
        refusing.store(true, SeqCst);
        api.clone().oneshot(request()).await.unwrap();
        assert_eq!(world.fetches(), fetches + 1);
        refused_for(10).await;
        assert_eq!(pauses(fetches + 1), [1, 2, 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_rollover_heals_after_a_second() {
    let world = World::new();
    let mut api = world.layer().layer(world.resource());
    api.ready().await.unwrap().call(request()).await.unwrap();
    for _ in 0..10 {
        world.rollover();
        let response = api.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);

        world.rollover();
        let response = api.ready().await.unwrap().call(request()).await.unwrap();
        assert_reason(&response, |it| {
            matches!(it, RejectedReason::CoolDown { .. })
        });
        sleep(Duration::from_secs(1)).await;
        let response = api.ready().await.unwrap().call(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(world.fetches(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_one_origin_had_replaced_and_another_took_is_replaced_for_that_one_too() {
    let world = World::new();
    let layer = world.layer();
    let a = layer.layer(world.resource_that(|_| refusal()));
    let b = layer.layer(world.resource());
    let to_b = || request_to("https://b.example/orders");
    b.clone().oneshot(to_b()).await.unwrap();
    a.oneshot(request()).await.unwrap();
    b.clone().oneshot(to_b()).await.unwrap();
    assert_eq!(world.fetches(), 2);
    sleep(Duration::from_secs(10)).await;
    world.rollover();
    let response = b.oneshot(to_b()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_that_was_held_changes_nothing_for_the_others() {
    let world = World::new();
    let mut api = world.layer().layer(world.resource());
    api.ready().await.unwrap().call(request()).await.unwrap();
    world.rollover();
    let first = tokio::spawn(api.clone().oneshot(request()));
    let second = tokio::spawn(api.clone().oneshot(request()));
    sleep(Duration::from_millis(50)).await;
    assert_eq!((world.underway(), world.sends()), (1, 3));
    first.abort();
    assert_eq!(second.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!((world.fetches(), world.sends()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_its_token_due_is_sent_and_has_it_renewed() {
    let world = World::new();
    let clock = ManualClock::new(UNIX_EPOCH);
    let handle = world.builder().clock(clock.clone()).build();
    let api = layer(handle).layer(world.resource());
    api.clone().oneshot(request()).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    clock.suspend(Duration::from_secs(3560));
    world.hang();
    for _ in 0..100 {
        let response = api.clone().oneshot(request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!((world.fetches(), world.underway()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_after_a_long_sleep_of_the_machine_waits_for_a_new_token() {
    let world = World::new();
    let clock = ManualClock::new(UNIX_EPOCH);
    let handle = world.builder().clock(clock.clone()).build();
    let api = layer(handle).layer(world.resource());
    api.clone().oneshot(request()).await.unwrap();
    clock.suspend(Duration::from_secs(3600));
    world.rollover();
    let response = api.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!((world.fetches(), world.sends()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn every_call_is_served_with_tokens_of_a_second_that_take_two() {
    let world = World::new();
    world.latency(Duration::from_secs(2));
    world.lifetime(Duration::from_secs(1));
    let api = world.layer().layer(world.resource());
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        calls.spawn(api.clone().oneshot(request()));
        sleep(Duration::from_millis(100)).await;
    }
    while let Some(response) = calls.join_next().await {
        assert_eq!(response.unwrap().unwrap().status(), StatusCode::OK);
    }
    assert!((5..=9).contains(&world.fetches()), "{}", world.fetches());
}
