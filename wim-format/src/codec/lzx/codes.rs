//! The codes of a block, and the tables in which the symbol loop looks them up.

use super::tables::{
    ALIGNED_BITS, ALIGNED_SYMBOLS, EXTRA_BITS, FIRST_ALIGNED_SLOT, LENGTH_HEADERS, LENGTH_SYMBOLS,
    LITERALS, LONG_HEADER, MAX_MAIN_SYMBOLS, PRETREE_SYMBOLS, main_symbols,
};
use crate::DecodeError;
use crate::codec::huffman::{Canonical, Empty, FILL};
use crate::codec::window::{Number, Window, peek};

/// Bits by which the tables are indexed; longer codewords are found by comparison. With 10 bits for
/// the main code one symbol in 30 is longer, with 11 one in 60; 12 bits crowd the first-level cache.
pub(super) const MAIN_BITS: usize = 11;
pub(super) const LENGTH_BITS: usize = 9;
/// Enough for every codeword of the aligned code.
pub(super) const ALIGNED_INDEX_BITS: usize = 7;
const PRETREE_BITS: usize = 7;

/// The longest run of equal code lengths is 20 + 31 symbols; as many as this are written at once.
const RUN_ROOM: usize = 64;
/// Lengths of the length code, with some that are never used: see [`Canonical::build`].
const LENGTH_ROOM: usize = LENGTH_SYMBOLS.next_multiple_of(4);

/// Whether offsets take the aligned code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offsets {
    Verbatim,
    Aligned,
}

/// What the main table says of a prefix. The fields of an entry are bytes so that each is one load.
///
/// | byte | literal | match | not in the table |
/// |---|---|---|---|
/// | 0 | the literal | low 8 bits of symbol − 256 | 0 |
/// | 1 | codeword length | 0 | 0 |
/// | 2, bits 0–5 | codeword length | codeword length | 0 |
/// | 2, bit 6 | 0 | narrow: 1, wide: bit 8 of symbol − 256 | narrow: 1, wide: 0 |
/// | 2, bit 7 | 0 | a length symbol follows | 0 |
/// | 3, bits 0–5 | codeword length | codeword length + raw offset bits | 0 |
/// | 3, bit 6 | 0 | an aligned symbol follows | 0 |
/// | 3, bit 7 | 0 | 0 | 1 |
///
/// Wide are windows whose main code has more than 512 symbols, 2^17 bytes and more.
pub(super) type Entry = [u8; 4];

/// In byte 2: a length symbol follows.
pub(super) const HAS_LENGTH: u8 = 0x80;
/// In byte 2 of narrow entries: a match.
pub(super) const IS_MATCH: u8 = 0x40;
/// In byte 2 of wide entries: bit 8 of the match symbol.
pub(super) const HIGH_BIT: u8 = 0x40;
/// In byte 3: an aligned symbol follows.
pub(super) const HAS_ALIGNED: u8 = 0x40;
/// In byte 3, and in bits 0–7 of the entries of the other tables: the table has no answer.
pub(super) const NO_ANSWER: u8 = 0x80;

/// The first window order whose entries are wide.
const FIRST_WIDE_ORDER: u32 = 17;

/// Entries of all symbols, for codewords of no bits: narrow, wide, and the same for aligned blocks.
static BASES: [[Entry; MAX_MAIN_SYMBOLS]; 4] =
    [bases(false, false), bases(true, false), bases(false, true), bases(true, true)];

const fn bases(wide: bool, aligned: bool) -> [Entry; MAX_MAIN_SYMBOLS] {
    let mut bases = [[0; 4]; MAX_MAIN_SYMBOLS];
    let mut symbol = 0;
    while symbol < MAX_MAIN_SYMBOLS {
        bases[symbol] = base(symbol, wide, aligned);
        symbol += 1;
    }
    bases
}

const fn base(symbol: usize, wide: bool, aligned: bool) -> Entry {
    if symbol < LITERALS {
        return [symbol as u8, 0, 0, 0];
    }
    let symbol = symbol - LITERALS;
    let slot = symbol / LENGTH_HEADERS;
    let mut flags = if !wide {
        IS_MATCH
    } else if symbol >= 256 {
        HIGH_BIT
    } else {
        0
    };
    if symbol % LENGTH_HEADERS == LONG_HEADER {
        flags |= HAS_LENGTH;
    }
    let extra = EXTRA_BITS[slot];
    let raw = if aligned && slot >= FIRST_ALIGNED_SLOT {
        (extra - ALIGNED_BITS as u8) | HAS_ALIGNED
    } else {
        extra
    };
    [symbol as u8, 0, flags, raw]
}

/// Code lengths of the main and the length code.
#[derive(Debug)]
struct Lengths {
    main: [u8; MAX_MAIN_SYMBOLS + RUN_ROOM],
    length: [u8; LENGTH_ROOM + RUN_ROOM],
}

/// The codes of the current block.
#[derive(Debug)]
pub(super) struct Codes {
    /// By the next bits: what symbol they start with.
    pub(super) main: [Entry; (1 << MAIN_BITS) + FILL],
    /// By the next bits: the length symbol × 256 + the bits of its codeword.
    pub(super) length: [u16; (1 << LENGTH_BITS) + FILL],
    /// By the next bits: the aligned symbol × 256 + the bits of its codeword.
    pub(super) aligned: [u16; (1 << ALIGNED_INDEX_BITS) + FILL],
    main_code: Canonical<MAX_MAIN_SYMBOLS>,
    length_code: Canonical<LENGTH_ROOM>,
    aligned_code: Canonical<ALIGNED_SYMBOLS>,
    /// The lengths of this block and of the one before, in turns.
    lengths: [Lengths; 2],
    offsets: Offsets,
    order: u32,
}

/// One symbol of a block, decoded in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Literal(u8),
    /// Main symbol − 256, length symbol, and the bits after both.
    Match {
        symbol: u16,
        length: u8,
        raw: u64,
        aligned: u8,
    },
}

impl Codes {
    pub(super) fn new(order: u32) -> Self {
        let lengths = || Lengths {
            main: [0; MAX_MAIN_SYMBOLS + RUN_ROOM],
            length: [0; LENGTH_ROOM + RUN_ROOM],
        };
        Self {
            main: [[0; 4]; (1 << MAIN_BITS) + FILL],
            length: [0; (1 << LENGTH_BITS) + FILL],
            aligned: [0; (1 << ALIGNED_INDEX_BITS) + FILL],
            main_code: Canonical::new(),
            length_code: Canonical::new(),
            aligned_code: Canonical::new(),
            lengths: [lengths(), lengths()],
            offsets: Offsets::Verbatim,
            order,
        }
    }

    /// Whether entries of the main table are wide.
    pub(super) fn wide(&self) -> bool {
        self.order >= FIRST_WIDE_ORDER
    }

    /// How the current block codes offsets.
    pub(super) fn offsets(&self) -> Offsets {
        self.offsets
    }

    /// Forgets the code lengths, as each chunk starts from zeros.
    pub(super) fn start(&mut self) {
        self.lengths[0].main.fill(0);
        self.lengths[0].length.fill(0);
    }

    /// Reads the codes of a block and makes the tables.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        window: &mut Window,
        offsets: Offsets,
    ) -> Result<(), DecodeError> {
        self.offsets = offsets;
        if offsets == Offsets::Aligned {
            self.read_aligned(window)?;
        }
        self.read_lengths(window)?;
        let no_answer = u16::from(NO_ANSWER);
        self.length_code.build(&self.lengths[0].length[..LENGTH_ROOM], Empty::Allowed)?;
        self.length_code.fill::<LENGTH_BITS, _, _>(
            &mut self.length,
            no_answer,
            |symbol, length| symbol << 8 | length as u16,
        );
        self.main_code.build(&self.lengths[0].main[..main_symbols(self.order)], Empty::Refused)?;
        let bases = self.bases();
        let no_answer = [0, 0, if self.wide() { 0 } else { IS_MATCH }, NO_ANSWER];
        self.main_code.fill::<MAIN_BITS, _, _>(&mut self.main, no_answer, |symbol, length| {
            entry(bases, symbol, length as u8)
        });
        Ok(())
    }

    fn bases(&self) -> &'static [Entry; MAX_MAIN_SYMBOLS] {
        &BASES[usize::from(self.wide()) + 2 * usize::from(self.offsets == Offsets::Aligned)]
    }

    fn read_aligned(&mut self, window: &mut Window) -> Result<(), DecodeError> {
        let lengths: [u8; ALIGNED_SYMBOLS] = std::array::from_fn(|_| window.take(3) as u8);
        self.aligned_code.build(&lengths, Empty::Allowed)?;
        self.aligned_code.fill::<ALIGNED_INDEX_BITS, _, _>(
            &mut self.aligned,
            u16::from(NO_ANSWER),
            |symbol, length| symbol << 8 | length as u16,
        );
        Ok(())
    }

    #[inline(always)]
    fn read_lengths(&mut self, window: &mut Window) -> Result<(), DecodeError> {
        self.lengths.swap(0, 1);
        let [new, old] = &mut self.lengths;
        let end = main_symbols(self.order);
        read_part(window, &old.main, &mut new.main, 0, LITERALS)?;
        read_part(window, &old.main, &mut new.main, LITERALS, end)?;
        read_part(window, &old.length, &mut new.length, 0, LENGTH_SYMBOLS)?;
        new.length[LENGTH_SYMBOLS..].fill(0);
        Ok(())
    }

    /// Decodes the symbol at bit `position` of `number`, using tables where they have the answer
    /// and the codes where not. Gives the symbol and the position after it.
    pub(super) fn symbol(
        &self,
        number: &Number,
        position: u16,
    ) -> Result<(Symbol, u16), DecodeError> {
        let bits = |position| peek(number, position, 7);
        let (entry, used) = self.main_symbol(bits(position))?;
        let mut position = position.wrapping_sub(used);
        if entry[1] != 0 {
            return Ok((Symbol::Literal(entry[0]), position));
        }
        let high = if self.wide() { u16::from(entry[2] & HIGH_BIT) << 2 } else { 0 };
        let symbol = u16::from(entry[0]) | high;
        let mut length = 0;
        if entry[2] & HAS_LENGTH != 0 {
            let found = self.length_code.decode((bits(position) >> 48) as u16);
            let (symbol, used) = found.ok_or(DecodeError::BadCode)?;
            length = symbol as u8;
            position = position.wrapping_sub(used as u16);
        }
        let raw = bits(position);
        position = position.wrapping_sub(u16::from(entry[3] & !HAS_ALIGNED) - used);
        let mut aligned = 0;
        if entry[3] & HAS_ALIGNED != 0 {
            let found = self.aligned_code.decode((bits(position) >> 48) as u16);
            let (symbol, used) = found.ok_or(DecodeError::BadCode)?;
            aligned = symbol as u8;
            position = position.wrapping_sub(used as u16);
        }
        Ok((Symbol::Match { symbol, length, raw, aligned }, position))
    }

    /// The entry of the main symbol that `bits` start with, and the length of its codeword.
    fn main_symbol(&self, bits: u64) -> Result<(Entry, u16), DecodeError> {
        let known = self.main[(bits >> (64 - MAIN_BITS)) as usize];
        if known[3] != NO_ANSWER {
            return Ok((known, u16::from(known[2] & 0x3F)));
        }
        let found = self.main_code.decode((bits >> 48) as u16);
        let (symbol, length) = found.ok_or(DecodeError::BadCode)?;
        Ok((entry(self.bases(), symbol, length as u8), length as u16))
    }
}

/// The entry of `symbol` with a codeword of `length` bits.
#[inline(always)]
fn entry(bases: &[Entry; MAX_MAIN_SYMBOLS], symbol: u16, length: u8) -> Entry {
    let literal = usize::from(symbol) < LITERALS;
    let lengths = [0, if literal { length } else { 0 }, length, length];
    // No byte overflows into the next.
    let base = u32::from_le_bytes(bases[usize::from(symbol)]);
    (base + u32::from_le_bytes(lengths)).to_le_bytes()
}

/// Reads the lengths of symbols `at..end`, differences to `old`, into `new`.
///
/// Each pretree symbol is a run of one length; whether it is one symbol long or fifty, it is written
/// as [`RUN_ROOM`] bytes, which takes no branch, and the rest is overwritten by the runs that follow.
#[inline(always)]
fn read_part<const ROOM: usize>(
    window: &mut Window,
    old: &[u8; ROOM],
    new: &mut [u8; ROOM],
    mut at: usize,
    end: usize,
) -> Result<(), DecodeError> {
    let pretree = Pretree::read(window)?;
    while at < end {
        let (mut symbol, mut run) = pretree.symbol(window)?;
        if symbol == 19 {
            run = 4 + window.take(1) as usize;
            symbol = pretree.symbol(window)?.0;
            if symbol > 16 {
                return Err(DecodeError::BadCode);
            }
        }
        let difference = old[at].wrapping_sub(symbol);
        let length = difference.wrapping_add(if difference > 16 { 17 } else { 0 });
        let length = std::hint::select_unpredictable(symbol > 16, 0, length);
        new[at..at + RUN_ROOM].copy_from_slice(&[length; RUN_ROOM]);
        at += run;
    }
    if at > end { Err(DecodeError::Overrun) } else { Ok(()) }
}

/// The code in which code lengths are written.
struct Pretree {
    code: Canonical<PRETREE_SYMBOLS>,
    /// By the next bits: symbol, codeword length, extra bits of the run, least run.
    table: [[u8; 4]; (1 << PRETREE_BITS) + FILL],
}

impl Pretree {
    #[inline(always)]
    fn read(window: &mut Window) -> Result<Self, DecodeError> {
        let lengths: [u8; PRETREE_SYMBOLS] = std::array::from_fn(|_| window.take(4) as u8);
        let mut pretree =
            Self { code: Canonical::new(), table: [[0; 4]; (1 << PRETREE_BITS) + FILL] };
        pretree.code.build(&lengths, Empty::Refused)?;
        pretree.code.fill::<PRETREE_BITS, _, _>(&mut pretree.table, [0; 4], Self::entry);
        Ok(pretree)
    }

    fn entry(symbol: u16, length: usize) -> [u8; 4] {
        let [extra, least] = match symbol {
            17 => [4, 4],
            18 => [5, 20],
            _ => [0, 1],
        };
        [symbol as u8, length as u8, extra, least]
    }

    /// The next symbol and how many lengths it stands for.
    #[inline(always)]
    fn symbol(&self, window: &mut Window) -> Result<(u8, usize), DecodeError> {
        let bits = window.peek();
        let mut entry = self.table[(bits >> (64 - PRETREE_BITS)) as usize];
        if entry[1] == 0 {
            let found = self.code.decode((bits >> 48) as u16);
            let (symbol, length) = found.ok_or(DecodeError::BadCode)?;
            entry = Self::entry(symbol, length as usize);
        }
        let [symbol, length, extra, least] = entry;
        let more = bits << (length & 63) >> 1 >> ((63 - extra) & 63);
        window.consume(u32::from(length + extra));
        Ok((symbol, usize::from(least) + more as usize))
    }
}
