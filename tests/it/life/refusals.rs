use std::time::Duration;

use tokio::time::sleep;
use tower_oauth::{
    grant::Fetched,
    token::{AccessToken, Cause, Generation},
};

use super::seconds;
use crate::support::World;

#[tokio::test(start_paused = true)]
async fn an_invalidated_token_is_replaced_and_used_meanwhile() {
    let world = World::new();
    let handle = world.handle();
    let first = handle.token().await.unwrap().generation();
    for _ in 0..100 {
        handle.invalidate(first);
    }
    assert_eq!(handle.token().await.unwrap().generation(), first);
    sleep(seconds(1)).await;
    assert!(handle.token().await.unwrap().generation() > first);
    assert_eq!(world.causes(), [Cause::Cold, Cause::Rejected(first)]);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_an_older_token_invalidates_nothing() {
    let world = World::new();
    let handle = world.handle();
    let first = handle.token().await.unwrap().generation();
    handle.refresh();
    sleep(seconds(10)).await;
    handle.invalidate(first);
    handle.invalidate(Generation::default());
    sleep(seconds(10)).await;
    assert_eq!(world.causes(), [Cause::Cold, Cause::Forced]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_invalidated_once_a_second() {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    for _ in 0..1100 {
        handle.invalidate(handle.token().await.unwrap().generation());
        sleep(Duration::from_millis(10)).await;
    }
    // A tenth of a second for the fetch, and a second after it.
    assert!((10..=12).contains(&world.fetches()), "{}", world.fetches());
}

#[tokio::test(start_paused = true)]
async fn the_replacement_can_be_invalidated_too() {
    let world = World::new();
    let handle = world.handle();
    for number in 1..=10 {
        let generation = handle.token().await.unwrap().generation();
        assert_eq!(u64::from(generation), number);
        handle.invalidate(generation);
        sleep(seconds(600)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_bytes_keep_their_number_and_get_a_new_life() {
    let world = World::new();
    world.answer(|_| Ok(Fetched::new(AccessToken::new("cached")?).expires_in(seconds(3600))));
    let handle = world.handle();
    let first = handle.token().await.unwrap().generation();
    sleep(seconds(1800)).await;
    handle.refresh();
    sleep(seconds(1)).await;
    assert_eq!(world.fetches(), 2);
    assert_eq!(handle.token().await.unwrap().generation(), first);
    assert!(handle.status().usable_for > Some(seconds(3580)));
}
