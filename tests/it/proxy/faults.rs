//! What goes wrong at a proxy is told apart from what goes wrong at the server.

use std::time::Duration;

use http::StatusCode;
use tokio::net::TcpListener;
use tower_oauth::{
    ErrorKind, TokenError,
    testing::Pki,
    tls::{Proxy, TrustAnchors},
    transport::TransportLimits,
};

use super::{
    World,
    world::{PASSWORD, USER, fetch},
};

/// The error is the proxy's, and says all of this.
fn assert_proxy(error: &TokenError, temporary: bool, says: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Proxy, "{error:?}");
    assert_eq!(error.is_temporary(), temporary, "{error}");
    assert_eq!(error.status(), None, "{error}");
    let text = error.to_string();
    for words in says {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        !format!("{error} {error:?}").contains(PASSWORD),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_proxy_that_wants_credentials_is_told_from_one_that_refuses_them() {
    let world = World::new().await;
    world.proxy.require_basic_auth(USER, "another password");
    let error = fetch(world.source()).await.unwrap_err();
    let url = world.proxy.url();
    let says = [
        url,
        "wants credentials",
        "407",
        "Basic",
        "`Proxy::basic_auth`",
    ];
    assert_proxy(&error, false, &says);

    let wrong = world.settings().basic_auth(USER, PASSWORD).unwrap();
    let error = fetch(world.source().proxy(wrong)).await.unwrap_err();
    let says = [url, "refused the credentials", "407", "password"];
    assert_proxy(&error, false, &says);
    assert!(world.server.handshakes().is_empty());
}

#[tokio::test]
async fn a_refused_tunnel_has_the_status_of_the_proxy() {
    let world = World::new().await;
    for (status, temporary, cure) in [
        (StatusCode::FORBIDDEN, false, "allow CONNECT to 127.0.0.1:"),
        (StatusCode::METHOD_NOT_ALLOWED, false, "allow CONNECT"),
        (StatusCode::FOUND, false, "allow CONNECT"),
        (StatusCode::BAD_GATEWAY, true, "can't reach 127.0.0.1:"),
        (StatusCode::SERVICE_UNAVAILABLE, true, "can't reach"),
        (StatusCode::GATEWAY_TIMEOUT, true, "can't reach"),
    ] {
        world.proxy.refuse(status);
        let error = fetch(world.source()).await.unwrap_err();
        let says = [
            world.proxy.url(),
            world.server_address(),
            status.as_str(),
            cure,
        ];
        assert_proxy(&error, temporary, &says);
    }
    world.proxy.pass();
    fetch(world.source()).await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let world = World::new().await;
    // A port that was free a moment ago, and is nobody's to listen at.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = Proxy::http(&url).unwrap();
    let error = fetch(world.source().proxy(nobody)).await.unwrap_err();
    assert_proxy(&error, true, &[&url, "can't be reached", "`no_proxy`"]);
    assert!(
        !error.to_string().contains(world.server_address()),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxy_that_closes_is_named() {
    let world = World::new().await;
    world.proxy.close_early();
    let error = fetch(world.source()).await.unwrap_err();
    assert_proxy(&error, true, &[world.proxy.url(), "no answer"]);
}

#[tokio::test]
async fn a_server_that_speaks_tls_is_no_proxy() {
    let world = World::new().await;
    let address = format!("http://{}", world.server_address());
    let mistaken = Proxy::http(&address).unwrap();
    let error = fetch(world.source().proxy(mistaken)).await.unwrap_err();
    assert_proxy(&error, true, &[&address, "CONNECT over plain http"]);
}

#[tokio::test]
async fn a_proxy_that_hangs_is_bounded_by_the_deadline() {
    let world = World::new().await;
    world.proxy.hold();
    let limits = TransportLimits::new().deadline(Duration::from_secs(10));
    let fetching = tokio::spawn(fetch(world.source().limits(limits)));
    world.proxy.wait_until_held(1).await;
    // Nothing but the clock can go on from here.
    tokio::time::pause();
    let error = fetching.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let text = error.to_string();
    assert!(text.contains("through the proxy"), "{text}");
    assert!(text.contains(world.proxy.url()), "{text}");
}

#[tokio::test]
async fn a_proxy_that_intercepts_is_told_from_a_server_that_is_not_trusted() {
    let world = World::new().await;
    world.proxy.intercept(&world.pki).unwrap();
    let error = fetch(world.source()).await.unwrap_err();
    let says = [
        world.proxy.url(),
        world.server_address(),
        "isn't trusted",
        "issued by CN=intercepting proxy intermediate",
        "mutual TLS can't pass it",
        "`no_proxy`",
        "`trust`",
    ];
    assert_proxy(&error, false, &says);
    assert!(world.server.handshakes().is_empty());

    // The same without a proxy is a fault of the server.
    world.proxy.pass();
    let stranger = TrustAnchors::from_pem(world.proxy.ca_pem().as_bytes()).unwrap();
    let direct = world.settings().no_proxy("*");
    let source = world.source().trust(stranger.clone()).proxy(direct);
    let error = fetch(source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    assert!(
        error.to_string().contains("CN=throw-away intermediate"),
        "{error}"
    );
    // With one that lets it pass, there is no telling.
    let error = fetch(world.source().trust(stranger)).await.unwrap_err();
    let says = [
        "isn't trusted",
        "CN=throw-away intermediate",
        "server's own",
    ];
    assert_proxy(&error, false, &says);
    // An authority of the same name is another one.
    let namesake = Pki::new().unwrap();
    let namesake = TrustAnchors::from_pem(namesake.ca_pem().as_bytes()).unwrap();
    let error = fetch(world.source().trust(namesake)).await.unwrap_err();
    assert_proxy(&error, false, &says);
}

#[tokio::test]
async fn trust_in_the_proxy_lets_secrets_pass_and_no_certificate() {
    let world = World::new().await;
    world.proxy.intercept(&world.pki).unwrap();
    let trust = TrustAnchors::from_pem(world.proxy.ca_pem().as_bytes()).unwrap();
    let by_secret = world.source_with_secret().trust(trust.clone());
    fetch(by_secret).await.unwrap();
    let by_certificate = world.source().trust(trust);
    let error = fetch(by_certificate).await.unwrap_err();
    assert_eq!(error.oauth_error(), Some("invalid_client"), "{error}");
    let requests = world.server.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests
            .iter()
            .all(|it| it.certificate_thumbprint().is_none())
    );
}

#[tokio::test]
async fn a_misnamed_server_is_no_interception() {
    let world = World::new().await;
    let misnamed = tower_oauth::testing::FakeAuthorizationServer::builder(&world.pki)
        .misnamed()
        .start()
        .await
        .unwrap();
    let source = tower_oauth::grant::ClientCredentials::builder(misnamed.token_endpoint())
        .client_id("orders")
        .auth(tower_oauth::client_auth::TlsClientAuth::new(
            world.identity(),
        ))
        .trust(world.trust())
        .proxy(world.settings());
    let error = fetch(source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    assert_eq!(world.proxy.requests().len(), 1);
}
