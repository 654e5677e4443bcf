//! Tokens that say themselves which certificate they are bound to.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use serde_json::{Value, json};
use tower_oauth::{client_auth::TlsClientAuth, testing::Answer};

use super::{Seen, World};

/// A token response with such claims.
fn answer(claims: &Value) -> Answer {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{claims}.c2lnbmF0dXJl");
    let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600});
    Answer::json(StatusCode::OK, body.to_string())
}

fn auth(identity: tower_oauth::keystore::RotatingIdentity, _: &str) -> TlsClientAuth {
    TlsClientAuth::new(identity)
}

#[tokio::test]
async fn where_binding_is_required_another_certificate_and_none_are_failures() {
    let world = World::build(|it| it, auth, |source, _| source.require_bound_tokens()).await;
    let own = world.now.thumbprint();
    for (claims, said) in [
        (
            json!({"cnf": {"x5t#S256": "another"}}),
            "bound to another certificate",
        ),
        (
            json!({"cnf": {"jkt": own}}),
            "isn't bound to the certificate",
        ),
        (json!({}), "isn't bound to the certificate"),
    ] {
        world.server.answer_next(1, answer(&claims));
        world.clock.advance(std::time::Duration::from_secs(600));
        let error = world.handle.ready().await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.hint().is_some());
    }
    world.clock.advance(std::time::Duration::from_secs(600));
    world
        .server
        .answer_next(1, answer(&json!({"cnf": {"x5t#S256": own}})));
    world.handle.ready().await.unwrap();
    // Opaque tokens say nothing, and are taken.
    world.clock.advance(std::time::Duration::from_secs(3600));
    world.handle.ready().await.unwrap();
}

#[tokio::test]
async fn where_it_is_not_it_is_an_event() {
    let mut world = World::new().await;
    let other = answer(&json!({"cnf": {"x5t#S256": "another"}}));
    world.server.answer_next(1, other);
    world.handle.ready().await.unwrap();
    world.until(&Seen::Misbound).await;
    world.clock.advance(std::time::Duration::from_secs(3600));
    world.server.answer_next(1, answer(&json!({})));
    world.handle.ready().await.unwrap();
    assert!(world.events.try_recv().is_err());
}
