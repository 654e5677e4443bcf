//! Handles that come to their end while something of them still runs.

use std::sync::{Arc, Mutex};

use tokio::{
    runtime::Builder,
    task::{JoinSet, yield_now},
    time::sleep,
};
use tower_oauth::{
    ErrorKind, TokenError,
    events::Event,
    grant::{Fetched, TokenSource, source_fn},
    refresh::{TokenHandle, TokenHandleBuilder},
    token::{AccessToken, Cause},
};

use super::{seconds, settle, tasks};
use crate::support::{World, token};

/// What a handle tells of its end.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn by(&self, builder: TokenHandleBuilder) -> TokenHandle {
        let told = Arc::clone(&self.0);
        let observer = move |event: &Event<'_>| {
            told.lock().unwrap().push(match event {
                Event::Closed => "closed".to_owned(),
                Event::TokenRevoked => "revoked".to_owned(),
                Event::TokenNotRevoked { error, .. } => format!("not revoked: {error}"),
                _ => return,
            });
        };
        builder.observer(observer).build()
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_handle_runs_any_more_after_its_shutdown() {
    let world = World::new();
    let told = Told::default();
    let handle = told.by(world.builder());
    handle.ready().await.unwrap();
    world.hang();
    handle.refresh();
    settle().await;
    assert_eq!((world.underway(), tasks()), (1, 2));

    // A clone goes on living, in a layer somewhere.
    let clone = handle.clone();
    handle.shutdown().await;
    assert_eq!((world.underway(), tasks()), (0, 0));
    assert_eq!(clone.ready().await.unwrap_err().kind(), ErrorKind::Closed);
    assert!(clone.status().closed);
    assert!(world.revoked().is_empty());
    assert_eq!(told.all(), ["closed"]);
    // Nor later.
    sleep(seconds(7200)).await;
    clone.refresh();
    assert_eq!((world.fetches(), tasks()), (2, 0));
    // A second time there is nothing to do.
    clone.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_a_token_fail_at_once_at_a_shutdown() {
    let world = World::new();
    world.hang();
    let handle = world.handle();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let handle = handle.clone();
        calls.spawn(async move { handle.ready().await });
    }
    settle().await;
    handle.shutdown().await;
    for call in calls.join_all().await {
        assert_eq!(call.unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_never_had_anything_to_do_is_shut_down_at_once() {
    let world = World::new();
    let told = Told::default();
    let handle = told.by(world.builder().revoke_on_shutdown());
    handle.shutdown().await;
    assert_eq!(told.all(), ["closed"]);
    assert!(world.revoked().is_empty());
    assert_eq!(world.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_token_is_revoked_once_however_many_shut_the_handle_down() {
    let world = World::new();
    let told = Told::default();
    let handle = told.by(world.builder().revoke_on_shutdown());
    handle.ready().await.unwrap();
    handle.refresh();
    sleep(seconds(1)).await;
    // Closed before, for whatever reason.
    handle.close();
    let mut ends = JoinSet::new();
    for _ in 0..10 {
        let handle = handle.clone();
        let world = world.clone();
        ends.spawn(async move {
            handle.shutdown().await;
            // Each waits for it.
            assert_eq!(world.revoked(), ["token-2"]);
        });
    }
    ends.join_all().await;
    assert_eq!(told.all(), ["closed", "revoked"]);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_hangs_delays_a_shutdown_to_its_deadline_at_most() {
    let world = World::new();
    let told = Told::default();
    let builder = world.builder().revoke_on_shutdown();
    let handle = told.by(builder.shutdown_deadline(seconds(3)));
    handle.ready().await.unwrap();
    world.hang();
    let (early, late) = (handle.shutdown(), sleep(seconds(4)));
    tokio::select! {
        biased;
        () = early => {}
        () = late => panic!("it takes longer than it may"),
    }
    assert_eq!((world.underway(), tasks()), (0, 0));
    assert_eq!(
        told.all(),
        ["closed", "not revoked: the token wasn't revoked within 3s"]
    );
}

struct PanicsAtTheEnd;

impl TokenSource for PanicsAtTheEnd {
    async fn fetch(&self, _: Cause) -> Result<Fetched, TokenError> {
        Ok(Fetched::new(token(1)))
    }

    async fn revoke(&self, _: &AccessToken) -> Result<(), TokenError> {
        panic!("the source was told to panic")
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_panics_is_told_like_any_other_failure() {
    let told = Told::default();
    let handle = told.by(TokenHandle::builder(PanicsAtTheEnd).revoke_on_shutdown());
    handle.ready().await.unwrap();
    handle.shutdown().await;
    let expected = "not revoked: the token source panicked";
    assert_eq!(
        (told.all(), tasks()),
        (vec!["closed".into(), expected.into()], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_revoke_says_so() {
    let told = Told::default();
    let source = source_fn(|_| async { Ok(Fetched::new(token(1))) });
    let handle = told.by(TokenHandle::builder(source).revoke_on_shutdown());
    handle.ready().await.unwrap();
    handle.shutdown().await;
    let expected = "not revoked: this token source can't revoke tokens";
    assert_eq!(told.all(), ["closed", expected]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_nobody_waits_for_closes_all_the_same() {
    let world = World::new();
    let handle = world.builder().revoke_on_shutdown().build();
    handle.ready().await.unwrap();
    world.hang();
    {
        let shutdown = handle.shutdown();
        tokio::select! {
            biased;
            () = shutdown => unreachable!("it waits for the revocation"),
            () = yield_now() => {}
        }
    }
    settle().await;
    assert_eq!((world.underway(), tasks()), (0, 0));
    handle.shutdown().await;
}

#[test]
fn a_task_on_a_runtime_that_stands_still_is_waited_for_until_the_deadline() {
    let world = World::new();
    let handle = world.builder().build();
    let runtime = || {
        Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    first.block_on(async { handle.ready().await.unwrap() });
    // The first runs nothing from here on, the end of the handle's task included.
    second.block_on(handle.shutdown());
    // Where it goes on, it ends.
    first.block_on(async {
        settle().await;
        assert_eq!(tasks(), 0);
    });
    second.block_on(handle.shutdown());
}

#[test]
fn a_shutdown_outside_of_a_runtime_waits_for_the_one_that_the_handle_is_on() {
    let world = World::new();
    let handle = world.builder().revoke_on_shutdown().build();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async { handle.ready().await.unwrap() });
    block_on(handle.shutdown());
    assert!(handle.status().closed);
    assert!(world.revoked().is_empty());
}

/// Polls a future on this very thread, outside of any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    use std::{
        pin::pin,
        task::{Context, Poll, Wake, Waker},
        thread::{self, Thread},
    };

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
