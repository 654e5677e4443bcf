use std::{error::Error as StdError, fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::Service;

use super::{TransportLimits, fault, service::ServiceTransport};
#[cfg(feature = "hyper")]
use crate::tls::Proxy;
use crate::{
    error::{BoxError, ErrorKind, TokenError},
    events::Span,
    keystore::ClientIdentity,
    protocol::Endpoint,
};

/// Carries a request to the authorization server and its answer back.
///
/// Most have a tower service instead: see [`HttpClient::service`].
pub trait TokenTransport: Send + Sync + 'static {
    /// Sends a request and reads the whole answer.
    ///
    /// An answer is an answer, whatever its status; a redirect must not be followed. When the body
    /// turns out longer than `max_answer` octets, stop reading and answer [`AnswerTooLarge`].
    ///
    /// # Errors
    ///
    /// When there is no whole answer. The error's chain becomes part of logs: it must hold no
    /// secret. A [`TokenError`] is passed on as it is.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the deadline passes.
    fn send(
        &self,
        request: Request<Bytes>,
        max_answer: usize,
    ) -> impl Future<Output = Result<Response<Bytes>, BoxError>> + Send;
}

/// Talks to the authorization server. Clones share what is underneath.
#[derive(Clone)]
pub struct HttpClient {
    transport: Arc<dyn DynTokenTransport>,
    identity: Option<ClientIdentity>,
    #[cfg(feature = "hyper")]
    proxy: Option<Proxy>,
}

impl HttpClient {
    /// Sends requests through a tower service, which may have layers of its own.
    ///
    /// The service must not follow redirects, must check the server's certificate, and should not
    /// log bodies or `Authorization` headers: they hold credentials.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::{Request, Response};
    /// use http_body_util::Full;
    /// use tower_oauth::{BoxError, transport::HttpClient};
    ///
    /// # async fn exchange(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
    /// #     Err("nobody there".into())
    /// # }
    /// let client = HttpClient::service(tower::service_fn(exchange));
    /// # let _ = client;
    /// ```
    pub fn service<S, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self::from_transport(ServiceTransport(service))
    }

    /// Sends requests through a transport of your own.
    pub fn from_transport(transport: impl TokenTransport) -> Self {
        Self {
            transport: Arc::new(transport),
            identity: None,
            #[cfg(feature = "hyper")]
            proxy: None,
        }
    }

    /// Says which certificate is shown in the TLS handshakes underneath, so that tokens are kept
    /// together with the identity that they may be bound to (RFC 8705 section 3). Default: none.
    #[must_use]
    pub fn presents(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Says which proxy to name when nothing else is known.
    #[cfg(feature = "hyper")]
    pub(super) fn through(mut self, proxy: Option<Proxy>) -> Self {
        self.proxy = proxy;
        self
    }

    pub(crate) fn identity(&self) -> Option<&ClientIdentity> {
        self.identity.as_ref()
    }

    /// One exchange with this endpoint, to which the request is addressed.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        endpoint: &Endpoint,
        limits: &TransportLimits,
    ) -> Result<Response<Bytes>, TokenError> {
        let span = Span::exchange(request.method(), endpoint.uri());
        let answer = span.around(self.exchange(request, endpoint, limits)).await;
        match &answer {
            Ok(answer) => span.answered(answer.status()),
            Err(error) => span.failed(error),
        }
        answer
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        endpoint: &Endpoint,
        limits: &TransportLimits,
    ) -> Result<Response<Bytes>, TokenError> {
        let answer = self.transport.send(request, limits.max_answer);
        let answer = tokio::time::timeout(limits.deadline, answer)
            .await
            .map_err(|_| {
                let (origin, deadline) = (endpoint.origin(), limits.deadline);
                let way = self.way_to(endpoint);
                let message = format!("{origin} didn't answer within {deadline:?}{way}");
                TokenError::new(ErrorKind::Timeout, message).with_hint(
                    "check that it can be reached from here; `TransportLimits::deadline` sets \
                     the time",
                )
            })?
            .map_err(|error| fault::told_apart(error, endpoint))?;
        // A transport of the user's may not have looked.
        if answer.body().len() > limits.max_answer {
            let limit = limits.max_answer;
            return Err(fault::told_apart(AnswerTooLarge { limit }.into(), endpoint));
        }
        Ok(answer)
    }

    /// The proxy on the way, in words.
    #[cfg_attr(not(feature = "hyper"), expect(unused_variables))]
    fn way_to(&self, endpoint: &Endpoint) -> String {
        #[cfg(feature = "hyper")]
        if let Some(proxy) = &self.proxy
            && let Some(server) = proxy.server_for(endpoint.uri())
        {
            return format!(" through the proxy {server}");
        }
        String::new()
    }
}

/// So that another transport can be put around it.
impl TokenTransport for HttpClient {
    async fn send(
        &self,
        request: Request<Bytes>,
        max_answer: usize,
    ) -> Result<Response<Bytes>, BoxError> {
        self.transport.send(request, max_answer).await
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// The answer's body has more octets than it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerTooLarge {
    limit: usize,
}

impl AnswerTooLarge {
    /// More than `limit` octets came.
    pub fn new(limit: usize) -> Self {
        Self { limit }
    }
}

impl fmt::Display for AnswerTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer has more than {} octets", self.limit)
    }
}

impl StdError for AnswerTooLarge {}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The object-safe twin of [`TokenTransport`].
trait DynTokenTransport: Send + Sync + 'static {
    fn send(
        &self,
        request: Request<Bytes>,
        max_answer: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, BoxError>>;
}

impl<T: TokenTransport> DynTokenTransport for T {
    fn send(
        &self,
        request: Request<Bytes>,
        max_answer: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, BoxError>> {
        Box::pin(TokenTransport::send(self, request, max_answer))
    }
}

#[cfg(test)]
mod tests;
