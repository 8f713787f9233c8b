//! A chunk on its way through the decoder, in batches of symbols.

use super::codes::Codes;
use super::input::Input;
use super::symbols::{Bits, One, Records, Two};
use super::{MAX_CHUNK, MIN_MATCH, TABLE_LEN};
use crate::DecodeError;
use crate::codec::cpu::{Cpu, Stage};
use crate::codec::pair::Chunk;
use crate::codec::recent::AllNew;
use crate::codec::sequences::{ROUNDS, Sequences};

/// Bytes of output for each round of the symbol loop. Real data needs more of them, so a batch of
/// this many rounds seldom goes far beyond the end.
const BYTES_A_ROUND: usize = 8;
/// Rounds that are worth a batch even when the end is near.
const MIN_ROUNDS: usize = 4;

// Each round takes 48 bits at most, or 26 and three length bytes, and loads eight bytes.
const _: () = assert!(ROUNDS * 9 + 3 + 8 <= super::input::REACH);

/// A chunk being decoded.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) input: Input,
    pub(super) bits: Bits,
    pub(super) codes: Codes,
    pub(super) records: Records,
    pub(super) sequences: Sequences,
    /// Bytes of the output that are done.
    at: usize,
    /// Whether the code has been read.
    open: bool,
    cpu: Cpu,
}

impl Stream {
    pub(super) fn new(cpu: Cpu) -> Self {
        Self {
            input: Input::new(),
            bits: Bits::default(),
            codes: Codes::new(),
            records: Records::new(),
            sequences: Sequences::new(),
            at: 0,
            open: false,
            cpu,
        }
    }
}

impl Chunk for Stream {
    fn start(&mut self) {
        self.at = 0;
        self.open = false;
    }

    fn prepare(&mut self, src: &[u8], dst: &mut [u8]) -> Result<Option<usize>, DecodeError> {
        if dst.len() > MAX_CHUNK {
            return Err(DecodeError::BadSize);
        }
        if !self.open {
            self.cpu.run(ReadCodes { codes: &mut self.codes, src })?;
            self.input.seek(src, TABLE_LEN);
            self.bits = Bits::default();
            self.bits.load(self.input.bytes());
            self.open = true;
        }
        if self.at == dst.len() {
            return Ok(None);
        }
        self.bits.at = self.input.refill(src, self.bits.at);
        let rounds = (dst.len() - self.at) / BYTES_A_ROUND + MIN_ROUNDS;
        Ok(Some(rounds.min(ROUNDS)))
    }

    fn read(&mut self, rounds: usize) {
        self.cpu.run(One { stream: self, rounds });
    }

    fn read_both(pair: &mut [Self; 2], rounds: usize) {
        pair[0].cpu.run(Two { pair, rounds });
    }

    fn write(&mut self, _src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        self.cpu.run(Resolve { stream: self });
        let outcome = self.sequences.write(self.cpu, dst, self.at, &mut AllNew)?;
        self.at = outcome.at;
        Ok(())
    }
}

/// [`Codes::read`] as a stage.
struct ReadCodes<'a> {
    codes: &'a mut Codes,
    src: &'a [u8],
}

impl Stage for ReadCodes<'_> {
    type Output = Result<(), DecodeError>;

    #[inline(always)]
    fn run<const MODERN: bool>(self) -> Self::Output {
        self.codes.read(self.src)
    }
}

/// Works out the lengths and offsets of a batch, in loops that become vectors.
struct Resolve<'a> {
    stream: &'a mut Stream,
}

impl Stage for Resolve<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const MODERN: bool>(self) {
        let Stream { records, sequences, .. } = self.stream;
        let count = sequences.matches.min(ROUNDS);
        let symbols = &records.symbol[..count];
        let raws = &records.raw[..count];
        let lengths = &mut sequences.lengths[..count];
        let offsets = &mut sequences.offsets[..count];
        for i in 0..count {
            let bits = u32::from(symbols[i] / 16);
            lengths[i] = u32::from(symbols[i] % 16) + MIN_MATCH as u32;
            offsets[i] = (1 << 16 | u32::from(raws[i])) >> (16 - bits);
        }
        for &(at, length) in &records.long[..records.longs.min(ROUNDS)] {
            if let Some(own) = lengths.get_mut(usize::from(at)) {
                *own = length;
            }
        }
    }
}
