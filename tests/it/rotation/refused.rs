//! A new certificate that the authorization server doesn't take.

use std::time::Duration;

use tower_oauth::testing::Pki;

use super::{Seen, World, world::Load};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_the_server_refuses_leaves_the_old_pair_in_use() {
    let mut world = World::new().await;
    let api = world.api();
    world.call(&api).await;
    let load = Load::start(&world, &api, 8);
    let old = world.now.clone();
    let next = world.pki.client("orders").unwrap();
    world.files.write(&next);
    world.reload();
    world.until(&Seen::Refused).await;
    load.turn().await;

    let status = world.handle.status();
    assert!(status.usable);
    assert_eq!(status.certificate.as_deref(), Some(old.thumbprint()));
    let error = status.identity_error.expect("it is said why");
    assert_eq!(error.oauth_error(), Some("invalid_client"));
    assert_eq!(world.identity.current().thumbprint(), old.thumbprint());

    // It is tried again after a while by itself, and by then the server knows it.
    world.accept(&next);
    world.clock.advance(Duration::from_secs(60));
    world.until(&Seen::Rotated(next.thumbprint().into())).await;
    load.turn().await;
    load.end().await;
    assert!(world.handle.status().identity_error.is_none());
    assert_eq!(world.resource.counters().refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_that_ends_the_handshake() {
    let mut world = World::new().await;
    let api = world.api();
    world.call(&api).await;
    let load = Load::start(&world, &api, 8);
    let stranger = Pki::new().unwrap().client("orders").unwrap();
    world.files.write(&stranger);
    world.reload();
    world.until(&Seen::Refused).await;
    load.turn().await;
    load.end().await;
    let status = world.handle.status();
    assert_eq!(status.certificate.as_deref(), Some(world.now.thumbprint()));
    assert_eq!(world.resource.counters().refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_meanwhile_is_renewed_with_the_old_certificate() {
    let mut world = World::new().await;
    let api = world.api();
    world.call(&api).await;
    let next = world.pki.client("orders").unwrap();
    world.files.write(&next);
    world.reload();
    world.until(&Seen::Refused).await;
    world.server.rollover();
    world.call(&api).await;
    let requests = world.server.requests();
    let shown = requests.last().unwrap().certificate_thumbprint();
    assert_eq!(shown, Some(world.now.thumbprint()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_during_a_rotation_is_waited_out() {
    let mut world = World::new().await;
    let api = world.api();
    world.call(&api).await;
    let next = world.pki.client("orders").unwrap();
    world.accept(&next);
    world.server.take_down();
    world.files.write(&next);
    world.reload();
    world.until(&Seen::Refused).await;
    world.call(&api).await;
    world.server.bring_up();
    world.clock.advance(Duration::from_secs(60));
    world.until(&Seen::Rotated(next.thumbprint().into())).await;
    world.call(&api).await;
}
