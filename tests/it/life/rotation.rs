use tokio::time::sleep;
use tower_oauth::{ErrorKind, TokenError, token::Cause};

use super::seconds;
use crate::support::World;

#[tokio::test(start_paused = true)]
async fn a_new_identity_gets_a_token_of_its_own() {
    let world = World::new();
    let handle = world.handle();
    let first = handle.token().await.unwrap().generation();
    world.new_identity();
    sleep(seconds(1)).await;
    assert_eq!(world.causes(), [Cause::Cold, Cause::Rotation]);
    assert!(handle.token().await.unwrap().generation() > first);
    sleep(seconds(600)).await;
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_identity_that_is_refused_leaves_the_old_token_in_use() {
    let world = World::new();
    let handle = world.handle();
    let first = handle.token().await.unwrap().generation();
    world.fail(TokenError::new(ErrorKind::Rejected, "invalid_client").temporary(false));
    world.new_identity();
    sleep(seconds(10)).await;
    assert_eq!(world.causes(), [Cause::Cold, Cause::Rotation]);
    assert_eq!(handle.token().await.unwrap().generation(), first);

    // It is tried again, and the old identity isn't held up by it.
    handle.invalidate(first);
    world.up();
    sleep(seconds(1)).await;
    assert_eq!(world.causes().last(), Some(&Cause::Rejected(first)));
    let second = handle.token().await.unwrap().generation();
    assert!(second > first);
    sleep(seconds(31)).await;
    assert_eq!(world.causes().last(), Some(&Cause::Rotation));
    assert!(handle.token().await.unwrap().generation() > second);
    assert_eq!(world.fetches(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_newer_identity_is_not_kept_waiting_by_the_failure_of_the_one_before() {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.fail(TokenError::new(ErrorKind::Rejected, "invalid_client").temporary(false));
    world.new_identity();
    sleep(seconds(2)).await;
    world.up();
    world.new_identity();
    sleep(seconds(1)).await;
    assert_eq!(
        world.causes(),
        [Cause::Cold, Cause::Rotation, Cause::Rotation]
    );
    assert_eq!(u64::from(handle.token().await.unwrap().generation()), 2);
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_comes_during_a_fetch_gets_its_token_after_it() {
    let world = World::new();
    world.latency(seconds(5));
    let handle = world.handle();
    let caller = tokio::spawn({
        let handle = handle.clone();
        async move { handle.ready().await }
    });
    sleep(seconds(1)).await;
    world.new_identity();
    caller.await.unwrap().unwrap();
    sleep(seconds(6)).await;
    assert_eq!(world.causes(), [Cause::Cold, Cause::Rotation]);
    assert_eq!(u64::from(handle.token().await.unwrap().generation()), 2);
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_nobody_asked_a_token_for_fetches_none() {
    let world = World::new();
    let handle = world.handle();
    handle.spawn_on(&tokio::runtime::Handle::current());
    world.new_identity();
    sleep(seconds(600)).await;
    assert_eq!(world.fetches(), 0);
    handle.ready().await.unwrap();
    assert_eq!(world.causes(), [Cause::Rotation]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_refused_identity_gets_the_old_ones_token() {
    let world = World::new();
    world.answer(|number| match number {
        1 => Err(TokenError::new(ErrorKind::Rejected, "invalid_client").temporary(false)),
        _ => Ok(tower_oauth::grant::Fetched::new(crate::support::token(
            number,
        ))),
    });
    let handle = world.handle();
    handle.spawn_on(&tokio::runtime::Handle::current());
    world.new_identity();
    sleep(seconds(1)).await;
    assert_eq!(
        handle.token().await.unwrap().access_token().expose(),
        "token-2"
    );
    assert_eq!(world.causes(), [Cause::Rotation, Cause::Scheduled]);
}
