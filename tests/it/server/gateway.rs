//! What goes over the wires of a gateway.

mod world;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_oauth::testing::{Answer, FakeResource, ReceivedCall};

use self::world::World;

/// Everything that a caller may prove who it is with, in odd spellings and twice, in the head and
/// in the trailers of a chunked body.
const CALL: &str = "POST {path} HTTP/1.1\r\n\
    host: gateway.example\r\n\
    connection: close, x-hop\r\n\
    x-hop: inbound-hop\r\n\
    AUTHORIZATION: Bearer inbound-1\r\n\
    authorization: Basic inbound-2\r\n\
    Proxy-Authorization: Basic inbound-3\r\n\
    DPoP: inbound-4\r\n\
    X-Forwarded-Client-Cert: Hash=inbound-5\r\n\
    client_cert: :inbound-6:\r\n\
    Client-Cert: :inbound-7:\r\n\
    Client-Cert-Chain: :inbound-8:\r\n\
    Cookie: session=inbound-9\r\n\
    X-Request-Id: kept\r\n\
    transfer-encoding: chunked\r\n\
    trailer: authorization, dpop, x-checksum\r\n\
    \r\n\
    8\r\nan order\r\n0\r\n\
    authorization: Bearer inbound-10\r\n\
    dpop: inbound-11\r\n\
    x-checksum: kept\r\n\
    \r\n";

/// Makes the call; all octets that came down.
async fn call(world: &World, path: &str) -> String {
    send(world, &CALL.replace("{path}", path)).await
}

async fn send(world: &World, octets: &str) -> String {
    let address = world.gateway.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(octets.as_bytes()).await.unwrap();
    let mut down = Vec::new();
    connection.read_to_end(&mut down).await.unwrap();
    String::from_utf8(down).unwrap()
}

/// The upstream got so many calls, complete, and nothing of the caller's credentials.
#[track_caller]
fn assert_went_up(upstream: &FakeResource, tokens: &[bool]) {
    let calls = upstream.calls();
    let with_token: Vec<bool> = calls
        .iter()
        .map(|it| it.authorization().is_some())
        .collect();
    assert_eq!(with_token, tokens);
    for call in &calls {
        let body = call.body().unwrap();
        assert!(body.is(b"an order"), "{body:?}");
        assert_eq!(call.headers()["x-request-id"], "kept");
        // Proof that trailers go up at all.
        assert_eq!(body.trailers().unwrap()["x-checksum"], "kept");
        assert!(
            !on_the_wire(call).contains("inbound"),
            "{}",
            on_the_wire(call)
        );
    }
    upstream.forget();
}

fn on_the_wire(call: &ReceivedCall) -> String {
    let trailers = call.body().and_then(|body| body.trailers());
    format!("{} {:?} {trailers:?}", call.uri(), call.headers())
}

/// The caller got this status and body, and nothing that is about the gateway's credential.
#[track_caller]
fn assert_came_down(world: &World, down: &str, status: &str, body: &str) {
    assert!(down.starts_with(status), "{down}");
    let (head, got) = down.split_once("\r\n\r\n").unwrap();
    assert_eq!(got, body, "{down}");
    let head = head.to_lowercase();
    let servers = [
        world.server.issuer(),
        world.orders.origin(),
        world.public.origin(),
    ];
    let words = [
        "authenticat",
        "dpop",
        "bearer",
        "oauth",
        "token",
        "refuse",
        "fetch",
    ];
    for word in words.iter().chain(&servers) {
        assert!(!head.contains(word), "{word}: {down}");
    }
}

#[tokio::test]
async fn no_credential_of_the_caller_goes_up_and_no_diagnostic_of_ours_comes_down() {
    let world = World::start().await.unwrap();
    let chatty = |answer: Answer| {
        answer
            .header("www-authenticate", "Bearer realm=\"ours\"")
            .header("authentication-info", "nextnonce=\"ours\"")
            .header("proxy-authenticate", "Basic realm=\"ours\"")
            .header("dpop-nonce", "ours")
            .body("done")
    };
    world
        .orders
        .set_acceptance(chatty(Answer::new(http::StatusCode::CREATED)));

    // No token.
    world.server.take_down();
    let down = call(&world, "/orders/1").await;
    assert_came_down(&world, &down, "HTTP/1.1 503 ", "");
    assert!(down.contains("retry-after: 1\r\n"), "{down}");
    assert_went_up(&world.orders, &[]);

    // A foreign origin, while there is no token and when there is one.
    let refusal = chatty(Answer::new(http::StatusCode::OK));
    world
        .public
        .set_refusal(tower_oauth::testing::Refusal::Custom(refusal));
    let down = call(&world, "/public/1").await;
    assert_came_down(&world, &down, "HTTP/1.1 200 ", "done");
    assert_went_up(&world.public, &[false]);
    world.server.bring_up();
    world.clock.advance(Duration::from_secs(60));
    world.token.ready().await.unwrap();
    let down = call(&world, "/public/2").await;
    assert_came_down(&world, &down, "HTTP/1.1 200 ", "done");
    assert_went_up(&world.public, &[false]);

    // A foreign origin that wants to be authenticated to.
    world
        .public
        .set_refusal(tower_oauth::testing::Refusal::InvalidToken401);
    let down = call(&world, "/public/3").await;
    assert_came_down(&world, &down, "HTTP/1.1 502 ", "");
    assert_went_up(&world.public, &[false]);

    // A token.
    let down = call(&world, "/orders/2").await;
    assert_came_down(&world, &down, "HTTP/1.1 201 ", "done");
    assert_went_up(&world.orders, &[true]);

    // A retry, healed.
    world.server.rollover();
    let down = call(&world, "/orders/3").await;
    assert_came_down(&world, &down, "HTTP/1.1 201 ", "done");
    assert_went_up(&world.orders, &[true, true]);

    // A retry that heals nothing, with the token sent back in every place.
    world.orders.refuse_all(true);
    world.orders.set_hostile(true);
    world.clock.advance(Duration::from_secs(60));
    let down = call(&world, "/orders/4").await;
    assert_came_down(&world, &down, "HTTP/1.1 502 ", "");
    assert_went_up(&world.orders, &[true, true]);
}

#[tokio::test]
async fn a_probe_by_head_gets_no_body_over_the_wire() {
    let world = World::start().await.unwrap();
    let head = "HEAD /ready HTTP/1.1\r\nhost: gateway.example\r\nconnection: close\r\n\r\n";
    let (head, get) = (
        send(&world, head).await,
        send(&world, &head.replace("HEAD", "GET")).await,
    );
    let (told, body) = get.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"ready":true,"token":"unfetched"}"#);
    let length = format!("content-length: {}", body.len());
    assert!(told.contains(&length), "{told}");
    assert!(head.contains(&length), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}
