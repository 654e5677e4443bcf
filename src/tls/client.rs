use http_body::Body;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use super::{Connector, TlsConfig};
use crate::error::{BoxError, TokenError};

/// The client that [`hyper_client`] makes.
pub type HyperClient<B> = Client<Connector, B>;

/// A pooling HTTPS client with these TLS settings, to be called through an
/// [`OAuthLayer`](crate::service::OAuthLayer).
///
/// It speaks https only; HTTP/1.1, and HTTP/2 with servers that offer it when the feature `http2`
/// is on. It has no deadline and follows no redirect: put layers above it. A certificate-bound
/// token (RFC 8705 section 3) needs the [identity](TlsConfig::identity) that it was fetched with;
/// when that may change, use a [`RotatingClient`](super::RotatingClient). What goes wrong at a
/// [`Proxy`](super::Proxy) is a [`ProxyError`](super::ProxyError) in the chain of the error's sources.
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
    #[cfg(feature = "http2")]
    let connector = Connector::http1_or_2(tls)?;
    #[cfg(not(feature = "http2"))]
    let connector = Connector::http1(tls)?;
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector))
}
