//! reqwest follows redirects below the middleware.

use std::sync::{Arc, OnceLock};

use http::{StatusCode, header::AUTHORIZATION};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower_oauth::{
    service::{Rejected, RejectedReason},
    testing::{Answer, FakeResource},
};

use super::{
    plain::{self, Plain, refusal},
    stream::streamed,
    world::{World, api, client, layer, plain_client},
};
use crate::support;

/// Servers that want to have the token: their addresses, and what they were sent.
struct Hostile {
    other: FakeResource,
    plain: Plain,
}

impl Hostile {
    async fn new(world: &World) -> Self {
        // They refuse every token, so that a new one would be got for them.
        let other = FakeResource::builder(&world.pki).start().await.unwrap();
        let plain = Plain::start(|_| async { Ok(refusal()) }).await;
        Self { other, plain }
    }

    /// Another port, another host, and no TLS.
    fn addresses(&self) -> [String; 3] {
        let port = self.other.origin();
        [
            format!("{port}/steal"),
            format!("{}/steal", port.replace("127.0.0.1", "localhost")),
            self.plain.url("/steal"),
        ]
    }

    /// How many calls there were. None had a credential, whatever the redirect.
    fn calls(&self) -> usize {
        let other = self.other.calls();
        let plain = self.plain.calls();
        let headers = other.iter().map(|call| call.headers());
        for headers in headers.chain(plain.iter().map(|(_, headers)| headers)) {
            assert!(!headers.contains_key(AUTHORIZATION), "{headers:?}");
        }
        other.len() + plain.len()
    }
}

fn to(status: StatusCode, address: &str) -> Answer {
    Answer::new(status).header("location", address)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_origin_gets_no_token_and_its_refusal_is_none() {
    let world = World::new().await;
    let hostile = Hostile::new(&world).await;
    let api = world.api();
    let mut followed = 0;
    for address in hostile.addresses() {
        for status in [
            StatusCode::MOVED_PERMANENTLY,
            StatusCode::FOUND,
            StatusCode::SEE_OTHER,
            StatusCode::TEMPORARY_REDIRECT,
            StatusCode::PERMANENT_REDIRECT,
        ] {
            world.resource.set_acceptance(to(status, &address));
            let response = api.post(world.orders()).body("an order").send().await;
            let response = response.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.url().as_str(), address);
            assert!(response.extensions().get::<Rejected>().is_none());
            followed += 1;
            assert_eq!(hostile.calls(), followed, "{status} {address}");
        }
    }
    assert_eq!(world.token_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_when_the_redirect_comes_after_a_rollover() {
    for at in 0..3 {
        let world = World::new().await;
        let hostile = Hostile::new(&world).await;
        let address = &hostile.addresses()[at];
        world.handle.ready().await.unwrap();
        world.server.rollover();
        let status = StatusCode::TEMPORARY_REDIRECT;
        world.resource.set_acceptance(to(status, address));
        let response = world.api().post(world.orders()).body("an order").send();
        assert_eq!(response.await.unwrap().url().as_str(), address);
        assert_eq!(hostile.calls(), 1);
        assert_eq!(world.token_requests(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_kept_does_not_follow_a_redirect() {
    let world = World::new().await;
    let hostile = Hostile::new(&world).await;
    let api = world.api();
    for address in hostile.addresses() {
        let again = to(StatusCode::TEMPORARY_REDIRECT, &address);
        world.resource.set_acceptance(again);
        let body = streamed(&"an order".into());
        let response = api.post(world.orders()).body(body).send().await.unwrap();
        // Whoever has only a stream can't send it twice: the redirect itself is the answer.
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    }
    assert_eq!(hostile.calls(), 0);
}

/// One port for both: TLS goes to the one, and all else to the other.
async fn shared_port(tls: String, plain: String) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let (tls, plain) = (tls.clone(), plain.clone());
            connections.spawn(async move {
                let mut first = [0];
                near.peek(&mut first).await.unwrap();
                // 22 begins a handshake (RFC 8446 section 5.1).
                let far = if first == [22] { tls } else { plain };
                let mut far = TcpStream::connect(far).await.unwrap();
                // Either may be gone.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (authority, tasks)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_port_without_tls_gets_no_token_either() {
    let world = World::new().await;
    let plain = Plain::start(|_| async { Ok(refusal()) }).await;
    let tls = world.resource.origin().replace("https://", "");
    let (authority, _tasks) = shared_port(tls, plain.origin().replace("http://", "")).await;
    let address = format!("http://{authority}/steal");
    let found = to(StatusCode::FOUND, &address);
    world.resource.set_acceptance(found);
    let origin = format!("https://{authority}");
    let api = api(client(&world.pki), layer(world.handle.clone(), &origin));
    let response = api.get(format!("{origin}/orders")).send().await.unwrap();
    assert_eq!(response.url().as_str(), address);
    assert_eq!(world.resource.counters().accepted, 1);
    let [(_, headers)] = &plain.calls()[..] else {
        panic!("{:?}", plain.paths());
    };
    assert!(!headers.contains_key(AUTHORIZATION), "{headers:?}");
    assert!(response.extensions().get::<Rejected>().is_none());
    assert_eq!(world.token_requests(), 1);
}

/// The client takes the token off on the way, and nothing tells that from here.
#[tokio::test]
async fn a_refusal_behind_a_redirect_elsewhere_and_back_is_one_but_elsewhere_never_has_the_token() {
    let world = support::World::new();
    world.latency(std::time::Duration::ZERO);
    let back = Arc::new(OnceLock::new());
    let to = Arc::clone(&back);
    let elsewhere = Plain::start(move |_| {
        let back: &String = to.get().unwrap();
        let answer = plain::redirect(StatusCode::TEMPORARY_REDIRECT, back);
        async { Ok(answer) }
    })
    .await;
    let away = elsewhere.url("/steal");
    let server = Plain::start(move |request| {
        let answer = match request.uri().path() {
            "/old" => plain::redirect(StatusCode::TEMPORARY_REDIRECT, &away),
            _ => refusal(),
        };
        async { Ok(answer) }
    })
    .await;
    back.set(server.url("/new")).unwrap();
    let handle = world.handle();
    handle.ready().await.unwrap();
    let api = api(plain_client(), layer(handle, &server.origin()));
    let response = api.post(server.url("/old")).body("an order").send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert!(matches!(rejected.reason(), RejectedReason::Again));
    // Once for each send; a third there never is.
    assert_eq!(elsewhere.paths(), ["/steal"; 2]);
    for (path, headers) in elsewhere.calls().iter().chain(&server.calls()) {
        let has_token = headers.contains_key(AUTHORIZATION);
        assert_eq!(has_token, path == "/old", "{path}");
    }
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn a_refusal_within_the_origin_is_one_and_healed() {
    let world = support::World::new();
    world.latency(std::time::Duration::ZERO);
    let seen = world.clone();
    let server = Plain::start(move |request| {
        let answer = match request.uri().path() {
            "/old" => plain::redirect(StatusCode::FOUND, "/new"),
            _ if seen.accepts(&request) => plain::answer(StatusCode::OK),
            _ => refusal(),
        };
        async { Ok(answer) }
    })
    .await;
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    let api = api(plain_client(), layer(handle, &server.origin()));
    let response = api.get(server.url("/old")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().path(), "/new");
    assert_eq!(server.paths(), ["/old", "/new", "/old", "/new"]);
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn a_refusal_at_the_end_of_a_redirect_is_told_of_as_any_other() {
    let world = support::World::new();
    world.latency(std::time::Duration::ZERO);
    let server = Plain::start(|request| {
        let answer = match request.uri().path() {
            "/old" => plain::redirect(StatusCode::FOUND, "/new"),
            _ => refusal(),
        };
        async { Ok(answer) }
    })
    .await;
    let api = api(plain_client(), layer(world.handle(), &server.origin()));
    let response = api.get(server.url("/old")).send().await.unwrap();
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert_eq!(rejected.origin(), server.origin());
    let reason = rejected.reason();
    assert!(matches!(reason, RejectedReason::Fresh), "{reason:?}");
}
