//! The plain LZX decoder: one symbol, one copy at a time.

use super::tables::{
    ALIGNED_SYMBOLS, DEFAULT_BLOCK_SIZE, EXTRA_BITS, FIRST_ALIGNED_SLOT, LENGTH_HEADERS,
    LENGTH_SYMBOLS, LITERALS, LONG_HEADER, MAX_MAIN_SYMBOLS, MIN_MATCH, OFFSET_BASE,
    PRETREE_SYMBOLS, RECENT_SLOTS,
};
use crate::DecodeError;
use crate::codec::bits::BitReader;
use crate::codec::huffman::Empty;
use crate::codec::naive::Code;

/// The codes of the current block, and their lengths, to which the next block's are differences.
#[derive(Debug)]
pub(super) struct Plain {
    order: u32,
    main_lengths: [u8; MAX_MAIN_SYMBOLS],
    length_lengths: [u8; LENGTH_SYMBOLS],
    main: Code,
    length: Code,
    aligned: Code,
    pretree: Code,
}

/// What a block header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Verbatim,
    Aligned,
    Uncompressed,
}

impl Plain {
    pub(super) fn new(order: u32) -> Self {
        Self {
            order,
            main_lengths: [0; MAX_MAIN_SYMBOLS],
            length_lengths: [0; LENGTH_SYMBOLS],
            main: Code::default(),
            length: Code::default(),
            aligned: Code::default(),
            pretree: Code::default(),
        }
    }

    /// Decodes one chunk, short of undoing the call translation.
    pub(super) fn decode(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        self.main_lengths.fill(0);
        self.length_lengths.fill(0);
        let mut bits = BitReader::new(src, 0);
        let mut recent = [1u32; RECENT_SLOTS];
        let mut at = 0;
        while at < dst.len() {
            let (kind, size) = self.block_header(&mut bits)?;
            let end = at + size;
            if size == 0 || end > dst.len() {
                return Err(DecodeError::BadBlock);
            }
            if kind == Kind::Uncompressed {
                copy_uncompressed(&mut bits, &mut recent, &mut dst[at..end])?;
            } else {
                self.read_codes(&mut bits, kind)?;
                self.decode_block(&mut bits, kind, &mut recent, &mut dst[..end], at)?;
            }
            at = end;
        }
        Ok(())
    }

    fn block_header(&self, bits: &mut BitReader<'_>) -> Result<(Kind, usize), DecodeError> {
        let kind = match bits.take(3) {
            1 => Kind::Verbatim,
            2 => Kind::Aligned,
            3 => Kind::Uncompressed,
            _ => return Err(DecodeError::BadBlock),
        };
        let size = match bits.take(1) {
            1 => DEFAULT_BLOCK_SIZE,
            _ if self.order == 15 => bits.take(16) as usize,
            _ => bits.take(24) as usize,
        };
        Ok((kind, size))
    }

    fn read_codes(&mut self, bits: &mut BitReader<'_>, kind: Kind) -> Result<(), DecodeError> {
        if kind == Kind::Aligned {
            let lengths: [u8; ALIGNED_SYMBOLS] = std::array::from_fn(|_| bits.take(3) as u8);
            self.aligned.build(&lengths, Empty::Allowed)?;
        }
        let main = &mut self.main_lengths[..super::tables::main_symbols(self.order)];
        let (literals, matches) = main.split_at_mut(LITERALS);
        read_lengths(bits, &mut self.pretree, literals)?;
        read_lengths(bits, &mut self.pretree, matches)?;
        read_lengths(bits, &mut self.pretree, &mut self.length_lengths)?;
        self.main.build(&self.main_lengths, Empty::Refused)?;
        self.length.build(&self.length_lengths, Empty::Allowed)
    }

    /// Decodes the block that fills `dst` from `at`.
    fn decode_block(
        &self,
        bits: &mut BitReader<'_>,
        kind: Kind,
        recent: &mut [u32; RECENT_SLOTS],
        dst: &mut [u8],
        mut at: usize,
    ) -> Result<(), DecodeError> {
        while at < dst.len() {
            let symbol = usize::from(self.main.read(bits)?);
            let Some(symbol) = symbol.checked_sub(LITERALS) else {
                dst[at] = symbol as u8;
                at += 1;
                continue;
            };
            let mut length = symbol % LENGTH_HEADERS + MIN_MATCH;
            if symbol % LENGTH_HEADERS == LONG_HEADER {
                length += usize::from(self.length.read(bits)?);
            }
            let slot = symbol / LENGTH_HEADERS;
            let offset = if slot < RECENT_SLOTS {
                recent.swap(0, slot);
                recent[0]
            } else {
                let offset = OFFSET_BASE[slot] + self.extra_offset(bits, kind, slot)?;
                *recent = [offset, recent[0], recent[1]];
                offset
            };
            copy_match(dst, at, offset as usize, length)?;
            at += length;
        }
        Ok(())
    }

    /// Reads the part of an offset that its slot leaves open.
    fn extra_offset(
        &self,
        bits: &mut BitReader<'_>,
        kind: Kind,
        slot: usize,
    ) -> Result<u32, DecodeError> {
        let extra = u32::from(EXTRA_BITS[slot]);
        if kind == Kind::Verbatim || slot < FIRST_ALIGNED_SLOT {
            return Ok(bits.take(extra));
        }
        let high = bits.take(extra - 3) << 3;
        Ok(high + u32::from(self.aligned.read(bits)?))
    }
}

/// Reads one part of the code lengths, each as a difference to its predecessor in `lengths`.
fn read_lengths(
    bits: &mut BitReader<'_>,
    pretree: &mut Code,
    lengths: &mut [u8],
) -> Result<(), DecodeError> {
    let own: [u8; PRETREE_SYMBOLS] = std::array::from_fn(|_| bits.take(4) as u8);
    pretree.build(&own, Empty::Refused)?;
    let mut at = 0;
    while at < lengths.len() {
        let difference = |before: u8, symbol: u16| (before + 17 - symbol as u8) % 17;
        let (run, length) = match pretree.read(bits)? {
            17 => (4 + bits.take(4), 0),
            18 => (20 + bits.take(5), 0),
            19 => {
                let run = 4 + bits.take(1);
                let symbol = pretree.read(bits)?;
                if symbol > 16 {
                    return Err(DecodeError::BadCode);
                }
                (run, difference(lengths[at], symbol))
            }
            symbol => (1, difference(lengths[at], symbol)),
        };
        let end = at + run as usize;
        lengths.get_mut(at..end).ok_or(DecodeError::Overrun)?.fill(length);
        at = end;
    }
    Ok(())
}

fn copy_uncompressed(
    bits: &mut BitReader<'_>,
    recent: &mut [u32; RECENT_SLOTS],
    dst: &mut [u8],
) -> Result<(), DecodeError> {
    bits.align_to_word();
    for offset in recent.iter_mut() {
        let bytes = bits.take_bytes(4).and_then(<[u8]>::first_chunk);
        *offset = u32::from_le_bytes(*bytes.ok_or(DecodeError::Truncated)?);
        if *offset == 0 {
            return Err(DecodeError::BadBlock);
        }
    }
    dst.copy_from_slice(bits.take_bytes(dst.len()).ok_or(DecodeError::Truncated)?);
    if dst.len() % 2 == 1 {
        bits.take_byte();
    }
    Ok(())
}

/// Copies `length` bytes to `at` from `offset` bytes before it; source and target may overlap.
fn copy_match(dst: &mut [u8], at: usize, offset: usize, length: usize) -> Result<(), DecodeError> {
    let from = at.checked_sub(offset).ok_or(DecodeError::OffsetBeforeStart)?;
    if length > dst.len() - at {
        return Err(DecodeError::Overrun);
    }
    for i in 0..length {
        dst[at + i] = dst[from + i];
    }
    Ok(())
}
