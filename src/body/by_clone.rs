use std::{fmt, sync::Arc};

use bytes::Buf;
use http_body::Body;
use http_body_util::{Empty, Full};

use super::{Allowance, RetryBody, Spare};

/// The spare of a body that is sent again as a clone.
///
/// Nothing is buffered and nothing need be parked, as each send has a body of its own: every claim
/// succeeds.
#[derive(Clone)]
pub struct CloneSpare<B>(B);

impl<B: Body + Clone> Spare<B> for CloneSpare<B> {
    fn claim(&self) -> bool {
        true
    }

    fn take(&self) -> Option<B> {
        Some(self.0.clone())
    }

    fn release(&self) {}

    fn is_retryable(&self) -> bool {
        true
    }
}

impl<D: Buf + Clone> RetryBody for Full<D> {
    type Spare = CloneSpare<Self>;

    fn arm(self, _: &Allowance) -> (Self, Self::Spare) {
        let spare = CloneSpare(self.clone());
        (self, spare)
    }
}

impl<D: Buf> RetryBody for Empty<D> {
    type Spare = CloneSpare<Self>;

    fn arm(self, _: &Allowance) -> (Self, Self::Spare) {
        (self, CloneSpare(Self::new()))
    }
}

impl<B> fmt::Debug for CloneSpare<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloneSpare").finish_non_exhaustive()
    }
}

// ===== impl StringSpare =====

/// The spare of a `String`: one copy of it, shared by all clones of the spare.
#[derive(Clone)]
pub struct StringSpare(Arc<str>);

impl Spare<String> for StringSpare {
    fn claim(&self) -> bool {
        true
    }

    fn take(&self) -> Option<String> {
        Some(String::from(&*self.0))
    }

    fn release(&self) {}

    fn is_retryable(&self) -> bool {
        true
    }
}

impl RetryBody for String {
    type Spare = StringSpare;

    fn arm(self, _: &Allowance) -> (Self, Self::Spare) {
        let spare = StringSpare(Arc::from(self.as_str()));
        (self, spare)
    }
}

impl fmt::Debug for StringSpare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StringSpare").finish_non_exhaustive()
    }
}
