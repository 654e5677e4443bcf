//! What a call asks of its handle, on its way through a service.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{runtime, time::timeout};

use super::{
    cell::{Current, Snapshot},
    control::{Answer, Demand, OriginId, Rejection, Why},
    handle::TokenHandle,
    shared::{bit, no_runtime},
    wait::{Granted, Hold, MAX_LOSSES, NotHealed, Told, Verdict, Wait, hear},
};
use crate::{
    clock::Timestamp,
    error::TokenError,
    events::{Event, RetryOutcome},
    token::{Age, Cause, Generation},
};

/// A call that can't be retried waits this long for a replacement that is on its way.
const UNREPEATABLE_WAIT: Duration = Duration::from_secs(2);

impl TokenHandle {
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The current token, if it may be sent without waiting; else the wait for one. `once`: the
    /// request can't be sent again.
    pub(crate) fn current(&self, once: bool) -> Result<Current, Wait> {
        if once && let Some(wait) = self.wait_for_replacement() {
            return Err(wait);
        }
        let current = self.shared.cell.load().ok_or_else(|| self.wait())?;
        let now = self.now();
        match current.age(now) {
            Age::Fresh => {}
            Age::Due if current.kick(now) => self.kick(),
            Age::Due => {}
            Age::Expired => return Err(self.wait()),
        }
        Ok(current)
    }

    /// The current token, whether or not it may be sent.
    pub(crate) fn last(&self) -> Option<Current> {
        self.shared.cell.load()
    }

    /// Whether its tokens come with a TLS identity, as far as that is known.
    #[cfg(feature = "reqwest013")]
    pub(crate) fn has_identity(&self) -> bool {
        let current = self.last();
        self.shared.source.has_identity() || current.is_some_and(|it| it.identity.is_some())
    }

    /// A call saw a due token.
    fn kick(&self) {
        self.shared
            .drive(|state, now| ((), state.control.tick(now)));
    }

    /// The wait for a usable token.
    fn wait(&self) -> Wait {
        let handle = self.clone();
        Box::pin(async move { handle.granted().await })
    }

    /// The wait of a call that can't be retried while the current token, refused by somebody, is
    /// being replaced. `None`: it isn't.
    fn wait_for_replacement(&self) -> Option<Wait> {
        if !self.shared.replacing.load(Ordering::Relaxed) {
            return None;
        }
        let mut board = {
            let mut state = self.shared.lock();
            match state.control.flying() {
                Some(Cause::Rejected(_)) => state.current_board()?,
                _ => return None,
            }
        };
        let handle = self.clone();
        Some(Box::pin(async move {
            if runtime::Handle::try_current().is_err() {
                // There is no timer to wait by.
                return handle.granted().await;
            }
            match timeout(UNREPEATABLE_WAIT, hear(&mut board)).await {
                Ok(Told::Token(snapshot)) => Ok(Granted {
                    snapshot,
                    waited: true,
                }),
                _ => handle.granted().await,
            }
        }))
    }

    /// A response refused a token.
    pub(crate) fn rejected(&self, rejection: Rejection) -> Verdict {
        self.shared.drive(|state, now| {
            let (answer, start) = state.rejected(now, rejection);
            let bit = bit(rejection.origin);
            self.shared.accepted.fetch_and(!bit, Ordering::Relaxed);
            let verdict = match answer {
                Answer::Hold(no) => {
                    Verdict::Hold(Hold::new(self.clone(), rejection, state.board(no)))
                }
                Answer::Resend => match self.shared.cell.load_full() {
                    Some(snapshot) => Verdict::Resend(Granted::at_hand(snapshot)),
                    // There is no older token than the first.
                    None => Verdict::Original(NotHealed::SameToken),
                },
                Answer::Original(why) => Verdict::Original(NotHealed::Why(why)),
            };
            (verdict, start)
        })
    }

    /// A response accepted a token. One relaxed load, unless it is news.
    pub(crate) fn accepted(&self, origin: OriginId, generation: Generation) {
        let bit = bit(origin);
        if self.shared.accepted.load(Ordering::Relaxed) & bit != 0 {
            return;
        }
        let mut state = self.shared.lock();
        state.control.accepted(origin, generation);
        state.refusing.retain(|(it, _)| *it != origin);
        if generation == state.control.generation() {
            self.shared.accepted.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether what this origin refuses was revoked by others, who fetched a token of their own.
    pub(crate) fn is_revoked_by_others(&self, origin: OriginId) -> bool {
        self.shared.lock().is_revoked_by_others(origin)
    }

    /// A rejection goes to the caller. It is an event, and a loud one when it is the first since
    /// this origin last accepted a token.
    pub(crate) fn report_rejection(
        &self,
        origin: OriginId,
        name: &str,
        generation: Generation,
        reason: &'static str,
        hint: &str,
    ) {
        let first = {
            let mut state = self.shared.lock();
            // The next acceptance is news, whatever came in while the rejection was held.
            self.shared
                .accepted
                .fetch_and(!bit(origin), Ordering::Relaxed);
            let first = !state.refusing.iter().any(|(it, _)| *it == origin);
            if first {
                // Only a layer that serves any host has more.
                if state.refusing.len() >= 64 {
                    state.refusing.remove(0);
                }
                state.refusing.push((origin, name.to_owned()));
            }
            first
        };
        self.shared.tell(&Event::Rejected {
            origin: name,
            generation,
            reason,
            hint,
            first,
        });
    }

    /// A second send came to its end.
    pub(crate) fn report_retry(&self, outcome: RetryOutcome) {
        self.shared.tell(&Event::Retried { outcome });
    }

    /// What a holder of a rejection of `rejected` may go on with, after a flight brought
    /// `brought`.
    pub(super) fn newer_than(
        &self,
        rejected: Generation,
        brought: Arc<Snapshot>,
    ) -> Result<Arc<Snapshot>, NotHealed> {
        let now = self.now();
        let state = self.shared.lock();
        if !state.control.is_open() {
            return Err(NotHealed::Why(Why::Closed));
        }
        if !state.control.supersedes(rejected) {
            return Err(NotHealed::SameToken);
        }
        let current = self.shared.cell.load_full();
        current
            .filter(|it| it.generation == brought.generation || it.age(now) != Age::Expired)
            // Others have brought newer ones that have expired since; this one was brought for us.
            .or(Some(brought).filter(|brought| brought.generation > rejected))
            .ok_or(NotHealed::SameToken)
    }

    /// Leave to send a token; waits for one if need be.
    pub(super) async fn granted(&self) -> Result<Granted, TokenError> {
        let mut losses = 0;
        loop {
            let board = self.shared.drive(|state, now| {
                let (demand, start) = state.control.demand(now);
                let board = match demand {
                    Demand::Use => Ok(None),
                    Demand::Wait(no) => Ok(Some(state.board(no))),
                    Demand::Fail { retry_at } => Err(state.failure(now, retry_at)),
                };
                (board, start)
            })?;
            let Some(mut board) = board else {
                match self.shared.cell.load_full() {
                    Some(snapshot) => return Ok(Granted::at_hand(snapshot)),
                    // It was closed just now.
                    None => continue,
                }
            };
            match hear(&mut board).await {
                Told::Token(brought) => {
                    // A newer one may have come before this task was polled.
                    let newer = self
                        .usable()
                        .filter(|it| it.generation != brought.generation);
                    return Ok(newer.map_or(
                        Granted {
                            snapshot: brought,
                            waited: true,
                        },
                        Granted::at_hand,
                    ));
                }
                Told::Failed(error) => {
                    return self.usable().map(Granted::at_hand).ok_or(error);
                }
                Told::StartOver => {}
                Told::Lost => {
                    losses += 1;
                    if losses == MAX_LOSSES {
                        return Err(no_runtime());
                    }
                }
            }
        }
    }

    /// The current token, if it may be sent.
    fn usable(&self) -> Option<Arc<Snapshot>> {
        let now = self.now();
        let current = self.shared.cell.load_full();
        current.filter(|it| it.age(now) != Age::Expired)
    }
}
