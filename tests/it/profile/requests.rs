//! Where token requests go, and what they ask for.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower_oauth::testing::Client;

use super::world::World;

pub(crate) async fn schema(world: &World) {
    let text = world.with_secret();
    let plain = world.request(&text).await;
    let named = world.request(&format!("\"$schema\" = \"x\"\n{text}")).await;
    assert_eq!(plain.parameters(), named.parameters());
}

pub(crate) async fn issuer(world: &World) {
    let assertion = world.assertion(&world.with_jwt()).await;
    assert_eq!(assertion["claims"]["aud"], world.server.issuer());
}

pub(crate) async fn token_endpoint(world: &World) {
    let endpoint = world.server.token_endpoint();
    let text = world
        .with_secret()
        .replace(&endpoint, &format!("{endpoint}?a=b"));
    assert_eq!(world.request(&text).await.uri().query(), Some("a=b"));
}

pub(crate) async fn mtls_token_endpoint(world: &World) {
    let alias = format!(
        "mtls_token_endpoint = \"{}?mtls\"\n",
        world.server.token_endpoint()
    );
    let request = world.request(&(world.with_certificate() + &alias)).await;
    assert_eq!(request.uri().query(), Some("mtls"));
    let error = world.refusal(&(world.with_secret() + &alias));
    assert_eq!(error.faults()[0].key(), "mtls_token_endpoint");
}

pub(crate) async fn revocation(world: &World) {
    let client = Client::client_secret_basic("orders", "hunter 2");
    world.server.register(client);
    let endpoint = world.server.revocation_endpoint();
    let endpoint = format!("revocation_endpoint = \"{endpoint}\"\n");
    for (revokes, revocations) in [(false, 0), (true, 1)] {
        let before = world.server.revocation_requests().len();
        let key = format!("revoke_on_shutdown = {revokes}\n");
        let handle = world.load(&(world.with_secret() + &endpoint + &key));
        let handle = handle.unwrap().handle().unwrap();
        handle.ready().await.unwrap();
        handle.shutdown().await;
        let after = world.server.revocation_requests().len();
        assert_eq!(after - before, revocations);
    }
    let error = world.refusal(&(world.with_secret() + "revoke_on_shutdown = true\n"));
    assert_eq!(error.faults()[0].key(), "revoke_on_shutdown");
}

pub(crate) async fn allow_plain_http(world: &World) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text = format!(
        "token_endpoint = \"http://{address}/token\"\nclient_id = \"orders\"\n\
         token_endpoint_auth_method = \"client_secret_basic\"\nclient_secret_file = \"secret\"\n"
    );
    let error = world.refusal(&text);
    assert_eq!(error.faults()[0].key(), "token_endpoint");

    let text = format!("{text}allow_plain_http = true\n");
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        let body = r#"{"access_token":"a","token_type":"Bearer"}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        // The rest of the request may still come; closing would reset the connection.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        head
    };
    let (head, ()) = tokio::join!(serve, async { drop(world.fetch(&text).await.unwrap()) });
    assert_eq!(&head, b"POST ");
}

pub(crate) async fn client_id(world: &World) {
    let request = world.request(&world.with_certificate()).await;
    assert_eq!(request.parameter("client_id"), Some("orders"));
}

/// A line, and the parameter that it sends.
pub(crate) async fn parameter(world: &World, (line, name, value): (&str, &str, &str)) {
    let text = world.with_secret();
    assert_eq!(world.request(&text).await.parameter(name), None);
    let request = world.request(&format!("{text}{line}\n")).await;
    assert_eq!(request.parameter(name), Some(value), "{line}");
}

/// A line that sends a header field.
pub(crate) async fn header(world: &World, line: &str) {
    let text = world.with_secret();
    assert!(world.request(&text).await.headers().get("x-a").is_none());
    let request = world.request(&format!("{text}{line}\n")).await;
    assert_eq!(request.headers()["x-a"], "hunter 2", "{line}");
}
