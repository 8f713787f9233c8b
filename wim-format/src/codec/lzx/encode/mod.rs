//! The LZX encoder.

mod block;
mod lazy;
mod lengths;
mod matches;
mod translate;

use super::tables::window_order;
use crate::codec::encode::Level;
use crate::codec::encode::bits::BitWriter;
use crate::codec::encode::chains::{Chains, Effort};
use crate::codec::encode::text::{Far, Near, Reach, Text};
use block::{Blocks, Frequencies};
use matches::Match;

/// Chunks up to this size are left raw: no code for them is worth its lengths.
const MIN_CHUNK: usize = 64;

/// Encoder state for chunks of one size.
#[derive(Debug)]
pub(crate) struct Encoder(Inner);

#[derive(Debug)]
enum Inner {
    Near(Engine<Near>),
    Far(Engine<Far>),
}

impl Encoder {
    /// Makes an encoder for chunks of up to `chunk_size` bytes (2^15 to 2^21).
    pub(crate) fn new(chunk_size: u32, level: Level) -> Self {
        Self(if chunk_size as usize <= Near::SIZE {
            Inner::Near(Engine::new(chunk_size, level))
        } else {
            Inner::Far(Engine::new(chunk_size, level))
        })
    }

    /// Encodes a chunk into `dst`; `None` when it does not fit.
    pub(crate) fn encode(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        if src.len() < MIN_CHUNK {
            return None;
        }
        match &mut self.0 {
            Inner::Near(engine) => engine.encode(src, dst),
            Inner::Far(engine) => engine.encode(src, dst),
        }
    }
}

#[derive(Debug)]
struct Engine<R: Reach> {
    text: Text<R>,
    chains: Chains<R>,
    effort: Effort,
    matches: Vec<Match>,
    frequencies: Frequencies,
    blocks: Blocks,
}

impl<R: Reach> Engine<R> {
    fn new(chunk_size: u32, level: Level) -> Self {
        let (depth, nice) = match level {
            Level::Fast => (12, 24),
            Level::Balanced => (24, 48),
            Level::Usual => (48, 96),
            Level::Best => (96, 160),
            Level::Smallest => (200, 257),
        };
        Self {
            text: Text::new(),
            chains: Chains::new(),
            effort: Effort { depth, nice },
            matches: Vec::with_capacity(chunk_size as usize / 2),
            frequencies: Frequencies::NONE,
            blocks: Blocks::new(window_order(chunk_size)),
        }
    }

    fn encode(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        self.text.set(src);
        translate::translate(self.text.chunk_mut());
        self.chains.clear();
        self.matches.clear();
        lazy::parse(&self.text, &mut self.chains, self.effort, &mut self.matches);
        self.frequencies.clone_from(&Frequencies::NONE);
        let chunk = self.text.chunk();
        self.frequencies.count(chunk, 0, chunk.len(), &self.matches);
        let mut bits = BitWriter::new(dst);
        self.blocks.start();
        self.blocks.write(&mut bits, chunk, 0, chunk.len(), &self.matches, &self.frequencies);
        bits.finish()
    }
}
