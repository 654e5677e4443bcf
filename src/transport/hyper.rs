use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};

use super::HttpClient;
use crate::{
    error::TokenError,
    keystore::ClientIdentity,
    tls::{TlsConfig, TrustAnchors},
};

/// Tokens are fetched rarely: few idle connections live until the next time, and a server may
/// close them while a request is on its way.
const IDLE: Duration = Duration::from_secs(15);

impl HttpClient {
    /// Sends requests through hyper: HTTP/1.1 over TLS, trusting these authorities and no others,
    /// and showing the client's certificate if there is one. Needs neither network nor runtime
    /// until a token is fetched.
    ///
    /// # Errors
    ///
    /// When the TLS settings can't be used.
    #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
    pub fn hyper(
        trust: TrustAnchors,
        identity: Option<ClientIdentity>,
    ) -> Result<Self, TokenError> {
        let tls = TlsConfig::new(trust);
        let tls = match &identity {
            Some(identity) => tls.identity(identity),
            None => tls,
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.client_config()?)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp(false));
        let client = Self::over(connector);
        Ok(match identity {
            Some(identity) => client.presents(identity),
            None => client,
        })
    }

    /// Without TLS: for an [`Endpoint`](crate::protocol::Endpoint) that may do without.
    pub(crate) fn plain_http() -> Self {
        Self::over(tcp(true))
    }

    fn over(connector: impl Connect + Clone + Send + Sync + 'static) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self::service(client)
    }
}

/// A head and a body are two writes: the second must not wait for the first to be acknowledged.
fn tcp(plain_only: bool) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(plain_only);
    tcp.set_nodelay(true);
    tcp
}

#[cfg(all(test, feature = "testing"))]
mod tests;
