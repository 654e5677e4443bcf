//! When two states are the same: all that matters of a time is how long it still lasts.

use std::time::Duration;

use super::super::{
    BACKGROUND_FLOOR, Control, DEMAND_FLOOR,
    cooldown::{Cooldown, Origin},
};
use crate::clock::{Deadline, Timestamp};

/// What is left of a deadline; all that have come are alike.
pub(super) fn left(deadline: Deadline, now: Timestamp) -> Deadline {
    if deadline.has_come(now) {
        return Deadline {
            mono: Duration::ZERO,
            wall: Duration::ZERO,
        };
    }
    Deadline {
        mono: deadline.mono - now.mono,
        wall: deadline.wall - now.wall,
    }
}

/// The block as seen from `now`, with its flights counted from the last one.
pub(super) fn seen_from(control: &Control, now: Timestamp) -> Control {
    let mut seen = control.clone();
    let left_of = |at: Duration| at.saturating_sub(now.mono);
    let back = |no: u64| control.last_no - no;
    seen.last_no = 0;
    if let Some(held) = &mut seen.token {
        held.received = left_of(held.received + BACKGROUND_FLOOR);
        held.schedule.refresh_at = left(held.schedule.refresh_at, now);
        held.schedule.usable_until = left(held.schedule.usable_until, now);
    }
    if let Some(flight) = &mut seen.flight {
        flight.no = back(flight.no);
    }
    if let Some(booked) = &mut seen.booked {
        booked.no = back(booked.no);
        booked.at = left_of(booked.at);
    }
    if let Some(backoff) = &mut seen.backoff {
        backoff.until = left_of(backoff.until);
        backoff.by_server = left_of(backoff.by_server);
    }
    if let Some(rotation) = &mut seen.rotation {
        rotation.until = left_of(rotation.until);
    }
    seen.eager_end = control
        .eager_end
        .map(|end| left_of(end + DEMAND_FLOOR))
        .filter(|it| !it.is_zero());
    let Cooldown { until, origins } = &mut seen.cooldown;
    *until = left_of(*until);
    let current = control.generation;
    origins.retain(|_, it| {
        it.until = left_of(it.until);
        if it.refused != current {
            it.refused = Default::default();
        }
        if it.accepted != current {
            it.accepted = Default::default();
        }
        *it != Origin::default()
    });
    seen
}

/// Every moment at which the block may behave differently.
pub(super) fn deadlines(control: &Control, now: Timestamp) -> impl Iterator<Item = Duration> {
    let token = control.token.iter().flat_map(move |held| {
        // The clock that comes first decides.
        let at = |deadline: Deadline| now.mono + deadline.remaining(now);
        [
            held.received + DEMAND_FLOOR,
            held.received + BACKGROUND_FLOOR,
            at(held.schedule.refresh_at),
            at(held.schedule.usable_until),
        ]
    });
    token
        .chain(control.booked.iter().map(|it| it.at))
        .chain(
            control
                .backoff
                .iter()
                .flat_map(|it| [it.until, it.by_server]),
        )
        .chain(control.rotation.iter().map(|it| it.until))
        .chain(control.eager_end.map(|end| end + DEMAND_FLOOR))
        .chain([control.cooldown.until])
        .chain(control.cooldown.origins.values().map(|it| it.until))
}
