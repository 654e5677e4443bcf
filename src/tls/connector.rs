use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::net::TcpStream;
use tower::Service;

use super::{
    Proxy, ProxyError, TlsConfig,
    cause::is_of_unknown_issuer,
    proxy::{authority, tcp},
};
use crate::error::{BoxError, TokenError};

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes the connections of a [`HyperClient`](super::HyperClient): TCP, the proxy's tunnel if there
/// is one on the way, and TLS.
#[derive(Clone)]
pub struct Connector {
    https: HttpsConnector<Way>,
    proxy: Option<Proxy>,
}

impl Connector {
    /// For HTTP/1.1.
    pub(crate) fn http1(tls: &TlsConfig) -> Result<Self, TokenError> {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls.client_config()?)
            .https_only()
            .enable_http1()
            .wrap_connector(Way::new(tls));
        Ok(Self::new(https, tls))
    }

    /// For HTTP/1.1, and HTTP/2 with servers that offer it.
    #[cfg(feature = "http2")]
    pub(super) fn http1_or_2(tls: &TlsConfig) -> Result<Self, TokenError> {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls.client_config()?)
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Way::new(tls));
        Ok(Self::new(https, tls))
    }

    fn new(https: HttpsConnector<Way>, tls: &TlsConfig) -> Self {
        let proxy = tls.through().cloned();
        Self { https, proxy }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let proxy = self.proxy.clone();
        let connecting = self.https.call(target.clone());
        Box::pin(async move {
            connecting.await.map_err(|source| {
                match proxy.as_ref().and_then(|proxy| proxy.server_for(&target)) {
                    Some(server) if is_of_unknown_issuer(&*source) => ProxyError::Untrusted {
                        proxy: server.to_owned(),
                        target: authority(&target),
                        source,
                    }
                    .into(),
                    _ => source,
                }
            })
        })
    }
}

// ===== impl Way =====

/// TCP to a server, through the proxy if there is one on the way.
#[derive(Clone)]
struct Way {
    tcp: HttpConnector,
    proxy: Option<Proxy>,
}

impl Way {
    fn new(tls: &TlsConfig) -> Self {
        Self {
            tcp: tcp(),
            proxy: tls.through().cloned(),
        }
    }
}

impl Service<Uri> for Way {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        match &self.proxy {
            Some(proxy) => Box::pin(proxy.clone().connect(self.tcp.clone(), target)),
            None => {
                let connecting = self.tcp.call(target);
                Box::pin(async move { Ok(connecting.await?) })
            }
        }
    }
}
