//! The end of a handle, waited for.

use tokio::{runtime, time::timeout};

use super::{flight::caught, handle::TokenHandle, tasks::Running};
use crate::{
    error::{ErrorKind, TokenError},
    events::Event,
    token::AccessToken,
};

impl TokenHandle {
    /// Closes the handle as [`close`](Self::close) does, and waits until nothing of it runs any more:
    /// no background task, no timer and no fetch. With
    /// [`revoke_on_shutdown`](super::TokenHandleBuilder::revoke_on_shutdown) it also tells the server
    /// that the token isn't needed any more.
    ///
    /// It takes no longer than the
    /// [`shutdown_deadline`](super::TokenHandleBuilder::shutdown_deadline). What hasn't ended by then,
    /// because it blocks its thread or its runtime stands still, ends by itself later; a token that
    /// isn't revoked by then stays good until it expires. Connections to the server are closed with
    /// the last clone of the handle, services and layers included. Outside of a tokio runtime there
    /// is neither a deadline nor a revocation.
    ///
    /// ```
    /// # use tower_oauth::TokenHandle;
    /// # async fn serve() {}
    /// # async fn run(handle: TokenHandle) {
    /// serve().await;
    /// // Requests have ended: now the token may.
    /// handle.shutdown().await;
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// On a tokio runtime without a timer. The handle is closed all the same.
    ///
    /// # Cancel safety
    ///
    /// The handle is closed by the first poll, and everything ends whether or not it is waited for;
    /// but a revocation under way is broken off. Several calls may wait side by side.
    pub async fn shutdown(&self) {
        self.close();
        let shared = &self.shared;
        let leaving = {
            let mut state = shared.lock();
            let token = state.leaving.take();
            // Who else waits, waits for this, too.
            token.map(|token| (token, shared.tasks.begin()))
        };
        if runtime::Handle::try_current().is_err() {
            // There is no timer to wait by.
            drop(leaving);
            shared.tasks.ended().await;
            return;
        }
        let ended = timeout(shared.ending.deadline, shared.tasks.ended());
        let revoked = async {
            if let Some((token, running)) = leaving {
                self.revoke(&token, running).await;
            }
        };
        let (_in_time, ()) = tokio::join!(ended, revoked);
    }

    async fn revoke(&self, token: &AccessToken, _running: Running) {
        let shared = &self.shared;
        let deadline = shared.ending.deadline;
        let revoked = match timeout(deadline, caught(shared.source.revoke(token))).await {
            Ok(revoked) => revoked,
            Err(_elapsed) => Err(TokenError::new(
                ErrorKind::Timeout,
                format!("the token wasn't revoked within {deadline:?}"),
            )),
        };
        shared.tell(&match &revoked {
            Ok(()) => Event::TokenRevoked,
            Err(error) => Event::TokenNotRevoked { error },
        });
    }
}
