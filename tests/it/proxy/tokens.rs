//! The way to the authorization server.

use tower_oauth::tls::{Proxy, TlsConfig};
use tower_oauth::{grant::BuildError, grant::ClientCredentials, transport::HttpClient};

use super::{
    World,
    world::{PASSWORD, USER, fetch},
};

#[tokio::test]
async fn a_certificate_reaches_the_server_through_the_tunnel() {
    let world = World::new().await;
    fetch(world.source()).await.unwrap();
    let requests = world.server.requests();
    let shown = requests[0].certificate_thumbprint();
    assert_eq!(shown, Some(world.keystore.thumbprint()));
    let tunnels = world.proxy.requests();
    assert_eq!(tunnels.len(), 1);
    assert_eq!(tunnels[0].target(), world.server_address());
    let names: Vec<_> = tunnels[0].headers().keys().collect();
    assert_eq!(names, ["host"]);
    assert_eq!(tunnels[0].headers()["host"], world.server_address());
}

#[tokio::test]
async fn credentials_of_the_proxy_go_to_the_proxy_only() {
    let world = World::new().await;
    world.proxy.require_basic_auth(USER, PASSWORD);
    let address = world
        .proxy
        .url()
        .replace("//", &format!("//{USER}:{PASSWORD}@"));
    for proxy in [
        world.settings().basic_auth(USER, PASSWORD).unwrap(),
        Proxy::http(&address).unwrap(),
    ] {
        fetch(world.source().proxy(proxy.clone())).await.unwrap();
        let shown = format!(
            "{proxy:?} {:?}",
            TlsConfig::new(world.trust()).proxy(proxy.clone())
        );
        assert!(shown.contains(world.proxy.url()), "{shown}");
        assert!(
            !shown.contains(USER) && !shown.contains(PASSWORD),
            "{shown}"
        );
    }
    for tunnel in world.proxy.requests() {
        assert!(tunnel.headers()["proxy-authorization"].is_sensitive());
    }
    for request in world.server.requests() {
        assert!(!request.headers().contains_key("proxy-authorization"));
        assert!(!request.headers().contains_key("authorization"));
    }
    assert_eq!(world.server.requests().len(), 2);
}

#[tokio::test]
async fn a_host_in_no_proxy_is_reached_directly() {
    let world = World::new().await;
    let proxy = world.settings().no_proxy("127.0.0.0/8");
    fetch(world.source().proxy(proxy)).await.unwrap();
    assert!(world.proxy.requests().is_empty());
}

#[tokio::test]
async fn an_endpoint_in_plain_http_takes_no_proxy() {
    let world = World::new().await;
    let source = |proxy| {
        ClientCredentials::builder("http://127.0.0.1:1/token")
            .allow_plain_http()
            .client_id("orders")
            .auth(tower_oauth::client_auth::ClientSecretBasic::new("s"))
            .proxy(proxy)
            .build()
    };
    let error = source(world.settings()).unwrap_err();
    assert!(matches!(error, BuildError::ProxyWithoutTls), "{error}");
    source(world.settings().no_proxy("127.0.0.1")).unwrap();
}

#[tokio::test]
async fn a_client_that_is_given_takes_no_proxy() {
    let world = World::new().await;
    let client = HttpClient::hyper(world.tls().identity(&world.identity()), None).unwrap();
    let source = ClientCredentials::builder(world.server.token_endpoint())
        .client_id("orders")
        .auth(tower_oauth::client_auth::TlsClientAuth::new(
            world.identity(),
        ))
        .http_client(client)
        .proxy(world.settings());
    let error = source.build().unwrap_err();
    assert!(
        error.to_string().starts_with("`proxy` has no effect"),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_of_its_own_settings_goes_through_their_proxy() {
    let world = World::new().await;
    let identity = world.identity();
    let client = HttpClient::hyper(world.tls().identity(&identity), None).unwrap();
    let source = ClientCredentials::builder(world.server.token_endpoint())
        .client_id("orders")
        .auth(tower_oauth::client_auth::TlsClientAuth::new(identity))
        .http_client(client);
    fetch(source).await.unwrap();
    assert_eq!(world.proxy.requests().len(), 1);
}
