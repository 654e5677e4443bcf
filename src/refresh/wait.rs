//! What a caller waits for: the outcome of a flight, whoever started it.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use tokio::sync::watch;

use super::{
    cell::Snapshot,
    control::{Rejection, Why},
    handle::TokenHandle,
    shared::no_runtime,
};
use crate::error::TokenError;

/// What the waiters of a flight are told.
#[derive(Clone)]
pub(super) enum Told {
    Token(Arc<Snapshot>),
    Failed(TokenError),
    StartOver,
    /// Nothing: the flight's runtime is gone.
    Lost,
}

/// A caller starts over when the runtime of the flight it waited for is gone. On a runtime that
/// shuts down itself, that would never end.
pub(super) const MAX_LOSSES: u32 = 3;

/// Where the waiters of one flight hear of its outcome.
pub(super) type Board = watch::Receiver<Option<Told>>;

/// Leave to send a token.
#[derive(Clone)]
pub(crate) struct Granted {
    pub(crate) snapshot: Arc<Snapshot>,
    /// It was fetched for the very request that waited.
    pub(crate) waited: bool,
}

impl Granted {
    /// Leave to send a token that was there already.
    pub(super) fn at_hand(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            waited: false,
        }
    }
}

/// The wait of a call for a token.
pub(crate) type Wait = Pin<Box<dyn Future<Output = Result<Granted, TokenError>> + Send + Sync>>;

/// What is done about a rejection.
pub(crate) enum Verdict {
    /// There is a newer token: send once more.
    Resend(Granted),
    /// One may come: hold the response meanwhile.
    Hold(Hold),
    /// The caller gets the response.
    Original(NotHealed),
}

/// Why a rejection couldn't be healed by another send.
#[derive(Clone, Debug)]
pub(crate) enum NotHealed {
    /// It was decided at once.
    Why(Why),
    /// The fetch failed.
    Failed(TokenError),
    /// The fetch brought the refused token again.
    SameToken,
}

/// The wait of a rejected request for a newer token. Dropping it changes nothing for others.
pub(crate) struct Hold {
    handle: TokenHandle,
    rejection: Rejection,
    board: Board,
}

impl Hold {
    pub(super) fn new(handle: TokenHandle, rejection: Rejection, board: Board) -> Self {
        Self {
            handle,
            rejection,
            board,
        }
    }

    /// Waits until a newer token is there, or it is clear that none will be.
    pub(crate) async fn newer(mut self) -> Result<Granted, NotHealed> {
        let mut losses = 0;
        loop {
            match hear(&mut self.board).await {
                Told::Token(brought) => {
                    let number = brought.generation;
                    return self
                        .handle
                        .newer_than(self.rejection.generation, brought)
                        .map(|snapshot| Granted {
                            waited: snapshot.generation == number,
                            snapshot,
                        });
                }
                Told::Failed(error) => return Err(NotHealed::Failed(error)),
                Told::StartOver => {}
                Told::Lost => losses += 1,
            }
            if losses == MAX_LOSSES {
                return Err(NotHealed::Failed(no_runtime()));
            }
            match self.handle.rejected(self.rejection) {
                Verdict::Resend(granted) => return Ok(granted),
                Verdict::Hold(hold) => self = hold,
                Verdict::Original(why) => return Err(why),
            }
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

/// Waits for what the flight's waiters are told.
pub(super) async fn hear(board: &mut Board) -> Told {
    match board.wait_for(Option::is_some).await {
        Ok(told) => told.clone().unwrap_or(Told::Lost),
        Err(_gone) => Told::Lost,
    }
}
