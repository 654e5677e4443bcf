//! The way to an API.

use std::error::Error as StdError;

use http::{StatusCode, Version};
use tower::{Layer, ServiceExt};
use tower_oauth::{
    ErrorKind,
    service::{AllowedOrigins, OAuthLayer},
    testing::FakeProxy,
    tls::{Proxy, ProxyError, RotatingClient, TlsConfig, hyper_client},
    transport::Probe,
};

use super::{
    World,
    world::{PASSWORD, USER},
};
use crate::rotation::world as rotating;

#[tokio::test]
async fn an_api_is_called_over_http2_through_one_tunnel() {
    let world = World::new().await;
    world.proxy.require_basic_auth(USER, PASSWORD);
    let proxy = world.settings().basic_auth(USER, PASSWORD).unwrap();
    let tls = TlsConfig::new(world.trust()).identity(&world.identity());
    let client = hyper_client(&tls.proxy(proxy)).unwrap();
    for _ in 0..3 {
        let response = client.clone().oneshot(world.order()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    let calls = world.resource.calls();
    assert_eq!(calls.len(), 3);
    for call in calls {
        assert_eq!(call.version(), Version::HTTP_2);
        assert_eq!(
            call.certificate_thumbprint(),
            Some(world.keystore.thumbprint())
        );
        assert!(!call.headers().contains_key("proxy-authorization"));
    }
    let targets = world.proxy.requests();
    assert_eq!(targets.len(), 1);
    let address = world.resource.origin().strip_prefix("https://").unwrap();
    assert_eq!(targets[0].target(), address);
}

#[tokio::test]
async fn what_goes_wrong_at_the_proxy_is_found_in_the_chain() {
    let world = World::new().await;
    world.proxy.refuse(StatusCode::FORBIDDEN);
    let client = hyper_client(&world.tls()).unwrap();
    let error = client.oneshot(world.order()).await.unwrap_err();
    let mut found = None;
    let mut next: Option<&dyn StdError> = Some(&error);
    while let Some(error) = next {
        found = found.or(error.downcast_ref::<ProxyError>());
        next = error.source();
    }
    let Some(ProxyError::Refused { status, .. }) = found else {
        panic!("{error:?}");
    };
    assert_eq!(*status, StatusCode::FORBIDDEN);
    assert!(world.resource.handshakes().is_empty());
}

#[tokio::test]
async fn a_probe_goes_the_way_that_calls_go() {
    let world = World::new().await;
    let origin = world.resource.origin();
    let tls = world.tls().identity(&world.identity());
    let probe = Probe::connect(&tls, origin).await.unwrap();
    probe.handshake().await.outcome().unwrap();
    assert_eq!(world.proxy.requests().len(), 1);

    let direct = tls.clone().proxy(world.settings().no_proxy("127.0.0.1"));
    let probe = Probe::connect(&direct, origin).await.unwrap();
    probe.handshake().await.outcome().unwrap();
    assert_eq!(world.proxy.requests().len(), 1);

    world.proxy.close_early();
    let error = Probe::connect(&tls, origin).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Proxy, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_identity_has_tunnels_of_its_own() {
    let proxy = FakeProxy::start().await.unwrap();
    let settings = Proxy::http(proxy.url()).unwrap();
    let mut world = rotating::World::build(
        |resource| resource,
        |identity, _| tower_oauth::client_auth::TlsClientAuth::new(identity),
        |source, _| source.proxy(settings.clone()),
    )
    .await;
    let tls = TlsConfig::new(rotating::trust(&world.pki)).proxy(settings.clone());
    let client = RotatingClient::hyper(tls, &world.identity).unwrap();
    let origins = AllowedOrigins::new([world.resource.origin()]).unwrap();
    let api = OAuthLayer::new(world.handle.clone(), origins).layer(client);

    let first = world.now.clone();
    world.call(&api).await;
    let second = world.pki.client("orders").unwrap();
    world.rotate(second.clone()).await;
    world.call(&api).await;

    let shown = |handshakes: Vec<tower_oauth::testing::Handshake>| -> Vec<_> {
        let shown = handshakes.iter().map(|it| it.certificate_thumbprint());
        shown.map(|it| it.unwrap().to_owned()).collect()
    };
    let both = [first.thumbprint(), second.thumbprint()];
    assert_eq!(shown(world.resource.handshakes()), both);
    assert_eq!(shown(world.server.handshakes()), both);
    // A tunnel for each of these connections: none went directly, none was shared.
    assert_eq!(proxy.requests().len(), 4);
}
