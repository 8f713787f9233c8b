//! What the items so far mean for the next one.

use super::decisions::{Contexts, DELTA_REPEATS_OF, Kind, LZ_REPEATS_OF};
use super::deltas;
use crate::codec::lzms::items::NEW;
use crate::codec::lzms::queue::Queue;

/// The last item, as far as recent offsets go: that of a match can be seen only after the item that
/// follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Previous {
    Literal,
    Lz,
    Delta,
}

/// A delta match's source: `offset << 3 | power`.
pub(super) type DeltaSource = u32;

/// Decisions and recent offsets.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) contexts: Contexts,
    previous: Previous,
    lz: [u32; 4],
    delta: [DeltaSource; 4],
}

impl State {
    /// At the start of a chunk.
    pub(super) fn start() -> Self {
        Self {
            contexts: Contexts::default(),
            previous: Previous::Literal,
            lz: [1, 2, 3, 4],
            delta: [1, 2, 3, 4].map(|offset| deltas::join(0, offset)),
        }
    }

    /// The three recent offsets that an LZ match can repeat.
    #[inline(always)]
    pub(super) fn lz_repeats(&self) -> [u32; 3] {
        let [a, b, c, d] = self.lz;
        if self.previous == Previous::Lz { [b, c, d] } else { [a, b, c] }
    }

    /// The three recent sources that a delta match can repeat.
    #[inline(always)]
    pub(super) fn delta_repeats(&self) -> [DeltaSource; 3] {
        let [a, b, c, d] = self.delta;
        if self.previous == Previous::Delta { [b, c, d] } else { [a, b, c] }
    }

    /// Goes past an item; `source` is the offset or delta source that it brings, if it does.
    #[inline(always)]
    pub(super) fn pass(&mut self, kind: Kind, source: u32) {
        self.contexts.pass(kind);
        self.pass_source(kind, source);
    }

    /// The same for recent offsets alone; gives the item's offset or source.
    #[inline(always)]
    pub(super) fn pass_source(&mut self, kind: Kind, source: u32) -> u32 {
        let place = |kinds: [Kind; 3], lag: bool| {
            let place = kinds.iter().position(|&other| other == kind);
            place.map_or(NEW, |place| place as u8 + u8::from(lag))
        };
        if kind == Kind::Literal {
            self.previous = Previous::Literal;
            0
        } else if (kind as u8) < Kind::Delta as u8 {
            let place = place(LZ_REPEATS_OF, self.previous == Previous::Lz);
            self.previous = Previous::Lz;
            self.lz.move_to_front(place, source)
        } else {
            let place = place(DELTA_REPEATS_OF, self.previous == Previous::Delta);
            self.previous = Previous::Delta;
            self.delta.move_to_front(place, source)
        }
    }
}
