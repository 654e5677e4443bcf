//! Files that somebody writes one after the other, or breaks off.

use super::{Seen, World};

#[tokio::test(flavor = "multi_thread")]
async fn half_a_pair_never_goes_out_and_stops_no_call() {
    for certificate_first in [true, false] {
        let mut world = World::new().await;
        let api = world.api();
        world.call(&api).await;
        let next = world.pki.client("orders").unwrap();
        world.accept(&next);
        if certificate_first {
            world.files.write_certificate(next.certificate_pem());
        } else {
            world.files.write_key(next.key_pem());
        }
        let Seen::ReloadFailed(error) = world.calling_until_an_event(&api).await else {
            panic!("half a pair is no identity");
        };
        assert!(error.contains("client.key is not that of"), "{error}");
        let status = world.handle.status();
        assert!(status.identity_error.is_some());
        assert_eq!(status.certificate.as_deref(), Some(world.now.thumbprint()));

        world.files.write(&next);
        let seen = world.calling_until_an_event(&api).await;
        assert_eq!(seen, Seen::Rotated(next.thumbprint().into()));
        world.call(&api).await;
        assert!(world.handle.status().identity_error.is_none());
        assert_eq!(world.resource.counters().refused, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_short_at_any_place_does_neither() {
    let mut world = World::new().await;
    let api = world.api();
    world.call(&api).await;
    let next = world.pki.client("orders").unwrap();
    world.accept(&next);
    for (certificate, key) in [
        (0, 0),
        (100, 0),
        (1000, 100),
        (usize::MAX, 120),
        (100, usize::MAX),
    ] {
        let cut = |text: &str, at: usize| text[..at.min(text.len())].to_owned();
        let certificate = cut(next.certificate_pem(), certificate);
        world.files.write_certificate(&certificate);
        world.files.write_key(&cut(next.key_pem(), key));
        let seen = world.calling_until_an_event(&api).await;
        assert!(matches!(seen, Seen::ReloadFailed(_)), "{seen:?}");
        let status = world.handle.status();
        assert_eq!(status.certificate.as_deref(), Some(world.now.thumbprint()));
    }
    // Back to what was: nothing to be told, and nothing is wrong any more.
    world.files.write(&world.now);
    while world.handle.status().identity_error.is_some() {
        world.call(&api).await;
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    world.rotate(next).await;
    world.call(&api).await;
    assert_eq!(world.resource.counters().refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_for_the_same_key_is_a_new_identity() {
    let mut world = World::new().await;
    let api = world.api();
    world.call(&api).await;
    let next = world.pki.renewed(&world.now, "orders").unwrap();
    assert_eq!(next.key_pem(), world.now.key_pem());
    world.accept(&next);
    world.files.write_certificate(next.certificate_pem());
    let seen = world.calling_until_an_event(&api).await;
    assert_eq!(seen, Seen::Rotated(next.thumbprint().into()));
    world.call(&api).await;
    let calls = world.resource.calls();
    let shown = calls.last().unwrap().certificate_thumbprint();
    assert_eq!(shown, Some(next.thumbprint()));
    assert_eq!(world.resource.counters().refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_changes_nothing() {
    let mut world = World::new().await;
    let api = world.api();
    world.call(&api).await;
    std::fs::remove_file(world.files.key()).unwrap();
    let Seen::ReloadFailed(error) = world.calling_until_an_event(&api).await else {
        panic!("there is no key");
    };
    assert!(error.contains("client.key can't be read"), "{error}");
    world.call(&api).await;
}
