//! Callers that go away.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use reqwest::Body;
use tokio::{runtime::Handle, task::JoinSet};
use tower_oauth::BoxError;

use super::world::World;

const CALLS: usize = 200;

/// A body that has ten KiB to give, and then nothing for ever.
struct Endless {
    left: usize,
    /// Counts the bodies that are there.
    _there: Arc<()>,
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'o'; 1024])))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_go_away_leave_nothing_behind_and_the_fetch_to_others() {
    for early in [false, true] {
        let world = World::new().await;
        let api = world.api();
        // The background task and a connection are there by then, and stay.
        let status = api.get(world.orders()).send().await.unwrap().status();
        assert_eq!(status, StatusCode::OK);
        let tasks = Handle::current().metrics().num_alive_tasks();

        world.server.rollover();
        world.resource.refuse_early(true);
        world.resource.hold();
        world.server.hold();
        let there = Arc::new(());
        let mut calls = JoinSet::new();
        for _ in 0..CALLS {
            let body = Body::wrap(Endless {
                left: 10,
                _there: Arc::clone(&there),
            });
            calls.spawn(api.post(world.orders()).body(body).send());
        }
        world.resource.wait_until_held(CALLS).await;
        if !early {
            // They have been refused, and wait for one and the same token.
            world.resource.release();
            world.server.wait_until_held(1).await;
            while world.resource.counters().refused < CALLS as u64 {
                tokio::task::yield_now().await;
            }
        }
        calls.shutdown().await;
        world.resource.release();
        world.server.release();
        while Arc::strong_count(&there) > 1 {
            tokio::task::yield_now().await;
        }

        let status = api.get(world.orders()).send().await.unwrap().status();
        assert_eq!(status, StatusCode::OK, "{early}");
        assert_eq!(world.token_requests(), 2);
        while Handle::current().metrics().num_alive_tasks() > tasks {
            tokio::task::yield_now().await;
        }
    }
}
