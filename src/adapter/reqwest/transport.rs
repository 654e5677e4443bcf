use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use reqwest::{Body, Client};
use tower::service_fn;

use crate::{
    error::{BoxError, ErrorKind, TokenError},
    transport::HttpClient,
};

/// A reqwest client as the transport to the authorization server.
///
/// Build it with [`Policy::none`](reqwest::redirect::Policy::none): a client that follows a redirect
/// makes the fetch fail, as it can't be told which server has answered. The form with the credential
/// never goes along with a redirect, whatever the policy. If the client shows a certificate, tell
/// which by [`HttpClient::presents`].
impl From<Client> for HttpClient {
    fn from(client: Client) -> Self {
        Self::service(service_fn(move |request| exchange(client.clone(), request)))
    }
}

async fn exchange(
    client: Client,
    request: Request<Full<Bytes>>,
) -> Result<Response<Body>, BoxError> {
    // A stream: reqwest repeats a body in memory to wherever a redirect points.
    let request = reqwest::Request::try_from(request.map(Body::wrap));
    let request = request.map_err(reqwest::Error::without_url)?;
    let asked = request.url().clone();
    // The address isn't told in full by anybody else, either.
    let answer = client.execute(request).await;
    let answer = answer.map_err(reqwest::Error::without_url)?;
    if *answer.url() != asked {
        let message = format!(
            "the reqwest client followed a redirect of the authorization server to {}",
            answer.url().origin().ascii_serialization()
        );
        let hint = "build it with `redirect(reqwest::redirect::Policy::none())`, and check the \
                    address of the token endpoint";
        let error = TokenError::new(ErrorKind::Configuration, message).with_hint(hint);
        return Err(error.into());
    }
    Ok(answer.into())
}
