use std::fmt;

use bytes::Bytes;
use http_body::Body;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};

use super::{Allowance, ReplayBody, ReplaySpare, RetryBody, Spare};
use crate::error::BoxError;

/// The spare of a body that can hold any other: armed, it holds a [`ReplayBody`] around what it
/// held before. A box that is armed twice, by one layer above another, is kept twice.
pub struct BoxedSpare<B> {
    spare: ReplaySpare<B>,
    boxed: fn(ReplayBody<B>) -> B,
}

impl<B> BoxedSpare<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Arms a body of type `B`, given how a `B` is made from another body.
    pub(crate) fn arm(body: B, allowance: &Allowance, boxed: fn(ReplayBody<B>) -> B) -> (B, Self) {
        let (body, spare) = ReplayBody::new(body).arm(allowance);
        (boxed(body), Self { spare, boxed })
    }
}

impl<B> Spare<B> for BoxedSpare<B> {
    fn claim(&self) -> bool {
        self.spare.claim()
    }

    fn take(&self) -> Option<B> {
        self.spare.take().map(self.boxed)
    }

    fn release(&self) {
        self.spare.release();
    }

    fn is_retryable(&self) -> bool {
        self.spare.is_retryable()
    }

    fn is_crowded_out(&self) -> bool {
        self.spare.is_crowded_out()
    }
}

impl<B> Clone for BoxedSpare<B> {
    fn clone(&self) -> Self {
        Self {
            spare: self.spare.clone(),
            boxed: self.boxed,
        }
    }
}

impl<B> fmt::Debug for BoxedSpare<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxedSpare").finish_non_exhaustive()
    }
}

impl RetryBody for BoxBody<Bytes, BoxError> {
    type Spare = BoxedSpare<Self>;

    fn arm(self, allowance: &Allowance) -> (Self, Self::Spare) {
        BoxedSpare::arm(self, allowance, Self::new)
    }
}

impl RetryBody for UnsyncBoxBody<Bytes, BoxError> {
    type Spare = BoxedSpare<Self>;

    fn arm(self, allowance: &Allowance) -> (Self, Self::Spare) {
        BoxedSpare::arm(self, allowance, Self::new)
    }
}
