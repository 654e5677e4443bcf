//! Every method finds its endpoint, and what the server doesn't list is used all the same.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use tower_oauth::{
    client_auth::{
        Audience, ClientAuth, ClientSecretBasic, ClientSecretJwt, ClientSecretPost, NoClientAuth,
        PrivateKeyJwt, TlsClientAuth,
    },
    events::Event,
    refresh::TokenHandle,
    testing::Client,
};

use super::{
    OAUTH, SECRET, World,
    world::{fetch, listen},
};

async fn gets_a_token(world: &World, auth: impl ClientAuth) -> Result<(), String> {
    let source = world.source().auth(auth).build().unwrap();
    fetch(&source).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_method_gets_a_token_and_the_issuer_is_said_once() {
    let world = World::new().await;
    let keys = world.pki.client("orders").unwrap();
    let identity = || keys.identity().unwrap();

    world
        .server
        .register(Client::client_secret_basic("orders", SECRET));
    gets_a_token(&world, ClientSecretBasic::new(SECRET))
        .await
        .unwrap();
    world
        .server
        .register(Client::client_secret_post("orders", SECRET));
    gets_a_token(&world, ClientSecretPost::new(SECRET))
        .await
        .unwrap();
    world
        .server
        .register(Client::client_secret_jwt("orders", SECRET));
    gets_a_token(&world, ClientSecretJwt::new(SECRET))
        .await
        .unwrap();
    world.server.register(Client::unauthenticated("orders"));
    gets_a_token(&world, NoClientAuth::new()).await.unwrap();
    let client = Client::private_key_jwt("orders", keys.public_key_pem()).unwrap();
    world.server.register(client);
    gets_a_token(&world, PrivateKeyJwt::from_identity(identity()))
        .await
        .unwrap();
    let client = Client::tls_client_auth("orders", keys.certificate_pem()).unwrap();
    world.server.register(client);
    gets_a_token(&world, TlsClientAuth::new(identity()))
        .await
        .unwrap();

    let counters = world.server.counters();
    let by_method = [
        counters.client_secret_basic,
        counters.client_secret_post,
        counters.client_secret_jwt,
        counters.none,
        counters.private_key_jwt,
        counters.tls_client_auth,
    ];
    assert_eq!(by_method, [1; 6]);
    assert_eq!(world.asked(), [OAUTH; 6]);
}

#[tokio::test]
async fn a_wrong_credential_is_refused_whatever_the_method() {
    let world = World::new().await;
    let wrong = || "another secret that is long enough for HS256".to_owned();
    let refused = |said: Result<(), String>| {
        let said = said.unwrap_err();
        assert!(said.contains("invalid_client"), "{said}");
        assert!(!said.contains("another secret"), "{said}");
    };
    refused(gets_a_token(&world, ClientSecretPost::new(wrong())).await);
    refused(gets_a_token(&world, NoClientAuth::new()).await);
    world
        .server
        .register(Client::client_secret_jwt("orders", SECRET));
    refused(gets_a_token(&world, ClientSecretJwt::new(wrong())).await);
    refused(gets_a_token(&world, ClientSecretJwt::new(SECRET).audience("urn:other")).await);
}

#[tokio::test]
async fn a_client_that_shows_a_certificate_goes_to_the_alias() {
    let world = World::new().await;
    let keys = world.pki.client("orders").unwrap();
    let alias = format!("{}?alias", world.server.token_endpoint());
    world.publish(json!({"mtls_endpoint_aliases": {"token_endpoint": alias}}));
    let client = Client::private_key_jwt("orders", keys.public_key_pem()).unwrap();
    world.server.register(client);

    let jwt = || PrivateKeyJwt::from_identity(keys.identity().unwrap());
    let plain = world.source().auth(jwt()).build().unwrap();
    fetch(&plain).await.unwrap();
    // The audience stays the issuer, which the server looks at.
    let bound = world
        .source()
        .auth(jwt())
        .identity(keys.identity().unwrap());
    fetch(&bound.build().unwrap()).await.unwrap();

    let client = Client::tls_client_auth("orders", keys.certificate_pem()).unwrap();
    world.server.register(client);
    let tls = TlsClientAuth::new(keys.identity().unwrap());
    fetch(&world.source().auth(tls).build().unwrap())
        .await
        .unwrap();

    let requests = world.server.requests();
    let queries: Vec<_> = requests.iter().map(|it| it.uri().query()).collect();
    assert_eq!(queries, [None, Some("alias"), Some("alias")]);
}

#[tokio::test]
async fn an_audience_other_than_the_issuer_is_sent_as_it_was_asked_for() {
    let world = World::new().await;
    let keys = world.pki.client("orders").unwrap();
    let client = Client::private_key_jwt("orders", keys.public_key_pem()).unwrap();
    world.server.register(client);
    for audience in [Audience::TokenEndpoint, Audience::CalledUrl] {
        let auth = PrivateKeyJwt::from_identity(keys.identity().unwrap()).audience(audience);
        let said = gets_a_token(&world, auth).await.unwrap_err();
        // This server is one of those that take the issuer only.
        let sent = format!("aud \"{}\"", world.server.token_endpoint());
        assert!(said.contains(&sent), "{said}");
    }
}

#[tokio::test]
async fn what_the_server_does_not_list_is_told_and_used_all_the_same() {
    let world = World::new().await;
    world.publish(json!({
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "token_endpoint_auth_signing_alg_values_supported": ["PS256"],
    }));
    world
        .server
        .register(Client::client_secret_jwt("orders", SECRET));
    let source = world
        .source()
        .auth(ClientSecretJwt::new(SECRET))
        .build()
        .unwrap();
    let mut told = listen(&source);
    fetch(&source).await.unwrap();
    assert_eq!(
        told.try_recv().unwrap(),
        "token_endpoint_auth_methods_supported: client_secret_jwt"
    );
    assert_eq!(
        told.try_recv().unwrap(),
        "token_endpoint_auth_signing_alg_values_supported: HS256"
    );
    assert!(told.try_recv().is_err());
    assert_eq!(world.server.counters().client_secret_jwt, 1);

    // It is the first suspect when the credential isn't taken.
    world
        .server
        .register(Client::client_secret_basic("orders", SECRET));
    let said = fetch(&source).await.unwrap_err().to_string();
    let suspect = "`token_endpoint_auth_methods_supported` lacks client_secret_jwt";
    assert!(said.contains(suspect), "{said}");
}

#[tokio::test]
async fn the_observer_of_a_handle_hears_of_its_source() {
    let world = World::new().await;
    world.publish(json!({"token_endpoint_auth_methods_supported": []}));
    let unlisted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&unlisted);
    let handle = TokenHandle::builder(world.source().build().unwrap())
        .clock(world.clock.clone())
        .observer(move |event: &Event<'_>| {
            if let Event::NotAdvertised { .. } = event {
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build();
    handle.ready().await.unwrap();
    assert_eq!(unlisted.load(Ordering::Relaxed), 1);
}
