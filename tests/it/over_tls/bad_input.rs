//! An authorization server that answers with anything but a token: the caller gets an error that
//! says what is wrong, and the resource gets nothing.

use http::StatusCode;
use tower_oauth::{
    ErrorKind, TokenError,
    client_auth::ClientSecretBasic,
    grant::{BuildError, ClientCredentials},
    service::Error,
    testing::Answer,
};

use super::{By, SECRET, Version, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_token_is_an_error_and_nothing_is_sent() {
    let world = World::new().await;
    let ok = |body: &str| Answer::json(StatusCode::OK, body.to_owned());
    let elsewhere = world.resource.uri("/oauth2/token").to_string();
    let page = Answer::new(StatusCode::OK).header("content-type", "text/html");
    for (answer, kind, says, hint) in [
        (
            Answer::new(StatusCode::TEMPORARY_REDIRECT).header("location", &elsewhere),
            ErrorKind::Malformed,
            "a redirect to https://127.0.0.1",
            "never followed",
        ),
        (
            page.body("<!DOCTYPE html><title>Sign in</title>"),
            ErrorKind::Malformed,
            "a page for people",
            "is this the token endpoint?",
        ),
        (
            ok(&" ".repeat(8 * 1024 * 1024)),
            ErrorKind::Malformed,
            "more than 1048576 octets",
            "max_answer",
        ),
        (
            ok(r#"{"access_token":"good\r\nX-Evil: 1","token_type":"Bearer"}"#),
            ErrorKind::Malformed,
            "characters that can't stand in a header",
            "RFC 6749 section 5.1",
        ),
        (
            ok(r#"{"token_type":"Bearer"}"#),
            ErrorKind::Malformed,
            "without `access_token`",
            "RFC 6749 section 5.1",
        ),
        (
            ok(r#"{"access_token":"good","token_type":"mac"}"#),
            ErrorKind::Malformed,
            "mac",
            "bearer tokens",
        ),
        (
            Answer::new(StatusCode::NOT_FOUND),
            ErrorKind::Rejected,
            "404",
            "is this the token endpoint?",
        ),
    ] {
        world.server.answer_next(1, answer);
        let api = world.api(Version::Http2, world.source(By::Assertion));
        let error = world.call(&api).await.unwrap_err();
        assert!(Error::find_in(&error).is_some());
        let Error::Token(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error}");
        assert!(!error.is_temporary(), "{error}");
    }
    assert_eq!(world.server.counters().scripted, 7);
    assert_eq!(world.resource.counters().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_http_endpoint_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    let plain = world.server.token_endpoint().replace("https://", "http://");
    for endpoint in [plain.as_str(), "http://as.example/oauth2/token"] {
        let error = ClientCredentials::builder(endpoint)
            .client_id(By::Secret.client_id())
            .auth(ClientSecretBasic::new(SECRET))
            .build()
            .unwrap_err();
        assert!(matches!(error, BuildError::Endpoint { .. }), "{error:?}");
        let error = TokenError::from(error);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("use https"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_authority_gets_nothing() {
    let world = World::new().await;
    let stranger = World::new().await;
    let source = ClientCredentials::builder(stranger.server.token_endpoint())
        .client_id(By::Secret.client_id())
        .auth(ClientSecretBasic::new(SECRET))
        .trust(tower_oauth::tls::TrustAnchors::from_pem(world.pki.ca_pem().as_bytes()).unwrap());
    let api = world.api(Version::Http2, source);
    let Err(Error::Token(error)) = world.call(&api).await else {
        panic!("the server is trusted");
    };
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.to_string().contains("isn't trusted"), "{error}");
    assert!(!error.is_temporary(), "{error}");
    assert_eq!(stranger.token_requests(), 0);
    assert_eq!(world.resource.counters().connections, 0);
}
