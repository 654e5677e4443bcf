use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

use super::budget::{Allowance, Share};

/// Data frames smaller than this are joined by copying. A kept frame costs its bookkeeping and
/// holds on to the whole allocation that it is a slice of; at one octet a frame, that would be many
/// times the limit.
const SMALL: usize = 512;

/// What has been read of a body, as far as it is kept.
///
/// It records while someone may want to send the body again, up to a limit of octets. A recording
/// with a gap is worth nothing: then all of it goes. What is kept is taken out of a budget that
/// other bodies share.
pub(super) struct Tape {
    frames: VecDeque<Kept>,
    /// Small data frames, which follow `frames` and have been played.
    tail: BytesMut,
    /// How many of `frames` have been played.
    played: usize,
    share: Share,
    /// 0: nothing is recorded, as it never is after a gap.
    limit: usize,
    /// Whether all that was ever read of the body is here.
    whole: bool,
    /// Whether it isn't because the budget was spent.
    crowded_out: bool,
}

#[derive(Clone)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Tape {
    /// An empty tape that doesn't record yet.
    pub(super) fn new() -> Self {
        Self {
            frames: VecDeque::new(),
            tail: BytesMut::new(),
            played: 0,
            share: Share::default(),
            limit: 0,
            whole: true,
            crowded_out: false,
        }
    }

    /// Records as much as this allows from now on, or more if it already does. What is kept already
    /// stays in the budget that it was taken out of, and what follows it too.
    pub(super) fn start(&mut self, allowance: &Allowance) {
        if !self.whole || allowance.octets() == 0 {
            return;
        }
        if self.limit == 0 && self.share.octets() == 0 {
            self.share = Share::of(allowance.budget());
        }
        self.limit = self.limit.max(allowance.octets());
    }

    /// Records no longer. Only what has yet to be played is still kept.
    pub(super) fn stop(&mut self) {
        self.limit = 0;
        if self.played > 0 || !self.tail.is_empty() {
            self.whole = false;
        }
        self.frames.drain(..self.played);
        self.frames.shrink_to_fit();
        self.played = 0;
        self.tail = BytesMut::new();
        let left: usize = self.frames.iter().map(Kept::octets).sum();
        self.share.shrink(self.share.octets() - left);
    }

    /// Gives up what is kept, because it will never be the whole body.
    pub(super) fn erase(&mut self) {
        *self = Self {
            whole: false,
            ..Self::new()
        };
    }

    /// Whether the tape holds all that was read of the body, in no more than `limit` octets.
    pub(super) fn is_whole_within(&self, limit: usize) -> bool {
        self.whole && self.share.octets() <= limit
    }

    /// Whether it would be whole if the budget hadn't been spent.
    pub(super) fn is_crowded_out(&self) -> bool {
        self.crowded_out
    }

    /// Keeps a frame that was just read and given out, if it fits.
    pub(super) fn record(&mut self, frame: &Frame<Bytes>) {
        debug_assert_eq!(
            self.played,
            self.frames.len(),
            "the body is read after the tape"
        );
        if self.limit == 0 {
            return self.erase();
        }
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Kept::Data(data.clone()),
            (None, Some(trailers)) => Kept::Trailers(trailers.clone()),
            // A kind of frame that is yet to be invented.
            (None, None) => return self.erase(),
        };
        if self.share.octets().saturating_add(kept.octets()) > self.limit {
            return self.erase();
        }
        if !self.share.grow(kept.octets()) {
            self.erase();
            self.crowded_out = true;
            return;
        }
        match kept {
            Kept::Data(data) if data.len() < SMALL => self.tail.extend_from_slice(&data),
            kept => {
                self.join_tail();
                self.frames.push_back(kept);
            }
        }
        self.played = self.frames.len();
    }

    /// Plays from the start again.
    pub(super) fn rewind(&mut self) {
        self.join_tail();
        self.played = 0;
    }

    /// The next frame to play. `None` when all is played and the body is to be read on.
    pub(super) fn play(&mut self) -> Option<Frame<Bytes>> {
        let kept = if self.limit == 0 {
            let kept = self.frames.pop_front()?;
            self.share.shrink(kept.octets());
            self.whole = false;
            kept
        } else {
            let kept = self.frames.get(self.played)?.clone();
            self.played += 1;
            kept
        };
        Some(match kept {
            Kept::Data(data) => Frame::data(data),
            Kept::Trailers(trailers) => Frame::trailers(trailers),
        })
    }

    /// Whether nothing is left to play.
    pub(super) fn is_played(&self) -> bool {
        self.played == self.frames.len()
    }

    /// How many octets of data are left to play.
    pub(super) fn data_left(&self) -> u64 {
        let left = self.frames.iter().skip(self.played);
        left.map(|kept| match kept {
            Kept::Data(data) => data.len() as u64,
            Kept::Trailers(_) => 0,
        })
        .sum()
    }

    fn join_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.frames.push_back(Kept::Data(tail.freeze()));
        }
    }
}

impl Kept {
    fn octets(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(trailers) => trailers
                .iter()
                .map(|(name, value)| name.as_str().len() + value.len())
                .sum(),
        }
    }
}
