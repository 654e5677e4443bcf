//! The caller's credentials don't go up.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth::{
    BoxError,
    body::ReplayBody,
    server::{StripInboundCredentialsLayer, Stripped},
    service::{Error, ForeignOrigin, OAuthLayer},
};

use super::{Upstream, fine, refused_at_first};
use crate::support::{World, origins};

const INBOUND: [&str; 6] = [
    "Authorization",
    "Proxy-Authorization",
    "DPoP",
    "X-Forwarded-Client-Cert",
    "Client-Cert",
    "Client-Cert-Chain",
];

const STAYS: [&str; 4] = ["cookie", "forwarded", "x-api-key", "x_request_id"];

/// Each of the caller's credentials, twice, and what isn't one.
fn fields() -> HeaderMap {
    let mut fields = HeaderMap::new();
    for name in INBOUND {
        let spellings = [name.to_uppercase(), name.to_owned(), name.replace('-', "_")];
        for name in spellings {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            fields.append(name, "the caller's".parse().unwrap());
        }
    }
    for name in STAYS {
        fields.append(name, "stays".parse().unwrap());
    }
    fields
}

fn names(fields: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

fn request<B>(body: B) -> Request<B> {
    let mut request = Request::post("https://api.example/orders")
        .body(body)
        .unwrap();
    *request.headers_mut() = fields();
    request
}

/// A stream with trailers.
fn streaming(
    trailers: HeaderMap,
) -> ReplayBody<impl Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static> {
    let body = Full::<Bytes>::from("an order");
    ReplayBody::new(body.with_trailers(std::future::ready(Some(Ok(trailers)))))
}

async fn strip(layer: StripInboundCredentialsLayer) -> HeaderMap {
    let upstream = Upstream::new(fine);
    let response = layer
        .layer(upstream.clone())
        .oneshot(request(Full::<Bytes>::default()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    upstream.only().headers
}

#[tokio::test]
async fn every_credential_of_the_caller_is_removed_in_any_spelling_and_number() {
    let seen = strip(StripInboundCredentialsLayer::new()).await;
    assert_eq!(names(&seen), STAYS);
}

#[tokio::test]
async fn cookies_and_other_fields_are_removed_by_setting() {
    let layer = StripInboundCredentialsLayer::new()
        .cookies()
        .field(HeaderName::from_static("x-api-key"));
    assert_eq!(names(&strip(layer).await), ["forwarded", "x_request_id"]);
}

/// Sends a stream with these trailers; what came of it.
async fn sent(trailers: HeaderMap) -> (Vec<Frame<Bytes>>, Option<u64>) {
    let layer = StripInboundCredentialsLayer::new();
    let collect = service_fn(async |request: Request<Stripped<_>>| {
        let mut body = request.into_body();
        let size = Body::size_hint(&body).exact();
        let mut frames = Vec::new();
        while let Some(frame) = BodyExt::frame(&mut body).await {
            frames.push(frame?);
        }
        assert!(Body::is_end_stream(&body));
        Ok::<_, BoxError>((frames, size))
    });
    let request = request(streaming(trailers));
    layer.layer(collect).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn credentials_in_trailers_are_removed_and_the_rest_stays() {
    let (frames, size) = sent(fields()).await;
    let [data, trailers] = &frames[..] else {
        panic!("{frames:?}");
    };
    assert_eq!(data.data_ref().unwrap(), "an order");
    let kept = names(trailers.trailers_ref().unwrap());
    assert_eq!(kept, STAYS);
    assert_eq!(size, Some(8));
}

#[tokio::test]
async fn trailers_that_were_nothing_but_credentials_are_not_sent() {
    let mut trailers = fields();
    for name in STAYS {
        trailers.remove(name);
    }
    let (frames, _) = sent(trailers).await;
    assert_eq!(frames.len(), 1, "{frames:?}");
}

#[tokio::test(start_paused = true)]
async fn both_sends_of_a_healed_call_are_whole_and_without_the_callers_credentials() {
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    let upstream = Upstream::new(refused_at_first);
    let response = ServiceBuilder::new()
        .layer(StripInboundCredentialsLayer::new())
        .layer(layer)
        .service(upstream.clone())
        .oneshot(request(streaming(fields())))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    for (seen, token) in seen.iter().zip(["Bearer token-1", "Bearer token-2"]) {
        let mut authorizations = seen.headers.get_all("authorization").iter();
        assert_eq!(authorizations.next().unwrap(), token);
        assert_eq!(authorizations.next(), None);
        for name in &INBOUND[1..] {
            assert!(!seen.headers.contains_key(*name), "{name}");
        }
        assert_eq!(seen.body, "an order");
        let trailers = names(seen.trailers.as_ref().unwrap());
        assert_eq!(trailers, STAYS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_origin_gets_neither_the_token_nor_the_callers_credentials() {
    let world = World::new();
    let upstream = Upstream::new(fine);
    let foreign = origins().foreign(ForeignOrigin::SendWithout);
    let mut request = request(Full::<Bytes>::default());
    *request.uri_mut() = "https://foreign.example/".parse().unwrap();
    let response = ServiceBuilder::new()
        .layer(StripInboundCredentialsLayer::new())
        .layer(OAuthLayer::new(world.handle(), foreign))
        .service(upstream.clone())
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(names(&upstream.only().headers), STAYS);
    assert_eq!(world.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_up_when_no_token_can_be_had() {
    let world = World::new();
    world.down();
    let upstream = Upstream::new(fine);
    // Without the layer the caller's own credential would have gone up in place of a token.
    let error = ServiceBuilder::new()
        .layer(StripInboundCredentialsLayer::new())
        .layer(world.layer())
        .service(upstream.clone())
        .oneshot(request(Full::<Bytes>::default()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Token(_)), "{error:?}");
    assert!(upstream.seen().is_empty());
}
