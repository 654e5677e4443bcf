//! Callers that go away in the middle of a body.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty};
use tokio::{runtime::Handle, task::JoinSet};
use tower::{Layer, ServiceExt};
use tower_oauth::{BoxError, body::Budget};

use super::order::Boxed;
use crate::over_tls::{
    client::{self, Version},
    world::{By, World},
};

const ROUNDS: usize = 50;
const AT_ONCE: usize = 100;

/// Gives as many octets as it is told to, and then nothing for ever.
struct Stopping {
    left: usize,
    /// How many have come to their stop.
    stopped: Arc<AtomicUsize>,
    told: bool,
    /// Counts the bodies that are there.
    _there: Arc<()>,
}

impl Body for Stopping {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left > 0 {
            let length = self.left.min(1000);
            self.left -= length;
            return Poll::Ready(Some(Ok(Frame::data(vec![b'o'; length].into()))));
        }
        if !self.told {
            self.told = true;
            self.stopped.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Pending
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

async fn until(mut it_holds: impl FnMut() -> bool) {
    while !it_holds() {
        tokio::task::yield_now().await;
    }
}

/// Five thousand callers go away, each at another octet, up to and beyond what is kept of a body.
/// Of every other hundred some have been refused, and wait for a new token.
async fn abort(version: Version) {
    rlimit::increase_nofile_limit(4096).unwrap();
    let (world, budget) = (World::new().await, Budget::new(32 * 1024 * 1024));
    let layer = world
        .layer(world.handle(world.source(By::Assertion)))
        .replay_budget(budget.clone());
    let api = layer.layer(client::https::<Boxed>(&world.pki, None, version));
    let call = |length, stopped: &Arc<AtomicUsize>, there: &Arc<()>| {
        let body = Stopping {
            left: length,
            stopped: Arc::clone(stopped),
            told: false,
            _there: Arc::clone(there),
        };
        let request = Request::post(world.resource.uri("/orders")).body(body.boxed_unsync());
        api.clone().oneshot(request.unwrap())
    };
    let served = || async {
        let request = Request::get(world.resource.uri("/orders"));
        let nothing = Empty::new().map_err(|never| match never {});
        let request = request.body(nothing.boxed_unsync()).unwrap();
        let response = api.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    };
    served().await;
    // The background task and one connection are there by then, and stay.
    let before = tasks();
    let there = Arc::new(());
    for round in 0..ROUNDS {
        let refused = round % 2 == 1;
        let so_far = world.resource.counters().refused;
        if refused {
            // The cool-down after the round before is over.
            world.clock.advance(Duration::from_secs(2));
            world.server.rollover();
            world.server.hold();
            world.resource.refuse_early(true);
        }
        let stopped = Arc::default();
        let mut calls: JoinSet<_> = (0..AT_ONCE)
            .map(|number| call((round * AT_ONCE + number) * 15, &stopped, &there))
            .collect();
        if refused {
            // Some have been refused, some are being sent.
            until(|| world.resource.counters().refused > so_far).await;
            world.server.wait_until_held(1).await;
        } else {
            until(|| stopped.load(Ordering::Relaxed) == AT_ONCE).await;
        }
        calls.shutdown().await;
        until(|| Arc::strong_count(&there) == 1).await;
        assert_eq!(budget.used(), 0, "{round}");
        world.server.release();
        world.resource.refuse_early(false);
        served().await;
        until(|| world.resource.counters().open_connections <= 1).await;
        until(|| tasks() <= before).await;
        world.resource.forget();
    }
    // Nobody's going away has cost the next caller anything.
    let refused = u64::try_from(ROUNDS / 2).unwrap();
    assert_eq!(world.token_requests(), 1 + refused);
}

#[tokio::test]
async fn callers_over_http1_that_go_away_at_any_octet_leave_no_task_buffer_or_connection() {
    abort(Version::Http1).await;
}

#[tokio::test]
async fn callers_over_http2_that_go_away_at_any_octet_leave_no_task_buffer_or_connection() {
    abort(Version::Http2).await;
}
