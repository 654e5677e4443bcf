//! Handles that outlive the runtimes they are used on.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
};

use http::StatusCode;
use tokio::{
    runtime::{Builder, Runtime},
    task::yield_now,
    time::{sleep, timeout},
};
use tower::{Layer, ServiceExt};
use tower_oauth::{ErrorKind, TokenError, refresh::TokenHandle, token::Cause};

use super::seconds;
use crate::support::{World, request};

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// What a future comes to that is polled once, on whatever runtime there is.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

async fn number(handle: TokenHandle) -> Result<u64, TokenError> {
    let token = timeout(seconds(600), handle.token())
        .await
        .expect("it hangs");
    token.map(|token| u64::from(token.generation()))
}

#[test]
fn a_call_outside_of_a_runtime_is_an_error_and_costs_the_next_one_nothing() {
    let world = World::new();
    let handle = world.handle();
    let error = at_once(handle.token()).expect("it hangs").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.hint().unwrap().contains("spawn_on"), "{error}");
    assert_eq!(runtime().block_on(number(handle)).unwrap(), 1);
}

#[test]
fn a_layer_that_was_built_outside_of_a_runtime_serves_on_any_that_it_is_called_on() {
    let world = World::new();
    let api = world.layer().layer(world.resource());
    for _ in 0..3 {
        // Each is gone when the next one comes.
        let response = runtime().block_on(api.clone().oneshot(request()));
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_call_outside_of_a_runtime_is_served_on_the_one_that_the_handle_was_given() {
    let world = World::new();
    let handle = world.handle();
    let runtime = runtime();
    handle.spawn_on(runtime.handle());
    let waiter = handle.clone();
    let mut waiter = pin!(waiter.token());
    assert!(at_once(waiter.as_mut()).is_none());
    runtime.block_on(async { sleep(seconds(1)).await });
    let token = at_once(waiter).expect("it hangs").unwrap();
    assert_eq!(u64::from(token.generation()), 1);
}

#[test]
fn what_is_asked_for_outside_of_a_runtime_is_done_by_the_next_call() {
    let world = World::new();
    let handle = world.handle();
    let runtime = runtime();
    assert_eq!(runtime.block_on(number(handle.clone())).unwrap(), 1);

    handle.refresh();
    assert!(handle.status().usable);
    runtime.block_on(async {
        assert_eq!(number(handle.clone()).await.unwrap(), 1);
        sleep(seconds(1)).await;
        assert_eq!(number(handle.clone()).await.unwrap(), 2);
    });
    assert_eq!(world.causes(), [Cause::Cold, Cause::Forced]);
}

#[test]
fn a_token_invalidated_outside_of_a_runtime_is_replaced_by_the_next_call() {
    let world = World::new();
    let handle = world.handle();
    let runtime = runtime();
    let token = runtime.block_on(handle.token()).unwrap();
    runtime.block_on(async { sleep(seconds(10)).await });

    handle.invalidate(token.generation());
    runtime.block_on(async {
        assert_eq!(number(handle.clone()).await.unwrap(), 1);
        sleep(seconds(1)).await;
        assert_eq!(number(handle.clone()).await.unwrap(), 2);
    });
}

#[test]
fn a_fetch_whose_runtime_is_gone_is_made_anew_on_the_runtime_of_the_one_who_waits() {
    let world = World::new();
    world.hang();
    let handle = world.handle();
    let (first, second) = (runtime(), runtime());
    first.block_on(async {
        tokio::spawn(number(handle.clone()));
        while world.underway() == 0 {
            yield_now().await;
        }
    });
    let waiter = second.spawn(number(handle.clone()));
    second.block_on(yield_now());
    world.latency(seconds(1));
    drop(first);
    assert_eq!(second.block_on(waiter).unwrap().unwrap(), 1);
    assert_eq!(world.causes(), [Cause::Cold, Cause::Cold]);
}

#[test]
fn a_fetch_whose_runtime_is_torn_down_by_a_panic_is_made_anew() {
    let world = World::new();
    world.hang();
    let handle = world.handle();
    let second = runtime();
    let waiter = thread::scope(|scope| {
        let panicked = scope.spawn(|| {
            let first = runtime();
            first.block_on(async {
                tokio::spawn(number(handle.clone()));
                while world.underway() == 0 {
                    yield_now().await;
                }
            });
            let waiter = second.spawn(number(handle.clone()));
            second.block_on(yield_now());
            world.latency(seconds(1));
            std::panic::panic_any(waiter)
        });
        panicked.join().unwrap_err()
    });
    let waiter = *waiter
        .downcast::<tokio::task::JoinHandle<Result<u64, TokenError>>>()
        .unwrap();
    assert_eq!(second.block_on(waiter).unwrap().unwrap(), 1);
}

#[test]
fn a_call_on_a_runtime_that_has_shut_down_is_an_error() {
    let world = World::new();
    let handle = world.handle();
    let first = runtime();
    let gone = first.handle().clone();
    drop(first);
    let error = gone.block_on(handle.token()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(runtime().block_on(number(handle)).unwrap(), 1);
}

/// Asks a handle for a token when it is dropped.
struct Asks(TokenHandle);

impl Drop for Asks {
    fn drop(&mut self) {
        at_once(self.0.ready()).unwrap().unwrap_err();
    }
}

#[test]
fn a_fetch_that_a_dying_runtime_does_not_take_is_made_by_the_next_call() {
    let world = World::new();
    let handle = world.handle();
    let first = runtime();
    let asks = Asks(handle.clone());
    first.spawn(async move {
        let _asks = asks;
        std::future::pending::<()>().await;
    });
    first.block_on(yield_now());
    drop(first);
    assert_eq!(world.fetches(), 0);

    let second = runtime();
    assert_eq!(second.block_on(number(handle.clone())).unwrap(), 1);
    // The timer is kept there, too.
    second.block_on(async { sleep(seconds(3600)).await });
    assert_eq!(world.fetches(), 2);
}

#[test]
fn a_timer_whose_runtime_is_gone_is_kept_on_the_runtime_of_the_next_call() {
    let world = World::new();
    let handle = world.handle();
    let first = runtime();
    assert_eq!(first.block_on(number(handle.clone())).unwrap(), 1);
    drop(first);

    let second = runtime();
    second.block_on(async {
        assert_eq!(number(handle.clone()).await.unwrap(), 1);
        sleep(seconds(6)).await;
        // The loss of the timer made it due.
        assert_eq!(number(handle.clone()).await.unwrap(), 2);
        sleep(seconds(3600)).await;
        assert_eq!(world.fetches(), 3);
    });
}

#[test]
fn a_fetch_that_was_lost_is_made_by_the_timer_of_another_runtime() {
    let world = World::new();
    let handle = world.handle();
    let (first, second) = (runtime(), runtime());
    handle.spawn_on(second.handle());
    second.block_on(async { sleep(seconds(1)).await });
    world.hang();
    first.block_on(async {
        tokio::spawn(number(handle.clone()));
        while world.underway() == 0 {
            yield_now().await;
        }
    });
    world.latency(seconds(1));
    drop(first);
    second.block_on(async { sleep(seconds(2)).await });
    assert!(handle.status().usable);
}

#[test]
fn a_wait_that_was_booked_on_a_runtime_that_is_gone_is_booked_anew() {
    let world = World::new();
    world.lifetime(seconds(0));
    let handle = world.handle();
    let (first, second) = (runtime(), runtime());
    assert_eq!(first.block_on(number(handle.clone())).unwrap(), 1);
    // Less than a second after it: booked, and the first runtime keeps the timer.
    let waiter = second.spawn(number(handle.clone()));
    second.block_on(yield_now());
    assert_eq!(world.fetches(), 1);
    drop(first);
    assert_eq!(second.block_on(waiter).unwrap().unwrap(), 2);
}

#[test]
fn a_runtime_without_a_timer_is_an_error() {
    let world = World::new();
    let handle = world.handle();
    let timeless = Builder::new_current_thread().build().unwrap();
    let error = timeless.block_on(handle.token()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    drop(timeless);
    let runtime = runtime();
    runtime.block_on(async { sleep(seconds(1)).await });
    assert_eq!(runtime.block_on(number(handle)).unwrap(), 1);
}
