//! A gateway: an axum server that passes on what it receives, with a token, while it streams.

use std::{net::Ipv4Addr, time::Duration};

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode, Uri, header::HOST, uri::Authority};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::JoinHandle,
};
use tower::{Layer, ServiceExt};
use tower_oauth::{BoxError, OAuth, OAuthLayer, body::Budget, server::remove_hop_by_hop};

use crate::{
    bodies::{
        order::{Boxed, Noted, Order, Refused},
        rollover::{self, Call},
    },
    over_tls::{
        client::{self, HttpsClient, Version},
        world::{By, World},
    },
};

type Upstream = OAuth<Noted<HttpsClient<Body>>>;

/// A gateway that is being served, and a client of it.
struct Gateway {
    authority: Authority,
    refused: Refused,
    client: HyperClient<HttpConnector, Boxed>,
    serving: JoinHandle<()>,
}

impl Gateway {
    async fn new(world: &World, version: Version, layer: &OAuthLayer) -> Self {
        let refused = Refused::default();
        let client = client::https(&world.pki, None, version);
        let upstream: Upstream = layer.layer(refused.noted(client));
        let resource: Uri = world.resource.origin().parse().unwrap();
        let app = Router::new().fallback(move |request: Request<Body>| {
            forward(upstream.clone(), resource.clone(), request)
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = HyperClient::builder(TokioExecutor::new());
        Self {
            authority: address.to_string().parse().unwrap(),
            refused,
            client: client
                .http2_only(version == Version::Http2)
                .build(HttpConnector::new()),
            serving: tokio::spawn(async { axum::serve(listener, app).await.unwrap() }),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl rollover::Client for Gateway {
    fn send(&self, order: Order) -> Call {
        let uri = format!("http://{}{}", self.authority, order.path());
        let request = order.request(
            uri.parse().unwrap(),
            http::Version::default(),
            order.stream(&self.refused),
        );
        Box::pin(self.client.clone().map_err(BoxError::from).oneshot(request))
    }
}

/// Passes a request on to the resource, and its response back.
async fn forward(upstream: Upstream, resource: Uri, request: Request<Body>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let mut uri = resource.into_parts();
    uri.path_and_query = head.uri.into_parts().path_and_query;
    head.uri = Uri::from_parts(uri).unwrap();
    // The client's connection to the gateway, and the gateway's to the resource, are two.
    head.version = http::Version::default();
    remove_hop_by_hop(&mut head.headers);
    head.headers.remove(HOST);
    match upstream.oneshot(Request::from_parts(head, body)).await {
        Ok(response) => {
            let mut response = response.map(Body::new);
            remove_hop_by_hop(response.headers_mut());
            response
        }
        Err(error) => {
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

async fn world(version: Version) -> (World, Budget, Gateway) {
    rlimit::increase_nofile_limit(8192).unwrap();
    let (world, budget) = (World::new().await, Budget::new(32 * 1024 * 1024));
    let layer = world
        .layer(world.handle(world.source(By::Assertion)))
        .replay_budget(budget.clone());
    let gateway = Gateway::new(&world, version, &layer).await;
    (world, budget, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollover_among_a_thousand_calls_through_it_leaves_each_healed_whole_or_refused_once() {
    for version in Version::ALL {
        let (world, budget, gateway) = world(version).await;
        rollover::read_then_refused(&world, &gateway, &budget).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_through_it_whose_source_stops_until_they_are_refused_are_all_healed() {
    for version in Version::ALL {
        let (world, budget, gateway) = world(version).await;
        rollover::refused_while_sent(&world, &gateway, &budget).await;
    }
}

/// What a caller sends, as long as it is there.
const CALL: &[u8] = b"POST /orders/1 HTTP/1.1\r\n\
    host: gateway.example\r\n\
    transfer-encoding: chunked\r\n\
    trailer: x-sum\r\n\
    \r\n\
    8\r\nan order\r\n\
    19\r\nof a good deal of tea and\r\n\
    5\r\n milk\r\n\
    0\r\nx-sum: 42\r\n\
    \r\n";

async fn until(mut it_holds: impl FnMut() -> bool) {
    while !it_holds() {
        tokio::task::yield_now().await;
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Every other hundred calls with a token that is refused wait for another when they are broken off.
#[tokio::test]
async fn ten_thousand_callers_of_it_that_go_away_at_any_octet_leave_no_task_buffer_or_connection() {
    let (world, budget, gateway) = world(Version::Http2).await;
    let address = gateway.authority.as_str();
    let send = |octets: usize| async move {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(&CALL[..octets]).await.unwrap();
        caller
    };
    let served = async || {
        let order = Order::new(1);
        let response = rollover::Client::send(&gateway, order).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
    };
    served().await;
    // The background task, the caller's connection and the upstream's are there by then, and stay.
    let before = tasks();
    // All of them in turn, and those of any hundred from all over it.
    let mut octets = (0..).map(|number| 1 + number * 37 % (CALL.len() - 1));
    for round in 0..100 {
        let refused = round % 2 == 1;
        if refused {
            // The cool-down after the round before is over.
            world.clock.advance(Duration::from_secs(2));
            world.server.rollover();
            world.server.hold();
            world.resource.refuse_early(true);
        }
        let mut callers = Vec::new();
        for octets in octets.by_ref().take(100) {
            callers.push(send(octets).await);
        }
        if refused {
            world.server.wait_until_held(1).await;
        }
        drop(callers);
        if refused {
            world.server.release();
            world.resource.refuse_early(false);
        }
        until(|| tasks() <= before).await;
        assert_eq!(budget.used(), 0, "{round}");
        assert_eq!(world.resource.counters().open_connections, 1, "{round}");
        served().await;
        // Whoever was cut off has not been taken for whole.
        for call in world.resource.calls() {
            let body = call.body().filter(|body| body.is_complete());
            assert!(body.is_none_or(|body| Order::new(1).is(body)), "{call:?}");
        }
        world.resource.forget();
    }
    assert_eq!(world.token_requests(), 1 + 50);
}
