//! Five mistakes that are easily made, each a wrapper around the real thing. The simulation must
//! find them, or it finds nothing.

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::sync::{Notify, oneshot};
use tower::{Layer, Service, ServiceExt};
use tower_oauth::{
    BoxError, Error, ErrorKind, TokenError, TokenHandle,
    grant::{ClientCredentials, Fetched, TokenSource},
    service::{Rejected, RejectedReason},
    token::Cause,
};

use crate::client::{Answer, Calling, Client, Parts, Real, Upstream};

// ===== a refresh that is tied to its caller =====

/// Token requests run in the futures of the calls that are there.
pub(crate) struct TiedToTheCaller {
    real: Real,
    seat: Arc<Seat>,
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the next caller finds the token request to run.
#[derive(Default)]
struct Seat {
    jobs: Mutex<VecDeque<Job>>,
    news: Notify,
}

struct ByTheCaller {
    source: Arc<ClientCredentials>,
    seat: Arc<Seat>,
}

impl TokenSource for ByTheCaller {
    async fn fetch(&self, cause: Cause) -> Result<Fetched, TokenError> {
        let (done, result) = oneshot::channel();
        let source = Arc::clone(&self.source);
        lock(&self.seat.jobs).push_back(Box::pin(async move {
            let _ = done.send(source.fetch(cause).await);
        }));
        self.seat.news.notify_one();
        let gone = TokenError::new(ErrorKind::Internal, "the caller went away");
        result.await.unwrap_or(Err(gone))
    }
}

impl TiedToTheCaller {
    pub(crate) fn make(parts: &Parts) -> Arc<dyn Client> {
        let seat = Arc::<Seat>::default();
        let source = ByTheCaller {
            source: Arc::new(parts.source()),
            seat: Arc::clone(&seat),
        };
        let real = Real::of(parts, &parts.handle(source));
        Arc::new(Self { real, seat })
    }
}

impl Client for TiedToTheCaller {
    fn call(&self, request: Request<Full<Bytes>>) -> Calling {
        let seat = Arc::clone(&self.seat);
        let call = self.real.call(request);
        Box::pin(async move {
            let work = async {
                loop {
                    let job = lock(&seat.jobs).pop_front();
                    match job {
                        Some(job) => job.await,
                        None => seat.news.notified().await,
                    }
                }
            };
            tokio::select! {
                result = call => result,
                () = work => unreachable!("there is always another"),
            }
        })
    }

    fn refresh(&self) {
        self.real.refresh();
    }

    fn close(&self) {
        self.real.close();
    }
}

// ===== a blind invalidation =====

/// A refusal is taken for one of the token that is current when it arrives.
#[derive(Clone)]
pub(crate) struct BlindInvalidation {
    upstream: Upstream,
    handle: TokenHandle,
}

impl BlindInvalidation {
    pub(crate) fn make(parts: &Parts) -> Arc<dyn Client> {
        let handle = parts.handle(parts.source());
        let below = Self {
            upstream: parts.upstream(),
            handle: handle.clone(),
        };
        Arc::new(Real(parts.layer(&handle).layer(below)))
    }
}

impl Service<Request<Full<Bytes>>> for BlindInvalidation {
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.upstream.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let handle = self.handle.clone();
        let answer = self.upstream.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if answer.status() == StatusCode::UNAUTHORIZED
                && let Some(current) = handle.status().generation
            {
                handle.invalidate(current);
            }
            Ok(answer)
        })
    }
}

// ===== no cool-down =====

/// A refusal asks for another token, however many were refused before.
pub(crate) struct NoCoolDown(Real);

impl NoCoolDown {
    pub(crate) fn make(parts: &Parts) -> Arc<dyn Client> {
        Arc::new(Self(Real::new(parts)))
    }
}

impl Client for NoCoolDown {
    fn call(&self, request: Request<Full<Bytes>>) -> Calling {
        let handle = self.0.0.handle().clone();
        let call = self.0.call(request);
        Box::pin(async move {
            let answer = call.await?;
            let rejected: Option<&Rejected> = answer.extensions().get();
            let reason = rejected.map(Rejected::reason);
            if let Some(RejectedReason::CoolDown { .. } | RejectedReason::Again) = reason {
                handle.refresh();
            }
            Ok(answer)
        })
    }

    fn refresh(&self) {
        self.0.refresh();
    }

    fn close(&self) {
        self.0.close();
    }
}

// ===== an error that replaces the token =====

/// A failed renewal throws away what there was.
pub(crate) struct ErrorReplacesToken {
    parts: Parts,
    real: Mutex<Arc<Real>>,
    failed: Arc<AtomicBool>,
}

struct Flagging {
    source: ClientCredentials,
    failed: Arc<AtomicBool>,
}

impl TokenSource for Flagging {
    async fn fetch(&self, cause: Cause) -> Result<Fetched, TokenError> {
        let result = self.source.fetch(cause).await;
        self.failed.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    }
}

impl ErrorReplacesToken {
    pub(crate) fn make(parts: &Parts) -> Arc<dyn Client> {
        let failed = Arc::default();
        let real = Mutex::new(Self::empty(parts, &failed));
        Arc::new(Self {
            parts: parts.clone(),
            real,
            failed,
        })
    }

    /// Without a token.
    fn empty(parts: &Parts, failed: &Arc<AtomicBool>) -> Arc<Real> {
        let source = Flagging {
            source: parts.source(),
            failed: Arc::clone(failed),
        };
        Arc::new(Real::of(parts, &parts.handle(source)))
    }

    fn real(&self) -> Arc<Real> {
        let mut real = lock(&self.real);
        if self.failed.swap(false, Ordering::Relaxed) {
            *real = Self::empty(&self.parts, &self.failed);
        }
        Arc::clone(&real)
    }
}

impl Client for ErrorReplacesToken {
    fn call(&self, request: Request<Full<Bytes>>) -> Calling {
        self.real().call(request)
    }

    fn refresh(&self) {
        self.real().refresh();
    }

    fn close(&self) {
        self.real().close();
    }
}

// ===== a lost wake-up =====

/// Of those who wait for a token, the last one to come is told.
pub(crate) struct LostWakeUp {
    real: Real,
    slot: Arc<Slot>,
}

/// Room for one waker.
#[derive(Default)]
struct Slot(Mutex<Option<Waker>>);

impl Wake for Slot {
    fn wake(self: Arc<Self>) {
        let waker = mem::take(&mut *lock(&self.0));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl LostWakeUp {
    pub(crate) fn make(parts: &Parts) -> Arc<dyn Client> {
        Arc::new(Self {
            real: Real::new(parts),
            slot: Arc::default(),
        })
    }
}

impl Client for LostWakeUp {
    fn call(&self, request: Request<Full<Bytes>>) -> Calling {
        let slot = Arc::clone(&self.slot);
        let stack = self.real.0.clone();
        Box::pin(async move {
            {
                let mut ready = pin!(stack.handle().ready());
                let waker = Waker::from(Arc::clone(&slot));
                std::future::poll_fn(|cx| {
                    *lock(&slot.0) = Some(cx.waker().clone());
                    ready.as_mut().poll(&mut Context::from_waker(&waker))
                })
                .await
                .map_err(Error::Token)?;
            }
            stack.oneshot(request).await
        })
    }

    fn refresh(&self) {
        self.real.refresh();
    }

    fn close(&self) {
        self.real.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
