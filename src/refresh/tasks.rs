//! How many tasks of a handle there are, so that a shutdown can wait for the last.

use tokio::sync::watch;

#[derive(Debug, Default)]
pub(super) struct Tasks(watch::Sender<usize>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Running(watch::Sender<usize>);

impl Tasks {
    pub(super) fn begin(&self) -> Running {
        self.0.send_modify(|tasks| *tasks += 1);
        Running(self.0.clone())
    }

    /// Waits until there is none.
    pub(super) async fn ended(&self) {
        // It fails only when the sender is gone, and `self` is one.
        let _ = self.0.subscribe().wait_for(|tasks| *tasks == 0).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|tasks| *tasks -= 1);
    }
}
