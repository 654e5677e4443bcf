//! What is driven: the real stack, or one with a mistake in it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use tokio::time::timeout;
use tower::{Service, ServiceExt};
use tower_oauth::{
    BoxError, Error, ManualClock, OAuth, OAuthLayer, TokenHandle,
    client_auth::ClientSecretBasic,
    grant::{ClientCredentials, TokenSource},
    service::AllowedOrigins,
    transport::{HttpClient, TokenTransport, TransportLimits},
};

use crate::{
    network,
    scenario::{APIS, Host},
    servers::{CALL, CLIENT, FETCH, bearer},
    trace::{Fault, Seen, Witness},
};

/// How long a token request may take.
pub(crate) const FETCH_DEADLINE: Duration = Duration::from_secs(5);
/// How long a resource may take.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(4);

pub(crate) type Answer = Response<Full<Bytes>>;
pub(crate) type Calling = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

/// What a program's callers see.
pub(crate) trait Client: Send + Sync + 'static {
    fn call(&self, request: Request<Full<Bytes>>) -> Calling;
    fn refresh(&self);
    fn close(&self);
}

/// What a client is made of, and the seams where it is watched.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) witness: Witness,
    pub(crate) clock: ManualClock,
    fetches: Arc<AtomicUsize>,
}

/// Makes a client of its parts.
pub(crate) type Make = fn(&Parts) -> Arc<dyn Client>;

/// The real thing.
pub(crate) struct Real<S = Upstream>(pub(crate) OAuth<S>);

// ===== impl Parts =====

impl Parts {
    pub(crate) fn new(witness: Witness, clock: ManualClock) -> Self {
        Self {
            witness,
            clock,
            fetches: Arc::default(),
        }
    }

    /// A source whose token requests go over the simulated network.
    pub(crate) fn source(&self) -> ClientCredentials {
        let line = Line {
            witness: self.witness.clone(),
            fetches: Arc::clone(&self.fetches),
        };
        ClientCredentials::builder(format!(
            "https://{}/token",
            Host::AuthorizationServer.name()
        ))
        .client_id("simulated")
        .auth(ClientSecretBasic::new("a secret that nobody checks"))
        .http_client(HttpClient::from_transport(line))
        .limits(TransportLimits::new().deadline(FETCH_DEADLINE))
        .clock(self.clock.clone())
        .build()
        .expect("the settings are right")
    }

    pub(crate) fn handle(&self, source: impl TokenSource) -> TokenHandle {
        TokenHandle::builder(source)
            .clock(self.clock.clone())
            .observer(())
            .build()
    }

    pub(crate) fn layer(&self, handle: &TokenHandle) -> OAuthLayer {
        let origins = (0..APIS).map(|n| format!("https://{}", Host::Api(n).name()));
        let origins = AllowedOrigins::new(origins).expect("they are origins");
        OAuthLayer::new(handle.clone(), origins)
    }

    pub(crate) fn upstream(&self) -> Upstream {
        Upstream(self.witness.clone())
    }
}

// ===== impl Real =====

impl Real {
    pub(crate) fn new(parts: &Parts) -> Self {
        Self::of(parts, &parts.handle(parts.source()))
    }

    pub(crate) fn of(parts: &Parts, handle: &TokenHandle) -> Self {
        Self(tower::Layer::layer(&parts.layer(handle), parts.upstream()))
    }
}

impl<S> Client for Real<S>
where
    S: Service<Request<Full<Bytes>>, Response = Answer, Error = BoxError>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    fn call(&self, request: Request<Full<Bytes>>) -> Calling {
        Box::pin(self.0.clone().oneshot(request))
    }

    fn refresh(&self) {
        self.0.handle().refresh();
    }

    fn close(&self) {
        self.0.handle().close();
    }
}

// ===== the seams =====

/// The line to the authorization server.
struct Line {
    witness: Witness,
    fetches: Arc<AtomicUsize>,
}

impl TokenTransport for Line {
    async fn send(
        &self,
        mut request: Request<Bytes>,
        _max_answer: usize,
    ) -> Result<Response<Bytes>, BoxError> {
        let no = self.fetches.fetch_add(1, Ordering::Relaxed);
        let headers = request.headers_mut();
        headers.insert(CLIENT, HeaderValue::from(self.witness.client));
        headers.insert(FETCH, HeaderValue::from(no));
        self.witness.saw(Seen::Fetch(no));
        let guard = self.witness.until_dropped(Seen::FetchDropped(no));
        match network::exchange(request.map(Full::new)).await {
            Ok(answer) => {
                guard.answered(no, &answer);
                Ok(answer)
            }
            Err(error) => {
                guard.ended(Seen::FetchFailed(no, Fault::BROKEN));
                Err(error)
            }
        }
    }
}

/// The line to the resources: what stands below the layer.
#[derive(Clone)]
pub(crate) struct Upstream(Witness);

impl Service<Request<Full<Bytes>>> for Upstream {
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Self::Future {
        let witness = self.0.clone();
        let headers = request.headers_mut();
        headers.insert(CLIENT, HeaderValue::from(witness.client));
        let call = headers[CALL].to_str().ok().and_then(|it| it.parse().ok());
        let call = call.expect("callers number their calls");
        let token = bearer(headers).to_owned();
        witness.saw(Seen::Sent { call, token });
        Box::pin(async move {
            match timeout(CALL_DEADLINE, network::exchange(request)).await {
                Ok(Ok(answer)) => {
                    let status = answer.status().as_u16();
                    witness.saw(Seen::Head { call, status });
                    Ok(answer.map(Full::new))
                }
                other => {
                    witness.saw(Seen::Unanswered { call });
                    Err(match other {
                        Ok(Err(error)) => error,
                        _ => "no answer in time".into(),
                    })
                }
            }
        })
    }
}
