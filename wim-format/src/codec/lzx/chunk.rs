//! A chunk on its way through the decoder: blocks, and batches of symbols within blocks.

use super::codes::{Codes, Offsets};
use super::offsets::Resolve;
use super::symbols::{One, Records, Two};
use super::tables::{DEFAULT_BLOCK_SIZE, MIN_ORDER, window_order};
use crate::DecodeError;
use crate::codec::cpu::{Cpu, Stage};
use crate::codec::hints::{self, Hints};
use crate::codec::pair::Chunk;
use crate::codec::recent::Recent;
use crate::codec::sequences::{Outcome, ROUNDS, Sequences};
use crate::codec::window::Window;

/// Bytes of output for each round of the symbol loop. Real data needs more of them, some six, so a
/// batch of this many rounds seldom goes far beyond the end of the block.
const BYTES_A_ROUND: usize = 8;
/// Rounds that are worth a batch even when the end of the block is near.
const MIN_ROUNDS: usize = 4;

/// A chunk being decoded.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Stream {
    pub(super) records: Records,
    pub(super) sequences: Sequences,
    pub(super) codes: Codes,
    pub(super) window: Window,
    recent: Recent,
    /// Bytes of the output that are done.
    at: usize,
    /// The end of the current block in the output.
    block_end: usize,
    /// Uncompressed size of the largest chunk.
    longest: usize,
    order: u32,
    cpu: Cpu,
    /// The matches of the chunk so far, if they are kept.
    hints: Hints,
    keeps_hints: bool,
}

/// What a block header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Compressed(Offsets),
    Uncompressed,
}

impl Stream {
    pub(super) fn new(chunk_size: u32, cpu: Cpu) -> Self {
        let order = window_order(chunk_size);
        Self {
            records: Records::new(),
            sequences: Sequences::new(),
            codes: Codes::new(order),
            window: Window::new(),
            recent: Recent::START,
            at: 0,
            block_end: 0,
            longest: chunk_size as usize,
            order,
            cpu,
            hints: Hints::default(),
            keeps_hints: false,
        }
    }

    /// Whether the matches of chunks are kept; those of large ones never are.
    pub(super) fn keep_hints(&mut self, keep: bool) {
        self.keeps_hints = keep && self.longest <= hints::LARGEST;
    }

    /// The matches of the chunk that was decoded last.
    pub(super) fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Reads the header of the block that follows, and all of it if it is uncompressed.
    fn open_block(&mut self, src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        self.window.refill(src);
        let (kind, size) = self.read_header()?;
        let block = dst.get_mut(self.at..self.at + size).ok_or(DecodeError::BadBlock)?;
        if block.is_empty() {
            return Err(DecodeError::BadBlock);
        }
        self.block_end = self.at + size;
        match kind {
            Kind::Compressed(offsets) => self.cpu.run(ReadCodes {
                codes: &mut self.codes,
                window: &mut self.window,
                offsets,
            }),
            Kind::Uncompressed => {
                self.at = self.block_end;
                self.copy_block(src, block)
            }
        }
    }

    fn read_header(&mut self) -> Result<(Kind, usize), DecodeError> {
        let kind = match self.window.take(3) {
            1 => Kind::Compressed(Offsets::Verbatim),
            2 => Kind::Compressed(Offsets::Aligned),
            3 => Kind::Uncompressed,
            _ => return Err(DecodeError::BadBlock),
        };
        let size = match self.window.take(1) {
            1 => DEFAULT_BLOCK_SIZE,
            _ if self.order == MIN_ORDER => self.window.take(16) as usize,
            _ => self.window.take(24) as usize,
        };
        Ok((kind, size))
    }

    /// Copies an uncompressed block: three recent offsets, the bytes, and one more to make an even
    /// number.
    fn copy_block(&mut self, src: &[u8], block: &mut [u8]) -> Result<(), DecodeError> {
        let start = self.window.next_word();
        let rest = src.get(start..).ok_or(DecodeError::Truncated)?;
        let (offsets, rest) = rest.split_first_chunk::<12>().ok_or(DecodeError::Truncated)?;
        for (recent, offset) in self.recent.0.iter_mut().zip(offsets.chunks_exact(4)) {
            *recent = offset.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte));
            if *recent == 0 {
                return Err(DecodeError::BadBlock);
            }
        }
        block.copy_from_slice(rest.get(..block.len()).ok_or(DecodeError::Truncated)?);
        self.window.seek(start + offsets.len() + block.len().next_multiple_of(2));
        Ok(())
    }

    /// Works out the offsets and lengths of the batch.
    fn resolve(&mut self) {
        let cpu = self.cpu;
        match (self.codes.offsets(), self.codes.wide()) {
            (Offsets::Verbatim, false) => cpu.run(Resolve::<false, false> { stream: self }),
            (Offsets::Verbatim, true) => cpu.run(Resolve::<false, true> { stream: self }),
            (Offsets::Aligned, false) => cpu.run(Resolve::<true, false> { stream: self }),
            (Offsets::Aligned, true) => cpu.run(Resolve::<true, true> { stream: self }),
        }
    }

    /// Goes back to the end of the block, beyond which symbols were read that are none.
    fn rewind(&mut self, outcome: Outcome, start: u16) -> Result<(), DecodeError> {
        let (mut position, mut symbols) = (start, outcome.literals);
        if let Some(last) = outcome.matches.checked_sub(1) {
            position = self.records.before[last];
            symbols += 1;
        }
        for _ in 0..symbols {
            position = self.codes.symbol(self.window.parts().0, position)?.1;
        }
        self.window.set_position(position);
        Ok(())
    }
}

impl Chunk for Stream {
    fn start(&mut self) {
        self.window.seek(0);
        self.codes.start();
        self.recent = Recent::START;
        self.at = 0;
        self.block_end = 0;
        self.hints.clear(0);
    }

    fn prepare(&mut self, src: &[u8], dst: &mut [u8]) -> Result<Option<usize>, DecodeError> {
        if dst.len() > self.longest {
            return Err(DecodeError::BadSize);
        }
        if self.at == 0 && self.keeps_hints {
            self.hints.clear(dst.len());
        }
        while self.at == self.block_end {
            if self.at == dst.len() {
                return Ok(None);
            }
            self.open_block(src, dst)?;
        }
        self.window.refill(src);
        self.records.start = self.window.parts().1;
        let rounds = (self.block_end - self.at) / BYTES_A_ROUND + MIN_ROUNDS;
        Ok(Some(rounds.min(ROUNDS)))
    }

    fn read(&mut self, rounds: usize) {
        let cpu = self.cpu;
        let stream = self;
        match (stream.codes.offsets(), stream.codes.wide()) {
            (Offsets::Verbatim, false) => cpu.run(One::<false, false> { stream, rounds }),
            (Offsets::Verbatim, true) => cpu.run(One::<false, true> { stream, rounds }),
            (Offsets::Aligned, false) => cpu.run(One::<true, false> { stream, rounds }),
            (Offsets::Aligned, true) => cpu.run(One::<true, true> { stream, rounds }),
        }
    }

    fn read_both(pair: &mut [Self; 2], rounds: usize) {
        use Offsets::{Aligned, Verbatim};
        let cpu = pair[0].cpu;
        match (pair[0].codes.offsets(), pair[1].codes.offsets(), pair[0].codes.wide()) {
            (Verbatim, Verbatim, false) => cpu.run(Two::<false, false, false> { pair, rounds }),
            (Verbatim, Aligned, false) => cpu.run(Two::<false, true, false> { pair, rounds }),
            (Aligned, Verbatim, false) => cpu.run(Two::<true, false, false> { pair, rounds }),
            (Aligned, Aligned, false) => cpu.run(Two::<true, true, false> { pair, rounds }),
            (Verbatim, Verbatim, true) => cpu.run(Two::<false, false, true> { pair, rounds }),
            (Verbatim, Aligned, true) => cpu.run(Two::<false, true, true> { pair, rounds }),
            (Aligned, Verbatim, true) => cpu.run(Two::<true, false, true> { pair, rounds }),
            (Aligned, Aligned, true) => cpu.run(Two::<true, true, true> { pair, rounds }),
        }
    }

    fn write(&mut self, _src: &[u8], dst: &mut [u8]) -> Result<(), DecodeError> {
        self.sequences.matches = self.sequences.matches.min(self.records.bad);
        self.resolve();
        let block = &mut dst[..self.block_end];
        let recent = self.recent;
        let outcome = self.sequences.write(self.cpu, block, self.at, &mut self.recent)?;
        if self.keeps_hints {
            self.hints.extend(&self.sequences, outcome.matches, self.at, recent);
        }
        self.at = outcome.at;
        if self.at == self.block_end {
            self.rewind(outcome, self.records.start)
        } else if self.records.bad < ROUNDS {
            Err(DecodeError::BadCode)
        } else {
            Ok(())
        }
    }
}

/// [`Codes::read`] as a stage.
struct ReadCodes<'a> {
    codes: &'a mut Codes,
    window: &'a mut Window,
    offsets: Offsets,
}

impl Stage for ReadCodes<'_> {
    type Output = Result<(), DecodeError>;

    #[inline(always)]
    fn run<const MODERN: bool>(self) -> Self::Output {
        self.codes.read(self.window, self.offsets)
    }
}
