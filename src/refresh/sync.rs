//! What the shell around the state machine takes from the standard library and from tokio to share
//! its state between threads.
//!
//! In `tests/schedules/` a scheduler stands in for both: it decides at every lock, every atomic and
//! every [`step`] which task goes on, and so finds the orders that no test on real threads would
//! meet.

#[cfg(not(all(test, tower_oauth_shuttle)))]
mod real {
    use std::future::Future;
    pub(in crate::refresh) use std::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64},
    };

    use tokio::runtime;

    /// Starts a task that nobody waits for.
    pub(in crate::refresh) fn spawn(
        runtime: &runtime::Handle,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        runtime.spawn(task);
    }

    /// A moment at which other threads may see, or change, what is shared without a lock.
    pub(in crate::refresh) fn step() {}
}

#[cfg(all(test, tower_oauth_shuttle))]
mod real {
    use std::{cell::RefCell, future::Future, mem, sync::atomic::Ordering};

    use shuttle::future::{self, AbortHandle};
    pub(in crate::refresh) use shuttle::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64},
    };
    use tokio::runtime;

    std::thread_local! {
        /// All tasks of the schedule that is played here share one thread.
        static SPAWNED: RefCell<Vec<AbortHandle>> = const { RefCell::new(Vec::new()) };
    }

    pub(in crate::refresh) fn spawn(
        _: &runtime::Handle,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = future::spawn(task).abort_handle();
        SPAWNED.with_borrow_mut(|spawned| spawned.push(task));
    }

    /// The tasks spawned since the last time, of which a new schedule has none.
    pub(in crate::refresh) fn spawned() -> Vec<AbortHandle> {
        SPAWNED.with_borrow_mut(mem::take)
    }

    pub(in crate::refresh) fn step() {
        // Every atomic is a moment at which the scheduler decides.
        AtomicBool::new(false).load(Ordering::SeqCst);
    }
}

#[cfg(all(test, tower_oauth_shuttle))]
pub(super) use self::real::spawned;
pub(super) use self::real::{AtomicBool, AtomicU64, Mutex, MutexGuard, spawn, step};
