//! What can happen, and how often.

/// As often as one likes.
pub(super) const ALWAYS: u8 = u8::MAX;

/// How often each thing may happen, and to whom. What isn't named can't happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) callers: u8,
    pub(super) origins: u8,
    /// The first token is there, and was accepted by the first origin.
    pub(super) warm: bool,
    /// Told waiters go on some time later, not at once.
    pub(super) lazy: bool,
    /// Some requests can't be repeated.
    pub(super) unrepeatable: bool,

    /// How often the time goes on.
    pub(super) moments: u8,
    pub(super) calls: u8,
    pub(super) tokens: u8,
    pub(super) born_expired: u8,
    pub(super) same_bytes: u8,
    pub(super) old_bytes: u8,
    pub(super) failures: u8,
    pub(super) retry_afters: u8,
    pub(super) panics: u8,
    pub(super) rollovers: u8,
    pub(super) misconfigurations: u8,
    pub(super) suspends: u8,
    pub(super) lost_flights: u8,
    pub(super) lost_timers: u8,
    pub(super) cancels: u8,
    pub(super) rotations: u8,
    pub(super) forces: u8,
    pub(super) closes: u8,
}

impl Scope {
    pub(super) const NOTHING: Self = Self {
        callers: 0,
        origins: 0,
        warm: false,
        lazy: false,
        unrepeatable: false,
        moments: 0,
        calls: 0,
        tokens: 0,
        born_expired: 0,
        same_bytes: 0,
        old_bytes: 0,
        failures: 0,
        retry_afters: 0,
        panics: 0,
        rollovers: 0,
        misconfigurations: 0,
        suspends: 0,
        lost_flights: 0,
        lost_timers: 0,
        cancels: 0,
        rotations: 0,
        forces: 0,
        closes: 0,
    };

    /// One of these less.
    pub(super) fn spend(&mut self, act: Act) {
        let of = match act {
            Act::Call { .. } => &mut self.calls,
            Act::Cancel { .. } => &mut self.cancels,
            Act::Land(ending) => match ending {
                Ending::Token => &mut self.tokens,
                Ending::BornExpired => &mut self.born_expired,
                Ending::SameBytes => &mut self.same_bytes,
                Ending::OldBytes => &mut self.old_bytes,
                Ending::Failure => &mut self.failures,
                Ending::RetryAfter => &mut self.retry_afters,
                Ending::Panic => &mut self.panics,
            },
            Act::LoseFlight => &mut self.lost_flights,
            Act::LoseTimer => &mut self.lost_timers,
            Act::Suspend => &mut self.suspends,
            Act::Rollover => &mut self.rollovers,
            Act::Misconfigure { .. } => &mut self.misconfigurations,
            Act::ChangeIdentity => &mut self.rotations,
            Act::Force => &mut self.forces,
            Act::Close => &mut self.closes,
            Act::Advance => &mut self.moments,
            Act::Respond { .. } | Act::Resume { .. } | Act::Tick => return,
        };
        if *of != ALWAYS {
            *of -= 1;
        }
    }
}

/// How a fetch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Token,
    BornExpired,
    SameBytes,
    OldBytes,
    Failure,
    RetryAfter,
    Panic,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Call {
        caller: usize,
        origin: usize,
        repeatable: bool,
    },
    /// The resource answers.
    Respond {
        caller: usize,
    },
    /// A waiter that was told goes on.
    Resume {
        caller: usize,
    },
    Cancel {
        caller: usize,
    },
    Land(Ending),
    LoseFlight,
    LoseTimer,
    /// The timer rings.
    Tick,
    /// The time goes on to the next moment that matters to anybody.
    Advance,
    /// Wall time goes on, monotonic time doesn't.
    Suspend,
    /// All tokens so far are refused from now on.
    Rollover,
    /// This origin begins to refuse every token, or ceases to.
    Misconfigure {
        origin: usize,
    },
    ChangeIdentity,
    Force,
    Close,
}
