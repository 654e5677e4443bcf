//! What goes into the state machine, and what comes out.

use std::time::Duration;

use super::{Fault, OriginId};
use crate::token::{Cause, Generation, Schedule};
pub(crate) type FlightNo = u64;

/// A fetch that is to start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub(crate) struct Start {
    pub(crate) no: FlightNo,
    pub(crate) cause: Cause,
}

/// What a call that needs a token does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Demand {
    /// Goes on with the current token.
    Use,
    /// Waits for the outcome of this flight.
    Wait(FlightNo),
    /// Fails; the next attempt is made then, or when asked for if that is not known.
    Fail { retry_at: Option<Duration> },
}

/// A response that refused a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rejection {
    /// The token that was sent.
    pub(crate) generation: Generation,
    /// Who refused it.
    pub(crate) origin: OriginId,
    /// The request had waited for the flight that brought this token: it was fetched for this
    /// very request.
    pub(crate) waited: bool,
    /// The request may be sent once more: it wasn't yet, and its body is at hand.
    pub(crate) retryable: bool,
}

/// What is done about a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// Sends the request once more, now: there is a newer token already.
    Resend,
    /// Holds the response and waits for the outcome of this flight.
    Hold(FlightNo),
    /// Gives the caller the response.
    Original(Why),
}

/// Why a rejection is not answered by another send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    /// The request can't be repeated, or was already.
    NotRepeatable,
    /// The refused token was fetched for this very request.
    Fresh,
    /// The last fetch failed; the next attempt is made then.
    BackOff(Duration),
    /// A token was fetched because of a rejection just now, or this origin refuses every token.
    CoolDown(Duration),
    /// The handle is closed.
    Closed,
}

/// How a flight ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Landed {
    /// With a token, whose bytes have this fingerprint.
    Token { print: u64, schedule: Schedule },
    /// Without one; the next attempt waits at least `delay` if the server said so.
    Failed {
        fault: Fault,
        retry_after: Option<Duration>,
        /// Uniform in 0..=255: how much of the back-off's jitter to use.
        draw: u8,
    },
}

/// What the waiters of a flight are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// There is a token with this number.
    Token(Generation),
    /// The fetch failed.
    Failed,
    /// Nothing is decided: each asks again.
    StartOver,
}
