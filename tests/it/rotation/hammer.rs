//! Rotations in a row, under load.

use http::StatusCode;
use tower_oauth::{
    client_auth::{PrivateKeyJwt, SelfSignedTlsClientAuth},
    keystore::RotatingIdentity,
    testing::{Answer, Client, ClientPem, FakeResourceBuilder},
};

use super::{World, world::Load};

const WORKERS: usize = 8;

const ROTATIONS: u64 = 5;

type Terms = fn(FakeResourceBuilder<'_>) -> FakeResourceBuilder<'_>;

#[tokio::test(flavor = "multi_thread")]
async fn no_call_notices_that_the_certificate_changes() {
    let all: [(&str, Terms); 4] = [
        ("TLS 1.2, HTTP/1.1", |it| it.tls12_only().http1_only()),
        ("TLS 1.2, HTTP/2", |it| it.tls12_only()),
        ("TLS 1.3, HTTP/1.1", |it| it.http1_only()),
        ("TLS 1.3, HTTP/2", |it| it),
    ];
    for (name, terms) in all {
        hammer(name, World::with_resource(terms).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_that_resumes_a_session_for_itself() {
    for tls12 in [false, true] {
        let world = World::with_resource(|it| {
            let it = it.http1_only();
            if tls12 { it.tls12_only() } else { it }
        });
        let world = world.await;
        let alone = Answer::new(StatusCode::OK).header("connection", "close");
        world.resource.set_acceptance(alone);
        hammer("a connection for each call", world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn self_signed_certificates_rotate_the_same_way() {
    let auth = |identity, _: &str| SelfSignedTlsClientAuth::new(identity);
    let terms: Terms = |it| it.allow_self_signed();
    let world = World::build(terms, auth, |source, _| source).await;
    hammer_with("self-signed", world, |world, _| {
        world.pki.self_signed_client("orders").unwrap()
    })
    .await;
}

async fn hammer(name: &str, world: World) {
    // Every other one is renewed for the same key.
    hammer_with(name, world, |world, turn| match turn % 2 {
        0 => world.pki.client("orders").unwrap(),
        _ => world.pki.renewed(&world.now, "orders").unwrap(),
    })
    .await;
}

async fn hammer_with(name: &str, mut world: World, next: impl Fn(&World, u64) -> ClientPem) {
    let api = world.api();
    world.call(&api).await;
    let load = Load::start(&world, &api, WORKERS);
    for turn in 0..ROTATIONS {
        load.turn().await;
        let old = world.now.clone();
        let next = next(&world, turn);
        world.rotate(next).await;
        // Calls that began with the old pair may end with it.
        load.turn().await;
        let mark = world.mark().await;
        load.turn().await;
        load.turn().await;
        assert_eq!(world.handshakes_since(mark, &old), 0, "{name}");
    }
    let calls = load.end().await;
    assert!(calls >= ROTATIONS * WORKERS as u64);
    let counters = world.resource.counters();
    // The mark's own calls have no token, and no other was refused.
    assert_eq!(counters.mismatched, 0, "{name}");
    assert_eq!(counters.refused, ROTATIONS, "{name}");
    // One token for each identity, and nobody asked twice.
    let requests = world.server.counters().token_requests;
    assert_eq!(requests, 1 + ROTATIONS, "{name}");

    // Of all the connections only those of the last identity are left, and none without a client.
    let last = world.handshakes_since(0, &world.now) as u64;
    while world.resource.counters().open_connections > last {
        tokio::task::yield_now().await;
    }
    drop(api);
    while world.resource.counters().open_connections > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_signed_with_the_key_whose_certificate_is_shown() {
    let auth = |identity: RotatingIdentity, issuer: &str| {
        PrivateKeyJwt::from_identity(identity).issuer(issuer)
    };
    let world = World::build(|it| it, auth, |source, identity| source.identity(identity));
    let mut world = world.await;
    let api = world.api();
    world.server.register(signing(&world.now));
    world.call(&api).await;
    let load = Load::start(&world, &api, WORKERS);
    for _ in 0..3 {
        // The server knows one key at a time, and takes no assertion by another.
        let next = world.pki.client("orders").unwrap();
        world.server.register(signing(&next));
        world.adopt(next).await;
        load.turn().await;
    }
    load.end().await;
    assert_eq!(world.resource.counters().refused, 0);
    assert_eq!(world.server.counters().private_key_jwt, 4);
    assert_eq!(world.server.counters().rejected, 0);
    for request in world.server.requests() {
        assert!(request.certificate_thumbprint().is_some());
    }
}

fn signing(pem: &ClientPem) -> Client {
    let client = Client::private_key_jwt("orders", pem.public_key_pem());
    client.unwrap().bind_tokens()
}
