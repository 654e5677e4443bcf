//! An egress gateway, and what goes over its wires.

#[path = "../../../examples/axum_gateway/main.rs"]
#[allow(dead_code, reason = "its `main` isn't called here")]
mod example;

use std::{io::ErrorKind, sync::Arc};

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use tower_oauth::testing::{Answer, ClientPem, Pki};

use self::example::world::{Told, World, host};

#[tokio::test(flavor = "multi_thread")]
async fn the_example_tells_its_story() {
    let mut told = Vec::new();
    example::run(&mut told).await.unwrap();
    assert_eq!(
        String::from_utf8(told).unwrap(),
        "\
the shop calls orders: 200
the office calls bills: 200
the shop calls bills: 403
a stranger calls orders: 403
the file changes while the shop calls: orders-next
a file with a mistake is refused: still orders-next
as told
"
    );
}

/// A connection to the gateway as this caller; all octets that come down for these.
async fn send(world: &World, caller: &ClientPem, octets: String) -> String {
    let mut connection = connect(world, caller).await;
    connection.write_all(octets.as_bytes()).await.unwrap();
    let mut down = Vec::new();
    match connection.read_to_end(&mut down).await {
        Ok(_) => {}
        // hyper doesn't say goodbye in TLS where an upgrade was asked for.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(down).unwrap()
}

async fn connect(world: &World, caller: &ClientPem) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(world.pki.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let chain = CertificateDer::pem_slice_iter(caller.certificate_pem().as_bytes());
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            chain.map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_slice(caller.key_pem().as_bytes()).unwrap(),
        )
        .unwrap();
    let tcp = TcpStream::connect(world.address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, tcp).await.unwrap()
}

fn get(host: &str) -> String {
    format!("GET /orders?day=1 HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

#[track_caller]
fn assert_status(down: &str, status: &str) {
    assert!(down.starts_with(&format!("HTTP/1.1 {status} ")), "{down}");
}

#[tokio::test]
async fn a_caller_gets_through_to_the_hosts_that_it_was_granted_and_to_no_other() {
    let world = World::start().await.unwrap();
    let (orders, bills) = (host(&world.orders), host(&world.bills));
    for (caller, to, status) in [
        (&world.shop, orders, "200"),
        (&world.office, bills, "200"),
        (&world.shop, bills, "403"),
        (&world.office, orders, "403"),
        (&world.stranger, orders, "403"),
        (&world.stranger, bills, "403"),
        (&world.shop, "unknown.example", "403"),
        // Not the host that was granted, however much it looks like it.
        (&world.shop, &format!("{orders}@unknown.example"), "403"),
        (&world.shop, &format!("someone@{orders}"), "403"),
        (&world.shop, "", "403"),
    ] {
        let down = send(&world, caller, get(to)).await;
        assert_status(&down, status);
    }
    // An absolute target counts, and not the field `Host` (RFC 9112 section 3.2.2).
    let absolute = |target: &str, host: &str| {
        get(host).replace("/orders?", &format!("https://{target}/orders?"))
    };
    assert_status(
        &send(&world, &world.shop, absolute(bills, orders)).await,
        "403",
    );
    assert_status(
        &send(&world, &world.shop, absolute(orders, bills)).await,
        "200",
    );

    assert_eq!(world.orders.counters().calls, 2);
    assert_eq!(world.bills.counters().calls, 1);
    for call in world.orders.calls() {
        assert_eq!(call.uri().path_and_query().unwrap(), "/orders?day=1");
        assert_eq!(call.accepted(), Some(true));
    }
    // Nobody was given a token for what is refused.
    assert_eq!(world.server.counters().token_requests, 2);
}

#[tokio::test]
async fn a_caller_without_a_certificate_of_the_authority_has_no_connection() {
    let world = World::start().await.unwrap();
    let foreign = Pki::new().unwrap().client("shop").unwrap();
    // In TLS 1.3 the handshake ends for the client before its certificate was looked at.
    let mut connection = connect(&world, &foreign).await;
    let _ = connection
        .write_all(get(host(&world.orders)).as_bytes())
        .await;
    assert!(connection.read_to_end(&mut Vec::new()).await.is_err());
    assert_eq!(world.orders.counters().calls, 0);
}

#[tokio::test]
async fn a_caller_that_never_ends_its_handshake_keeps_nobody_waiting() {
    let world = World::start().await.unwrap();
    let _silent = TcpStream::connect(world.address).await.unwrap();
    let down = send(&world, &world.shop, get(host(&world.orders))).await;
    assert_status(&down, "200");
}

#[tokio::test]
async fn what_is_for_one_hop_passes_neither_up_nor_down() {
    let world = World::start().await.unwrap();
    let mut answer = Answer::new(StatusCode::OK).body("done");
    for (name, value) in [
        ("connection", "x-hop"),
        ("x-hop", "hop"),
        ("keep-alive", "timeout=hop"),
        ("proxy-authenticate", "Basic realm=\"hop\""),
        ("proxy-authentication-info", "nextnonce=\"hop\""),
        ("x-kept", "kept"),
    ] {
        answer = answer.header(name, value);
    }
    world.orders.set_acceptance(answer);
    let octets = format!(
        "POST /orders HTTP/1.1\r\n\
         host: {}\r\n\
         connection: close, x-hop, Keep-Alive\r\n\
         connection: x-another-hop\r\n\
         x-hop: hop\r\n\
         x-another-hop: hop\r\n\
         keep-alive: timeout=hop\r\n\
         proxy-connection: hop\r\n\
         proxy-authorization: Basic hop\r\n\
         te: hop, trailers\r\n\
         upgrade: hop/1\r\n\
         authorization: Bearer hop\r\n\
         x-kept: kept\r\n\
         transfer-encoding: chunked\r\n\
         trailer: x-sum\r\n\
         \r\n\
         3\r\ntea\r\n0\r\nx-sum: 3\r\n\r\n",
        host(&world.orders),
    );
    let down = send(&world, &world.shop, octets).await;
    assert_status(&down, "200");
    let (head, body) = down.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "done");
    assert!(head.contains("x-kept: kept"), "{head}");
    assert!(!head.contains("hop"), "{head}");

    let calls = world.orders.calls();
    let [call] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    let up = format!("{:?}", call.headers());
    assert!(!up.contains("hop"), "{up}");
    assert_eq!(call.headers()["te"], "trailers");
    assert_eq!(call.headers()["x-kept"], "kept");
    let body = call.body().unwrap();
    assert!(body.is(b"tea"), "{body:?}");
    assert_eq!(body.trailers().unwrap()["x-sum"], "3");
}

#[tokio::test]
async fn a_changed_file_is_taken_and_a_refused_one_changes_nothing() {
    let mut world = World::start().await.unwrap();
    let shop = world.shop.clone();
    assert_status(&send(&world, &shop, get(host(&world.orders))).await, "200");
    let last_token = |world: &World| {
        let calls = world.orders.calls();
        calls.last().unwrap().authorization().unwrap().to_owned()
    };
    let first = last_token(&world);

    let next = world.profiles("orders-next");
    assert_eq!(world.change(&next).await.unwrap(), Told::Changed);
    assert_eq!(world.client_id(), "orders-next");
    assert_status(&send(&world, &shop, get(host(&world.orders))).await, "200");
    let second = last_token(&world);
    assert_ne!(first, second);

    let broken = world.profiles("orders").replace("client_id", "client");
    let refused = world.change(&broken).await.unwrap();
    assert!(matches!(refused, Told::Refused(_)), "{refused:?}");
    assert_eq!(world.client_id(), "orders-next");
    assert_status(&send(&world, &shop, get(host(&world.orders))).await, "200");
    assert_eq!(last_token(&world), second);
}
