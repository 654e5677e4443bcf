//! A thousand calls of all sizes around a rollover: what the resource has read is held against what
//! was sent.

use std::{collections::BTreeMap, pin::Pin};

use bytes::Bytes;
use http::{Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_oauth::{BoxError, OAuth, body::Budget, testing::ReceivedCall};

use super::order::{self, Boxed, Kind, Noted, Order, Refused};
use crate::over_tls::{
    client::{self, HttpsClient},
    world::{By, World},
};

/// Held at the resource when the server forgets their token: no more than may be streams of one
/// connection anywhere.
const HELD: usize = 150;

const CALLS: usize = 1000;

pub(crate) type Call = Pin<Box<dyn Future<Output = Result<Response<Incoming>, BoxError>> + Send>>;

/// What sends orders through a layer.
pub(crate) trait Client {
    fn send(&self, order: Order) -> Call;
}

/// The clients of hyper-util, one for each type of body, which share a token.
struct Direct {
    origin: String,
    refused: Refused,
    fulls: OAuth<Noted<HttpsClient<Full<Bytes>>>>,
    streams: OAuth<Noted<HttpsClient<Boxed>>>,
}

impl Direct {
    fn new(world: &World, version: client::Version, budget: &Budget) -> Self {
        let refused = Refused::default();
        let layer = world
            .layer(world.handle(world.source(By::Assertion)))
            .replay_budget(budget.clone());
        Self {
            origin: world.resource.origin().to_owned(),
            fulls: layer.layer(refused.noted(client::https(&world.pki, None, version))),
            streams: layer.layer(refused.noted(client::https(&world.pki, None, version))),
            refused,
        }
    }
}

impl Client for Direct {
    fn send(&self, order: Order) -> Call {
        let uri = format!("{}{}", self.origin, order.path()).parse().unwrap();
        let version = Version::default();
        match order.kind {
            Kind::Full => {
                let request = order.request(uri, version, order.full());
                let call = self.fulls.clone().map_err(BoxError::from);
                Box::pin(call.oneshot(request))
            }
            _ => {
                let body = order.stream(&self.refused);
                let request = order.request(uri, version, body);
                let call = self.streams.clone().map_err(BoxError::from);
                Box::pin(call.oneshot(request))
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollover_among_a_thousand_http1_calls_leaves_each_healed_whole_or_refused_once() {
    rlimit::increase_nofile_limit(4096).unwrap();
    let (world, budget) = (World::new().await, Budget::new(32 * 1024 * 1024));
    let client = Direct::new(&world, client::Version::Http1, &budget);
    read_then_refused(&world, &client, &budget).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollover_among_a_thousand_http2_calls_leaves_each_healed_whole_or_refused_once() {
    let (world, budget) = (World::new().await, Budget::new(32 * 1024 * 1024));
    let client = Direct::new(&world, client::Version::Http2, &budget);
    read_then_refused(&world, &client, &budget).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_calls_whose_source_stops_until_they_are_refused_are_all_healed() {
    rlimit::increase_nofile_limit(4096).unwrap();
    let (world, budget) = (World::new().await, Budget::new(32 * 1024 * 1024));
    let client = Direct::new(&world, client::Version::Http1, &budget);
    refused_while_sent(&world, &client, &budget).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_calls_whose_source_stops_until_they_are_refused_are_all_healed() {
    let (world, budget) = (World::new().await, Budget::new(32 * 1024 * 1024));
    let client = Direct::new(&world, client::Version::Http2, &budget);
    refused_while_sent(&world, &client, &budget).await;
}

/// The resource reads each body to its end before it refuses: what outgrows the limit is refused
/// for good, and all else healed.
pub(crate) async fn read_then_refused(world: &World, client: &impl Client, budget: &Budget) {
    let orders: BTreeMap<_, _> = (0..CALLS).map(|it| (it, Order::new(it))).collect();
    let mut outcomes = Outcomes::default();
    outcomes.join(send(client, orders.values().take(400))).await;

    world.resource.hold();
    let mut calls = send(client, orders.values().skip(400).take(HELD));
    world.resource.wait_until_held(HELD).await;
    world.server.rollover();
    for order in orders.values().skip(400 + HELD) {
        calls.spawn(outcome(client, order));
    }
    world.resource.release();
    outcomes.join(calls).await;

    let received = received(world);
    let refused = outcomes.0.values().filter(|status| **status == REFUSED);
    assert!(refused.count() > 0, "none outgrew the limit");
    for (number, order) in &orders {
        let (status, calls) = (outcomes.0[number], &received[number]);
        for call in calls {
            assert!(order.is(call.body().unwrap()), "{order:?} {call:?}");
        }
        let accepted: Vec<_> = calls.iter().map(|it| it.accepted().unwrap()).collect();
        match &accepted[..] {
            [true] | [false, true] => assert_eq!(status, StatusCode::OK, "{order:?}"),
            [false] => assert!(status == REFUSED && !order.is_kept(), "{order:?}"),
            _ => panic!("{order:?} {accepted:?}"),
        }
    }
    assert_eq!(world.token_requests(), 2);
    assert_eq!(budget.used(), 0);
}

/// The resource refuses without reading, and the sources stop until then: all are healed.
pub(crate) async fn refused_while_sent(world: &World, client: &impl Client, budget: &Budget) {
    let orders: BTreeMap<_, _> = (0..CALLS)
        .map(|number| match number < CALLS - HELD {
            true => (number, Order::new(number)),
            false => (number, Order::new(number).held()),
        })
        .collect();
    let mut outcomes = Outcomes::default();
    let accepted = CALLS - HELD;
    let calls = send(client, orders.values().take(accepted));
    outcomes.join(calls).await;

    world.resource.refuse_early(true);
    world.resource.hold();
    let calls = send(client, orders.values().skip(accepted));
    world.resource.wait_until_held(HELD).await;
    world.server.rollover();
    world.resource.release();
    outcomes.join(calls).await;

    let received = received(world);
    for (number, order) in &orders {
        assert_eq!(outcomes.0[number], StatusCode::OK, "{order:?}");
        let (last, refused) = received[number].split_last().unwrap();
        assert_eq!(last.accepted(), Some(true));
        assert!(order.is(last.body().unwrap()), "{order:?} {last:?}");
        assert_eq!(refused.len(), usize::from(order.held), "{order:?}");
        assert!(refused.iter().all(|call| call.body().is_none()));
    }
    assert_eq!(world.token_requests(), 2);
    assert_eq!(budget.used(), 0);
}

const REFUSED: StatusCode = StatusCode::UNAUTHORIZED;

/// How the calls ended, by the numbers of their orders.
#[derive(Default)]
struct Outcomes(BTreeMap<usize, StatusCode>);

impl Outcomes {
    async fn join(&mut self, calls: JoinSet<(usize, StatusCode)>) {
        self.0.extend(calls.join_all().await);
    }
}

fn send<'a>(
    client: &impl Client,
    orders: impl Iterator<Item = &'a Order>,
) -> JoinSet<(usize, StatusCode)> {
    orders.map(|order| outcome(client, order)).collect()
}

fn outcome<C: Client>(
    client: &C,
    order: &Order,
) -> impl Future<Output = (usize, StatusCode)> + Send + 'static + use<C> {
    let (order, call) = (*order, client.send(*order));
    async move {
        let response = call.await.unwrap_or_else(|it| panic!("{order:?} {it:?}"));
        let status = response.status();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        match status {
            StatusCode::OK => assert_eq!(text, "ok\n"),
            _ => assert_eq!(text, "The access token is refused.\n", "{status}"),
        }
        (order.number, status)
    }
}

/// What the resource saw of each order, in this order.
fn received(world: &World) -> BTreeMap<usize, Vec<ReceivedCall>> {
    let mut received = BTreeMap::<_, Vec<_>>::new();
    for call in world.resource.calls() {
        let number = order::number(call.uri()).unwrap();
        received.entry(number).or_default().push(call);
    }
    received
}
