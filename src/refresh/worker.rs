//! The task behind a handle: it keeps the timer and listens for new identities.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::Notify;

use super::shared::Shared;
use crate::clock::Clock;

/// Runs until the handle is gone. It holds no strong reference while it sleeps.
pub(super) async fn run(watch: Watch, wake: Arc<Notify>) {
    let Some(source) = watch.0.upgrade().map(|it| Arc::clone(&it.source)) else {
        return;
    };
    let mut changed = source.changed();
    loop {
        let Some(timer) = watch.0.upgrade().and_then(|shared| shared.tick()) else {
            return;
        };
        tokio::select! {
            () = wake.notified() => {}
            () = timer.ring() => {}
            change = &mut changed => {
                changed = source.changed();
                if let Some(shared) = watch.0.upgrade() {
                    shared.identity_changed(change);
                }
            }
        }
    }
}

/// When the worker looks again if nothing wakes it.
pub(super) struct Timer {
    pub(super) clock: Clock,
    pub(super) at: Option<Duration>,
}

impl Timer {
    async fn ring(self) {
        match self.at {
            Some(at) => self.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// Says so when the worker ends, by itself or with its runtime, even if it never began.
pub(super) struct Watch(Weak<Shared>);

impl Watch {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::downgrade(shared))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.timer_lost();
        }
    }
}
