use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use http::Request;
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Service, ServiceExt, util::Oneshot};

use super::{HyperClient, TlsConfig, hyper_client};
use crate::{
    error::{BoxError, TokenError},
    keystore::{ClientIdentity, IdentityNumber, RotatingIdentity, Shown, WeakIdentity},
};

/// A client for an API that wants certificate-bound tokens, whose certificate changes while calls
/// go on.
///
/// A bound token is good only over connections that show its certificate (RFC 8705 section 3), and
/// a renewed certificate is another one, be it for the same key. A TLS client that swaps the
/// certificate inside doesn't do: connections that are open, and sessions that are resumed, keep
/// the old one. So there is a client for each identity, with connections and sessions of its own.
/// A request that comes through an [`OAuthLayer`](crate::service::OAuthLayer) goes over the client
/// of its token's identity; any other goes over that of the current one.
///
/// The client of an identity is dropped when no token and no request needs it any more. Calls on its
/// connections then come to their end first.
///
/// ```no_run
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower_oauth::{
///     client_auth::TlsClientAuth,
///     grant::ClientCredentials,
///     keystore::RotatingIdentity,
///     service::{AllowedOrigins, OAuthLayer},
///     tls::{RotatingClient, TrustAnchors},
/// };
///
/// let trust = TrustAnchors::from_pem_file("ca.crt")?;
/// let identity = RotatingIdentity::from_pem_files("client.crt", "client.key")?;
/// let source = ClientCredentials::builder("https://as.example/oauth2/token")
///     .client_id("orders-service")
///     .auth(TlsClientAuth::new(&identity))
///     .trust(trust.clone())
///     .build()?;
/// let api = tower::ServiceBuilder::new()
///     .layer(OAuthLayer::new(source, AllowedOrigins::new(["https://api.example"])?))
///     .service(RotatingClient::hyper::<Full<Bytes>>(trust, &identity)?);
/// # let _ = api;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RotatingClient<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    identity: RotatingIdentity,
    make: Box<Make<C>>,
    /// Read by every call, written when an identity comes or goes.
    clients: ArcSwap<Vec<Entry<C>>>,
    writing: Mutex<()>,
}

type Make<C> = dyn Fn(&ClientIdentity) -> Result<C, BoxError> + Send + Sync;

/// The client of one identity.
#[derive(Clone)]
struct Entry<C> {
    number: IdentityNumber,
    held: WeakIdentity,
    client: C,
}

impl RotatingClient<()> {
    /// Clients as [`hyper_client`] makes them, which trust these authorities, or have these settings
    /// and the identity in place of theirs.
    ///
    /// # Errors
    ///
    /// Kind [`Configuration`](crate::ErrorKind::Configuration): rustls refuses the settings.
    pub fn hyper<B>(
        tls: impl Into<TlsConfig>,
        identity: impl Into<RotatingIdentity>,
    ) -> Result<RotatingClient<HyperClient<B>>, TokenError>
    where
        B: Body + Send + 'static + Unpin,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (tls, identity) = (tls.into(), identity.into());
        let make = move |identity: &ClientIdentity| hyper_client(&tls.clone().identity(identity));
        make(&identity.current())?;
        Ok(RotatingClient::new(identity, make))
    }
}

impl<C> RotatingClient<C> {
    /// Clients that a function makes, one for each identity: any service over [`http::Request`].
    /// Each must have connections and a TLS configuration of its own.
    pub fn new<E: Into<BoxError>>(
        identity: impl Into<RotatingIdentity>,
        make: impl Fn(&ClientIdentity) -> Result<C, E> + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                identity: identity.into(),
                make: Box::new(move |identity| make(identity).map_err(Into::into)),
                clients: ArcSwap::default(),
                writing: Mutex::default(),
            }),
        }
    }
}

impl<C: Clone> Shared<C> {
    /// The client of this identity.
    fn client(&self, identity: &ClientIdentity) -> Result<C, BoxError> {
        let number = identity.number();
        let clients = self.clients.load();
        let found = clients.iter().find(|it| it.number == number);
        let crowded = clients.len() > 1 && clients.iter().any(|it| !it.held.is_held());
        match found {
            Some(found) if !crowded => Ok(found.client.clone()),
            _ => self.tidy_up(identity),
        }
    }

    /// Drops the clients that nobody needs any more, and makes the one that is missing.
    fn tidy_up(&self, identity: &ClientIdentity) -> Result<C, BoxError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut clients = Vec::clone(&self.clients.load());
        clients.retain(|it| it.held.is_held());
        let found = clients.iter().find(|it| it.number == identity.number());
        let client = match found {
            Some(found) => found.client.clone(),
            None => {
                let client = (self.make)(identity)?;
                clients.push(Entry {
                    number: identity.number(),
                    held: identity.downgrade(),
                    client: client.clone(),
                });
                client
            }
        };
        self.clients.store(Arc::new(clients));
        Ok(client)
    }
}

impl<C> Clone for RotatingClient<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C> fmt::Debug for RotatingClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingClient")
            .field("identity", &self.shared.identity)
            .field("clients", &self.shared.clients.load().len())
            .finish_non_exhaustive()
    }
}

impl<C, B> Service<Request<B>> for RotatingClient<C>
where
    C: Service<Request<B>> + Clone,
    C::Error: Into<BoxError>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = RotatingFuture<C, B>;

    /// Always ready: which client it is only the request can tell.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let shown = request.extensions_mut().remove::<Shown>();
        let client = match &shown {
            Some(shown) => self.shared.client(shown.identity()),
            None => self.shared.client(&self.shared.identity.current()),
        };
        let state = match client {
            Ok(client) => State::Sending {
                sending: client.oneshot(request),
            },
            Err(error) => State::Failed { error: Some(error) },
        };
        RotatingFuture { state }
    }
}

pin_project! {
    /// The future of a [`RotatingClient`].
    pub struct RotatingFuture<C, B>
    where
        C: Service<Request<B>>,
    {
        #[pin]
        state: State<C, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<C, B>
    where
        C: Service<Request<B>>,
    {
        Sending {
            #[pin]
            sending: Oneshot<C, Request<B>>,
        },
        Failed {
            error: Option<BoxError>,
        },
    }
}

impl<C, B> Future for RotatingFuture<C, B>
where
    C: Service<Request<B>>,
    C::Error: Into<BoxError>,
{
    type Output = Result<C::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Sending { sending } => sending.poll(cx).map_err(Into::into),
            StateProjection::Failed { error } => {
                Poll::Ready(Err(error.take().expect("polled after it has ended")))
            }
        }
    }
}

impl<C, B> fmt::Debug for RotatingFuture<C, B>
where
    C: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotatingFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use tower::service_fn;

    use super::*;

    fn identity() -> ClientIdentity {
        let certificate = include_bytes!("../../tests/keys/p256-client.pem");
        let key = include_bytes!("../../tests/keys/p256-sec1.pem");
        ClientIdentity::from_pem(certificate, key).unwrap()
    }

    fn request(shown: Option<&ClientIdentity>) -> Request<()> {
        let mut request = Request::new(());
        if let Some(identity) = shown {
            request.extensions_mut().insert(Shown::new(identity));
        }
        request
    }

    type Counting = Arc<Mutex<Vec<IdentityNumber>>>;

    /// Clients that answer with whose they are, and a list of those made.
    fn numbered(
        identity: &ClientIdentity,
    ) -> (
        impl Service<Request<()>, Response = Response<IdentityNumber>, Error = BoxError> + Clone,
        Counting,
        impl Fn() -> usize,
    ) {
        let made = Counting::default();
        let counted = Arc::clone(&made);
        let client = RotatingClient::new(identity, move |identity: &ClientIdentity| {
            let number = identity.number();
            counted.lock().unwrap().push(number);
            Ok::<_, Infallible>(service_fn(move |request: Request<()>| async move {
                assert!(request.extensions().is_empty());
                Ok::<_, Infallible>(Response::new(number))
            }))
        });
        let shared = Arc::clone(&client.shared);
        (client, made, move || shared.clients.load().len())
    }

    #[tokio::test]
    async fn a_request_goes_over_the_client_of_its_identity() {
        let (current, other) = (identity(), identity());
        let (client, made, _) = numbered(&current);
        for (shown, expected) in [
            (None, &current),
            (Some(&other), &other),
            (Some(&current), &current),
            (Some(&other), &other),
        ] {
            let response = client.clone().oneshot(request(shown)).await.unwrap();
            assert_eq!(*response.body(), expected.number());
        }
        assert_eq!(*made.lock().unwrap(), [current.number(), other.number()]);
    }

    #[tokio::test]
    async fn a_client_is_there_as_long_as_somebody_needs_its_identity() {
        let current = identity();
        let (client, made, there) = numbered(&current);
        client.clone().oneshot(request(None)).await.unwrap();
        for _ in 0..100 {
            let passing = identity();
            let late = request(Some(&passing));
            client
                .clone()
                .oneshot(request(Some(&passing)))
                .await
                .unwrap();
            drop(passing);
            // The token is gone, and a request is still on its way.
            client.clone().oneshot(request(None)).await.unwrap();
            assert_eq!(there(), 2);
            client.clone().oneshot(late).await.unwrap();
            client.clone().oneshot(request(None)).await.unwrap();
            assert_eq!(there(), 1);
        }
        assert_eq!(made.lock().unwrap().len(), 101);
    }

    #[tokio::test]
    async fn a_client_that_cannot_be_made_is_an_error_of_the_call() {
        let client = RotatingClient::new(identity(), |_| {
            Err::<tower::util::BoxCloneService<Request<()>, (), BoxError>, _>("no such luck")
        });
        let error = client.oneshot(request(None)).await.unwrap_err();
        assert_eq!(error.to_string(), "no such luck");
    }
}
