//! Who did what when, and whether each failure has a cause.
//!
//! - A *token request* that failed is explained by an outage (kind transport) or a hanging server
//!   (timeout) that was there while it was under way, or by an odd answer that had been scripted, which
//!   explains one failure.
//! - A *call* that had no token is explained by a failed token request of the same kind that was under
//!   way, or whose back-off lasted, while the call was.
//! - A call whose token was *refused* is explained by its API refusing everything meanwhile; by a
//!   rollover, until a token has come that was asked for after it; or by the token's end, if it was that
//!   old. If it says that no other token could be had, or only later, a failed token request must
//!   explain that, too; if it says that the request couldn't be sent again, that must be true.
//! - A call that *broke* is explained by an outage of its API.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{StatusCode, Uri};
use tower_oauth::{
    BoxError, ErrorKind, TokenError,
    events::{Event, RetryOutcome},
    service::{Rejected, RejectedReason},
};

use super::time::Time;

/// A server that comes back has connections that it hasn't broken yet, and the one who looks on has
/// a clock of his own: 0.1 s of real time.
const GRACE: Duration = Duration::from_secs(3);

/// What goes wrong; the number is the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Rollover,
    Outage,
    Hanging,
    Unavailable,
    TooMany,
    Html,
    Empty,
    Refusing(usize),
    ApiOutage(usize),
    Rotation,
    Lifetime,
    Slow,
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Why {
    NoToken(TokenError),
    Rejected(Box<Rejected>),
    Broken(BoxError),
    Status(StatusCode),
}

/// How often a call's request can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sends {
    Twice,
    /// Its body is larger than what is kept of one.
    Once,
    OnceByWish,
}

pub(crate) struct Ledger {
    time: Arc<Time>,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    windows: Vec<Window>,
    scripted: BTreeMap<Fault, u64>,
    failed_fetches: Vec<FailedFetch>,
    failed_calls: Vec<FailedCall>,
    /// How long each token lives.
    lives: BTreeMap<u64, Duration>,
    rotating: bool,
    calls: u64,
    table: Table,
}

#[derive(Clone, Copy)]
struct Window {
    fault: Fault,
    from: Duration,
    until: Option<Duration>,
}

struct FailedFetch {
    from: Duration,
    at: Duration,
    /// Until when its failure is remembered.
    until: Duration,
    error: TokenError,
}

struct FailedCall {
    from: Duration,
    until: Duration,
    origin: String,
    sends: Sends,
    why: Why,
}

/// Rows by heading and name.
#[derive(Clone, Default)]
struct Table(BTreeMap<(&'static str, String), u64>);

/// What came of it all.
pub(crate) struct Verdict {
    table: Table,
    pub(crate) calls: u64,
    pub(crate) healed: u64,
    pub(crate) with_cause: u64,
    unexpected: Vec<String>,
}

// ===== impl Ledger =====

impl Ledger {
    pub(crate) fn new(time: Arc<Time>) -> Self {
        Self {
            time,
            pages: Mutex::default(),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault that explains nothing.
    pub(crate) fn injected(&self, fault: Fault) {
        let mut pages = self.pages();
        pages.table.count("faults", fault);
        pages.rotating |= fault == Fault::Rotation;
    }

    /// Whether the last identity has been taken.
    pub(crate) fn may_rotate(&self) -> bool {
        !self.pages().rotating
    }

    pub(crate) fn scripts(&self, fault: Fault) {
        self.injected(fault);
        *self.pages().scripted.entry(fault).or_default() += 1;
    }

    pub(crate) fn begins(&self, fault: Fault) {
        self.injected(fault);
        let from = self.time.now();
        let until = None;
        self.pages().windows.push(Window { fault, from, until });
    }

    pub(crate) fn ends(&self, fault: Fault) {
        let now = self.time.now();
        self.pages().end(fault, now, now);
    }

    /// What the client's observer is told.
    pub(crate) fn event(&self, event: &Event<'_>) {
        let now = self.time.now();
        let mut pages = self.pages();
        match event {
            Event::FetchSucceeded {
                generation,
                took,
                expires_in,
                ..
            } => {
                pages.table.count("token requests", "token");
                let life = expires_in.unwrap_or(Duration::MAX);
                pages.lives.insert(u64::from(*generation), life);
                pages.end(Fault::Rollover, now.saturating_sub(*took), now);
            }
            Event::FetchFailed {
                error,
                took,
                retry_in,
                ..
            } => {
                let name = match error.status() {
                    Some(status) => format!("{} ({})", error.kind(), status.as_u16()),
                    None => error.kind().to_string(),
                };
                pages.table.count("token requests", name);
                pages.failed_fetches.push(FailedFetch {
                    from: now.saturating_sub(*took),
                    at: now,
                    until: now + retry_in.unwrap_or_default(),
                    error: (*error).clone(),
                });
            }
            Event::Refreshed { cause, .. } => pages.table.count("refreshes", cause.name()),
            Event::Retried { outcome, .. } => pages.table.count("retries", outcome.name()),
            Event::Rejected { reason, .. } => pages.table.count("rejections", reason),
            Event::IdentityRotated { .. } => pages.rotating = false,
            Event::AlarmRaised { cause, .. } => {
                pages.table.count("alarms", format_args!("{cause:?}"));
            }
            _ => {}
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.pages().calls
    }

    pub(crate) fn now(&self) -> Duration {
        self.time.now()
    }

    pub(crate) fn call_ends(
        &self,
        from: Duration,
        uri: &Uri,
        sends: Sends,
        result: Result<(), Why>,
    ) {
        let until = self.time.now();
        let mut pages = self.pages();
        pages.calls += 1;
        if let Err(why) = result {
            let authority = uri.authority().map_or("", |it| it.as_str());
            pages.failed_calls.push(FailedCall {
                from,
                until,
                origin: format!("https://{authority}"),
                sends,
                why,
            });
        }
    }

    pub(crate) fn caller_dropped(&self) {
        self.pages()
            .table
            .count("faults", "client: a caller is dropped");
    }

    /// Looks for the cause of each failure, when all has ended.
    pub(crate) fn verdict(&self, origins: &[String; 2]) -> Verdict {
        let mut pages = self.pages();
        let pages = &mut *pages;
        let mut unexpected = Vec::new();
        for fetch in &pages.failed_fetches {
            let scripted = &mut pages.scripted;
            if !explains_fetch(&pages.windows, scripted, fetch) {
                unexpected.push(format!("a token request failed: {}", fetch.error));
            }
        }
        let mut with_cause = 0;
        for call in &pages.failed_calls {
            match pages.cause(call, origins) {
                Some(cause) => {
                    with_cause += 1;
                    pages.table.count("failed calls, by cause", cause);
                }
                None => unexpected.push(format!(
                    "a call failed from {:?} to {:?}: {}",
                    call.from, call.until, call.why
                )),
            }
        }
        let healed = RetryOutcome::Healed.name().to_owned();
        Verdict {
            calls: pages.calls,
            healed: pages
                .table
                .0
                .get(&("retries", healed))
                .copied()
                .unwrap_or(0),
            with_cause,
            table: pages.table.clone(),
            unexpected,
        }
    }
}

// ===== impl Pages =====

impl Pages {
    /// Ends the windows of this fault that began before `begun`.
    fn end(&mut self, fault: Fault, begun: Duration, now: Duration) {
        for window in &mut self.windows {
            if window.fault == fault && window.from <= begun {
                window.until.get_or_insert(now);
            }
        }
    }

    fn cause(&self, call: &FailedCall, origins: &[String; 2]) -> Option<String> {
        let api = origins.iter().position(|it| *it == call.origin)?;
        let fetch = |error: Option<&TokenError>| {
            let mut fetches = self.failed_fetches.iter();
            let found = fetches.find(|fetch| fetch.explains(call, error))?;
            Some(format!("no token: {}", found.error.kind()))
        };
        match &call.why {
            Why::NoToken(error) => fetch(Some(error)),
            Why::Broken(_) => self.window(Fault::ApiOutage(api), call),
            Why::Status(_) => None,
            Why::Rejected(rejected) => {
                let refused = self.refusal(rejected, api, call)?;
                match rejected.reason() {
                    RejectedReason::Again
                    | RejectedReason::Fresh
                    | RejectedReason::CoolDown { .. } => Some(refused),
                    RejectedReason::NotRepeatable => {
                        Some(refused).filter(|_| call.sends == Sends::Once)
                    }
                    RejectedReason::Forbidden => {
                        Some(refused).filter(|_| call.sends == Sends::OnceByWish)
                    }
                    RejectedReason::NoToken(error) => {
                        Some(format!("{refused}, then {}", fetch(Some(error))?))
                    }
                    RejectedReason::BackOff { .. } => {
                        Some(format!("{refused}, then {}", fetch(None)?))
                    }
                    _ => None,
                }
            }
        }
    }

    /// Why the token was refused.
    fn refusal(&self, rejected: &Rejected, api: usize, call: &FailedCall) -> Option<String> {
        let life = self.lives.get(&u64::from(rejected.generation()));
        let old = life.is_some_and(|life| rejected.token_age() + GRACE >= *life);
        self.window(Fault::Refusing(api), call)
            .or_else(|| self.window(Fault::Rollover, call))
            .or_else(|| old.then(|| "the token's end".to_owned()))
    }

    /// The name of this fault, if it was there while the call was under way.
    fn window(&self, fault: Fault, call: &FailedCall) -> Option<String> {
        let mut windows = self.windows.iter();
        let there = windows.any(|it| it.fault == fault && it.overlaps(call.from, call.until));
        there.then(|| fault.to_string())
    }
}

/// Whether a fault explains why a token request failed; uses up the odd answer that does.
fn explains_fetch(
    windows: &[Window],
    scripted: &mut BTreeMap<Fault, u64>,
    fetch: &FailedFetch,
) -> bool {
    let there = |fault: Fault| {
        let mut windows = windows.iter();
        windows.any(|it| it.fault == fault && it.overlaps(fetch.from, fetch.at))
    };
    let status = fetch.error.status();
    let answers: &[Fault] = match fetch.error.kind() {
        ErrorKind::Transport => return there(Fault::Outage),
        ErrorKind::Timeout => return there(Fault::Hanging),
        ErrorKind::Malformed => &[Fault::Html, Fault::Empty],
        ErrorKind::Rejected if status == Some(StatusCode::SERVICE_UNAVAILABLE) => {
            &[Fault::Unavailable]
        }
        ErrorKind::Rejected if status == Some(StatusCode::TOO_MANY_REQUESTS) => &[Fault::TooMany],
        _ => return false,
    };
    for answer in answers {
        if let Some(left @ 1..) = scripted.get_mut(answer) {
            *left -= 1;
            return true;
        }
    }
    false
}

impl Window {
    fn overlaps(&self, from: Duration, until: Duration) -> bool {
        self.from <= until + GRACE && self.until.is_none_or(|it| it + GRACE >= from)
    }
}

impl FailedFetch {
    /// Whether this is what the call was told: that of the same kind and status, or any.
    fn explains(&self, call: &FailedCall, error: Option<&TokenError>) -> bool {
        let same = error.is_none_or(|error| {
            error.kind() == self.error.kind() && error.status() == self.error.status()
        });
        same && self.from <= call.until + GRACE && self.until + GRACE >= call.from
    }
}

// ===== impl Table =====

impl Table {
    fn count(&mut self, heading: &'static str, name: impl fmt::Display) {
        *self.0.entry((heading, name.to_string())).or_default() += 1;
    }
}

// ===== impl Verdict =====

impl Verdict {
    pub(crate) fn unexpected(&self) -> u64 {
        self.unexpected.len() as u64
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = "";
        for ((heading, name), count) in &self.table.0 {
            if *heading != last {
                writeln!(f, "{heading}")?;
                last = heading;
            }
            writeln!(f, "{count:8}  {name}")?;
        }
        // The first of them tell enough.
        for what in self.unexpected.iter().take(20) {
            writeln!(f, "unexpected: {what}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rollover => "rollover: all tokens are forgotten",
            Self::Outage => "authorization server: connections break",
            Self::Hanging => "authorization server: no answer comes",
            Self::Unavailable => "authorization server: 503",
            Self::TooMany => "authorization server: 429 with Retry-After",
            Self::Html => "authorization server: HTML",
            Self::Empty => "authorization server: 200 without a body",
            Self::Refusing(_) => "API: every token is refused",
            Self::ApiOutage(_) => "API: connections break",
            Self::Rotation => "client: another certificate",
            Self::Lifetime => "authorization server: another token lifetime",
            Self::Slow => "authorization server: another latency",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(error) => write!(f, "no token: {error} ({})", error.kind()),
            Self::Rejected(rejected) => write!(f, "{} ({rejected})", rejected.reason().name()),
            Self::Broken(error) => write!(f, "{error}: {:?}", error.source()),
            Self::Status(status) => write!(f, "answered {status}"),
        }
    }
}
