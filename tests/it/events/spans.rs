use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::service_fn;
use tower_oauth::{
    BoxError, SecretString, client_auth::ClientSecretBasic, grant::ClientCredentials,
    refresh::TokenHandle, transport::HttpClient,
};
use tracing::Level;

use super::scene::play;

type Answer = Result<Response<Full<Bytes>>, BoxError>;

/// A handle whose token endpoint answers like this.
fn handle(answer: impl Fn() -> Answer + Clone + Send + Sync + 'static) -> TokenHandle {
    let exchange = service_fn(move |_: Request<Full<Bytes>>| {
        let answer = answer();
        tracing::info!(target: "tower_oauth", "the transport speaks");
        async move { answer }
    });
    let source = ClientCredentials::builder("https://as.example:8443/tenant/token?hidden=1")
        .client_id("orders")
        .auth(ClientSecretBasic::new(SecretString::from("a secret")))
        .http_client(HttpClient::service(exchange))
        .build()
        .unwrap();
    TokenHandle::new(source)
}

fn answered(status: StatusCode, body: &'static str) -> Answer {
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Full::from(body))?)
}

const REQUEST: &str = "authorization server request otel.name=\"POST\" otel.kind=\"client\" \
    http.request.method=\"POST\" server.address=\"as.example\" server.port=8443 \
    url.full=\"https://as.example:8443/tenant/token\"";

#[test]
fn a_fetch_has_a_span_and_its_request_one_with_the_attributes_of_http() {
    play(|scene| async move {
        let handle = handle(|| {
            answered(
                StatusCode::OK,
                r#"{"access_token":"a-token","token_type":"Bearer","expires_in":3600}"#,
            )
        });
        // Whatever span the thread is in is none of a fetch's business.
        let call = tracing::info_span!("call").entered();
        handle.ready().await.unwrap();
        drop(call);
        assert_eq!(
            scene.log.take(Level::TRACE),
            [
                "call",
                "token fetch cause=\"cold\"",
                REQUEST,
                "authorization server request http.response.status_code=200",
            ]
        );
        // What the transport says is said in both, and so is what becomes of it.
        let lines = scene.log.take(Level::INFO);
        assert_eq!(
            lines[0],
            "the transport speaks in authorization server request in token fetch"
        );
        assert!(lines[1].starts_with("new token"), "{lines:?}");
        assert!(lines[1].ends_with("in token fetch"), "{lines:?}");
    });
}

#[test]
fn an_error_of_the_server_is_the_status_and_one_of_the_network_its_kind() {
    for (answer, of_request, of_fetch) in [
        (
            (|| answered(StatusCode::SERVICE_UNAVAILABLE, "{}")) as fn() -> Answer,
            vec![
                "authorization server request http.response.status_code=503",
                "authorization server request error.type=\"503\"",
                "authorization server request otel.status_code=\"ERROR\"",
            ],
            "rejected",
        ),
        (
            || Err("a wire was cut".into()),
            vec![
                "authorization server request error.type=\"transport\"",
                "authorization server request otel.status_code=\"ERROR\"",
            ],
            "transport",
        ),
        (
            || answered(StatusCode::OK, "<html>"),
            vec!["authorization server request http.response.status_code=200"],
            "malformed",
        ),
    ] {
        play(|scene| async move {
            handle(answer).ready().await.unwrap_err();
            let mut expected = vec!["token fetch cause=\"cold\"".to_owned(), REQUEST.to_owned()];
            expected.extend(of_request.into_iter().map(str::to_owned));
            expected.push(format!("token fetch error.type=\"{of_fetch}\""));
            expected.push("token fetch otel.status_code=\"ERROR\"".to_owned());
            assert_eq!(scene.log.take(Level::TRACE), expected);
        });
    }
}
