use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{Allowance, RetryBody, Spare, tape::Tape};
use crate::error::BoxError;

/// Any body, with a bounded copy kept while it is sent so that it can be sent once more.
///
/// The copy holds data and trailers and is as long as what was sent of the body until the
/// rejection came; a second send plays it and then reads on where the first one stopped. So a body
/// of any length can be sent again after an early answer. One that outgrows the limit streams on
/// unhindered and can't be sent again.
///
/// Until it is [armed](RetryBody::arm), the wrapper passes frames through and keeps nothing.
/// Frames of [`Bytes`] are passed on and kept without copying, unless they are small.
///
/// An error of the inner body is passed on; the body can't be sent again after it.
pub struct ReplayBody<B> {
    shared: Arc<Mutex<State<B>>>,
    /// The take that this handle came from; it may read while no later one has happened.
    turn: u64,
}

/// The spare of a [`ReplayBody`].
///
/// When the last clone is dropped, buffering stops and the buffer is freed.
pub struct ReplaySpare<B> {
    shared: Arc<Mutex<State<B>>>,
    limit: usize,
}

/// One body, shared by its spares and all handles that were ever given out for it.
struct State<B> {
    stream: Stream<B>,
    /// What was read of `stream`.
    tape: Tape,
    /// The turn of the one handle that may read. All others are stale.
    turn: u64,
    /// Whether that handle is parked.
    claimed: bool,
    /// That handle's waker, since it was last pending for whatever reason. The stream can't be
    /// trusted to wake a handle that turns stale: the next one's waker takes its place there.
    waker: Option<Waker>,
    spares: usize,
}

enum Stream<B> {
    Live(Pin<Box<B>>),
    Ended,
    Failed,
}

impl<B> ReplayBody<B> {
    /// Wraps a body.
    pub fn new(body: B) -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                stream: Stream::Live(Box::pin(body)),
                tape: Tape::new(),
                turn: 0,
                claimed: false,
                waker: None,
                spares: 0,
            })),
            turn: 0,
        }
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = lock(&self.shared);
        if state.turn != self.turn {
            return Poll::Ready(Some(Err("the body was taken for a second send".into())));
        }
        if state.claimed {
            return wait(state, cx);
        }
        if let Some(frame) = state.tape.play() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let polled = match &mut state.stream {
            Stream::Live(body) => body.as_mut().poll_frame(cx),
            Stream::Ended => return Poll::Ready(None),
            Stream::Failed => return Poll::Ready(Some(Err("the body has failed before".into()))),
        };
        match polled {
            Poll::Pending => wait(state, cx),
            Poll::Ready(Some(Ok(frame))) => {
                let frame = frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
                state.tape.record(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                state.fail();
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                state.stream = Stream::Ended;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.shared);
        let ended = match &state.stream {
            Stream::Live(body) => body.is_end_stream(),
            Stream::Ended => true,
            Stream::Failed => false,
        };
        ended && state.tape.is_played() && state.turn == self.turn
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.shared);
        // What is bound to fail must not look like an empty body.
        if state.turn != self.turn {
            return SizeHint::default();
        }
        let mut hint = match &state.stream {
            Stream::Live(body) => body.size_hint(),
            Stream::Ended => SizeHint::with_exact(0),
            Stream::Failed => SizeHint::default(),
        };
        let left = state.tape.data_left();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint.set_lower(hint.lower().saturating_add(left));
        hint
    }
}

impl<B> RetryBody for ReplayBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Spare = ReplaySpare<B>;

    /// Arms the body. With an allowance of no octets it is never sent again.
    ///
    /// A body that is armed twice, by one layer above another, is still kept once, and taken out of
    /// one budget: that of the first.
    fn arm(self, allowance: &Allowance) -> (Self, Self::Spare) {
        let mut state = lock(&self.shared);
        // A stale handle fails, and no longer has a say in the stream.
        let current = state.turn == self.turn;
        let limit = if current { allowance.octets() } else { 0 };
        if current {
            state.tape.start(allowance);
        }
        state.spares += 1;
        drop(state);

        let spare = ReplaySpare {
            shared: Arc::clone(&self.shared),
            limit,
        };
        (self, spare)
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").finish_non_exhaustive()
    }
}

// ===== impl ReplaySpare =====

impl<B> ReplaySpare<B> {
    fn can_claim(&self, state: &State<B>) -> bool {
        self.limit > 0 && state.tape.is_whole_within(self.limit)
    }
}

impl<B> Spare<ReplayBody<B>> for ReplaySpare<B> {
    fn claim(&self) -> bool {
        let mut state = lock(&self.shared);
        if state.claimed || !self.can_claim(&state) {
            return false;
        }
        state.claimed = true;
        true
    }

    fn take(&self) -> Option<ReplayBody<B>> {
        let mut state = lock(&self.shared);
        if !state.claimed {
            return None;
        }
        state.turn += 1;
        state.tape.rewind();
        let turn = state.turn;
        unpark(state);
        Some(ReplayBody {
            shared: Arc::clone(&self.shared),
            turn,
        })
    }

    fn release(&self) {
        unpark(lock(&self.shared));
    }

    fn is_retryable(&self) -> bool {
        self.can_claim(&lock(&self.shared))
    }

    fn is_crowded_out(&self) -> bool {
        lock(&self.shared).tape.is_crowded_out()
    }
}

impl<B> Clone for ReplaySpare<B> {
    fn clone(&self) -> Self {
        lock(&self.shared).spares += 1;
        Self {
            shared: Arc::clone(&self.shared),
            limit: self.limit,
        }
    }
}

impl<B> Drop for ReplaySpare<B> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.spares -= 1;
        if state.spares == 0 {
            state.tape.stop();
            unpark(state);
        }
    }
}

impl<B> fmt::Debug for ReplaySpare<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplaySpare")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

// ===== impl State =====

impl<B> State<B> {
    fn fail(&mut self) {
        self.stream = Stream::Failed;
        self.tape.erase();
    }
}

/// Leaves the waker to whoever ends the wait.
fn wait<B, T>(mut state: MutexGuard<'_, State<B>>, cx: &Context<'_>) -> Poll<T> {
    let known = state.waker.as_ref();
    if !known.is_some_and(|known| known.will_wake(cx.waker())) {
        let stale = state.waker.replace(cx.waker().clone());
        // It may hold the last of a task, and that a spare of this body, which wants the lock.
        drop(state);
        drop(stale);
    }
    Poll::Pending
}

/// Ends the claim and wakes the handle that was parked, or turned stale while it waited.
fn unpark<B>(mut state: MutexGuard<'_, State<B>>) {
    if !state.claimed {
        return;
    }
    state.claimed = false;
    let waker = state.waker.take();
    // A waker is foreign code: it may come back here.
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn lock<B>(shared: &Mutex<State<B>>) -> MutexGuard<'_, State<B>> {
    shared.lock().unwrap_or_else(|poisoned| {
        // The inner body panicked; nobody knows what it still has to give.
        let mut state = poisoned.into_inner();
        state.fail();
        state
    })
}
