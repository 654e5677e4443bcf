//! Many calls at once.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::{runtime::Handle, sync::mpsc::UnboundedSender, task::JoinSet};
use tonic::{Code, Status, codegen::tokio_stream};

use super::{Api, Digest, Refuse, Scene, fed, message};

const KIB: usize = 1024;

/// The messages of a call, unlike those of any other. One call in ten is longer than what is kept
/// of it.
fn orders(number: usize) -> Vec<Bytes> {
    let parts = if number % 4 < 2 { 1 } else { 3 };
    let octets = match number % 10 {
        0 => 150 * KIB,
        _ => number * 61 % (60 * KIB),
    };
    let order = |part| {
        let mut order = BytesMut::new();
        order.put_slice(&number.to_be_bytes());
        order.put_u8(part);
        order.put(message(octets / usize::from(parts)));
        order.freeze()
    };
    (0..parts).map(order).collect()
}

/// One call of one of the four kinds; gives what the server must have got.
async fn call(mut api: Api, number: usize) -> Result<Digest, Status> {
    let orders = orders(number);
    let digest = Digest::of(&orders);
    match number % 4 {
        0 => assert_eq!(api.place(orders[0].clone()).await?, digest.to_string()),
        1 => {
            let mut answers = api.watch(orders[0].clone()).await?;
            for _ in 0..3 {
                let answer = answers.message().await?.unwrap();
                assert_eq!(answer, digest.to_string());
            }
            assert_eq!(answers.message().await?, None);
        }
        2 => {
            let answer = api.import(tokio_stream::iter(orders)).await?;
            assert_eq!(answer, digest.to_string());
        }
        _ => {
            let lengths: Vec<_> = orders.iter().map(|it| it.len().to_string()).collect();
            let mut answers = api.trade(tokio_stream::iter(orders)).await?;
            for length in lengths {
                assert_eq!(answers.message().await?.unwrap(), length);
            }
            assert_eq!(answers.message().await?, None);
        }
    }
    Ok(digest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_mixed_calls_outlive_a_rollover_for_one_fetch() {
    for refuse in [Refuse::Late, Refuse::After(10 * KIB), Refuse::Gateway] {
        let scene = Scene::new().await;
        // A token that calls had waited for is not replaced for them.
        scene.handle.ready().await.unwrap();
        scene.server.refuse(refuse);
        scene.server.rollover_at(300);
        let mut calls = JoinSet::new();
        for number in 0..1000 {
            let call = call(scene.api(), number);
            calls.spawn(async move { (number, call.await) });
        }

        let mut whole = Vec::new();
        while let Some(call) = calls.join_next().await {
            match call.unwrap() {
                (_, Ok(digest)) => whole.push(digest),
                (number, Err(status)) => {
                    assert_eq!(number % 10, 0, "{status:?}");
                    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
                }
            }
        }
        whole.sort();
        // Each once and whole, and nothing else.
        assert_eq!(scene.server.whole(), whole, "{refuse:?}");
        assert!(scene.server.counters().refused > 0);
        assert_eq!(scene.world.fetches(), 2, "{refuse:?}");
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// A hundred calls with streams that stay open.
struct Hundred {
    calls: JoinSet<Result<(), Status>>,
    feeds: Vec<UnboundedSender<Bytes>>,
}

impl Hundred {
    fn start(scene: &Scene, octets: impl Fn(usize) -> usize) -> Self {
        let mut calls = JoinSet::new();
        let mut feeds = Vec::new();
        for number in 0..100 {
            let mut api = scene.api();
            let (feed, stream) = fed();
            feed.send(message(octets(number))).unwrap();
            feeds.push(feed);
            calls.spawn(async move {
                match number % 2 {
                    0 => api.import(stream).await.map(drop),
                    _ => api.trade(stream).await.map(drop),
                }
            });
        }
        Self { calls, feeds }
    }

    /// Breaks all of them off, and waits until nobody knows of them.
    async fn abort(mut self, scene: &Scene) {
        self.calls.shutdown().await;
        for feed in self.feeds {
            feed.closed().await;
        }
        scene.server.wait_until(|it| it.open == 0).await;
    }
}

async fn tasks_fall_to(count: usize) {
    while tasks() > count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn ten_thousand_aborted_calls_leave_nothing_behind() {
    let scene = Scene::new().await;
    scene.api().place(message(1)).await.unwrap();
    let before = tasks();
    scene.server.hold();
    for round in 0..100 {
        // Some haven't been sent yet, some are on their way, some have arrived.
        let awaited = scene.server.counters().accepted + round % 50;
        let calls = Hundred::start(&scene, |number| round * number);
        scene.server.wait_until(|it| it.accepted >= awaited).await;
        calls.abort(&scene).await;
    }
    tasks_fall_to(before).await;
    scene.server.release();
    scene.api().place(message(1)).await.unwrap();
    assert_eq!(scene.world.fetches(), 1);
}

#[tokio::test]
async fn refused_calls_that_are_aborted_leave_the_fetch_behind() {
    let scene = Scene::new().await;
    scene.api().place(message(1)).await.unwrap();
    scene.server.refuse(Refuse::After(10));
    scene.world.rollover();
    scene.world.hang();
    let before = tasks();
    let calls = Hundred::start(&scene, |number| 10 + number);
    scene.server.wait_until(|it| it.refused == 100).await;
    while scene.world.underway() == 0 {
        tokio::task::yield_now().await;
    }
    calls.abort(&scene).await;
    tasks_fall_to(before + 1).await;
    assert_eq!(scene.world.underway(), 1);
    assert_eq!(scene.counted(), (100, 1, 2));
}
