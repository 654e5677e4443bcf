use std::time::Duration;

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
    tls::{Connector, TlsConfig},
};

/// Tokens are fetched rarely: few idle connections live until the next time, and a server may
/// close them while a request is on its way.
const IDLE: Duration = Duration::from_secs(15);

impl HttpClient {
    /// Sends requests through hyper: HTTP/1.1 over TLS, trusting these authorities and no others
    /// or with these settings, and showing the client's certificate if there is one, in place of
    /// theirs. Needs neither network nor runtime until a token is fetched.
    ///
    /// # Errors
    ///
    /// When the TLS settings can't be used.
    #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
    pub fn hyper(
        tls: impl Into<TlsConfig>,
        identity: Option<ClientIdentity>,
    ) -> Result<Self, TokenError> {
        let mut tls = tls.into();
        if let Some(identity) = &identity {
            tls = tls.identity(identity);
        }
        let client = Self::over(Connector::http1(&tls)?).through(tls.through().cloned());
        Ok(match tls.shown() {
            Some(shown) => client.presents(shown.clone()),
            None => client,
        })
    }

    /// Without TLS: for an [`Endpoint`](crate::protocol::Endpoint) that may do without.
    pub(crate) fn plain_http() -> Self {
        let mut tcp = HttpConnector::new();
        // A head and a body are two writes: the second must not wait for the first to be acknowledged.
        tcp.set_nodelay(true);
        Self::over(tcp)
    }

    fn over(connector: impl Connect + Clone + Send + Sync + 'static) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self::service(client)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
