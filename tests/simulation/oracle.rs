//! Judges a trace. It knows the rules of a token's life and nothing of how they are kept.
//!
//! Where chance has a say in the crate (the jitter of a renewal and of a back-off), a rule is held
//! to the earliest or the latest moment that chance allows.

mod bounds;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use self::bounds::{BackOff, CoolDown, Moment, Token};
use crate::{
    client::{CALL_DEADLINE, FETCH_DEADLINE},
    scenario::{END, HEALED},
    trace::{CallNo, ClientNo, Entry, FetchNo, Outcome, Seen},
};

/// Timers ring at whole milliseconds.
const TOLERANCE: Duration = Duration::from_millis(2);

/// A call may wait for a booked fetch (1 s) and be sent, wait for another fetch and be sent again.
const LONGEST_CALL: Duration = Duration::from_secs(1)
    .saturating_add(FETCH_DEADLINE)
    .saturating_add(CALL_DEADLINE)
    .saturating_add(FETCH_DEADLINE)
    .saturating_add(CALL_DEADLINE)
    .saturating_add(Duration::from_secs(1));

/// What must hold, with the invariants of the state machine that it is the outside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// I1: one token request at a time.
    OneFlight,
    /// I2: what is sent is the newest token there is, as long as that is usable; so no call that
    /// was made after a token came is refused for an older one.
    NewestIsSent,
    /// I3: who was refused goes on with a newer token or not at all.
    RefusedIsNotSentAgain,
    /// I4: an expired token is sent by those only who waited for it.
    ExpiredIsNotSent,
    /// I5: nothing is asked for during a back-off, but by hand, and never against a `Retry-After`.
    BackOffIsKept,
    /// I6: a resource that refuses every token is not worth a token request each time.
    CoolDownIsKept,
    /// T3, T4, T8, T15: no token, a token that is due, a refusal of the current one, or a wish.
    FetchHasAReason,
    /// T14: a token request ends with its answer or its deadline, whoever goes away.
    FlightOutlivesItsCallers,
    /// I7: every call ends.
    EveryCallEnds,
    /// I8: nothing leaves a closed client.
    NothingAfterClose,
    /// I9: no call fails for want of a token while a usable one is there.
    UsableTokenIsServed,
    /// No call fails for want of a token unless one was asked for in vain.
    FailureHasACause,
    /// I11: a call is sent twice at most.
    TwoSends,
    /// I12: a refusal that reaches the caller couldn't be healed, for the reason that is told.
    RefusalIsHealed,
    /// What arrives at the servers is what was sent.
    Accounted,
    /// When all is well again, every call succeeds.
    Heals,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) rule: Rule,
    pub(crate) at: Duration,
    pub(crate) client: ClientNo,
    pub(crate) what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        let Self {
            rule, client, what, ..
        } = self;
        write!(f, "{at:8.3} client {client} {rule:?}: {what}")
    }
}

/// What was seen of one call.
struct Call {
    api: usize,
    began: Duration,
    /// The place in the trace since when it may have waited for a token.
    waits_since: usize,
    sent: Vec<Sent>,
    arrived: usize,
    ended: bool,
}

struct Sent {
    token: String,
    /// It was the token of a request that the call had waited for.
    waited: bool,
    refused: Option<Refused>,
}

/// The moment of a refusal: what could be done about it then.
struct Refused {
    place: usize,
    /// It was a refusal of the token that was the current one.
    current: bool,
    usable: bool,
    cooling: bool,
    backing_off: bool,
    closed: bool,
}

struct Flight {
    no: FetchNo,
    sent: Moment,
    /// There is no other reason for it than a refusal.
    by_refusal: bool,
}

/// One client, as it looks from outside.
struct Watch {
    client: ClientNo,
    shift: i64,
    ended: bool,
    /// In the order in which they came; the last one is the current one.
    tokens: Vec<Token>,
    flight: Option<Flight>,
    asked: BTreeSet<FetchNo>,
    backoff: BackOff,
    cooldown: CoolDown,
    /// Refusals of the current token at this very moment, that call for another.
    refusals: Vec<(Duration, usize)>,
    wish: bool,
    calls: BTreeMap<CallNo, Call>,
    last_failure: usize,
    last_repetition: usize,
    breaches: Vec<Breach>,
}

/// The rules that a trace breaks.
pub(crate) fn judge(trace: &[Entry]) -> Vec<Breach> {
    let mut watches: BTreeMap<ClientNo, Watch> = BTreeMap::new();
    for (place, entry) in trace.iter().enumerate() {
        watches
            .entry(entry.client)
            .or_insert_with(|| Watch::new(entry.client))
            .see(place, entry);
    }
    let mut breaches: Vec<_> = watches.into_values().flat_map(Watch::finish).collect();
    breaches.sort_by_key(|it| it.at);
    breaches
}

impl Watch {
    fn new(client: ClientNo) -> Self {
        Self {
            client,
            shift: 0,
            ended: false,
            tokens: Vec::new(),
            flight: None,
            asked: BTreeSet::new(),
            backoff: BackOff::default(),
            cooldown: CoolDown::default(),
            refusals: Vec::new(),
            wish: false,
            calls: BTreeMap::new(),
            last_failure: 0,
            last_repetition: 0,
            breaches: Vec::new(),
        }
    }

    fn see(&mut self, place: usize, entry: &Entry) {
        let at = entry.at;
        let now = Moment::new(at, self.shift);
        match &entry.seen {
            Seen::Began => {}
            Seen::Closed | Seen::Crashed => self.ended = true,
            Seen::Refresh => {
                self.wish = true;
                if self.tokens.is_empty() {
                    self.backoff.only_by_server();
                }
            }
            Seen::Clock(shift) => self.shift += shift,

            Seen::Fetch(no) => self.fetch(now, *no),
            Seen::Asked(no) => {
                if !self.asked.remove(no) {
                    self.broken(
                        at,
                        Rule::Accounted,
                        format!("token request {no} came twice"),
                    );
                }
            }
            Seen::Fetched(no, brought) => {
                let Some(flight) = self.flight.take_if(|it| it.no == *no) else {
                    return;
                };
                self.backoff = BackOff::default();
                let mut token = Token::new(place, at, flight.sent, flight.by_refusal, brought);
                let old = self.tokens.pop_if(|it| it.id == token.id);
                let same = old.is_some();
                if let Some(old) = old {
                    self.last_repetition = place;
                    token.by_refusal = old.by_refusal;
                }
                self.tokens.push(token);
                self.cooldown.flight_ended(at, flight.by_refusal, same);
            }
            Seen::FetchFailed(no, fault) => self.failed(place, at, *no, *fault),
            Seen::FetchDropped(no) => {
                let Some(flight) = self.flight.as_ref().filter(|it| it.no == *no) else {
                    return;
                };
                if !self.ended && at + TOLERANCE < flight.sent.mono + FETCH_DEADLINE {
                    let what = format!("token request {no} was dropped");
                    self.broken(at, Rule::FlightOutlivesItsCallers, what);
                }
                self.failed(place, at, *no, crate::trace::Fault::BROKEN);
            }

            Seen::Call { call, api } => {
                let known = self.calls.insert(
                    *call,
                    Call {
                        api: *api,
                        began: at,
                        waits_since: place,
                        sent: Vec::new(),
                        arrived: 0,
                        ended: false,
                    },
                );
                assert!(known.is_none(), "call {call} is made twice");
            }
            Seen::Sent { call, token } => self.sent(now, *call, token),
            Seen::Arrived { call, token } => {
                let it = self.call(*call);
                it.arrived += 1;
                let fits =
                    it.arrived <= it.sent.len() && it.sent.iter().any(|it| it.token == *token);
                if !fits {
                    let what = format!("call {call} arrived with {token}");
                    self.broken(at, Rule::Accounted, what);
                }
            }
            Seen::Head { call, status } => self.head(place, now, *call, *status),
            Seen::Unanswered { call } => self.call(*call).waits_since = place,
            Seen::Done { call, outcome } => self.done(now, *call, outcome),
            Seen::Dropped { call } => self.call(*call).ended = true,
        }
    }

    /// A token request leaves.
    fn fetch(&mut self, now: Moment, no: FetchNo) {
        let at = now.mono;
        if self.ended {
            self.broken(at, Rule::NothingAfterClose, format!("token request {no}"));
        }
        if let Some(flight) = &self.flight {
            let what = format!("token request {no} while {} is under way", flight.no);
            self.broken(at, Rule::OneFlight, what);
        }
        self.asked.insert(no);

        let kept = self.backoff.earliest > at + TOLERANCE;
        let by_hand = self.wish && self.backoff.by_server <= at + TOLERANCE;
        if kept && !by_hand {
            let what = format!(
                "token request {no}, and not before {:?}",
                self.backoff.earliest
            );
            self.broken(at, Rule::BackOffIsKept, what);
        }

        let current = self.tokens.last();
        let floor = |span| current.is_none_or(|it| at + TOLERANCE >= it.received + span);
        let cold =
            current.is_none_or(|it| it.may_have_expired(now)) && floor(Duration::from_secs(1));
        let due = current.is_some_and(|it| it.may_be_due(now)) && floor(Duration::from_secs(5));
        self.refusals.retain(|(then, _)| at <= *then + TOLERANCE);
        let refused = !self.refusals.is_empty();
        let other = kept || cold || due;
        let by_refusal = refused && !other && !self.wish;
        if by_refusal
            && !self
                .refusals
                .iter()
                .any(|(_, api)| self.cooldown.is_over(*api, at))
        {
            let what = format!("token request {no} because of another refusal");
            self.broken(at, Rule::CoolDownIsKept, what);
        }
        if !other && !refused {
            if self.wish {
                self.wish = false;
            } else {
                let what = format!("token request {no}, and the token is good");
                self.broken(at, Rule::FetchHasAReason, what);
            }
        } else if kept {
            self.wish = false;
        }
        self.flight = Some(Flight {
            no,
            sent: now,
            by_refusal,
        });
    }

    fn failed(&mut self, place: usize, at: Duration, no: FetchNo, fault: crate::trace::Fault) {
        if let Some(flight) = self.flight.take_if(|it| it.no == no) {
            self.last_failure = place;
            self.backoff.failed(at, fault);
            self.cooldown.flight_ended(at, flight.by_refusal, false);
        }
    }

    fn sent(&mut self, now: Moment, call: CallNo, token: &str) {
        let at = now.mono;
        if self.ended {
            self.broken(at, Rule::NothingAfterClose, format!("call {call} is sent"));
        }
        let since = self.call(call).waits_since;
        let place = self.tokens.iter().rposition(|it| it.id == token);
        let Some(place) = place else {
            let what = format!("call {call} is sent with {token}, which nobody brought");
            return self.broken(at, Rule::NewestIsSent, what);
        };
        let (it, newest) = (&self.tokens[place], &self.tokens[self.tokens.len() - 1]);
        let waited = since < it.place;
        let older = place + 1 < self.tokens.len() && !newest.may_have_expired(now);
        let expired = it.has_expired(now) && !waited;
        let newest = newest.id.clone();

        let before = self.call(call).sent.last().map(|it| it.token.clone());
        let again = before.is_some_and(|before| {
            let before = self.tokens.iter().rposition(|it| it.id == before);
            before.is_none_or(|before| before >= place)
        });
        let it = self.call(call);
        it.sent.push(Sent {
            token: token.to_owned(),
            waited,
            refused: None,
        });
        let sends = it.sent.len();

        if older {
            let what = format!("call {call} is sent with {token}, and {newest} is there");
            self.broken(at, Rule::NewestIsSent, what);
        }
        if expired {
            let what = format!("call {call} is sent with {token}");
            self.broken(at, Rule::ExpiredIsNotSent, what);
        }
        if again {
            let what = format!("call {call} is sent with {token} after a refusal");
            self.broken(at, Rule::RefusedIsNotSentAgain, what);
        }
        if sends > 2 {
            self.broken(
                at,
                Rule::TwoSends,
                format!("call {call} is sent {sends} times"),
            );
        }
    }

    fn head(&mut self, place: usize, now: Moment, call: CallNo, status: u16) {
        let at = now.mono;
        let it = self.calls.get_mut(&call).expect("it was made");
        it.waits_since = place;
        let api = it.api;
        let number = it.sent.len();
        let Some(sent) = it.sent.last_mut() else {
            return;
        };
        let current = self.tokens.last().filter(|it| it.id == sent.token);
        if status != 401 {
            self.cooldown.not_refused(api, current, status == 200);
            return;
        }
        if let Some(current) = current {
            self.cooldown.refused(api, current, sent.waited, at);
            // Who waited for the token doesn't ask for another; a second refusal does.
            if !sent.waited || number > 1 {
                self.refusals.push((at, api));
            }
        }
        sent.refused = Some(Refused {
            place,
            current: current.is_some(),
            usable: self.tokens.last().is_some_and(|it| it.is_usable(now)),
            cooling: self.cooldown.may_last(api, at),
            backing_off: self.backoff.latest + TOLERANCE > at,
            closed: self.ended,
        });
    }

    fn done(&mut self, now: Moment, call: CallNo, outcome: &Outcome) {
        let at = now.mono;
        let (ended, failing) = (self.ended, self.backoff.latest + TOLERANCE > at);
        let usable = self.tokens.last().is_some_and(|it| it.is_usable(now));
        let (failure, repetition) = (self.last_failure, self.last_repetition);
        let it = self.call(call);
        it.ended = true;
        let began = it.began;

        let mut broken = Vec::new();
        match outcome {
            Outcome::NoToken { closed: true } if ended => {}
            Outcome::NoToken { .. } => {
                if usable {
                    broken.push((
                        Rule::UsableTokenIsServed,
                        "fails for want of a token".to_owned(),
                    ));
                }
                if !failing {
                    broken.push((Rule::FailureHasACause, "fails at once".to_owned()));
                }
            }
            Outcome::Answer {
                status: 401,
                reason,
            } => {
                let sends = it.sent.len();
                let sent = it.sent.last();
                let (waited, refused) =
                    match sent.and_then(|it| Some((it.waited, it.refused.as_ref()?))) {
                        Some(it) => it,
                        None => panic!("call {call} has a refusal that nobody sent"),
                    };
                let reason = reason.unwrap_or("none");
                let holds = match reason {
                    "again" => sends == 2,
                    "fresh" => refused.current && waited,
                    "cool_down" => refused.current && refused.cooling,
                    "back_off" => refused.backing_off && (refused.current || !refused.usable),
                    "no_token" => failure > refused.place,
                    "same_token" => repetition > refused.place,
                    "closed" => refused.closed || ended,
                    _ => false,
                };
                if !holds {
                    let what = format!("is refused, and the reason told is {reason}");
                    broken.push((Rule::RefusalIsHealed, what));
                }
            }
            _ => {}
        }
        if began >= HEALED && !ended && !failing {
            match outcome {
                Outcome::Answer { status: 200, .. } => {}
                other => broken.push((Rule::Heals, format!("ends with {other:?}"))),
            }
        }
        if at > began + LONGEST_CALL {
            broken.push((Rule::EveryCallEnds, format!("took {:?}", at - began)));
        }
        for (rule, what) in broken {
            self.broken(at, rule, format!("call {call} {what}"));
        }
    }

    fn finish(mut self) -> Vec<Breach> {
        let open: Vec<_> = self
            .calls
            .iter()
            .filter(|(_, it)| !it.ended && it.began + LONGEST_CALL < END)
            .map(|(call, it)| (*call, it.began))
            .collect();
        for (call, began) in open {
            // The calls of a program that is gone went with it.
            self.broken(
                began,
                Rule::EveryCallEnds,
                format!("call {call} never ends"),
            );
        }
        self.breaches
    }

    fn call(&mut self, call: CallNo) -> &mut Call {
        self.calls.get_mut(&call).expect("it was made")
    }

    fn broken(&mut self, at: Duration, rule: Rule, what: String) {
        self.breaches.push(Breach {
            rule,
            at,
            client: self.client,
            what,
        });
    }
}
