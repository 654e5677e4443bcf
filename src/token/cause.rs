use std::fmt;

/// The number of a token: each new token of a handle has a higher one.
///
/// The first token of a handle has number 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub(crate) u64);

impl Generation {
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl From<Generation> for u64 {
    fn from(generation: Generation) -> Self {
        generation.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why a token is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// A call needs a token and none is usable.
    Cold,
    /// The token nears its end.
    Scheduled,
    /// A resource refused the token with this number.
    Rejected(Generation),
    /// The client's identity changed; the fetch works with the new one and, when it succeeds,
    /// makes it the current one.
    Rotation,
    /// Asked for by hand.
    Forced,
}

impl Cause {
    /// A short, stable name for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Scheduled => "scheduled",
            Self::Rejected(_) => "rejected",
            Self::Rotation => "rotation",
            Self::Forced => "forced",
        }
    }
}
