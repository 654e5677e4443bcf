//! What was seen from outside: the only thing that the oracle knows.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode, header::RETRY_AFTER};
use serde_json::Value;

/// One life of a client program: a restart makes another of it.
pub(crate) type ClientNo = usize;
pub(crate) type CallNo = usize;
pub(crate) type FetchNo = usize;

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Simulated time.
    pub(crate) at: Duration,
    pub(crate) client: ClientNo,
    pub(crate) seen: Seen,
}

#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// A program starts.
    Began,
    /// It closes its handle.
    Closed,
    /// It is gone.
    Crashed,
    /// It asks for a new token by hand.
    Refresh,
    /// Its wall clock is moved, by this many milliseconds.
    Clock(i64),

    /// A token request leaves the client.
    Fetch(FetchNo),
    /// It arrives.
    Asked(FetchNo),
    /// Its answer is there: a token.
    Fetched(FetchNo, Brought),
    /// Its answer is none, or there is no answer.
    FetchFailed(FetchNo, Fault),
    /// Nobody waits for it any more.
    FetchDropped(FetchNo),

    /// A caller makes a call to this resource.
    Call { call: CallNo, api: usize },
    /// It leaves the client with this token.
    Sent { call: CallNo, token: String },
    /// It arrives with this token.
    Arrived { call: CallNo, token: String },
    /// Its response is there.
    Head { call: CallNo, status: u16 },
    /// There will be none.
    Unanswered { call: CallNo },
    /// The caller has it.
    Done { call: CallNo, outcome: Outcome },
    /// The caller went away.
    Dropped { call: CallNo },
}

/// What the answer of a token endpoint says.
#[derive(Clone, Debug)]
pub(crate) struct Brought {
    pub(crate) token: String,
    pub(crate) lifetime: Duration,
    pub(crate) refresh_in: Option<Duration>,
}

/// Why there is no token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Temporary,
    Permanent,
    /// It may be taken for either.
    Unclear,
}

/// What a caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response, and the reason why a refusal wasn't healed, if it is one.
    Answer {
        status: u16,
        reason: Option<&'static str>,
    },
    /// There was no token to send.
    NoToken { closed: bool },
    /// The resource gave no answer.
    Broken,
}

impl Brought {
    fn read(answer: &Response<Bytes>) -> Option<Self> {
        let body: Value = serde_json::from_slice(answer.body()).ok()?;
        let seconds = |name| Some(Duration::from_secs_f64(body.get(name)?.as_f64()?));
        Some(Self {
            token: body.get("access_token")?.as_str()?.to_owned(),
            lifetime: seconds("expires_in")?,
            refresh_in: seconds("refresh_in"),
        })
    }
}

impl Fault {
    pub(crate) const BROKEN: Self = Self {
        kind: Kind::Temporary,
        retry_after: None,
    };

    fn read(answer: &Response<Bytes>) -> Self {
        let status = answer.status();
        let kind = if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Kind::Temporary
        } else if status == StatusCode::OK {
            Kind::Unclear
        } else {
            Kind::Permanent
        };
        let retry_after = answer.headers().get(RETRY_AFTER);
        Self {
            kind,
            retry_after: retry_after
                .and_then(|it| it.to_str().ok()?.parse().ok())
                .map(Duration::from_secs),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        write!(f, "{at:8.3} client {} {:?}", self.client, self.seen)
    }
}

// ===== writing it down =====

/// Writes it all down. Each simulation runs on one thread, so the order is that of what happened.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    last: usize,
    /// Which life each host is in.
    alive: BTreeMap<usize, ClientNo>,
    finished: bool,
}

impl Recorder {
    /// A client program starts on this host.
    pub(crate) fn begin(&self, host: usize) -> Witness {
        let mut book = self.lock();
        book.last += 1;
        let client = book.last;
        book.alive.insert(host, client);
        drop(book);
        let witness = Witness {
            recorder: self.clone(),
            client,
        };
        witness.saw(Seen::Began);
        witness
    }

    /// The program on this host is about to end without a word.
    pub(crate) fn crash(&self, host: usize) {
        let client = self.lock().alive.remove(&host);
        if let Some(client) = client {
            self.saw(client, Seen::Crashed);
        }
    }

    /// A server saw something of a client.
    pub(crate) fn saw(&self, client: ClientNo, seen: Seen) {
        let at = turmoil::sim_elapsed();
        let mut book = self.lock();
        if book.finished {
            return;
        }
        // Between two steps there is no host whose time it could be.
        let last = book.entries.last().map_or(Duration::ZERO, |it| it.at);
        book.entries.push(Entry {
            at: at.unwrap_or(last),
            client,
            seen,
        });
    }

    /// What happens from now on is only the end of the simulation itself.
    pub(crate) fn finish(&self) -> Vec<Entry> {
        let mut book = self.lock();
        book.finished = true;
        std::mem::take(&mut book.entries)
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what happens in one client.
#[derive(Clone)]
pub(crate) struct Witness {
    recorder: Recorder,
    pub(crate) client: ClientNo,
}

impl Witness {
    pub(crate) fn saw(&self, seen: Seen) {
        self.recorder.saw(self.client, seen);
    }

    /// Something begins whose end is written down, whatever it is.
    pub(crate) fn until_dropped(&self, dropped: Seen) -> Guard {
        Guard {
            witness: self.clone(),
            dropped: Some(dropped),
            ended: AtomicBool::new(false),
        }
    }
}

/// Writes down that something was dropped before it came to its end.
pub(crate) struct Guard {
    witness: Witness,
    dropped: Option<Seen>,
    ended: AtomicBool,
}

impl Guard {
    pub(crate) fn ended(&self, seen: Seen) {
        self.ended.store(true, Ordering::Relaxed);
        self.witness.saw(seen);
    }

    /// A token request's end.
    pub(crate) fn answered(&self, fetch: FetchNo, answer: &Response<Bytes>) {
        let brought = Brought::read(answer).filter(|_| answer.status() == StatusCode::OK);
        self.ended(match brought {
            Some(brought) => Seen::Fetched(fetch, brought),
            None => Seen::FetchFailed(fetch, Fault::read(answer)),
        });
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let (false, Some(dropped)) = (self.ended.load(Ordering::Relaxed), self.dropped.take()) {
            self.witness.saw(dropped);
        }
    }
}
