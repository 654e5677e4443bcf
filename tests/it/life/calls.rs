use tokio::{task::JoinSet, time::sleep};
use tower_oauth::{ErrorKind, token::Cause};

use super::{seconds, settle, tasks};
use crate::support::World;

#[tokio::test(start_paused = true)]
async fn a_handle_does_nothing_until_it_is_asked() {
    let world = World::new();
    let handle = world.handle();
    sleep(seconds(600)).await;
    let status = handle.status();
    assert!(!status.usable && !status.closed);
    assert_eq!((status.generation, status.fetches), (None, 0));
    assert_eq!((world.fetches(), tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_first_call_waits_for_the_token_and_the_next_has_it_at_once() {
    let world = World::new();
    let handle = world.handle();
    let token = handle.token().await.unwrap();
    assert_eq!(token.access_token().expose(), "token-1");
    assert_eq!(token.authorization(), "Bearer token-1");
    assert!(token.authorization().is_sensitive());
    assert_eq!(u64::from(token.generation()), 1);

    world.hang();
    handle.ready().await.unwrap();
    assert_eq!(
        handle.token().await.unwrap().generation(),
        token.generation()
    );
    assert_eq!(world.causes(), [Cause::Cold]);
    let status = handle.status();
    assert!(status.usable);
    assert_eq!((status.fetches, status.fetching), (1, None));
    assert_eq!(status.generation, Some(token.generation()));
    assert!(status.usable_for > Some(seconds(3580)), "{status:?}");
    assert!(status.refresh_in < status.usable_for, "{status:?}");
    assert!(status.last_error.is_none() && status.retry_at.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_wait_for_one_fetch() {
    let world = World::new();
    let handle = world.handle();
    let mut callers = JoinSet::new();
    for _ in 0..1000 {
        let handle = handle.clone();
        callers.spawn(async move { handle.token().await.unwrap().generation() });
    }
    while let Some(generation) = callers.join_next().await {
        assert_eq!(u64::from(generation.unwrap()), 1);
    }
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_caller_leaves_the_fetch_running() {
    let world = World::new();
    let handle = world.handle();
    let spawn = || {
        let handle = handle.clone();
        tokio::spawn(async move { handle.token().await.unwrap().generation() })
    };
    let (first, second) = (spawn(), spawn());
    settle().await;
    assert_eq!(world.underway(), 1);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(u64::from(second.await.unwrap()), 1);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_goes_on_when_all_its_callers_are_gone() {
    let world = World::new();
    let handle = world.handle();
    let caller = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ready().await }
    });
    settle().await;
    caller.abort();
    sleep(seconds(1)).await;
    assert!(handle.status().usable);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_after_the_last_handle() {
    assert_eq!(tasks(), 0);
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    assert_eq!(tasks(), 1);
    let clone = handle.clone();
    drop(handle);
    sleep(seconds(1)).await;
    assert_eq!(tasks(), 1);
    drop(clone);
    sleep(seconds(1)).await;
    assert_eq!(tasks(), 0);
    assert!(world.is_left_alone());
}

#[tokio::test(start_paused = true)]
async fn the_last_drop_ends_a_fetch_under_way() {
    let world = World::new();
    world.hang();
    let handle = world.handle();
    let caller = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ready().await }
    });
    settle().await;
    assert_eq!((world.underway(), tasks()), (1, 3));
    drop(handle);
    caller.abort();
    settle().await;
    assert_eq!((world.underway(), tasks()), (0, 0));
    assert!(world.is_left_alone());
}

#[tokio::test(start_paused = true)]
async fn close_ends_a_hanging_fetch_and_fails_its_callers() {
    let world = World::new();
    world.hang();
    let handle = world.handle();
    let caller = tokio::spawn({
        let handle = handle.clone();
        async move { handle.token().await.map(drop) }
    });
    sleep(seconds(1)).await;
    assert_eq!(world.underway(), 1);
    handle.close();
    let error = caller.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    settle().await;
    assert_eq!((world.underway(), tasks()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_after_close() {
    let world = World::new();
    let handle = world.handle();
    let generation = handle.token().await.unwrap().generation();
    handle.close();
    handle.refresh();
    handle.invalidate(generation);
    world.new_identity();
    assert_eq!(handle.ready().await.unwrap_err().kind(), ErrorKind::Closed);
    sleep(seconds(7200)).await;
    assert_eq!(handle.token().await.unwrap_err().kind(), ErrorKind::Closed);
    let status = handle.status();
    assert!(status.closed && !status.usable);
    assert_eq!((world.fetches(), tasks()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_asked_for_by_hand_comes_in_the_background() {
    let world = World::new();
    let handle = world.handle();
    let first = handle.token().await.unwrap().generation();
    world.latency(seconds(10));
    handle.refresh();
    handle.refresh();
    sleep(seconds(5)).await;
    assert_eq!(world.causes(), [Cause::Cold, Cause::Forced]);
    assert_eq!(handle.status().fetching, Some(Cause::Forced));
    assert_eq!(handle.token().await.unwrap().generation(), first);
    sleep(seconds(6)).await;
    assert!(handle.token().await.unwrap().generation() > first);
    assert_eq!(world.fetches(), 2);
}
