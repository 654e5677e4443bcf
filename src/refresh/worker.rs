//! The task behind a handle: it keeps the timer and listens for new identities.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::handle::Shared;

/// Runs until the handle is gone. It holds no strong reference while it sleeps.
pub(super) async fn run(shared: Weak<Shared>, wake: Arc<Notify>) {
    let Some(source) = shared.upgrade().map(|shared| Arc::clone(&shared.source)) else {
        return;
    };
    let watch = Watch(shared);
    let mut changed = source.changed();
    loop {
        let Some(alarm) = watch.0.upgrade().and_then(|shared| shared.tick()) else {
            return;
        };
        tokio::select! {
            () = wake.notified() => {}
            () = alarm.ring() => {}
            () = &mut changed => {
                changed = source.changed();
                if let Some(shared) = watch.0.upgrade() {
                    shared.identity_changed();
                }
            }
        }
    }
}

/// When the worker looks again if nothing wakes it.
pub(super) struct Alarm(pub(super) Option<tokio::time::Instant>);

impl Alarm {
    async fn ring(self) {
        match self.0 {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// Says so when the worker ends, by itself or with its runtime.
struct Watch(Weak<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.timer_lost();
        }
    }
}
