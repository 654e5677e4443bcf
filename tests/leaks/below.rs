//! What a service below sees: one that writes heads of requests to a log gets no credential.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth::{
    client_auth::ClientSecretBasic,
    grant::ClientCredentials,
    service::{AllowedOrigins, OAuthLayer},
    transport::HttpClient,
};

use super::{Collector, SECRET, Secrets, assert_unseen};

const TOKEN: &str = "a-token-seen-by-services-below";

type Body = Full<Bytes>;

#[tokio::test]
async fn credentials_in_the_head_of_a_request_are_marked_sensitive() {
    let collector = Collector::listening();
    let server = service_fn(|request: Request<Body>| async move {
        Collector::listening().debug(request.headers());
        let token = format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer"}}"#);
        Ok::<_, Infallible>(Response::new(Body::from(token)))
    });
    let source = ClientCredentials::builder("https://as.example/oauth2/token")
        .client_id("orders")
        .auth(ClientSecretBasic::new(SECRET))
        .http_client(HttpClient::service(server))
        .build()
        .unwrap();
    let resource = service_fn(|request: Request<Body>| async move {
        assert!(request.headers().contains_key("authorization"));
        Collector::listening().debug(&request);
        let refusal = Response::builder().status(StatusCode::UNAUTHORIZED);
        Ok::<_, Infallible>(refusal.body(()).unwrap())
    });
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    let layer = OAuthLayer::new(source, origins);
    layer.handle().ready().await.unwrap();
    let request = Request::get("https://api.example/").body(Body::default());
    let response = layer.layer(resource).oneshot(request.unwrap()).await;
    collector.debug(&response);

    let mut secrets = Secrets::default();
    secrets.text("the token", TOKEN);
    secrets.text("the client secret", SECRET);
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("orders:{}", encode(SECRET));
    secrets.octets("Basic", pair.as_bytes());
    assert_unseen(&secrets);
}
