//! What a handle tells of its token. None of it decides anything.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    cell::Snapshot,
    control::{Answer, OriginId, Rejection, Start},
    shared::{Shared, State, thumbprint},
};
use crate::{
    clock::Timestamp,
    events::{AlarmCause, Event, Observer, Turn, Wanted},
    grant::Fetched,
    keystore::ClientIdentity,
    token::{Cause, Generation, Schedule},
};

/// What there is to tell of a token that came, besides the snapshot.
pub(super) struct News {
    pub(super) expires_in: Option<Duration>,
    pub(super) usable_until: Option<SystemTime>,
    /// How long the token before lived, if this one's life is so much shorter.
    pub(super) collapsed_from: Option<Duration>,
    /// How long the token that it replaces had been there.
    pub(super) after: Option<Duration>,
    pub(super) misbound: bool,
}

/// Tells an observer. Its panic is its own affair: no fetch, call or worker is to die of it.
pub(super) fn tell(observer: &dyn Observer, event: &Event<'_>) {
    let _ = catch_unwind(AssertUnwindSafe(|| observer.event(event)));
}

impl Shared {
    pub(super) fn tell(&self, event: &Event<'_>) {
        tell(&*self.observer, event);
    }

    /// A token came.
    pub(super) fn tell_token(
        &self,
        cause: Cause,
        took: Duration,
        snapshot: &Snapshot,
        news: &News,
    ) {
        let generation = snapshot.generation;
        let identity = snapshot.identity.as_ref();
        let not_after = identity.map(ClientIdentity::not_after);
        self.tell(&Event::FetchSucceeded {
            cause,
            generation,
            took,
            expires_in: news.expires_in,
            usable_until: news.usable_until,
            certificate_not_after: not_after,
        });
        if let Some(after) = news.after {
            self.tell(&Event::Refreshed {
                cause,
                generation,
                after,
            });
        }
        if let (Some(from), Some(to)) = (news.collapsed_from, news.expires_in) {
            self.tell(&Event::LifetimeCollapsed {
                generation,
                from,
                to,
            });
        }
        if cause == Cause::Rotation {
            self.tell(&Event::IdentityRotated {
                generation,
                thumbprint: identity.and_then(thumbprint).as_deref(),
                not_after,
            });
        }
        if news.misbound {
            self.tell(&Event::TokenMisbound { generation });
        }
    }

    /// The alarm was raised or cleared; `origin` is the name of the one who refuses.
    pub(super) fn tell_alarm(&self, turn: Turn, origin: Option<&str>) {
        self.tell(&match turn {
            Turn::Raised { cause, counts, .. } => Event::AlarmRaised {
                cause,
                counts,
                window: self.alarm_window,
                origin,
            },
            Turn::Cleared { cause, lasted } => Event::AlarmCleared { cause, lasted },
        });
    }

    /// Until when a token is used, unless that is until it is refused.
    pub(super) fn usable_until(&self, fetched: &Fetched, schedule: Schedule) -> Option<SystemTime> {
        fetched.expires_in.or(self.lifetime.max_age)?;
        UNIX_EPOCH.checked_add(schedule.usable_until.wall)
    }
}

impl State {
    /// A response refused a token: the state machine decides, and the alarm takes note.
    pub(super) fn rejected(
        &mut self,
        now: Timestamp,
        rejection: Rejection,
    ) -> (Answer, Option<Start>) {
        let control = &mut self.control;
        let concerned = control.concerns_current(rejection);
        let (answer, start) = control.rejected(now, rejection);
        if concerned {
            let received = control.received().unwrap_or_default();
            let wanted = Wanted {
                generation: control.generation(),
                origin: rejection.origin.0,
                starts: start.is_some() && !control.has_failed(),
                accepted: control.is_accepted_by(rejection.origin),
                age: now.mono.saturating_sub(received),
            };
            self.alarm.wanted(now.mono, wanted);
        }
        (answer, start)
    }

    /// Whether what this origin refuses was revoked by others, as far as the alarm knows. An origin
    /// that has never accepted a token has reasons of its own.
    pub(super) fn is_revoked_by_others(&self, origin: OriginId) -> bool {
        self.alarm.cause() == Some(AlarmCause::OneActiveToken)
            && self.control.is_known_to_accept(origin)
    }

    /// What becomes of the alarm, with the name of the one who refuses.
    pub(super) fn turn_alarm(&mut self, now: Timestamp) -> Option<(Turn, Option<String>)> {
        let turn = self.alarm.turn(now.mono)?;
        let origin = match turn {
            Turn::Raised { origin, .. } => origin,
            Turn::Cleared { .. } => None,
        };
        let named = self.refusing.iter().find(|(it, _)| Some(it.0) == origin);
        let name = named.map(|(_, name)| name.clone());
        Some((turn, name))
    }

    /// How long the token `before` lived, if a new one has come that lives so much shorter.
    pub(super) fn collapsed_from(
        &mut self,
        before: Generation,
        fetched: &Fetched,
    ) -> Option<Duration> {
        if self.control.generation() == before {
            return None;
        }
        self.lifetimes.next(fetched.expires_in)
    }
}
