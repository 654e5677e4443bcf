use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use super::HttpClient;
use crate::{error::TokenError, tls::TlsConfig};

/// Tokens are fetched rarely: few idle connections live until the next time, and a server may
/// close them while a request is on its way.
const IDLE: Duration = Duration::from_secs(15);

impl HttpClient {
    /// Sends requests through hyper, with HTTP/1.1 and these TLS settings. Needs neither network
    /// nor runtime until a token is fetched.
    ///
    /// # Errors
    ///
    /// When the TLS settings can't be used.
    #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
    pub fn hyper(tls: &TlsConfig) -> Result<Self, TokenError> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.client_config()?)
            // Which address may be plain http is decided when an `Endpoint` is made.
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self::service(client))
    }
}
