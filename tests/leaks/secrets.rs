//! What must not be seen, in every spelling that a log may give it.

use std::collections::{BTreeMap, HashMap};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};

use super::Record;

/// A run of this many octets gives a secret away.
const RUN: usize = 16;

/// So many beginnings of runs are told apart.
const BEGINNINGS: u32 = 1 << 22;

/// Secrets, cut into runs.
pub(crate) struct Secrets {
    /// By their length, with what they are part of.
    runs: BTreeMap<usize, HashMap<Vec<u8>, &'static str>>,
    /// Which beginnings there are: most of a text is passed over by a look at this.
    begun: Vec<bool>,
}

impl Secrets {
    /// A text: as it is, form-encoded, in quotes, and its octets.
    pub(crate) fn text(&mut self, name: &'static str, secret: &str) {
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let quoted = secret.escape_debug().to_string();
        for spelling in [secret, &form, &quoted] {
            self.spelling(name, spelling, RUN);
        }
        self.octets(name, secret.as_bytes());
        self.octets(name, form.as_bytes());
    }

    /// Octets: in base64, hexadecimal, and as a list of numbers or escapes.
    pub(crate) fn octets(&mut self, name: &'static str, secret: &[u8]) {
        assert!(secret.len() >= RUN, "{name} is too short to be recognised");
        let list = |separator: &str, spell: fn(&u8) -> String| {
            let octets: Vec<_> = secret.iter().map(spell).collect();
            octets.join(separator)
        };
        self.spelling(name, &BASE64_STANDARD.encode(secret), RUN);
        self.spelling(name, &BASE64_URL_SAFE_NO_PAD.encode(secret), RUN);
        // A number has one digit at least: so long is the shortest run of them.
        self.spelling(name, &list(",", u8::to_string), 2 * RUN - 1);
        for separator in ["", ":", ","] {
            let hex = list(separator, |octet| format!("{octet:02x}"));
            self.spelling(name, &hex, 2 * RUN + (RUN - 1) * separator.len());
        }
        // Half of the octets are letters and digits at worst.
        self.spelling(name, &secret.escape_ascii().to_string(), 2 * RUN);
    }

    /// The private part of a P-256 key in a `PRIVATE KEY` PEM. The rest of it is the algorithm and
    /// the public key, which anybody may see.
    pub(crate) fn key(&mut self, pem: &str) {
        let base64: String = pem.lines().filter(|line| !line.contains("-----")).collect();
        let der = BASE64_STANDARD.decode(&base64).unwrap();
        // ECPrivateKey: version 1, then an octet string of 32.
        let mark = [0x02, 0x01, 0x01, 0x04, 0x20];
        let at = der.windows(mark.len()).position(|it| it == mark).unwrap() + mark.len();
        self.octets("the private key", &der[at..at + 32]);
        let inside = &base64[(at * 8).div_ceil(6)..(at + 32) * 8 / 6];
        self.spelling("the private key", inside, RUN);
    }

    /// Where any of them is seen.
    pub(crate) fn seen_in<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Vec<(&'static str, &'a Record)> {
        let find = |record: &Record| {
            let text = record.text.to_ascii_lowercase();
            let without_space: String = text.split_whitespace().collect();
            self.find(&text).or_else(|| self.find(&without_space))
        };
        records
            .into_iter()
            .filter_map(|record| Some((find(record)?, record)))
            .collect()
    }

    fn find(&self, text: &str) -> Option<&'static str> {
        let text = text.as_bytes();
        (0..text.len()).find_map(|at| self.begin(&text[at..]))
    }

    /// What the text begins with a run of.
    fn begin(&self, text: &[u8]) -> Option<&'static str> {
        if !self.begun[beginning(text)?] {
            return None;
        }
        let mut runs = self.runs.iter();
        runs.find_map(|(length, runs)| runs.get(text.get(..*length)?).copied())
    }

    fn spelling(&mut self, name: &'static str, spelling: &str, run: usize) {
        let spelling = spelling.to_ascii_lowercase();
        let runs = self.runs.entry(run).or_default();
        for window in spelling.as_bytes().windows(run) {
            let beginning = beginning(window).expect("a run is longer");
            self.begun[beginning] = true;
            runs.insert(window.to_owned(), name);
        }
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            runs: BTreeMap::new(),
            begun: vec![false; BEGINNINGS as usize],
        }
    }
}

/// A hash of the first four octets.
fn beginning(text: &[u8]) -> Option<usize> {
    let first = u32::from_le_bytes(*text.first_chunk()?);
    Some((first.wrapping_mul(0x9e37_79b1) / (u32::MAX / BEGINNINGS + 1)) as usize)
}
