//! A token that is given back at the end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use tower_oauth::{
    client_auth::TlsClientAuth,
    events::Event,
    grant::{ClientCredentials, ClientCredentialsBuilder},
    refresh::TokenHandle,
    testing::Answer,
    tls::TrustAnchors,
};

use super::{By, World};

const ALL: [By; 3] = [By::Secret, By::Assertion, By::Certificate];

/// A handle that revokes, and what it tells of it.
fn handle(
    world: &World,
    source: ClientCredentialsBuilder,
) -> (TokenHandle, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&told);
    let handle = TokenHandle::builder(source.build().unwrap())
        .clock(world.clock.clone())
        .revoke_on_shutdown()
        .shutdown_deadline(Duration::from_secs(60))
        .observer(move |event: &Event<'_>| match event {
            Event::TokenRevoked => observer.lock().unwrap().push("revoked".to_owned()),
            Event::TokenNotRevoked { error, .. } => {
                observer.lock().unwrap().push(format!("{error}"));
            }
            _ => {}
        })
        .build();
    (handle, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_revoked_with_the_credential_that_it_was_fetched_with() {
    for by in ALL {
        let world = World::new().await;
        let source = world
            .source(by)
            .extra_header("x-tenant", "a")
            .revocation_endpoint(world.server.revocation_endpoint());
        let (handle, told) = handle(&world, source);
        let token = handle.token().await.unwrap();
        let token = token.access_token().expose().to_owned();
        assert!(world.server.is_active(&token));

        handle.shutdown().await;
        assert!(!world.server.is_active(&token), "{by:?}");
        assert_eq!(*told.lock().unwrap(), ["revoked"]);
        let [request] = &world.server.revocation_requests()[..] else {
            panic!("{by:?}: there is one revocation");
        };
        assert_eq!(request.parameter("token"), Some(&token[..]));
        let hint = request.parameter("token_type_hint");
        assert_eq!(hint, Some("access_token"));
        assert_eq!(request.parameter("grant_type"), None);
        assert_eq!(request.headers()["x-tenant"], "a");
        let jti = |it: &tower_oauth::testing::TokenRequest| {
            it.parameter("client_assertion").map(ToOwned::to_owned)
        };
        if by == By::Assertion {
            assert_ne!(jti(request), jti(&world.server.requests()[0]));
        }
        let shown = (by == By::Certificate).then_some(world.keystore.thumbprint());
        assert_eq!(request.certificate_thumbprint(), shown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_metadata_says_where_tokens_are_revoked() {
    let world = World::new().await;
    for alias in [false, true] {
        let mut document: serde_json::Value =
            serde_json::from_str(&world.server.metadata()).unwrap();
        let good = document["revocation_endpoint"].take();
        if alias {
            document["revocation_endpoint"] = "https://127.0.0.1:1/nobody".into();
            let token_endpoint = document["token_endpoint"].clone();
            document["mtls_endpoint_aliases"] = serde_json::json!({
                "token_endpoint": token_endpoint,
                "revocation_endpoint": good,
            });
        } else {
            document["revocation_endpoint"] = good;
        }
        let answer = Answer::json(StatusCode::OK, document.to_string());
        let path = "/.well-known/oauth-authorization-server";
        world.server.set_metadata(path, answer);

        let ca = world.pki.ca_pem();
        let source = ClientCredentials::from_issuer(world.server.issuer())
            .client_id(By::Certificate.client_id())
            .auth(TlsClientAuth::new(world.identity()))
            .trust(TrustAnchors::from_pem(ca.as_bytes()).unwrap())
            .clock(world.clock.clone());
        let (handle, told) = handle(&world, source);
        let token = handle.token().await.unwrap();
        handle.shutdown().await;
        let token = token.access_token().expose();
        assert!(!world.server.is_active(token), "alias: {alias}");
        assert_eq!(*told.lock().unwrap(), ["revoked"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_fails_is_told_and_changes_nothing() {
    let error =
        |status: u16, body: &'static str| Answer::json(StatusCode::from_u16(status).unwrap(), body);
    for (answer, said) in [
        // RFC 7009 section 2.2.1.
        (error(503, "").header("retry-after", "120"), "answered 503"),
        (
            error(400, "{\"error\":\"unsupported_token_type\"}"),
            "doesn't revoke access tokens",
        ),
        (
            error(401, "{\"error\":\"invalid_client\"}"),
            "invalid_client",
        ),
        (error(404, ""), "is this the revocation endpoint?"),
        (
            error(302, "").header("location", "https://elsewhere.example/"),
            "a redirect to https://elsewhere.example",
        ),
    ] {
        let world = World::new().await;
        world.server.set_revocation(answer);
        let source = world.source(By::Secret);
        let source = source.revocation_endpoint(world.server.revocation_endpoint());
        let (handle, told) = handle(&world, source);
        let token = handle.token().await.unwrap();
        handle.shutdown().await;
        let told = told.lock().unwrap();
        assert!(matches!(&told[..], [it] if it.contains(said)), "{told:?}");
        assert!(!told[0].contains(token.access_token().expose()));
        assert!(world.server.is_active(token.access_token().expose()));
        assert_eq!(world.server.revocation_requests().len(), 1);
    }

    // Nobody knows where.
    let world = World::new().await;
    let (handle, told) = handle(&world, world.source(By::Secret));
    handle.ready().await.unwrap();
    handle.shutdown().await;
    let told = told.lock().unwrap();
    assert!(told[0].contains("set `revocation_endpoint`"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_server_does_not_know_counts_as_revoked() {
    let world = World::new().await;
    let source = world.source(By::Secret);
    let source = source.revocation_endpoint(world.server.revocation_endpoint());
    let (handle, told) = handle(&world, source);
    handle.ready().await.unwrap();
    world.server.rollover();
    handle.shutdown().await;
    assert_eq!(*told.lock().unwrap(), ["revoked"]);
}
