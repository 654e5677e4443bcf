use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::fields::Fields;
use crate::body::{Allowance, RetryBody, Spare};

pin_project! {
    /// A body whose trailers lose the fields that its head loses: what
    /// [`StripInboundCredentialsLayer`](super::StripInboundCredentialsLayer) makes of a request's
    /// body. It can be sent again when the body inside can.
    #[derive(Clone)]
    pub struct Stripped<B> {
        #[pin]
        body: B,
        fields: Fields,
    }
}

/// What is kept of a [`Stripped`] body.
#[derive(Clone)]
pub struct StrippedSpare<S> {
    spare: S,
    fields: Fields,
}

impl<B> Stripped<B> {
    pub(super) fn new(body: B, fields: Fields) -> Self {
        Self { body, fields }
    }
}

impl<B: Body> Body for Stripped<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        loop {
            let mut frame = ready!(this.body.as_mut().poll_frame(cx));
            if let Some(Ok(frame)) = &mut frame
                && let Some(trailers) = frame.trailers_mut()
            {
                this.fields.strip(trailers);
                if trailers.is_empty() {
                    continue;
                }
            }
            return Poll::Ready(frame);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for Stripped<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripped").finish_non_exhaustive()
    }
}

impl<B: RetryBody> RetryBody for Stripped<B> {
    type Spare = StrippedSpare<B::Spare>;

    fn arm(self, allowance: &Allowance) -> (Self, Self::Spare) {
        let (body, spare) = self.body.arm(allowance);
        let fields = self.fields;
        let spare = StrippedSpare {
            spare,
            fields: fields.clone(),
        };
        (Self { body, fields }, spare)
    }
}

impl<B, S: Spare<B>> Spare<Stripped<B>> for StrippedSpare<S> {
    fn claim(&self) -> bool {
        self.spare.claim()
    }

    fn take(&self) -> Option<Stripped<B>> {
        let body = self.spare.take()?;
        Some(Stripped::new(body, self.fields.clone()))
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

impl<S> fmt::Debug for StrippedSpare<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrippedSpare").finish_non_exhaustive()
    }
}
