use std::{error::Error as StdError, fmt, time::Duration};

use http::HeaderValue;

use crate::{
    challenge::Refusal,
    error::TokenError,
    events::AlarmCause,
    refresh::{NotHealed, OriginId, Rejection, TokenHandle, Verdict, Why},
    token::Generation,
};

/// Why a rejection was not healed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RejectedReason {
    /// The request had been sent again with a newer token, and that was refused too.
    Again,
    /// The refused token was fetched for this very request.
    Fresh,
    /// The request's body can't be sent again.
    NotRepeatable,
    /// The request's body can't be sent again, because those of other requests had used up the
    /// layer's [`replay_budget`](super::OAuthLayer::replay_budget).
    BudgetSpent,
    /// The request must not be sent twice: [`Repeat::Never`](super::Repeat::Never).
    Forbidden,
    /// The request was redirected below, and has a body: sent again, that would go the same way, which
    /// may lead past another origin.
    Redirected,
    /// Whether it is sent again is not up to [`AttachLayer`](super::AttachLayer).
    NotRetried,
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

impl RejectedReason {
    /// A short, stable name for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Fresh => "fresh",
            Self::NotRepeatable => "not_repeatable",
            Self::BudgetSpent => "budget_spent",
            Self::Forbidden => "forbidden",
            Self::Redirected => "redirected",
            Self::NotRetried => "not_retried",
            Self::CoolDown { .. } => "cool_down",
            Self::NoToken(_) => "no_token",
            Self::BackOff { .. } => "back_off",
            Self::SameToken => "same_token",
            Self::Closed => "closed",
        }
    }
}

/// A rejection of the token that reached the caller: in the extensions of the response, or as an
/// [`Error`](super::Error).
///
/// `Display` says what to change. What is told of the server's challenge is short, on one line and
/// holds no part of the token.
#[derive(Clone)]
pub struct Rejected {
    reason: RejectedReason,
    origin: String,
    generation: Generation,
    token_age: Duration,
    refusal: Refusal,
    /// It looks as if others had revoked it by fetching theirs.
    revoked_by_others: bool,
    /// What the retry policy needs to know.
    pub(super) sent: Sent,
}

/// How the refused request had been sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) generation: Generation,
    pub(super) origin: OriginId,
    /// When its token had come, in monotonic time.
    pub(super) received: Duration,
    /// It had waited for the flight that brought its token.
    pub(super) waited: bool,
    /// It was the second send.
    pub(super) again: bool,
    /// It can't be sent again.
    pub(super) once: bool,
    /// It must not be.
    pub(super) forbidden: bool,
    /// It was redirected on its way to who refused it.
    pub(super) redirected: bool,
    /// The header that was sent: what servers echo is recognised by it.
    pub(super) credential: HeaderValue,
}

impl Rejected {
    pub(super) fn new(sent: Sent, origin: String, refusal: Refusal, now: Duration) -> Self {
        let reason = if sent.again {
            RejectedReason::Again
        } else {
            RejectedReason::NotRetried
        };
        Self {
            reason,
            origin,
            generation: sent.generation,
            token_age: now.saturating_sub(sent.received),
            refusal,
            revoked_by_others: false,
            sent,
        }
    }

    /// Reports a rejection that nobody above is known to deal with.
    pub(super) fn report(&mut self, handle: &TokenHandle) {
        let rejection = Rejection {
            generation: self.sent.generation,
            origin: self.sent.origin,
            waited: self.sent.waited,
            retryable: !self.sent.once,
        };
        if let Verdict::Original(why) = handle.rejected(rejection) {
            self.not_healed(why, handle.now().mono);
        }
        self.tell(handle);
    }

    /// Notes why no other send healed it.
    pub(super) fn not_healed(&mut self, why: NotHealed, now: Duration) {
        let remaining = |until: Duration| until.saturating_sub(now);
        self.reason = match why {
            NotHealed::Why(Why::NotRepeatable) if self.sent.again => RejectedReason::Again,
            NotHealed::Why(Why::NotRepeatable) if self.sent.forbidden => RejectedReason::Forbidden,
            NotHealed::Why(Why::NotRepeatable) if self.sent.redirected => {
                RejectedReason::Redirected
            }
            NotHealed::Why(Why::NotRepeatable) => RejectedReason::NotRepeatable,
            NotHealed::Why(Why::Fresh) => RejectedReason::Fresh,
            NotHealed::Why(Why::BackOff(until)) => RejectedReason::BackOff {
                remaining: remaining(until),
            },
            NotHealed::Why(Why::CoolDown(until)) => RejectedReason::CoolDown {
                remaining: remaining(until),
            },
            NotHealed::Why(Why::Closed) => RejectedReason::Closed,
            NotHealed::Failed(error) => RejectedReason::NoToken(error),
            NotHealed::SameToken => RejectedReason::SameToken,
        };
    }

    /// Notes why the body couldn't be sent again, if that was the reason.
    pub(super) fn crowded_out(&mut self, crowded_out: bool) {
        if crowded_out && matches!(self.reason, RejectedReason::NotRepeatable) {
            self.reason = RejectedReason::BudgetSpent;
        }
    }

    /// Makes an event of it, with what the alarm knows by now.
    pub(super) fn tell(&mut self, handle: &TokenHandle) {
        self.revoked_by_others = handle.is_revoked_by_others(self.sent.origin);
        handle.report_rejection(
            self.sent.origin,
            &self.origin,
            self.generation,
            self.reason.name(),
            &self.hint(),
        );
    }

    /// Why the rejection was not healed.
    pub fn reason(&self) -> &RejectedReason {
        &self.reason
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

    /// What to change. While the handle's alarm says that
    /// [one token is active](AlarmCause::OneActiveToken), it is that, unless this origin has never
    /// accepted a token.
    pub fn hint(&self) -> String {
        let mut hint = self.what_was_seen();
        let guess = if self.revoked_by_others {
            Some(AlarmCause::OneActiveToken.hint())
        } else {
            self.guess()
        };
        if let Some(guess) = guess {
            hint.push_str(": ");
            hint.push_str(guess);
        }
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

    fn what_was_seen(&self) -> String {
        let age = self.token_age.as_secs();
        match &self.reason {
            RejectedReason::Again => {
                format!("a new token, {age} s old, is refused like the one before it")
            }
            RejectedReason::Fresh => {
                format!("the token was fetched for this very request, {age} s ago")
            }
            RejectedReason::NotRepeatable => "the body couldn't be sent again; the next request \
                has a newer token. Wrap the body in `ReplayBody`, or raise `replay_limit`"
                .to_owned(),
            RejectedReason::BudgetSpent => {
                "the body couldn't be sent again, because the bodies kept \
                for other requests had used up the layer's budget; the next request has a newer \
                token. Raise `replay_budget`, or lower `replay_limit`"
                    .to_owned()
            }
            RejectedReason::Forbidden => {
                "the request says that it must not be sent twice; the next \
                request has a newer token"
                    .to_owned()
            }
            RejectedReason::Redirected => {
                "the request was redirected, and its body isn't sent that way \
                again, past whoever stands on it; the next request has a newer token. Call the \
                address that the redirect leads to"
                    .to_owned()
            }
            RejectedReason::NotRetried => "whether it is sent again is up to what stands above \
                `AttachLayer`; a newer token is there or on its way"
                .to_owned(),
            RejectedReason::CoolDown { remaining } => format!(
                "new tokens were refused here as well, so none is fetched because of a rejection \
                 for {} s",
                remaining.as_secs_f32().ceil()
            ),
            RejectedReason::NoToken(error) => format!("no newer token could be had: {error}"),
            RejectedReason::BackOff { remaining } => format!(
                "no newer token could be had; the next attempt is made in {} s",
                remaining.as_secs_f32().ceil()
            ),
            RejectedReason::SameToken => "the authorization server gave the refused token again: \
                it caches tokens longer than the API accepts them"
                .to_owned(),
            RejectedReason::Closed => "the token handle is closed".to_owned(),
        }
    }

    /// What may be wrong, going by this rejection alone.
    fn guess(&self) -> Option<&'static str> {
        match &self.reason {
            RejectedReason::Again | RejectedReason::Fresh => Some(
                "its audience, scope or binding is wrong for this API, or the API doesn't trust \
                 this authorization server",
            ),
            RejectedReason::CoolDown { .. } => Some(
                "the token's audience, scope or binding is wrong for this API, or somebody else's \
                 fetches revoke our tokens",
            ),
            _ => None,
        }
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
            .field("reason", &self.reason)
            .field("origin", &self.origin)
            .field("generation", &self.generation)
            .field("token_age", &self.token_age)
            .field("refusal", &self.refusal)
            .finish_non_exhaustive()
    }
}

impl StdError for Rejected {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.reason {
            // `Display` has told the error itself.
            RejectedReason::NoToken(error) => error.source(),
            _ => None,
        }
    }
}
