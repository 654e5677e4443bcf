//! A reqwest client on the way to the authorization server.

use http::{StatusCode, header::AUTHORIZATION};
use reqwest::{Client, redirect::Policy};
use tower_oauth::{
    ErrorKind, TokenError,
    adapter::reqwest::tls_backend,
    client_auth::ClientSecretBasic,
    grant::ClientCredentials,
    refresh::TokenHandle,
    testing::{Answer, FakeResource, Pki},
    tls::TlsConfig,
    transport::HttpClient,
};

use super::world::{ID, SECRET, World, client, trust};

async fn fetch(world: &World, client: impl Into<HttpClient>) -> Result<(), TokenError> {
    let source = ClientCredentials::builder(world.server.token_endpoint())
        .client_id(ID)
        .auth(ClientSecretBasic::new(SECRET))
        .http_client(client.into())
        .build()
        .unwrap();
    TokenHandle::new(source).ready().await
}

fn careful(pki: &Pki) -> Client {
    let tls = tls_backend(&TlsConfig::new(trust(pki))).unwrap();
    let client = Client::builder().no_proxy().redirect(Policy::none());
    client.tls_backend_preconfigured(tls).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_brings_a_token() {
    let world = World::new().await;
    for client in [careful(&world.pki), client(&world.pki)] {
        fetch(&world, client).await.unwrap();
    }
    assert_eq!(world.token_requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_an_error_and_takes_no_credential_along() {
    let world = World::new().await;
    let hostile = FakeResource::builder(&world.pki).start().await.unwrap();
    for (careless, client) in [(false, careful(&world.pki)), (true, client(&world.pki))] {
        for status in [302, 303, 307, 308] {
            let before = hostile.calls().len();
            let to = format!("{}/steal", hostile.origin());
            let status = StatusCode::from_u16(status).unwrap();
            let redirect = Answer::new(status).header("location", to);
            world.server.answer_next(1, redirect);
            let error = fetch(&world, client.clone()).await.unwrap_err();

            let followed = careless && matches!(status.as_u16(), 302 | 303);
            assert_eq!(
                hostile.calls().len() - before,
                usize::from(followed),
                "{status}"
            );
            if followed {
                assert_eq!(error.kind(), ErrorKind::Configuration);
                let told = error.to_string();
                assert!(told.contains("Policy::none()"), "{told}");
                assert!(
                    told.contains(hostile.origin()) && !told.contains("/steal"),
                    "{told}"
                );
            }
        }
    }
    for call in hostile.calls() {
        assert!(!call.headers().contains_key(AUTHORIZATION));
        assert_eq!(call.body().unwrap().length(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_what_is_wrong_with_a_certificate_and_not_the_whole_address() {
    let world = World::new().await;
    let stranger = careful(&Pki::new().unwrap());
    let error = fetch(&world, stranger).await.unwrap_err();
    assert!(error.to_string().contains("isn't trusted"), "{error}");
    assert!(!format!("{error:?}").contains("/token"), "{error:?}");
}
