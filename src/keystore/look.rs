//! Looking at files that somebody else writes, and making up one's mind about them.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    time::Duration,
};

use zeroize::Zeroizing;

use super::{ClientIdentity, KeystoreError};

/// Who writes a pair of files is hardly ever done at once: what has changed is looked at again
/// this much later.
const SETTLE: Duration = Duration::from_secs(1);

/// So often are files looked at that can't be read, before anybody is told.
const PATIENCE: u32 = 4;

type Load = dyn Fn() -> Result<ClientIdentity, KeystoreError> + Send + Sync;

/// Files, and how they become an identity.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    load: Box<Load>,
    /// Content is compared by keyed digests, which say nothing outside of this process.
    digests: RandomState,
}

/// What files look like: a digest over all of them. `None`: one can't be read.
pub(super) type Sight = Option<u64>;

impl Files {
    pub(super) fn new(paths: Vec<PathBuf>, load: Box<Load>) -> Self {
        Self {
            paths,
            load,
            digests: RandomState::new(),
        }
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Blocks.
    pub(super) fn sight(&self) -> Sight {
        let mut digest = self.digests.build_hasher();
        for path in &self.paths {
            let content = Zeroizing::new(std::fs::read(path).ok()?);
            digest.write_usize(content.len());
            digest.write(&content);
        }
        Some(digest.finish())
    }

    /// Blocks.
    pub(super) fn load(&self) -> Result<ClientIdentity, KeystoreError> {
        (self.load)()
    }
}

/// How soon the next look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At the next regular one.
    Poll,
    /// As soon as the writer has had a moment more.
    Soon,
}

/// What was seen of the files so far. No clock and no file in here.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    at: Duration,
    /// What the files looked like when they were last read.
    known: Sight,
    /// What they have looked like since, and how often in a row.
    strange: Option<(Sight, u32)>,
}

impl Look {
    /// The files are known as they look now.
    pub(super) fn new(known: Sight) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }

    /// When to look.
    pub(super) fn at(&self) -> Duration {
        self.at
    }

    /// The files look like this: whether they are to be read. By themselves they are when two
    /// looks have seen the same.
    pub(super) fn saw(&mut self, sight: Sight, by_hand: bool) -> bool {
        if sight == self.known && sight.is_some() {
            self.strange = None;
            return false;
        }
        let looks = match self.strange {
            Some((before, looks)) if before == sight => looks.saturating_add(1),
            _ => 1,
        };
        self.strange = Some((sight, looks));
        by_hand || looks > 1
    }

    /// They became an identity.
    pub(super) fn loaded(&mut self) {
        if let Some((sight, _)) = self.strange.take() {
            self.known = sight;
        }
    }

    /// They couldn't be read. With [`Next::Poll`] patience is at its end.
    pub(super) fn failed(&mut self) -> Next {
        match self.strange {
            Some((_, looks)) if looks < PATIENCE => Next::Soon,
            _ => Next::Poll,
        }
    }

    /// Whether patience has just come to its end.
    pub(super) fn is_new_failure(&self) -> bool {
        matches!(self.strange, Some((_, PATIENCE)))
    }

    /// Nothing is new.
    pub(super) fn is_at_rest(&self) -> bool {
        self.strange.is_none()
    }

    /// When to look again at what wasn't read.
    pub(super) fn pace(&self) -> Next {
        if self.is_at_rest() {
            Next::Poll
        } else {
            Next::Soon
        }
    }

    /// Sets the time of the next look. Many processes that were started together drift apart.
    pub(super) fn rest(&mut self, now: Duration, next: Next, poll: Duration) {
        let mut draw = [0];
        // Without entropy the jitter is missing, nothing else.
        let _ = getrandom::fill(&mut draw);
        let jitter = poll.mul_f64(0.9 + 0.2 * f64::from(draw[0]) / 255.0);
        self.at = now.saturating_add(match next {
            Next::Poll => jitter,
            Next::Soon => SETTLE.min(poll),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_when_two_looks_have_seen_the_same() {
        let mut look = Look::new(Some(1));
        for (sight, by_hand, read) in [
            (Some(1), false, false),
            (Some(2), false, false),
            (Some(3), false, false),
            (Some(3), false, true),
            (None, false, false),
            (None, false, true),
            (Some(1), false, false),
            (Some(1), true, false),
            (Some(4), true, true),
        ] {
            assert_eq!(look.saw(sight, by_hand), read, "{sight:?}");
        }
    }

    #[test]
    fn the_known_content_is_at_rest_and_what_was_loaded_is_known() {
        let mut look = Look::new(Some(1));
        look.saw(Some(2), false);
        assert_eq!(look.pace(), Next::Soon);
        look.saw(Some(2), false);
        look.loaded();
        assert!(!look.saw(Some(2), true));
        assert_eq!(look.pace(), Next::Poll);
        assert!(!look.saw(Some(1), false), "the old content is new again");
        assert!(look.saw(Some(1), false));
    }

    #[test]
    fn patience_ends_and_begins_anew_with_every_change() {
        let mut look = Look::new(Some(1));
        look.saw(Some(2), false);
        for next in [Next::Soon, Next::Soon, Next::Poll, Next::Poll] {
            assert!(look.saw(Some(2), false));
            assert_eq!(look.failed(), next);
        }
        assert!(!look.saw(Some(3), false));
        assert!(look.saw(Some(3), false));
        assert_eq!(look.failed(), Next::Soon);
    }

    #[test]
    fn the_next_look_is_jittered_and_never_far() {
        let mut look = Look::default();
        let (now, minute) = (Duration::from_secs(5), Duration::from_secs(60));
        let mut times = std::collections::HashSet::new();
        for _ in 0..50 {
            look.rest(now, Next::Poll, minute);
            let after = (look.at() - now).as_secs_f64();
            assert!((54.0..=66.0).contains(&after), "{after}");
            times.insert(look.at());
        }
        assert!(times.len() > 5);
        look.rest(now, Next::Soon, minute);
        assert_eq!(look.at() - now, SETTLE);
    }
}
