//! How long to wait after a failed fetch: pure arithmetic.

use std::time::Duration;

/// What kind of failure it was, as far as waiting is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// It may pass by itself.
    Temporary,
    /// Somebody has to change something first.
    Permanent,
}

/// A server's wish is honoured up to this: a typo at the server must not stop a client for a day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// How long a server's `Retry-After` keeps us away.
pub(crate) fn server_delay(retry_after: Duration) -> Duration {
    retry_after.min(MAX_RETRY_AFTER)
}

/// The delay before attempt `n + 1`, where `n` counts the failures in a row and starts at 1.
///
/// Temporary faults: full jitter over 0.5 s · 2ⁿ, capped at 30 s, so that clients that failed
/// together don't come back together. Faults that somebody has to mend: equal jitter over
/// 30 s · 2ⁿ, capped at 5 min, so that a wrong secret costs the server little. `draw` is uniform
/// in 0..=1.
pub(crate) fn delay(fault: Fault, n: u32, draw: f64) -> Duration {
    let draw = draw.clamp(0.0, 1.0);
    let doubled = |base: Duration, cap: Duration| {
        base.saturating_mul(1_u32.checked_shl(n.saturating_sub(1)).unwrap_or(u32::MAX))
            .min(cap)
    };
    match fault {
        // A draw of nothing would make two attempts of one.
        Fault::Temporary => doubled(Duration::from_millis(500), Duration::from_secs(30))
            .mul_f64(draw)
            .max(Duration::from_millis(50)),
        Fault::Permanent => {
            let whole = doubled(Duration::from_secs(30), Duration::from_secs(5 * 60));
            whole / 2 + (whole / 2).mul_f64(draw)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_their_cap() {
        let seconds = |fault, n, draw| delay(fault, n, draw).as_secs_f64();
        for (fault, n, draw, expected) in [
            (Fault::Temporary, 1, 1.0, 0.5),
            (Fault::Temporary, 2, 1.0, 1.0),
            (Fault::Temporary, 2, 0.5, 0.5),
            (Fault::Temporary, 7, 1.0, 30.0),
            (Fault::Temporary, u32::MAX, 1.0, 30.0),
            (Fault::Temporary, 1, 0.0, 0.05),
            (Fault::Temporary, 0, 7.0, 0.5),
            (Fault::Permanent, 1, 0.0, 15.0),
            (Fault::Permanent, 1, 1.0, 30.0),
            (Fault::Permanent, 2, 1.0, 60.0),
            (Fault::Permanent, 40, 0.0, 150.0),
            (Fault::Permanent, u32::MAX, 1.0, 300.0),
        ] {
            assert_eq!(seconds(fault, n, draw), expected, "{fault:?} {n} {draw}");
        }
        assert_eq!(server_delay(Duration::MAX), Duration::from_secs(300));
    }
}
