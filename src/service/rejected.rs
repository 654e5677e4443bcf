use std::{error::Error as StdError, fmt, time::Duration};

use http::HeaderValue;

use crate::{
    challenge::Refusal,
    error::TokenError,
    refresh::{NotHealed, OriginId, TokenHandle, Why},
    token::Generation,
};

/// Why a rejection was not healed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RejectedCause {
    /// The request had been sent again with a newer token, and that was refused too.
    Again,
    /// The refused token was fetched for this very request.
    Fresh,
    /// The request's body can't be sent again.
    NotRepeatable,
    /// This origin refuses every token, or one was fetched because of a rejection just now; until
    /// then no rejection starts another fetch.
    #[non_exhaustive]
    CoolDown {
        /// How long that lasts.
        remaining: Duration,
    },
    /// A newer token was wanted and could not be had.
    NoToken(TokenError),
    /// The last fetch failed, and the next attempt isn't due yet.
    #[non_exhaustive]
    BackOff {
        /// How long it is until then.
        remaining: Duration,
    },
    /// The authorization server gave the refused token again.
    SameToken,
    /// The handle was closed.
    Closed,
}

/// A rejection of the token that reached the caller: in the extensions of the response, or as an
/// [`Error`](super::Error).
///
/// `Display` says what to change. What is told of the server's challenge is short, on one line and
/// holds no part of the token.
#[derive(Clone)]
pub struct Rejected {
    cause: RejectedCause,
    origin: String,
    generation: Generation,
    token_age: Duration,
    refusal: Refusal,
    /// What the retry policy needs to know.
    pub(super) sent: Sent,
}

/// How the refused request had been sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) generation: Generation,
    pub(super) origin: OriginId,
    /// It had waited for the flight that brought its token.
    pub(super) waited: bool,
    /// It was the second send.
    pub(super) again: bool,
    /// The header that was sent: what servers echo is recognised by it.
    pub(super) credential: HeaderValue,
}

impl Rejected {
    pub(super) fn new(sent: Sent, origin: String, refusal: Refusal, token_age: Duration) -> Self {
        let cause = if sent.again {
            RejectedCause::Again
        } else {
            RejectedCause::NotRepeatable
        };
        Self {
            cause,
            origin,
            generation: sent.generation,
            token_age,
            refusal,
            sent,
        }
    }

    /// Notes why no other send healed it.
    pub(super) fn not_healed(&mut self, why: NotHealed, now: Duration) {
        let remaining = |until: Duration| until.saturating_sub(now);
        self.cause = match why {
            NotHealed::Why(Why::NotRepeatable) if self.sent.again => RejectedCause::Again,
            NotHealed::Why(Why::NotRepeatable) => RejectedCause::NotRepeatable,
            NotHealed::Why(Why::Fresh) => RejectedCause::Fresh,
            NotHealed::Why(Why::BackOff(until)) => RejectedCause::BackOff {
                remaining: remaining(until),
            },
            NotHealed::Why(Why::CoolDown(until)) => RejectedCause::CoolDown {
                remaining: remaining(until),
            },
            NotHealed::Why(Why::Closed) => RejectedCause::Closed,
            NotHealed::Failed(error) => RejectedCause::NoToken(error),
            NotHealed::SameToken => RejectedCause::SameToken,
        };
    }

    /// Makes an event of it.
    pub(super) fn tell(&self, handle: &TokenHandle) {
        handle.report_rejection(
            self.sent.origin,
            &self.origin,
            self.generation,
            &self.hint(),
        );
    }

    /// Why the rejection was not healed.
    pub fn cause(&self) -> &RejectedCause {
        &self.cause
    }

    /// Who refused the token: scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The number of the refused token.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// How old the refused token was.
    pub fn token_age(&self) -> Duration {
        self.token_age
    }

    /// What the resource said.
    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// What to change.
    pub fn hint(&self) -> String {
        let age = self.token_age.as_secs();
        let mut hint = match &self.cause {
            RejectedCause::Again => format!(
                "a new token, {age} s old, is refused like the one before it: its audience, scope \
                 or binding is wrong for this API, or the API doesn't trust this authorization \
                 server"
            ),
            RejectedCause::Fresh => format!(
                "the token was fetched for this very request, {age} s ago: its audience, scope or \
                 binding is wrong for this API, or the API doesn't trust this authorization server"
            ),
            RejectedCause::NotRepeatable => "the body couldn't be sent again; the next request \
                has a newer token. Wrap the body in `ReplayBody`, or raise `replay_limit`"
                .to_owned(),
            RejectedCause::CoolDown { remaining } => format!(
                "new tokens were refused here as well, so none is fetched because of a rejection \
                 for {} s: the token's audience, scope or binding is wrong for this API, or \
                 somebody else's fetches revoke our tokens",
                remaining.as_secs_f32().ceil()
            ),
            RejectedCause::NoToken(error) => format!("no newer token could be had: {error}"),
            RejectedCause::BackOff { remaining } => format!(
                "no newer token could be had; the next attempt is made in {} s",
                remaining.as_secs_f32().ceil()
            ),
            RejectedCause::SameToken => "the authorization server gave the refused token again: \
                it caches tokens longer than the API accepts them"
                .to_owned(),
            RejectedCause::Closed => "the token handle is closed".to_owned(),
        };
        if let Some(error) = self.refusal.error() {
            hint.push_str("; the challenge says ");
            hint.push_str(error);
        }
        if let Some(description) = self.refusal.description() {
            hint.push_str(": ");
            hint.push_str(description);
        }
        if let Some(scope) = self.refusal.scope() {
            hint.push_str("; it asks for scope ");
            hint.push_str(scope);
        }
        hint
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} refused the access token ({})",
            self.origin,
            self.hint()
        )
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("cause", &self.cause)
            .field("origin", &self.origin)
            .field("generation", &self.generation)
            .field("token_age", &self.token_age)
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}

impl StdError for Rejected {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            RejectedCause::NoToken(error) => Some(error),
            _ => None,
        }
    }
}
