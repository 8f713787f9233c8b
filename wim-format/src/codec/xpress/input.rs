//! The input of a chunk, a piece at a time, so that the symbol loop never meets its end.
//!
//! Words begin at every byte, since the length bytes between them are one or three: a load takes the
//! next four words from anywhere and puts the first of them on top.

use crate::codec::window;

/// Bytes that may be read between two refills.
pub(super) const REACH: usize = 2560;
/// Bytes of input that are held at once.
const CAPACITY: usize = 1 << 13;
/// Bytes before the next one to load that a refill keeps: words that have been loaded too early may
/// have to be given back.
const KEPT: usize = 8;

/// The piece that is being read, and what loads of its last byte include.
pub(super) type Piece = [u8; CAPACITY + 7];

/// The part of the input that is being read. Behind its end the input goes on as zeros.
#[derive(Debug)]
pub(super) struct Input {
    bytes: Piece,
    /// Where the piece starts in the input.
    start: usize,
    /// Bytes of it that come from the input; zeros follow.
    len: usize,
}

/// The four words at byte `at` of the piece, the first on top.
#[inline(always)]
pub(super) fn words(bytes: &Piece, at: usize) -> u64 {
    let at = at % CAPACITY;
    let mut four = [0; 8];
    four.copy_from_slice(&bytes[at..at + 8]);
    window::words(&four)
}

impl Input {
    pub(super) fn new() -> Self {
        Self { bytes: [0; CAPACITY + 7], start: 0, len: 0 }
    }

    /// Starts to read `src` at byte `at`, which becomes byte 0 of the piece.
    pub(super) fn seek(&mut self, src: &[u8], at: usize) {
        let rest = src.get(at..).unwrap_or_default();
        let len = rest.len().min(CAPACITY);
        self.bytes[..len].copy_from_slice(&rest[..len]);
        self.bytes[len..].fill(0);
        self.start = at;
        self.len = len;
    }

    /// Makes sure of `REACH` bytes of `src`, or of its end and zeros, at byte `at` of the piece;
    /// gives the number that this byte has then.
    pub(super) fn refill(&mut self, src: &[u8], at: usize) -> usize {
        if at + REACH <= CAPACITY {
            return at;
        }
        // Where only zeros follow, one place is as good as another.
        let next = (self.start + at - KEPT).min(src.len());
        self.seek(src, next);
        KEPT
    }

    #[inline(always)]
    pub(super) fn bytes(&self) -> &Piece {
        &self.bytes
    }
}
