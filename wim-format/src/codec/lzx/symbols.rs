//! The symbol loop: from bits to records of literals and matches, without looking at them.
//!
//! Whether the next symbol is a literal or a match, and whether a length symbol follows, is as good
//! as random, and a processor that guesses wrongly loses some twenty cycles, more than a symbol
//! takes otherwise. So nothing here is decided by a branch: what there is of a symbol is always
//! written, and counters go on by what an entry says.
//!
//! A round reads a literal, if the next symbol is one, and then one symbol of any kind:
//!
//! ```text
//! entry   main[next 11 bits]        a match has no length in byte 1, so it stays where it is
//! entry   main[next 11 bits]        literal or match
//!         length[next 9 bits]       counts for matches with the long header, for others as nothing
//!         raw offset bits           only skipped; `offsets` takes them out of the record
//!         aligned[next 7 bits]      in aligned blocks, likewise
//! ```
//!
//! Bits needed: 11 + 11 + 9 + 17 + 7 of at least 57 that are peeked. To shorten the way from one
//! round to the next, each round peeks for the next one before it knows the last of its own bits,
//! and shifts those out. Where a table has no answer (1.7 % of the rounds of typical data) the round
//! has done nothing but its first literal, and [`Stream::mend`] reads its second symbol.

use super::chunk::Stream;
use super::codes::{
    ALIGNED_INDEX_BITS, HAS_ALIGNED, HAS_LENGTH, HIGH_BIT, IS_MATCH, LENGTH_BITS, MAIN_BITS,
    NO_ANSWER, Symbol,
};
use crate::codec::cpu::Stage;
use crate::codec::sequences::ROUNDS;
use crate::codec::window::peek;

/// What the symbol loop finds out of the matches of a batch, by match.
#[derive(Debug)]
pub(super) struct Records {
    /// Low 8 bits of the match symbol.
    pub(super) symbol: [u8; ROUNDS],
    /// [`HIGH_BIT`] of the match symbol; wide windows only.
    pub(super) high: [u8; ROUNDS],
    /// Length symbol × 256 + the bits of its codeword, or 0.
    pub(super) length: [u16; ROUNDS],
    /// The bits after the main and length symbols.
    pub(super) raw: [u64; ROUNDS],
    /// The aligned symbol; aligned blocks only.
    pub(super) aligned: [u8; ROUNDS],
    /// The position before the match.
    pub(super) before: [u16; ROUNDS],
    /// The position before the batch.
    pub(super) start: u16,
    /// The first match that cannot be decoded, or `ROUNDS`.
    pub(super) bad: usize,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            symbol: [0; ROUNDS],
            high: [0; ROUNDS],
            length: [0; ROUNDS],
            raw: [0; ROUNDS],
            aligned: [0; ROUNDS],
            before: [0; ROUNDS],
            start: 0,
            bad: ROUNDS,
        }
    }
}

/// Where a stream stands within its batch.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// The next bits, at least 41 of them.
    bits: u64,
    /// Their position.
    position: u16,
    /// Bytes used of the literals.
    literals: usize,
    /// Matches.
    matches: usize,
}

/// The symbols of one stream.
pub(super) struct One<'a, const ALIGNED: bool, const WIDE: bool> {
    pub(super) stream: &'a mut Stream,
    pub(super) rounds: usize,
}

impl<const ALIGNED: bool, const WIDE: bool> Stage for One<'_, ALIGNED, WIDE> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let seven = std::hint::black_box(7);
        let stream = self.stream;
        let mut cursor = stream.enter();
        for _ in 0..self.rounds.min(ROUNDS) {
            if round::<ALIGNED, WIDE>(stream, &mut cursor, seven) & NO_ANSWER != 0 {
                cursor = stream.mend(cursor);
            }
        }
        stream.leave(cursor);
    }
}

/// The symbols of two streams in turn. A and B say which of them is in an aligned block.
pub(super) struct Two<'a, const A: bool, const B: bool, const WIDE: bool> {
    pub(super) pair: &'a mut [Stream; 2],
    pub(super) rounds: usize,
}

impl<const A: bool, const B: bool, const WIDE: bool> Stage for Two<'_, A, B, WIDE> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let seven = std::hint::black_box(7);
        let [a, b] = self.pair;
        let mut cursor_a = a.enter();
        let mut cursor_b = b.enter();
        for _ in 0..self.rounds.min(ROUNDS) {
            let flags_a = round::<A, WIDE>(a, &mut cursor_a, seven);
            let flags_b = round::<B, WIDE>(b, &mut cursor_b, seven);
            if (flags_a | flags_b) & NO_ANSWER != 0 {
                if flags_a & NO_ANSWER != 0 {
                    cursor_a = a.mend(cursor_a);
                }
                if flags_b & NO_ANSWER != 0 {
                    cursor_b = b.mend(cursor_b);
                }
            }
        }
        a.leave(cursor_a);
        b.leave(cursor_b);
    }
}

/// One round; [`NO_ANSWER`] in what it gives says that the second symbol has not been read.
///
/// `seven` is 7, and the compiler should not know.
#[inline(always)]
fn round<const ALIGNED: bool, const WIDE: bool>(
    stream: &mut Stream,
    cursor: &mut Cursor,
    seven: u16,
) -> u8 {
    let Stream { window, codes, records, sequences, .. } = stream;
    let (number, _) = window.parts();

    let index = (cursor.bits >> (64 - MAIN_BITS)) as usize;
    let used = codes.main[index][1];
    // At once, so that one comparison serves for both.
    let [first, second] = &mut sequences.literals[cursor.literals..][..2] else { unreachable!() };
    *first = codes.main[index][0];
    let mut bits = cursor.bits << (used & 63);
    let mut position = cursor.position.wrapping_sub(u16::from(used));
    cursor.literals += usize::from(used != 0);

    let entry = codes.main[(bits >> (64 - MAIN_BITS)) as usize];
    *(if used != 0 { second } else { first }) = entry[0];
    sequences.ends[cursor.matches] = cursor.literals as u16;
    records.symbol[cursor.matches] = entry[0];
    records.before[cursor.matches] = position;
    cursor.literals += 1;
    if WIDE {
        records.high[cursor.matches] = entry[2];
    }
    let used = entry[2] & 63;
    bits <<= used;
    if ALIGNED && WIDE {
        // All bits of such a match may be more than were peeked before.
        bits = peek(number, position.wrapping_sub(u16::from(used)), seven);
    }
    position = position.wrapping_sub(u16::from(entry[3] & if ALIGNED { 63 } else { 255 }));
    let mut next = peek(number, position, seven);

    let length = codes.length[(bits >> (64 - LENGTH_BITS)) as usize];
    let has_length = entry[2] & HAS_LENGTH != 0;
    let length = std::hint::select_unpredictable(has_length, length, 0);
    bits <<= length & 63;
    position = position.wrapping_sub(u16::from(length as u8));
    records.raw[cursor.matches] = bits;
    records.length[cursor.matches] = length;
    let mut flags = length as u8 | entry[3];

    if ALIGNED {
        let raw = entry[3].wrapping_sub(used) & 63;
        let aligned = codes.aligned[(bits << raw >> (64 - ALIGNED_INDEX_BITS)) as usize];
        let has_aligned = entry[3] & HAS_ALIGNED != 0;
        let aligned = std::hint::select_unpredictable(has_aligned, aligned, 0);
        next = peek(number, position, seven) << (aligned & 63);
        position = position.wrapping_sub(u16::from(aligned as u8));
        records.aligned[cursor.matches] = (aligned >> 8) as u8;
        flags |= aligned as u8;
    } else {
        next <<= length & 63;
    }
    cursor.position = position;
    cursor.bits = next;
    cursor.matches += usize::from(if WIDE { entry[1] == 0 } else { entry[2] >= IS_MATCH });
    flags
}

impl Stream {
    #[inline(always)]
    fn enter(&mut self) -> Cursor {
        self.records.bad = ROUNDS;
        let bits = self.window.peek();
        Cursor { bits, position: self.window.parts().1, literals: 0, matches: 0 }
    }

    #[inline(always)]
    fn leave(&mut self, cursor: Cursor) {
        self.window.set_position(cursor.position);
        self.sequences.ends[cursor.matches] = cursor.literals as u16;
        self.sequences.matches = cursor.matches;
    }

    /// Reads the second symbol of a round whose tables had no answer. The round has counted it as a
    /// match.
    #[cold]
    #[inline(never)]
    fn mend(&mut self, mut cursor: Cursor) -> Cursor {
        let at = cursor.matches - 1;
        let (number, _) = self.window.parts();
        cursor.position = self.records.before[at];
        match self.codes.symbol(number, cursor.position) {
            Ok((Symbol::Literal(byte), after)) => {
                self.sequences.literals[cursor.literals - 1] = byte;
                cursor.matches = at;
                cursor.position = after;
            }
            Ok((Symbol::Match { symbol, length, raw, aligned }, after)) => {
                self.records.symbol[at] = symbol as u8;
                self.records.high[at] = if symbol < 256 { 0 } else { HIGH_BIT };
                self.records.length[at] = u16::from(length) << 8;
                self.records.raw[at] = raw;
                self.records.aligned[at] = aligned;
                cursor.position = after;
            }
            // What follows is read from anywhere, as it means nothing, unless the block ends before.
            Err(_) => self.records.bad = self.records.bad.min(at),
        }
        cursor.bits = peek(self.window.parts().0, cursor.position, 7);
        cursor
    }
}
