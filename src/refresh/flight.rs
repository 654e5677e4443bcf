//! One fetch, in a task of its own: no caller's fate is its fate.

use std::sync::{Arc, Weak};

use tokio::time::timeout;

use super::{
    control::{FlightNo, Start},
    handle::Shared,
};
use crate::{
    clock::Timestamp,
    error::{ErrorKind, TokenError},
    events::Event,
    token::Cause,
};

/// Runs one fetch to its end and tells the handle, if there still is one.
pub(super) async fn fly(shared: Weak<Shared>, start: Start, sent: Timestamp) {
    let (source, observer, deadline) = match shared.upgrade() {
        Some(shared) => (
            Arc::clone(&shared.source),
            Arc::clone(&shared.observer),
            shared.fetch_deadline,
        ),
        None => return,
    };
    let landing = Landing {
        shared,
        no: start.no,
        cause: start.cause,
        sent,
        armed: true,
    };
    observer.event(&Event::FetchStarted { cause: start.cause });
    let result = match timeout(deadline, source.fetch(start.cause)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(TokenError::new(
            ErrorKind::Timeout,
            format!("the token source gave no answer within {deadline:?}"),
        )),
    };
    landing.land(result);
}

/// Whatever happens to a flight, its waiters are told.
struct Landing {
    shared: Weak<Shared>,
    no: FlightNo,
    cause: Cause,
    sent: Timestamp,
    armed: bool,
}

impl Landing {
    fn land(mut self, result: Result<crate::grant::Fetched, TokenError>) {
        self.armed = false;
        if let Some(shared) = self.shared.upgrade() {
            shared.landed(self.no, self.cause, self.sent, result);
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        if !std::thread::panicking() {
            // The runtime shuts down.
            shared.flight_lost(self.no);
            return;
        }
        // A panic is an error like any other. It is told from outside of the unwinding, in which
        // an observer's panic would end the process.
        let (no, cause, sent) = (self.no, self.cause, self.sent);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    let error = TokenError::new(ErrorKind::Internal, "the token source panicked");
                    shared.landed(no, cause, sent, Err(error));
                });
            }
            Err(_) => shared.flight_lost(no),
        }
    }
}
