//! Layers that look at requests and responses, or change them.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING},
};
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{
    decompression::DecompressionLayer, set_header::SetRequestHeaderLayer, trace::TraceLayer,
};
use tower_oauth::service::Rejected;

use crate::support::{Body, World, layer, refusal, request};

/// Keeps lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn line(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// The world's resource, with bodies that are bodies.
fn resource(
    world: &World,
) -> impl Service<Request<Body>, Response = Response<Full<Bytes>>, Error = Infallible> + Clone + use<>
{
    let resource = world.resource();
    resource.map_response(|response| response.map(Full::from))
}

/// Logs a line for each request and each response.
macro_rules! trace {
    ($log:expr) => {{
        let (requests, responses) = ($log.clone(), $log.clone());
        TraceLayer::new_for_http()
            .on_request(move |request: &Request<Body>, _: &_| {
                requests.line(format!("{:?}", request.headers()));
            })
            .on_response(
                move |response: &Response<Full<Bytes>>, _: Duration, _: &_| {
                    responses.line(response.status().to_string());
                },
            )
    }};
}

#[tokio::test(start_paused = true)]
async fn a_trace_above_sees_one_call_without_a_token_and_how_it_ended() {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    let log = Log::default();
    ServiceBuilder::new()
        .layer(trace!(log))
        .layer(layer(handle))
        .service(resource(&world))
        .oneshot(request())
        .await
        .unwrap();
    assert_eq!(world.sends(), 2);
    assert_eq!(log.take(), ["{}", "200 OK"]);
}

#[tokio::test(start_paused = true)]
async fn a_trace_below_sees_every_send_and_a_token_that_does_not_show() {
    let world = World::new();
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    let log = Log::default();
    ServiceBuilder::new()
        .layer(layer(handle))
        .layer(trace!(log))
        .service(resource(&world))
        .oneshot(request())
        .await
        .unwrap();
    let head = r#"{"authorization": Sensitive}"#;
    let told = [head, "401 Unauthorized", head, "200 OK"];
    assert_eq!(log.take(), told);
}

/// A resource that logs what it gets, and refuses it.
fn refusing(
    log: &Log,
) -> impl Service<Request<Body>, Response = Response<&'static str>, Error = Infallible> + Clone + use<>
{
    let log = log.clone();
    service_fn(move |request: Request<Body>| {
        for (name, value) in request.headers() {
            log.line(format!("{name}: {}", value.to_str().unwrap()));
        }
        async { Ok(refusal()) }
    })
}

/// Sets this header to `set`.
fn set(name: HeaderName) -> SetRequestHeaderLayer<HeaderValue> {
    SetRequestHeaderLayer::overriding(name, HeaderValue::from_static("set"))
}

#[tokio::test(start_paused = true)]
async fn an_authorization_set_above_is_the_callers_own() {
    let world = World::new();
    let log = Log::default();
    let response = ServiceBuilder::new()
        .layer(set(AUTHORIZATION))
        .layer(world.layer())
        .service(refusing(&log))
        .oneshot(request())
        .await
        .unwrap();
    assert!(response.extensions().get::<Rejected>().is_none());
    assert_eq!(log.take(), ["authorization: set"]);
    assert_eq!(world.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_authorization_set_below_is_sent_in_place_of_a_token_that_is_blamed() {
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    let log = Log::default();
    let response = ServiceBuilder::new()
        .layer(layer)
        .layer(set(AUTHORIZATION))
        .service(refusing(&log))
        .oneshot(request())
        .await
        .unwrap();
    assert!(response.extensions().get::<Rejected>().is_some());
    assert_eq!(log.take(), ["authorization: set", "authorization: set"]);
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn any_other_header_set_above_or_below_is_on_both_sends() {
    let name = HeaderName::from_static("x-request-id");
    let log = Log::default();
    for above in [true, false] {
        let world = World::new();
        let layer = world.layer();
        layer.handle().ready().await.unwrap();
        let one = above.then(|| set(name.clone()));
        let other = (!above).then(|| set(name.clone()));
        ServiceBuilder::new()
            .option_layer(one)
            .layer(layer)
            .option_layer(other)
            .service(refusing(&log))
            .oneshot(request())
            .await
            .unwrap();
        let mut told = log.take();
        told.sort();
        let [first, second] = [
            "authorization: Bearer token-1",
            "authorization: Bearer token-2",
        ];
        let id = "x-request-id: set";
        assert_eq!(told, [first, second, id, id]);
    }
}

/// "who are you?"
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 43, 207, 200, 87, 72, 44, 74, 85, 168, 204, 47, 181, 7, 0,
    120, 23, 209, 44, 12, 0, 0, 0,
];

#[tokio::test(start_paused = true)]
async fn decompression_above_or_below_reads_the_answer_that_the_caller_gets() {
    let world = World::new();
    for above in [true, false] {
        let layer = world.layer();
        layer.handle().ready().await.unwrap();
        let compressed = service_fn(async |request: Request<Body>| {
            assert!(request.headers().contains_key(ACCEPT_ENCODING));
            assert!(request.headers().contains_key(AUTHORIZATION));
            let mut response = refusal().map(|_| Full::new(Bytes::from_static(GZIP)));
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(CONTENT_ENCODING, gzip);
            Ok::<_, Infallible>(response)
        });
        // The original 401, whose body the caller can read.
        let request = request();
        let body = if above {
            let stack = ServiceBuilder::new()
                .layer(DecompressionLayer::new())
                .layer(layer);
            let response = stack.service(compressed).oneshot(request).await.unwrap();
            assert!(response.extensions().get::<Rejected>().is_some());
            response.into_body().collect().await.unwrap().to_bytes()
        } else {
            let stack = ServiceBuilder::new()
                .layer(layer)
                .layer(DecompressionLayer::new());
            let response = stack.service(compressed).oneshot(request).await.unwrap();
            assert!(response.extensions().get::<Rejected>().is_some());
            response.into_body().collect().await.unwrap().to_bytes()
        };
        assert_eq!(body, "who are you?");
    }
}
