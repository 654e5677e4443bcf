//! Each method of client authentication, alone and with a TLS client certificate beside it.

use http::StatusCode;
use tower::{Layer, ServiceExt};
use tower_oauth::{
    ErrorKind,
    client_auth::{ClientAuth, ClientSecretBasic, PrivateKeyJwt, TlsClientAuth},
    jose::LocalSigner,
    service::{Error, Rejected},
    testing::{AuthorizationServerCounters, TokenRequest},
};

use super::{By, SECRET, Version, World, client, identity};

const ALL: [By; 3] = [By::Secret, By::Assertion, By::Certificate];

#[tokio::test(flavor = "multi_thread")]
async fn every_method_gets_a_token_and_heals() {
    for by in ALL {
        let world = World::new().await;
        let requests = heal(&world, by, false).await;
        let shown = (by == By::Certificate).then_some(world.keystore.thumbprint());
        for request in &requests {
            assert_eq!(request.certificate_thumbprint(), shown, "{by:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_goes_along_with_every_method() {
    for by in ALL {
        let world = World::new().await;
        for request in heal(&world, by, true).await {
            let shown = request.certificate_thumbprint();
            assert_eq!(shown, Some(world.keystore.thumbprint()), "{by:?}");
        }
    }
}

/// A first token, and one after a rollover. Returns the requests for them.
async fn heal(world: &World, by: By, with_certificate: bool) -> Vec<TokenRequest> {
    let mut source = world.source(by);
    if with_certificate && by != By::Certificate {
        source = source.identity(world.identity());
    }
    let api = world.api(Version::Http2, source);
    for rollover in [false, true] {
        if rollover {
            world.server.rollover();
        }
        let response = world.call(&api).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{by:?}");
    }
    assert_eq!(by_method(world.server.counters(), by), (2, 2), "{by:?}");

    let requests = world.server.requests();
    let assertion = |at: usize| requests[at].parameter("client_assertion");
    match by {
        By::Assertion => assert_ne!(assertion(0), assertion(1)),
        _ => assert_eq!(assertion(0), None),
    }
    requests
}

/// How many requests there were, and how many with this method.
fn by_method(counters: AuthorizationServerCounters, by: By) -> (u64, u64) {
    let tried = match by {
        By::Secret => counters.client_secret_basic,
        By::Assertion => counters.private_key_jwt,
        By::Certificate => counters.tls_client_auth,
    };
    (counters.token_requests, tried)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_good_only_with_its_certificate() {
    for by in ALL {
        let world = World::new().await;
        world.server.register(world.registration(by).bind_tokens());
        let mut source = world.source(by);
        if by != By::Certificate {
            source = source.identity(world.identity());
        }
        let layer = world.layer(world.handle(source));
        for (shown, status) in [
            (Some(&world.keystore), StatusCode::OK),
            (None, StatusCode::UNAUTHORIZED),
        ] {
            let api = layer.layer(client::https(&world.pki, shown, Version::Http1));
            let response = api.oneshot(world.order()).await.unwrap();
            assert_eq!(response.status(), status, "{by:?}");
            if let Some(rejected) = response.extensions().get::<Rejected>() {
                assert!(rejected.hint().contains("binding"), "{rejected}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_says_what_to_compare() {
    let world = World::new().await;
    let stranger = identity(&world.pki.client("stranger").unwrap());
    let foreign_key = PrivateKeyJwt::new(LocalSigner::from_identity(&stranger).unwrap());
    let own_key = PrivateKeyJwt::new(LocalSigner::from_identity(&world.identity()).unwrap());
    let issuer = world.server.issuer();

    refused(
        &world,
        By::Secret,
        ClientSecretBasic::new("wrong"),
        "secret",
    )
    .await;
    // This server does decode, so what isn't encoded is another secret.
    let raw = ClientSecretBasic::new(SECRET).without_form_encoding();
    refused(&world, By::Secret, raw, "form-decode").await;
    let foreign_key = foreign_key.issuer(issuer);
    refused(&world, By::Assertion, foreign_key, "public key").await;
    let elsewhere = own_key.issuer("https://as.example");
    // Everything that the server may stumble on is told as it was sent, with its setting.
    for told in [
        "aud \"https://as.example\" (`PrivateKeyJwt::issuer`",
        "typ \"client-authentication+jwt\" (`typ`",
        "alg ES256 (`LocalSigner::algorithm`)",
        "kid \"",
        "x5t#S256 none (`x5t_s256`)",
    ] {
        refused(&world, By::Assertion, elsewhere.clone(), told).await;
    }
    let stranger = TlsClientAuth::new(stranger);
    refused(&world, By::Certificate, stranger, "certificate").await;
    let nobody = TlsClientAuth::external();
    refused(&world, By::Certificate, nobody, "certificate").await;

    assert_eq!(world.resource.counters().connections, 0);
    assert_eq!(world.server.counters().rejected, 10);
}

async fn refused(world: &World, by: By, auth: impl ClientAuth, hint: &str) {
    let api = world.api(Version::Http2, world.source_with(by.client_id(), auth));
    let Err(Error::Token(error)) = world.call(&api).await else {
        panic!("{by:?} was accepted");
    };
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(error.oauth_error(), Some("invalid_client"), "{error}");
    assert!(error.hint().unwrap().contains(hint), "{error}");
    assert!(!error.is_temporary(), "{error}");
}
