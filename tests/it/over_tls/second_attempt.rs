//! A second attempt within one fetch, where the first was refused for what has changed since.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use tower_oauth::{
    ManualClock,
    client_auth::{ClientSecret, ClientSecretBasic, ClientSecretJwt, PrivateKeyJwt},
    events::Event,
    grant::TokenSource,
    jose::LocalSigner,
    testing::Client,
    token::Cause,
};

use super::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_replaced_while_it_is_under_way_costs_one_request_more() {
    let world = World::new().await;
    let name = format!("tower-oauth-{}-over-tls-secret", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, "the first\n").unwrap();
    let client = |secret: &str| Client::client_secret_basic("orders", secret);
    world.server.register(client("the first"));
    let auth = ClientSecretBasic::new(ClientSecret::file(&path));
    let handle = world.handle(world.source_with("orders", auth));
    handle.ready().await.unwrap();

    // It is replaced at both ends while a request with the old one waits.
    world.server.hold();
    handle.refresh();
    world.server.wait_until_held(1).await;
    world.server.register(client("the second"));
    fs::write(&path, "the second\n").unwrap();
    world.server.release();
    while handle.status().fetching.is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(u64::from(handle.token().await.unwrap().generation()), 2);
    assert_eq!(world.token_requests(), 3);
    assert_eq!(world.server.counters().rejected, 1);
    fs::remove_file(&path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_time_gets_assertions_of_its_time() {
    const SECRET: &str = "a secret that is long enough for HS256";
    let world = World::new().await;
    let key = world.keystore.public_key_pem();
    world
        .server
        .register(Client::private_key_jwt("by-key", key).unwrap());
    world
        .server
        .register(Client::client_secret_jwt("by-secret", SECRET));
    for (by_key, ahead) in [(true, 200), (true, -200), (false, 200), (false, -200)] {
        // The server is on its own clock, and so are its tokens.
        let ours = 1_800_000_000_u64.checked_add_signed(-ahead).unwrap();
        let ours = ManualClock::new(UNIX_EPOCH + Duration::from_secs(ours));
        let builder = if by_key {
            let signer = LocalSigner::from_identity(&world.identity()).unwrap();
            world.source_with("by-key", PrivateKeyJwt::new(signer))
        } else {
            world.source_with("by-secret", ClientSecretJwt::new(SECRET))
        };
        let source = builder
            .issuer(world.server.issuer())
            .clock(ours)
            .build()
            .unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let observer = Arc::clone(&told);
        source.report_to(Arc::new(move |event: &Event<'_>| {
            if let Event::ClocksApart { corrected_by, .. } = event {
                observer.lock().unwrap().push(*corrected_by);
            }
        }));
        let before = world.token_requests();
        for requests in [2, 3, 4] {
            source.fetch(Cause::Cold).await.unwrap();
            assert_eq!(world.token_requests() - before, requests, "{ahead}");
        }
        let told = told.lock().unwrap();
        // To the second, as far as they pass meanwhile.
        assert!(
            matches!(told[..], [by] if (by - ahead).abs() <= 5),
            "{told:?}"
        );
    }
}
