//! What a seed means: who is there, what goes wrong, and when. Pure, so that a seed always means
//! the same.

use std::time::Duration;

/// Nothing goes wrong after this any more.
pub(crate) const QUIET: Duration = Duration::from_secs(40);

/// By now all is well again: the longest back-off and cool-down that can be left are over.
pub(crate) const HEALED: Duration = Duration::from_secs(77);

/// The end.
pub(crate) const END: Duration = Duration::from_secs(84);

pub(crate) const CLIENTS: usize = 2;
pub(crate) const APIS: usize = 2;

/// Who can be cut off from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Client(usize),
    AuthorizationServer,
    Api(usize),
}

impl Host {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Client(n) => format!("client-{n}"),
            Self::AuthorizationServer => "as".to_owned(),
            Self::Api(n) => format!("api-{n}"),
        }
    }
}

/// How the authorization server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AsMood {
    Well,
    /// After this long.
    Slow(Duration),
    /// The same token again, as long as it was meant to live, good or not.
    Caching,
    /// With this status, and the seconds of a `Retry-After`.
    Status(u16, Option<u64>),
    /// As a gateway in front of it does: 200, and a page.
    Html,
    InvalidClient,
    /// The connection breaks.
    Torn,
    /// Never.
    Mute,
}

/// How a resource answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiMood {
    Well,
    /// Each time after another while, up to this long: refusals come staggered.
    Slow(Duration),
    /// It refuses every token.
    Refusing,
    Failing,
    Torn,
}

/// What happens at the servers and between the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Partition(Host, Host),
    Repair(Host, Host),
    Hold(Host, Host),
    Release(Host, Host),
    /// Messages take up to this long.
    Latency(Duration),
    As(AsMood),
    Api(usize, ApiMood),
    /// Down it goes, and with it all it knows: every token of before is refused from now on.
    Crash,
    Start,
    /// Tokens live this long.
    Lifetime(Duration),
    /// A program ends without a word, and starts anew.
    RestartClient(usize),
}

/// What happens inside of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Refresh,
    Close,
    /// The machine sleeps: wall time goes on, monotonic time stands still.
    Suspend(Duration),
    StepBack(Duration),
}

/// The callers of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Callers {
    pub(crate) number: usize,
    /// They call at multiples of this, all at once, or else each after up to this long.
    pub(crate) pace: Duration,
    pub(crate) together: bool,
    /// Of a hundred calls so many are given up early.
    pub(crate) impatient: u64,
    pub(crate) orders: Vec<(Duration, Order)>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) latency: Duration,
    pub(crate) lifetime: Duration,
    /// The server says when it wants a token renewed, in hundredths of the lifetime.
    pub(crate) refresh_in: Option<u32>,
    pub(crate) callers: [Callers; CLIENTS],
    pub(crate) troubles: Vec<(Duration, Trouble)>,
}

/// A small generator of numbers (SplitMix64): the same for a seed in every version of every crate.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One of `0..end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether so many of a hundred.
    pub(crate) fn percent(&mut self, of_a_hundred: u64) -> bool {
        self.below(100) < of_a_hundred
    }

    /// In milliseconds.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("it is below a usize")
    }
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let callers = [0, 1].map(|_| Callers::new(&mut dice));
        let mut scenario = Self {
            seed,
            latency: dice.between(1, 120),
            lifetime: lifetime(&mut dice),
            refresh_in: dice.percent(30).then(|| 30 + dice.below(60) as u32),
            callers,
            troubles: Vec::new(),
        };
        for _ in 0..3 + dice.below(5) {
            scenario.add_trouble(&mut dice);
        }
        scenario.troubles.sort_by_key(|(at, _)| *at);
        scenario
    }

    fn add_trouble(&mut self, dice: &mut Dice) {
        // Long enough to be noticed, and over in time.
        let lasts = dice.between(500, 14_000);
        let quiet = QUIET.as_millis() as u64;
        let from = dice.between(500, quiet - 1000 - lasts.as_millis() as u64);
        let to = from + lasts;
        let (begin, end) = match dice.below(12) {
            0 | 1 => {
                let mood = as_mood(dice);
                (Trouble::As(mood), Trouble::As(AsMood::Well))
            }
            2 | 3 => {
                let api = dice.index(APIS);
                let mood = api_mood(dice);
                (Trouble::Api(api, mood), Trouble::Api(api, ApiMood::Well))
            }
            4 => (Trouble::Crash, Trouble::Start),
            5..=7 => {
                // Down for a moment only: this is what a rollover looks like.
                self.troubles.push((from, Trouble::Crash));
                self.troubles
                    .push((from + dice.between(0, 300), Trouble::Start));
                return;
            }
            8 => {
                let (a, b) = link(dice);
                (Trouble::Partition(a, b), Trouble::Repair(a, b))
            }
            9 => {
                let (a, b) = link(dice);
                (Trouble::Hold(a, b), Trouble::Release(a, b))
            }
            10 => (
                Trouble::Latency(dice.between(300, 1500)),
                Trouble::Latency(self.latency),
            ),
            _ => {
                let one = match dice.below(2) {
                    0 => Trouble::Lifetime(lifetime(dice)),
                    _ => Trouble::RestartClient(dice.index(CLIENTS)),
                };
                self.troubles.push((from, one));
                return;
            }
        };
        self.troubles.extend([(from, begin), (to, end)]);
    }
}

impl Callers {
    fn new(dice: &mut Dice) -> Self {
        let quiet = QUIET.as_millis() as u64;
        let mut orders: Vec<_> = (0..dice.below(3))
            .map(|_| {
                let order = match dice.below(4) {
                    0 | 1 => Order::Refresh,
                    2 => Order::Suspend(dice.between(1000, 60_000)),
                    _ => Order::StepBack(dice.between(1000, 60_000)),
                };
                (dice.between(1000, quiet), order)
            })
            .collect();
        if dice.percent(5) {
            orders.push((dice.between(1000, quiet), Order::Close));
        }
        orders.sort_by_key(|(at, _)| *at);
        Self {
            number: 1 + dice.index(4),
            pace: dice.between(300, 3000),
            together: dice.percent(50),
            impatient: [0, 10, 40][dice.index(3)],
            orders,
        }
    }
}

fn lifetime(dice: &mut Dice) -> Duration {
    Duration::from_secs(6 + dice.below(35))
}

/// A client and a server. Servers don't talk to each other here.
fn link(dice: &mut Dice) -> (Host, Host) {
    let server = match dice.index(1 + APIS) {
        0 => Host::AuthorizationServer,
        n => Host::Api(n - 1),
    };
    (Host::Client(dice.index(CLIENTS)), server)
}

fn as_mood(dice: &mut Dice) -> AsMood {
    match dice.below(12) {
        0 | 1 => AsMood::Slow(dice.between(300, 4000)),
        2 | 3 => AsMood::Caching,
        4 => AsMood::Status(500, None),
        5 => AsMood::Status(503, None),
        6 => AsMood::Status(503, Some(1 + dice.below(6))),
        7 => AsMood::Status(429, Some(1 + dice.below(6))),
        8 => AsMood::Torn,
        9 => AsMood::Mute,
        10 => AsMood::Html,
        _ => AsMood::InvalidClient,
    }
}

fn api_mood(dice: &mut Dice) -> ApiMood {
    match dice.below(6) {
        0..=2 => ApiMood::Slow(dice.between(500, 3500)),
        3 => ApiMood::Refusing,
        4 => ApiMood::Failing,
        _ => ApiMood::Torn,
    }
}
