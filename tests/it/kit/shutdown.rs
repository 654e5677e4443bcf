//! When a handle goes, everything of it goes.

use std::{future::pending, net::SocketAddr};

use tokio::{io::AsyncReadExt, net::TcpStream, runtime::Handle, task::yield_now};

use super::{Kit, Wire};

fn address(origin: &str) -> SocketAddr {
    origin.trim_start_matches("https://").parse().unwrap()
}

#[tokio::test]
async fn the_ports_are_free_after_a_shutdown() {
    let kit = Kit::new().await;
    let ports = [address(kit.server.issuer()), address(kit.resource.origin())];
    for port in ports {
        TcpStream::connect(port).await.unwrap();
    }
    kit.server.shutdown().await;
    kit.resource.shutdown().await;
    for port in ports {
        TcpStream::connect(port).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_dropped_server_takes_its_listener_and_its_connections_along() {
    let kit = Kit::new().await;
    let port = address(kit.server.issuer());
    let mut open = TcpStream::connect(port).await.unwrap();
    drop(kit.server);
    // The end of the connection, orderly or not, says that the listener is gone too.
    let _ = open.read(&mut [0]).await;
    TcpStream::connect(port).await.unwrap_err();
}

#[tokio::test]
async fn no_task_outlives_a_dropped_resource() {
    let kit = Kit::new().await;
    let authorization = kit.minted();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let uri = kit.resource.uri("/").to_string();
    kit.resource.hold();

    let wires = [Wire::new(&kit.pki, None), Wire::http2(&kit.pki, None)];
    let headers = [("authorization", authorization.as_str())];
    {
        let calls = async {
            let (h1, h2) = (wires[0].get(&uri, &headers), wires[1].get(&uri, &headers));
            let (h1, h2) = tokio::join!(h1, h2);
            h1.unwrap_err();
            h2.unwrap_err();
        };
        let dropping = async {
            kit.resource.wait_until_held(2).await;
            drop(kit.resource);
        };
        tokio::join!(calls, dropping);
    }
    drop(wires);
    // One task is left: the authorization server's listener.
    for _ in 0..10_000 {
        if tasks() == 1 {
            return;
        }
        yield_now().await;
    }
    panic!("{} tasks are left", tasks());
}

#[tokio::test]
async fn a_held_stream_ends_with_its_connection() {
    let kit = Kit::new().await;
    let authorization = kit.minted();
    let uri = kit.resource.uri("/").to_string();
    let wire = Wire::http2(&kit.pki, None);
    let headers = [("authorization", authorization.as_str())];
    kit.resource.hold();
    let call = wire.get(&uri, &headers);
    let outage = async {
        kit.resource.wait_until_held(1).await;
        kit.resource.take_down();
        pending::<()>().await;
    };
    tokio::select! {
        reply = call => drop(reply.unwrap_err()),
        () = outage => {}
    }
    kit.resource.bring_up();
    kit.resource.release();
    let reply = wire.get(&uri, &headers).await.unwrap();
    assert_eq!(reply.status, 200);
    // The first call was broken off where it was held: it is neither accepted nor refused.
    let counters = kit.resource.counters();
    assert_eq!(
        (counters.calls, counters.accepted, counters.refused),
        (2, 1, 0)
    );
}
