//! The server forgets its tokens while a thousand calls are under way.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use http::{StatusCode, Version};
use reqwest::Body;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::{sync::Semaphore, task::JoinSet};
use tower_oauth::{
    adapter::reqwest::OAuthMiddleware,
    service::{Rejected, RejectedReason},
    testing::{FakeResourceBuilder, ReceivedBody},
};

use super::{
    chain::Probe,
    stream::{stream, streamed, trailers},
    world::{World, client},
};

const CALLS: usize = 1000;
const AT_ONCE: usize = 100;
const KIB: usize = 1024;

/// A call, told by its number.
#[derive(Clone, Copy)]
struct Order(usize);

impl Order {
    /// The length of its body, and whether that is a stream.
    fn shape(self) -> (usize, bool) {
        match self.0 % 8 {
            0 => (0, false),
            1 => (100, false),
            2 => (64 * KIB, false),
            3 => (200 * KIB, false),
            4 => (1, true),
            5 => (10 * KIB, true),
            // The trailers are kept as well.
            6 => (63 * KIB, true),
            _ => (200 * KIB, true),
        }
    }

    fn content(self) -> Bytes {
        let (length, _) = self.shape();
        (0..length).map(|at| (at * 31 + self.0) as u8).collect()
    }

    fn is_stream(self) -> bool {
        self.shape().1
    }

    fn is_kept(self) -> bool {
        !self.is_stream() || self.shape().0 <= 64 * KIB
    }

    /// Whether a resource has read exactly this.
    fn is(self, body: &ReceivedBody) -> bool {
        let expected = self.is_stream().then(trailers);
        body.is(&self.content()) && body.trailers() == expected.as_ref()
    }

    async fn send(self, api: ClientWithMiddleware, url: String) -> (Self, reqwest::Response) {
        let content = self.content();
        let body = match self.shape() {
            (_, true) => streamed(&content),
            _ => Body::from(content),
        };
        let mut call = api.post(url).header("x-order", self.0);
        if self.is_stream() {
            // Over HTTP/1.1 only trailers that are announced are sent.
            call = call.header("trailer", "x-sum");
        }
        (self, call.body(body).send().await.unwrap())
    }
}

type Terms = fn(FakeResourceBuilder<'_>) -> FakeResourceBuilder<'_>;

const VERSIONS: [(Version, Terms); 2] = [
    (Version::HTTP_11, |it| it.http1_only()),
    (Version::HTTP_2, |it| it),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_rollover_during_a_thousand_mixed_calls_is_healed_by_one_fetch() {
    for (version, terms) in VERSIONS {
        let world = World::with_resource(terms).await;
        let api = world.api();
        world.handle.ready().await.unwrap();

        world.resource.hold();
        let turn = Arc::new(Semaphore::new(AT_ONCE));
        let mut calls: JoinSet<_> = (0..CALLS)
            .map(|number| {
                let (api, url, turn) = (api.clone(), world.orders(), Arc::clone(&turn));
                async move {
                    let _turn = turn.acquire().await;
                    Order(number).send(api, url).await
                }
            })
            .collect();
        world.resource.wait_until_held(AT_ONCE).await;
        world.server.rollover();
        world.resource.release();

        let mut refused = 0;
        while let Some(call) = calls.join_next().await {
            let (order, response) = call.unwrap();
            assert_eq!(response.version(), version);
            if response.status() == StatusCode::UNAUTHORIZED {
                assert!(!order.is_kept(), "{:?} {version:?}", order.shape());
                let rejected = response.extensions().get::<Rejected>().unwrap();
                let reason = rejected.reason();
                assert!(
                    matches!(reason, RejectedReason::NotRepeatable),
                    "{reason:?}"
                );
                assert!(response.text().await.unwrap().contains("refused"));
                refused += 1;
            } else {
                assert_eq!(response.status(), StatusCode::OK, "{:?}", order.shape());
                assert_eq!(response.text().await.unwrap(), "ok\n");
            }
        }
        assert!(refused > 0, "none outgrew the limit");
        assert_eq!(world.token_requests(), 2, "{version:?}");
        assert_eq!(world.resource.counters().accepted, (CALLS - refused) as u64);
        check(&world);
    }
}

/// What the resource read is what was sent; it took each at most once, and refused each at most once.
fn check(world: &World) {
    let mut calls = HashMap::<_, Vec<_>>::new();
    for call in world.resource.calls() {
        let number = call.headers()["x-order"].to_str().unwrap();
        let order = Order(number.parse().unwrap());
        let body = call.body().unwrap();
        assert!(order.is(body), "{:?} {body:?}", order.shape());
        let accepted = call.accepted().unwrap();
        calls.entry(order.0).or_default().push(accepted);
    }
    assert_eq!(calls.len(), CALLS);
    for (number, accepted) in calls {
        let as_it_may = matches!(accepted[..], [true] | [false] | [false, true]);
        assert!(as_it_may, "{number} {accepted:?}");
    }
}

// One thread: what is counted below the layer is known to it before anything else happens.
#[tokio::test]
async fn streams_that_hold_until_they_are_refused_are_all_healed() {
    for (version, terms) in VERSIONS {
        let world = World::with_resource(terms).await;
        let probe = Probe::default();
        let api = ClientBuilder::new(client(&world.pki))
            .with(OAuthMiddleware::new(world.layer()).unwrap())
            .with(probe.clone())
            .build();
        world.handle.ready().await.unwrap();
        world.server.rollover();
        world.resource.refuse_early(true);
        world.resource.hold();

        let orders = (0..50).map(|turn| Order(turn * 8 + 7));
        let (mut feeds, mut calls) = (Vec::new(), JoinSet::new());
        for order in orders {
            let (feed, body) = stream();
            let mut content = order.content();
            feed.data(&content.split_to(10 * KIB));
            feeds.push((feed, content));
            let call = api.post(world.orders()).header("x-order", order.0);
            let call = call.header("trailer", "x-sum");
            calls.spawn(call.body(body).send());
        }
        world.resource.wait_until_held(feeds.len()).await;
        world.resource.release();
        // Nothing more comes before all of them have been refused.
        while probe.refusals() < feeds.len() {
            tokio::task::yield_now().await;
        }
        for (feed, rest) in feeds.drain(..) {
            feed.data(&rest);
            feed.trailers();
        }
        while let Some(call) = calls.join_next().await {
            assert_eq!(call.unwrap().unwrap().status(), StatusCode::OK);
        }
        assert_eq!(world.token_requests(), 2, "{version:?}");
        assert_eq!(world.resource.counters().accepted, 50);
        // Who refused without reading has no body to show.
        let refused = world.resource.counters().refused;
        let read = world.resource.calls();
        assert_eq!(
            read.iter().filter(|it| it.body().is_none()).count() as u64,
            refused
        );
        for call in read.iter().filter(|it| it.accepted() == Some(true)) {
            let number = call.headers()["x-order"].to_str().unwrap();
            let order = Order(number.parse().unwrap());
            assert!(order.is(call.body().unwrap()), "{:?}", call.body());
        }
    }
}
