//! HTTP/1.1 over the simulated network.

use std::{future::Future, net::Ipv4Addr};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use tower_oauth::BoxError;
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 443;

/// One exchange, over a connection of its own. What it is addressed to says where it goes; there
/// is no TLS in here.
pub(crate) async fn exchange(
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, BoxError> {
    let host = request.uri().host().ok_or("no host")?.to_owned();
    let path = request.uri().path().to_owned();
    *request.uri_mut() = Uri::try_from(path)?;
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_str(&host)?);

    let stream = TcpStream::connect((host.as_str(), PORT)).await?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its two halves.
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// Serves until the host goes down. An error of `answer` breaks the connection.
pub(crate) async fn serve<F, Fut>(answer: F) -> turmoil::Result
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer.clone()));
        tokio::spawn(connection);
    }
}
