//! A gateway: an axum server that passes on what it receives, with a token, while it streams.

use std::net::Ipv4Addr;

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode, Uri, header::HOST, uri::Authority};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, task::JoinHandle};
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
