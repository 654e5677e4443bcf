use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tonic::{Code, Status};

use super::retry_info;
use crate::{
    clock::{Clock, Timestamp},
    error::TokenError,
    service::{Error, RejectedReason},
};

/// A failed call as the status that says what happened and what to change.
///
/// | error | code |
/// | --- | --- |
/// | [`Error::Token`], [temporary](TokenError::is_temporary) | `UNAVAILABLE` |
/// | [`Error::Token`], any other | `UNAUTHENTICATED` |
/// | [`Error::Rejected`] | `UNAUTHENTICATED`, as the server said |
/// | [`Error::Origin`] | `UNAUTHENTICATED` |
/// | [`Error::Inner`] | what [`Status::from_error`] makes of it |
///
/// The error itself is in the status's `source()`, where [`Error::find_in`] finds it. When it is
/// known how long nothing will change, the status's details hold a `google.rpc.RetryInfo` with that
/// time, for which the system's clock is read. There is no metadata: what a server sent along with
/// a refusal may hold the token.
pub fn status(error: Error) -> Status {
    status_at(error, Clock::system().now())
}

fn status_at(error: Error, now: Timestamp) -> Status {
    let (code, delay) = match error {
        Error::Inner(inner) => return Status::from_error(inner),
        Error::Token(ref error) if error.is_temporary() => (Code::Unavailable, wait(error, now)),
        Error::Token(ref error) => (Code::Unauthenticated, wait(error, now)),
        Error::Rejected(ref rejected) => match rejected.reason() {
            RejectedReason::NoToken(error) => (Code::Unauthenticated, wait(error, now)),
            RejectedReason::CoolDown { remaining } | RejectedReason::BackOff { remaining } => {
                (Code::Unauthenticated, Some(*remaining))
            }
            _ => (Code::Unauthenticated, None),
        },
        Error::Origin(_) => (Code::Unauthenticated, None),
    };
    let message = error.to_string();
    let details = delay
        .map(|delay| retry_info::details(code, &message, delay))
        .unwrap_or_default();
    let mut status = Status::with_details(code, message, details);
    status.set_source(Arc::new(error));
    status
}

/// How long no token will be had.
fn wait(error: &TokenError, now: Timestamp) -> Option<Duration> {
    let until = error.retry_at().map(|at| {
        at.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    });
    until
        .map(|until| until.saturating_sub(now.wall))
        .or(error.retry_after())
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, io};

    use super::*;
    use crate::{
        error::ErrorKind,
        service::{AllowedOrigins, OriginError},
    };

    const NOW: Timestamp = Timestamp {
        mono: Duration::ZERO,
        wall: Duration::from_secs(1_800_000_000),
    };

    fn of(error: impl Into<Error>) -> Status {
        status_at(error.into(), NOW)
    }

    #[test]
    fn a_failure_that_may_pass_is_unavailable_and_any_other_unauthenticated() {
        for (kind, code) in [
            (ErrorKind::Transport, Code::Unavailable),
            (ErrorKind::Timeout, Code::Unavailable),
            (ErrorKind::Configuration, Code::Unauthenticated),
            (ErrorKind::Rejected, Code::Unauthenticated),
            (ErrorKind::Closed, Code::Unauthenticated),
        ] {
            let status = of(TokenError::new(kind, "it failed").with_hint("change it"));
            assert_eq!(status.code(), code, "{kind}");
            assert_eq!(status.message(), "no access token: it failed (change it)");
            assert!(status.details().is_empty() && status.metadata().is_empty());
        }
        let refused: OriginError = AllowedOrigins::new([""]).unwrap_err();
        assert_eq!(of(refused).code(), Code::Unauthenticated);
    }

    #[test]
    fn the_error_is_found_in_the_status() {
        let cause = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = TokenError::new(ErrorKind::Transport, "it failed").with_source(cause);
        let status = of(error);
        let Some(Error::Token(found)) = Error::find_in(&status) else {
            panic!("{status:?}");
        };
        assert_eq!(found.kind(), ErrorKind::Transport);
        assert!(found.source().unwrap().is::<io::Error>());
    }

    #[test]
    fn the_time_of_the_next_attempt_is_told_as_a_delay() {
        let error = TokenError::new(ErrorKind::Transport, "down");
        let at = |seconds| SystemTime::UNIX_EPOCH + NOW.wall + Duration::from_secs(seconds);
        let told = |error: TokenError, delay| {
            let expected = retry_info::details(Code::Unavailable, "no access token: down", delay);
            assert_eq!(of(error).details(), expected);
        };
        told(error.clone().retried_at(at(7)), Duration::from_secs(7));
        // Who comes late may try at once.
        told(
            error.clone().retried_at(SystemTime::UNIX_EPOCH),
            Duration::ZERO,
        );
        let asked = error.with_retry_after(Duration::from_secs(30));
        told(asked.clone(), Duration::from_secs(30));
        told(asked.retried_at(at(7)), Duration::from_secs(7));
    }

    #[test]
    fn an_error_from_below_becomes_what_tonic_makes_of_it() {
        let below = Status::data_loss("half of it");
        let status = of(Error::Inner(below.into()));
        assert_eq!(
            (status.code(), status.message()),
            (Code::DataLoss, "half of it")
        );
        let status = of(Error::Inner("broken".into()));
        assert_eq!((status.code(), status.message()), (Code::Unknown, "broken"));
    }
}
