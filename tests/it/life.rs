//! A token's life, seen through its handle, with tokio's clock paused.

mod calls;
mod clocks;
mod failures;
mod refusals;
mod rotation;
mod runtimes;
mod schedule;
mod shutdown;

use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// How many tasks the test's runtime runs, the test itself not counted.
fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

/// Lets every task run that can, without the clock going on.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
