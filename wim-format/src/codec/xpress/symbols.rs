//! The symbol loop: from bits to records of literals and matches, without looking at them.
//!
//! As in LZX nothing is decided by a branch that the next symbol would have to be guessed for. What
//! a round does:
//!
//! ```text
//! entry   main[next 11 bits]        a match has no length in byte 1, so it stays where it is
//! entry   main[next 11 bits]        the same again
//! entry   main[next 11 bits]        literal or match
//!         offset bits               up to 15, only skipped; they are taken out of the record
//! ```
//!
//! That is 48 bits at most, and as many are held before each round. A codeword that is longer than
//! 11 bits, and a match whose length goes on in bytes (one round in 15), are left to
//! [`Stream::mend`].

use super::chunk::Stream;
use super::codes::{IS_MATCH, MEND, TABLE_BITS};
use super::input::{Piece, words};
use super::{LITERALS, LONG_LENGTH, MIN_MATCH};
use crate::codec::cpu::Stage;
use crate::codec::sequences::ROUNDS;

/// What the symbol loop finds out of the matches of a batch, by match.
#[derive(Debug)]
pub(super) struct Records {
    /// The match symbol − 256.
    pub(super) symbol: [u8; ROUNDS],
    /// The bits after the symbol.
    pub(super) raw: [u16; ROUNDS],
    /// Matches whose length goes on in bytes, and their lengths.
    pub(super) long: [(u16, u32); ROUNDS],
    /// How many those are.
    pub(super) longs: usize,
}

impl Records {
    pub(super) fn new() -> Self {
        Self { symbol: [0; ROUNDS], raw: [0; ROUNDS], long: [(0, 0); ROUNDS], longs: 0 }
    }
}

/// The bits that have been loaded, and where more are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bits {
    /// The next bits on top.
    bits: u64,
    /// How many of them are to be counted on; what is below them may be anything that the input
    /// has there, or zeros.
    held: u32,
    /// The byte of the piece behind them.
    pub(super) at: usize,
}

impl Bits {
    #[inline(always)]
    fn skip(&mut self, count: u8) {
        self.bits <<= count & 63;
        self.held = self.held.wrapping_sub(u32::from(count));
    }

    /// Loads words until 48 to 63 bits are held.
    #[inline(always)]
    pub(super) fn load(&mut self, piece: &Piece) {
        self.bits |= words(piece, self.at) >> (self.held & 63);
        self.at = self.at.wrapping_add(6).wrapping_sub((self.held >> 3 & 6) as usize);
        self.held = self.held & 15 | 48;
    }
}

/// Where a stream stands within its batch.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    bits: Bits,
    /// Bytes used of the literals.
    literals: usize,
    /// Matches.
    matches: usize,
}

/// The symbols of one stream.
pub(super) struct One<'a> {
    pub(super) stream: &'a mut Stream,
    pub(super) rounds: usize,
}

impl Stage for One<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let stream = self.stream;
        let mut cursor = stream.enter();
        for _ in 0..self.rounds.min(ROUNDS) {
            if round(stream, &mut cursor) & MEND != 0 {
                cursor = stream.mend(cursor);
            }
        }
        stream.leave(cursor);
    }
}

/// The symbols of two streams in turn.
pub(super) struct Two<'a> {
    pub(super) pair: &'a mut [Stream; 2],
    pub(super) rounds: usize,
}

impl Stage for Two<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let [a, b] = self.pair;
        let mut cursor_a = a.enter();
        let mut cursor_b = b.enter();
        for _ in 0..self.rounds.min(ROUNDS) {
            let flags_a = round(a, &mut cursor_a);
            let flags_b = round(b, &mut cursor_b);
            if (flags_a | flags_b) & MEND != 0 {
                if flags_a & MEND != 0 {
                    cursor_a = a.mend(cursor_a);
                }
                if flags_b & MEND != 0 {
                    cursor_b = b.mend(cursor_b);
                }
            }
        }
        a.leave(cursor_a);
        b.leave(cursor_b);
    }
}

/// One round; [`MEND`] in what it gives says that the last symbol has not been read.
#[inline(always)]
fn round(stream: &mut Stream, cursor: &mut Cursor) -> u8 {
    let Stream { input, codes, records, sequences, .. } = stream;
    let mut bits = cursor.bits;
    for _ in 0..2 {
        let index = (bits.bits >> (64 - TABLE_BITS)) as usize;
        let used = codes.main[index][1];
        sequences.literals[cursor.literals] = codes.main[index][0];
        bits.skip(used);
        cursor.literals += usize::from(used != 0);
    }
    let [symbol, _, kind, used] = codes.main[(bits.bits >> (64 - TABLE_BITS)) as usize];
    sequences.literals[cursor.literals] = symbol;
    sequences.ends[cursor.matches] = cursor.literals as u16;
    records.symbol[cursor.matches] = symbol;
    records.raw[cursor.matches] = (bits.bits << (kind & 63) >> 48) as u16;
    cursor.literals += 1;
    cursor.matches += usize::from(kind >= IS_MATCH);
    bits.skip(used);
    bits.load(input.bytes());
    cursor.bits = bits;
    kind
}

impl Stream {
    #[inline(always)]
    fn enter(&mut self) -> Cursor {
        self.records.longs = 0;
        Cursor { bits: self.bits, literals: 0, matches: 0 }
    }

    #[inline(always)]
    fn leave(&mut self, cursor: Cursor) {
        self.bits = cursor.bits;
        self.sequences.ends[cursor.matches] = cursor.literals as u16;
        self.sequences.matches = cursor.matches;
    }

    /// Reads the last symbol of a round that has counted it as a match and left it where it is.
    #[inline(never)]
    fn mend(&mut self, mut cursor: Cursor) -> Cursor {
        let at = cursor.matches - 1;
        let bits = &mut cursor.bits;
        let piece = self.input.bytes();
        let (symbol, length) = self.codes.symbol(bits.bits);
        bits.skip(length as u8);
        let Some(symbol) = usize::from(symbol).checked_sub(LITERALS) else {
            self.sequences.literals[cursor.literals - 1] = symbol as u8;
            cursor.matches = at;
            bits.load(piece);
            return cursor;
        };
        if symbol % 16 == LONG_LENGTH {
            let length = bits.take_length(piece);
            self.records.long[self.records.longs % ROUNDS] = (at as u16, length);
            self.records.longs += 1;
        }
        self.records.symbol[at] = symbol as u8;
        self.records.raw[at] = (bits.bits >> 48) as u16;
        bits.skip((symbol / 16) as u8);
        bits.load(piece);
        cursor
    }
}

impl Bits {
    /// Takes the bytes in which the length of a match goes on. They lie behind the word with which
    /// 16 bits or more are held; what has been loaded beyond it is dropped.
    #[inline(always)]
    fn take_length(&mut self, piece: &Piece) -> u32 {
        let held = self.held & 15 | 16;
        let at = self.at.wrapping_sub(((self.held - held) / 8) as usize);
        let [byte, low, high] = std::array::from_fn(|i| piece.get(at + i).copied().unwrap_or(0));
        let (length, taken) = match byte {
            0xFF => (u32::from(u16::from_le_bytes([low, high])), 3),
            _ => (LONG_LENGTH as u32 + u32::from(byte), 1),
        };
        self.bits &= !(u64::MAX >> held);
        self.held = held;
        self.at = at + taken;
        length + MIN_MATCH as u32
    }
}
