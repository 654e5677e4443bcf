use std::time::UNIX_EPOCH;

use tokio::time::sleep;
use tower_oauth::{ErrorKind, ManualClock, TokenError, refresh::TokenHandle, token::Cause};

use super::seconds;
use crate::support::World;

fn clocked(world: &World) -> (ManualClock, TokenHandle) {
    let clock = ManualClock::new(UNIX_EPOCH + seconds(1_700_000_000));
    let handle = world.builder().clock(clock.clone()).build();
    (clock, handle)
}

#[tokio::test(start_paused = true)]
async fn a_call_after_a_long_sleep_of_the_machine_gets_a_new_token() {
    let world = World::new();
    let (clock, handle) = clocked(&world);
    handle.ready().await.unwrap();
    clock.suspend(seconds(3600));
    assert!(!handle.status().usable);
    assert_eq!(world.fetches(), 1);
    assert_eq!(u64::from(handle.token().await.unwrap().generation()), 2);
    assert_eq!(world.causes()[1], Cause::Cold);
}

#[tokio::test(start_paused = true)]
async fn a_call_after_a_short_sleep_of_the_machine_renews_the_token_in_the_background() {
    let world = World::new();
    let (clock, handle) = clocked(&world);
    handle.ready().await.unwrap();
    sleep(seconds(10)).await;
    clock.suspend(seconds(3560));
    assert_eq!(u64::from(handle.token().await.unwrap().generation()), 1);
    sleep(seconds(1)).await;
    assert_eq!(u64::from(handle.token().await.unwrap().generation()), 2);
    assert_eq!(world.causes(), [Cause::Cold, Cause::Scheduled]);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_stepped_back_lets_no_token_live_longer() {
    let world = World::new();
    let (clock, handle) = clocked(&world);
    handle.ready().await.unwrap();
    clock.step_back(seconds(86_400));
    assert_eq!(u64::from(handle.token().await.unwrap().generation()), 1);
    world.down();
    sleep(seconds(3589)).await;
    assert!(handle.status().usable);
    sleep(seconds(2)).await;
    assert!(!handle.status().usable);
    handle.token().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_stepped_back_neither_stops_nor_hurries_the_renewal() {
    let world = World::new();
    let (clock, handle) = clocked(&world);
    handle.ready().await.unwrap();
    clock.step_back(seconds(86_400));
    sleep(seconds(3200)).await;
    assert_eq!(world.fetches(), 1);
    sleep(seconds(400)).await;
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_stepped_forth_and_back_costs_one_fetch() {
    let world = World::new();
    let (clock, handle) = clocked(&world);
    handle.ready().await.unwrap();
    clock.suspend(seconds(86_400));
    handle.ready().await.unwrap();
    clock.step_back(seconds(86_400));
    for _ in 0..100 {
        handle.ready().await.unwrap();
        sleep(seconds(1)).await;
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_stepped_by_hours_neither_ends_nor_prolongs_a_back_off() {
    for back in [false, true] {
        let world = World::new();
        let (clock, handle) = clocked(&world);
        let busy = TokenError::new(ErrorKind::Rejected, "too many requests").temporary(true);
        world.fail(busy.with_retry_after(seconds(120)));
        handle.ready().await.unwrap_err();
        if back {
            clock.step_back(seconds(5 * 3600));
        } else {
            clock.suspend(seconds(5 * 3600));
        }
        world.up();
        sleep(seconds(119)).await;
        handle.ready().await.unwrap_err();
        assert_eq!(world.fetches(), 1);
        sleep(seconds(2)).await;
        assert!(handle.status().usable);
        assert_eq!(world.fetches(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_stepped_by_hours_during_a_fetch_costs_one_more_at_most() {
    for back in [false, true] {
        let world = World::new();
        world.latency(seconds(10));
        let (clock, handle) = clocked(&world);
        let waiter = handle.clone();
        let waiter = tokio::spawn(async move { waiter.token().await });
        sleep(seconds(5)).await;
        if back {
            clock.step_back(seconds(5 * 3600));
        } else {
            clock.suspend(seconds(5 * 3600));
        }
        // It came for this very caller, whatever the wall clock says of its age.
        let token = waiter.await.unwrap().unwrap();
        assert_eq!(u64::from(token.generation()), 1);
        for _ in 0..100 {
            handle.ready().await.unwrap();
            sleep(seconds(1)).await;
        }
        assert_eq!(world.fetches(), if back { 1 } else { 2 });
    }
}
