//! Metadata that isn't believed: no credential leaves, and the error says why.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tower_oauth::{
    ErrorKind, TokenError,
    discovery::{Discovery, WellKnown},
    testing::{Answer, FakeAuthorizationServer},
    transport::TransportLimits,
};

use super::{OAUTH, OPENID, World, world::fetch};

/// What a first fetch fails with, before anything is sent to the token endpoint.
async fn refused(world: &World) -> TokenError {
    let error = fetch(&world.source().build().unwrap()).await.unwrap_err();
    assert_eq!(world.token_requests(), 0, "{error}");
    assert_eq!(world.asked(), [OAUTH], "{error}");
    let url = format!("{}{OAUTH}", world.server.issuer());
    assert!(error.to_string().contains(&url), "{error}");
    error
}

#[tokio::test]
async fn the_metadata_of_another_issuer_is_not_used_and_nobody_else_is_asked() {
    let world = World::new().await;
    let other = format!("{}/", world.server.issuer());
    world.publish(json!({"issuer": other}));
    let error = refused(&world).await;
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let said = error.to_string();
    assert!(said.contains(&format!("another issuer, {other}")), "{said}");
}

#[tokio::test]
async fn an_endpoint_on_a_foreign_host_is_not_used_until_that_is_listed() {
    let world = World::new().await;
    world.publish(json!({"token_endpoint": "https://evil.example/token"}));
    let said = refused(&world).await.to_string();
    let cure = "`Discovery::endpoint_host(\"evil.example\")`";
    assert!(said.contains(cure), "{said}");

    world.publish(json!({"token_endpoint": world.elsewhere()}));
    let server = Discovery::new(world.server.issuer()).endpoint_host("localhost");
    fetch(&world.source_of(server).build().unwrap())
        .await
        .unwrap();
    assert_eq!(world.token_requests(), 1);
}

#[tokio::test]
async fn an_endpoint_without_tls_is_not_used() {
    let world = World::new().await;
    let plain = world.server.token_endpoint().replace("https:", "http:");
    world.publish(json!({"token_endpoint": plain}));
    let said = refused(&world).await.to_string();
    assert!(said.contains("plain http"), "{said}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let world = World::new().await;
    let other = FakeAuthorizationServer::builder(&world.pki).start().await;
    let other = other.unwrap();
    let location = format!("{}{OAUTH}?with=more", other.issuer());
    let answer = Answer::new(StatusCode::FOUND).header("location", location);
    world.server.set_metadata(OAUTH, answer);
    let error = refused(&world).await;
    let expected = format!("answered 302, a redirect to {} (", other.issuer());
    assert!(error.to_string().contains(&expected), "{error}");
    assert_eq!(error.status(), Some(StatusCode::FOUND));
    assert_eq!(other.counters().connections, 0);
}

#[tokio::test]
async fn a_document_beyond_all_measure_is_not_read() {
    let world = World::new().await;
    world.publish(json!({"padding": "x".repeat(256 * 1024)}));
    let error = refused(&world).await;
    assert_eq!(error.kind(), ErrorKind::Malformed);
    let expected = "the answer has more than 262144 octets";
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let world = World::new().await;
    world.server.hold();
    let limits = TransportLimits::new().deadline(Duration::from_millis(300));
    let source = world.source().limits(limits).build().unwrap();
    let error = fetch(&source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.is_temporary());
    assert_eq!(world.token_requests(), 0);
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_later_and_nowhere_else() {
    let world = World::new().await;
    let answer = Answer::new(StatusCode::SERVICE_UNAVAILABLE).header("retry-after", "7");
    world.server.set_metadata(OAUTH, answer);
    let error = refused(&world).await;
    assert!(error.is_temporary());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn what_is_not_at_one_place_is_looked_for_at_the_next() {
    let world = World::new().await;
    world
        .server
        .set_metadata(OAUTH, Answer::new(StatusCode::NOT_FOUND));
    fetch(&world.source().build().unwrap()).await.unwrap();
    assert_eq!(world.asked(), [OAUTH, OPENID]);
}

#[tokio::test]
async fn a_place_that_is_refused_is_nothing_only_when_that_was_said() {
    let world = World::new().await;
    world
        .server
        .set_metadata(OAUTH, Answer::new(StatusCode::FORBIDDEN));
    let error = refused(&world).await;
    assert!(
        error
            .to_string()
            .contains("`Discovery::next_on_client_errors`"),
        "{error}"
    );
    assert!(!error.is_temporary());

    let server = Discovery::new(world.server.issuer()).next_on_client_errors();
    fetch(&world.source_of(server).build().unwrap())
        .await
        .unwrap();
    assert_eq!(world.asked(), [OAUTH, OAUTH, OPENID]);
}

#[tokio::test]
async fn each_place_is_looked_at_once_and_named() {
    let world = World::new().await;
    for path in [OAUTH, OPENID] {
        world
            .server
            .set_metadata(path, Answer::new(StatusCode::NOT_FOUND));
    }
    let error = fetch(&world.source().build().unwrap()).await.unwrap_err();
    assert_eq!(world.asked(), [OAUTH, OPENID]);
    let issuer = world.server.issuer();
    let expected = format!(
        "no metadata of {issuer}: {issuer}{OAUTH} answered 404; {issuer}{OPENID} answered 404 ("
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn the_places_of_an_issuer_with_a_path_are_tried_in_the_order_that_was_set() {
    let world = World::new().await;
    let tenant = format!("{}/tenant", world.server.issuer());
    fetch(&world.source_of(tenant.clone()).build().unwrap())
        .await
        .unwrap_err();
    let [inserted, appended] = [format!("{OAUTH}/tenant"), format!("/tenant{OPENID}")];
    let asked = [inserted, appended.clone(), format!("{OPENID}/tenant")];
    assert_eq!(world.asked(), asked);

    world.publish_at(&appended, json!({"issuer": tenant}));
    let server = Discovery::new(tenant).well_known([WellKnown::OpenId]);
    fetch(&world.source_of(server).build().unwrap())
        .await
        .unwrap();
    assert_eq!(world.asked()[3..], [appended]);
}
