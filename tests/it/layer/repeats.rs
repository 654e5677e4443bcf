//! What is sent, and sent again.

use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use http::{Extensions, Method, Request, Version, header::AUTHORIZATION, request::Parts};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth::body::{ReplayBody, RetryBody};

use crate::support::{World, refusal};

/// What a resource saw that refuses the first token and takes the second.
async fn sent_twice<B>(request: Request<B>) -> [(Parts, Bytes); 2]
where
    B: RetryBody<Data = Bytes, Error: std::fmt::Debug> + Send + 'static,
    B::Spare: Send,
{
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    world.rollover();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut api = layer.layer(service_fn({
        let (world, seen) = (world.clone(), Arc::clone(&seen));
        move |request: Request<B>| {
            let (world, seen) = (world.clone(), Arc::clone(&seen));
            async move {
                let fine = world.accepts(&request);
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                seen.lock().unwrap().push((head, body));
                Ok::<_, tower_oauth::BoxError>(match fine {
                    true => http::Response::new("fine"),
                    false => refusal(),
                })
            }
        }
    }));
    let response = api.ready().await.unwrap().call(request).await.unwrap();
    assert_eq!(*response.body(), "fine");
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.try_into().unwrap()
}

#[derive(Clone, Debug, PartialEq)]
struct Tag(&'static str);

fn request<B>(body: B) -> Request<B> {
    Request::builder()
        .method(Method::from_bytes(b"PURGE").unwrap())
        .uri("https://api.example/orders?x=%20&x=2")
        .version(Version::HTTP_2)
        .header("x-b", "1")
        .header("accept", "a")
        .header("x-b", "2")
        .header("accept", "b")
        .header("x-a", &b"\xff"[..])
        .extension(Tag("kept"))
        .body(body)
        .unwrap()
}

fn assert_repeated([(first, body), (second, again)]: &[(Parts, Bytes); 2]) {
    assert_eq!(first.headers[AUTHORIZATION], "Bearer token-1");
    assert_eq!(second.headers[AUTHORIZATION], "Bearer token-2");
    for (head, _) in [(first, ()), (second, ())] {
        assert_eq!(head.method.as_str(), "PURGE");
        assert_eq!(head.uri, "https://api.example/orders?x=%20&x=2");
        assert_eq!(head.version, Version::HTTP_2);
        assert_eq!(head.extensions.get(), Some(&Tag("kept")));
    }
    let lines = |head: &Parts| -> Vec<_> {
        let lines = head
            .headers
            .iter()
            .filter(|(name, _)| *name != AUTHORIZATION);
        lines
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    assert_eq!(lines(first), lines(second));
    let names: Vec<_> = lines(first).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["x-b", "x-b", "accept", "accept", "x-a"]);
    assert_eq!(
        (&body[..], &again[..]),
        (&b"an order"[..], &b"an order"[..])
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_is_sent_again_as_it_was() {
    assert_repeated(&sent_twice(request(Full::from("an order"))).await);
    assert_repeated(&sent_twice(request(String::from("an order"))).await);
    assert_repeated(&sent_twice(request(ReplayBody::new(Full::<Bytes>::from("an order")))).await);
}

#[tokio::test(start_paused = true)]
async fn the_token_is_marked_as_sensitive_both_times() {
    for (head, _) in sent_twice(request(String::new())).await {
        assert!(head.headers[AUTHORIZATION].is_sensitive());
        assert!(!format!("{head:?}").contains("token-"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_response_is_gone_when_the_second_send_begins() {
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    let first = Mutex::new(Weak::new());
    let api = layer.layer(world.resource_that(move |_| {
        let mut first = first.lock().unwrap();
        assert!(first.upgrade().is_none(), "it is still held");
        let kept = Arc::new(());
        *first = Arc::downgrade(&kept);
        let mut response = refusal();
        response.extensions_mut().insert(kept);
        response
    }));
    let request = request(Full::from("an order"));
    let response = api.oneshot(request).await.unwrap();
    assert!(response.extensions().get::<Arc<()>>().is_some());
    assert_eq!(world.sends(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_ours_is_left_in_the_extensions() {
    for (mut head, _) in sent_twice(request(String::new())).await {
        head.extensions.remove::<Tag>();
        assert_eq!(head.extensions.len(), Extensions::new().len());
    }
}
