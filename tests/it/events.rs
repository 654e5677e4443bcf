//! What can be seen of a token's life: in events, in the log, in metrics and on a health page.

mod alarm;
mod log;
mod scene;
mod spans;
mod status;

use std::time::Duration;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}
