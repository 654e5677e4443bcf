//! Layers that make a call wait, or give up on it.

use std::time::Duration;

use http::StatusCode;
use tokio::time::sleep;
use tower::{
    Layer, ServiceBuilder, ServiceExt,
    buffer::BufferLayer,
    limit::{ConcurrencyLimitLayer, RateLimitLayer},
    load_shed::{LoadShedLayer, error::Overloaded},
    timeout::error::Elapsed,
};
use tower_oauth::{
    ErrorKind,
    grant::{Fetched, source_fn},
    refresh::TokenHandle,
    service::Error,
};

use super::{begin, goes_through, own, slow};
use crate::support::{World, layer, request, token};

const SECOND: Duration = Duration::from_secs(1);

/// A handle with a token that was forgotten since: the next call is refused, and healed.
async fn forgotten(world: &World) -> TokenHandle {
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    handle
}

#[tokio::test(start_paused = true)]
async fn a_timeout_above_covers_the_wait_and_both_sends() {
    // Two seconds for a token, and two for each send.
    for (seconds, healed) in [(5, false), (7, true)] {
        let world = World::new();
        world.latency(2 * SECOND);
        let handle = world.handle();
        let stack = ServiceBuilder::new()
            .timeout(seconds * SECOND)
            .layer(layer(handle))
            .service(slow(&world, 2 * SECOND));
        assert_eq!(begin(&stack, request()).await.unwrap().unwrap(), 200);
        world.rollover();
        match begin(&stack, request()).await.unwrap() {
            Ok(status) => assert!(healed && status == StatusCode::OK),
            Err(error) => assert!(!healed && error.is::<Elapsed>(), "{error}"),
        }
    }
    let world = World::new();
    world.hang();
    let stack = ServiceBuilder::new()
        .timeout(SECOND)
        .layer(world.layer())
        .service(world.resource());
    let error = begin(&stack, request()).await.unwrap().unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(world.sends(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_below_begins_anew_with_each_send() {
    let world = World::new();
    world.latency(20 * SECOND);
    let stack = |takes| {
        ServiceBuilder::new()
            .layer(world.layer())
            .timeout(3 * SECOND)
            .service(slow(&world, takes))
    };
    let quick = stack(2 * SECOND);
    assert_eq!(begin(&quick, request()).await.unwrap().unwrap(), 200);
    world.rollover();
    assert_eq!(begin(&quick, request()).await.unwrap().unwrap(), 200);
    assert_eq!(world.sends(), 3);

    let error = begin(&stack(4 * SECOND), request()).await.unwrap();
    let Err(Error::Inner(error)) = error else {
        panic!("{error:?}");
    };
    assert!(error.is::<Elapsed>(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_buffer_above_is_not_stalled_by_a_wait() {
    let world = World::new();
    world.latency(5 * SECOND);
    let stack = ServiceBuilder::new()
        .layer(BufferLayer::new(1))
        .layer(world.layer())
        .service(world.resource());
    let waiting = begin(&stack, request());
    sleep(SECOND).await;
    assert_eq!(world.underway(), 1);
    assert!(goes_through(&stack, own()).await);
    assert_eq!(waiting.await.unwrap().unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_below_keeps_a_place_for_a_waiting_call() {
    for (places, through) in [(1, false), (2, true)] {
        let world = World::new();
        world.latency(5 * SECOND);
        let stack = ServiceBuilder::new()
            .layer(world.layer())
            .layer(BufferLayer::new(places))
            .service(world.resource());
        let waiting = begin(&stack, request());
        sleep(SECOND).await;
        assert_eq!(goes_through(&stack, own()).await, through, "{places}");
        assert_eq!(waiting.await.unwrap().unwrap(), 200);
        assert!(goes_through(&stack, own()).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_above_holds_one_place_for_the_whole_call() {
    let world = World::new();
    let handle = forgotten(&world).await;
    world.latency(5 * SECOND);
    let stack = ServiceBuilder::new()
        .layer(ConcurrencyLimitLayer::new(1))
        .layer(layer(handle))
        .service(world.resource());
    let healing = begin(&stack, request());
    sleep(SECOND).await;
    // Between its sends.
    assert_eq!((world.sends(), world.underway()), (1, 1));
    assert!(!goes_through(&stack, own()).await);
    assert_eq!(healing.await.unwrap().unwrap(), 200);
    assert!(goes_through(&stack, own()).await);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_below_holds_a_place_while_a_call_waits_and_for_each_send() {
    let world = World::new();
    world.latency(5 * SECOND);
    let stack = ServiceBuilder::new()
        .layer(world.layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(world.resource());
    // Before its only send a call has its place already,
    let waiting = begin(&stack, request());
    sleep(SECOND).await;
    assert_eq!((world.sends(), world.underway()), (0, 1));
    assert!(!goes_through(&stack, own()).await);
    assert_eq!(waiting.await.unwrap().unwrap(), 200);

    // and between two sends it has none.
    world.rollover();
    let healing = begin(&stack, request());
    sleep(SECOND).await;
    assert_eq!((world.sends(), world.underway()), (2, 1));
    assert!(goes_through(&stack, own()).await);
    assert_eq!(healing.await.unwrap().unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_below_that_the_token_requests_share_blocks_them() {
    let world = World::new();
    let limited = ConcurrencyLimitLayer::new(1).layer(world.resource());
    let transport = limited.clone();
    let source = source_fn(move |_| {
        let transport = transport.clone();
        async move {
            transport.oneshot(own()).await.unwrap();
            Ok(Fetched::new(token(1)))
        }
    });
    let stack = layer(TokenHandle::new(source)).layer(limited);
    let error = begin(&stack, request()).await.unwrap().unwrap_err();
    let Error::Token(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(world.sends(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_above_counts_a_healed_call_once() {
    let world = World::new();
    let handle = forgotten(&world).await;
    let stack = ServiceBuilder::new()
        .layer(BufferLayer::new(8))
        .layer(RateLimitLayer::new(2, 10 * SECOND))
        .layer(layer(handle))
        .service(world.resource());
    assert!(goes_through(&stack, request()).await);
    assert_eq!(world.sends(), 2);
    assert!(goes_through(&stack, request()).await);
    assert!(!goes_through(&stack, request()).await);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_below_counts_both_sends() {
    let world = World::new();
    let handle = forgotten(&world).await;
    let stack = ServiceBuilder::new()
        .layer(layer(handle))
        .layer(BufferLayer::new(8))
        .layer(RateLimitLayer::new(2, 10 * SECOND))
        .service(world.resource());
    assert!(goes_through(&stack, request()).await);
    assert_eq!(world.sends(), 2);
    assert!(!goes_through(&stack, request()).await);
}

#[tokio::test(start_paused = true)]
async fn load_shedding_above_sheds_by_what_is_below_and_never_by_the_token() {
    let world = World::new();
    world.latency(5 * SECOND);
    let unlimited = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(world.layer())
        .service(world.resource());
    let first = begin(&unlimited, request());
    sleep(SECOND).await;
    let second = begin(&unlimited, request());
    assert_eq!(first.await.unwrap().unwrap(), 200);
    assert_eq!(second.await.unwrap().unwrap(), 200);

    let limited = ServiceBuilder::new()
        .layer(LoadShedLayer::new())
        .layer(world.layer())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(world.resource());
    // The place is kept while a call waits for its token.
    let waiting = begin(&limited, request());
    sleep(SECOND).await;
    let error = begin(&limited, own()).await.unwrap().unwrap_err();
    assert!(error.is::<Overloaded>(), "{error}");
    assert_eq!(waiting.await.unwrap().unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn load_shedding_below_can_shed_a_second_send() {
    let world = World::new();
    let handle = forgotten(&world).await;
    world.latency(2 * SECOND);
    let mut stack = ServiceBuilder::new()
        .layer(layer(handle))
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(1))
        .service(slow(&world, SECOND));
    let healing = begin(&stack, request());
    // While it is refused, and then waits for a newer token, another call takes its place.
    sleep(SECOND + SECOND / 2).await;
    assert_eq!((world.sends(), world.underway()), (1, 1));
    sleep(SECOND).await;
    let other = begin(&stack, own());
    let error = healing.await.unwrap();
    let Err(Error::Inner(error)) = error else {
        panic!("{error:?}");
    };
    assert!(error.is::<Overloaded>(), "{error}");
    stack.ready().await.unwrap();
    assert_eq!(other.await.unwrap().unwrap(), 401);
}
