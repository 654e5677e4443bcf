use http_body::Body;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::TlsConfig;
use crate::error::{BoxError, TokenError};

/// The client that [`hyper_client`] makes.
pub type HyperClient<B> = Client<HttpsConnector<HttpConnector>, B>;

/// A pooling HTTPS client with these TLS settings, to be called through an
/// [`OAuthLayer`](crate::service::OAuthLayer).
///
/// It speaks https only; HTTP/1.1, and HTTP/2 with servers that offer it when the feature `http2`
/// is on. It has no deadline and follows no redirect: put layers above it. A certificate-bound
/// token (RFC 8705 section 3) needs the [identity](TlsConfig::identity) that it was fetched with;
/// when that may change, use a [`RotatingClient`](super::RotatingClient).
///
/// ```no_run
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower_oauth::{
///     keystore::ClientIdentity,
///     tls::{TlsConfig, TrustAnchors, hyper_client},
/// };
///
/// let identity = ClientIdentity::from_pem_files("client.crt", "client.key")?;
/// let tls = TlsConfig::new(TrustAnchors::from_pem_file("ca.crt")?).identity(&identity);
/// let client = hyper_client::<Full<Bytes>>(&tls)?;
/// # Ok::<(), tower_oauth::TokenError>(())
/// ```
///
/// # Errors
///
/// Kind [`Configuration`](crate::ErrorKind::Configuration): rustls refuses the settings.
pub fn hyper_client<B>(tls: &TlsConfig) -> Result<HyperClient<B>, TokenError>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.client_config()?)
        .https_only()
        .enable_http1();
    #[cfg(feature = "http2")]
    let connector = connector.enable_http2();
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector.build()))
}
