//! One fetch, in a task of its own: no caller's fate is its fate.

use std::{
    future::{Future, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    control::{FlightNo, Start},
    report::tell,
    shared::Shared,
};
use crate::{
    clock::Timestamp,
    error::{ErrorKind, TokenError},
    events::{Event, Span},
    grant::Fetched,
    token::Cause,
};

/// Runs one fetch to its end and tells the handle, if there still is one. It ends, or doesn't even
/// begin, when the other end of `cut` is gone.
pub(super) async fn fly(landing: Landing, cut: oneshot::Receiver<()>) {
    let cause = landing.cause;
    let (source, observer, deadline) = match landing.shared.upgrade() {
        Some(shared) => (
            Arc::clone(&shared.source),
            Arc::clone(&shared.observer),
            shared.fetch_deadline,
        ),
        None => return,
    };
    let span = Span::fetch(cause);
    let fetch = async {
        tell(&*observer, &Event::FetchStarted { cause });
        match timeout(deadline, source.fetch(cause)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(TokenError::new(
                ErrorKind::Timeout,
                format!("the token source gave no answer within {deadline:?}"),
            )),
        }
    };
    let result = tokio::select! {
        biased;
        _gone = cut => return,
        result = span.around(caught(fetch)) => result,
    };
    if let Err(error) = &result {
        span.failed(error);
    }
    span.enter(|| landing.land(result));
}

/// Makes a panic an error like any other.
pub(super) async fn caught<T>(
    asked: impl Future<Output = Result<T, TokenError>>,
) -> Result<T, TokenError> {
    let mut asked = pin!(asked);
    poll_fn(|cx| {
        // After a panic it is not polled again.
        catch_unwind(AssertUnwindSafe(|| asked.as_mut().poll(cx))).unwrap_or_else(|_panic| {
            let error = TokenError::new(ErrorKind::Internal, "the token source panicked");
            Poll::Ready(Err(error))
        })
    })
    .await
}

/// Whatever happens to a flight, its waiters are told.
pub(super) struct Landing {
    shared: Weak<Shared>,
    no: FlightNo,
    cause: Cause,
    sent: Timestamp,
}

impl Landing {
    pub(super) fn new(shared: &Arc<Shared>, start: Start, sent: Timestamp) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            no: start.no,
            cause: start.cause,
            sent,
        }
    }

    fn land(mut self, result: Result<Fetched, TokenError>) {
        if let Some(shared) = mem::take(&mut self.shared).upgrade() {
            shared.landed(self.no, self.cause, self.sent, result);
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        // It didn't land: its runtime shuts down, or took it not even on.
        if let Some(shared) = self.shared.upgrade() {
            shared.flight_lost(self.no);
        }
    }
}
