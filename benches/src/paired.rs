//! Decoding on one core: our decoders and libwim's in turn, over the same chunks.
//!
//! Every few chunks it is the next one's turn, so that whatever else slows the machine slows all of
//! them. What counts is the processor time of the thread.

use anyhow::{Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use wim_format::{Codec, Decoder};

use crate::libwim;

/// How many chunks one contender decodes before it is the next one's turn.
const TURN: usize = 4;

/// Who decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// libwim.
    Libwim,
    /// Our decoder, chunk by chunk.
    One,
    /// Our decoder, two chunks at a time.
    Two,
}

impl Contender {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Libwim, Self::One, Self::Two];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Libwim => "libwim",
            Self::One => "wimx, chunk by chunk",
            Self::Two => "wimx",
        }
    }
}

/// Chunks of one sample: those that libwim makes smaller, with their contents.
#[derive(Debug)]
pub struct Chunks {
    codec: Codec,
    chunk_size: u32,
    streams: Vec<Vec<u8>>,
    contents: Vec<Vec<u8>>,
}

impl Chunks {
    /// Compresses `sample` by libwim, whose usual level is 50.
    ///
    /// # Errors
    /// libwim refuses the chunk size, or memory is short.
    pub fn new(codec: Codec, chunk_size: u32, level: u32, sample: &[u8]) -> Result<Self> {
        let mut compressor = libwim::Compressor::new(codec, chunk_size, level)?;
        let chunks = sample.chunks(chunk_size as usize);
        let compressed =
            chunks.filter_map(|chunk| Some((compressor.compress(chunk)?, chunk.to_vec())));
        let (streams, contents) = compressed.unzip();
        Ok(Self { codec, chunk_size, streams, contents })
    }

    /// Number of chunks.
    #[must_use]
    pub fn count(&self) -> usize {
        self.streams.len()
    }

    /// Uncompressed bytes.
    #[must_use]
    pub fn uncompressed(&self) -> usize {
        self.contents.iter().map(Vec::len).sum()
    }

    /// Compressed bytes.
    #[must_use]
    pub fn compressed(&self) -> usize {
        self.streams.iter().map(Vec::len).sum()
    }
}

/// What one contender took, in seconds of processor time.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// For all chunks, by round.
    pub rounds: Vec<f64>,
    /// The least that each turn took in any round: a neighbour on the other half of the core, or
    /// in the cache, is not there all the time.
    least: Vec<f64>,
}

impl Times {
    fn add(&mut self, round: usize, turn: usize, seconds: f64) {
        self.rounds.resize(round + 1, 0.0);
        self.rounds[round] += seconds;
        match self.least.get_mut(turn) {
            Some(least) => *least = least.min(seconds),
            None => self.least.push(seconds),
        }
    }

    /// For all chunks, each turn in its best round.
    #[must_use]
    pub fn undisturbed(&self) -> f64 {
        self.least.iter().sum()
    }
}

/// Lets `contenders` decode all chunks in turn, `rounds` times after a first round that warms up and
/// compares what comes out.
///
/// # Errors
/// A chunk is not decoded, or not to what it was.
pub fn run(chunks: &Chunks, contenders: &[Contender], rounds: usize) -> Result<Vec<Times>> {
    let &Chunks { codec, chunk_size, .. } = chunks;
    let mut theirs = libwim::Decompressor::new(codec, chunk_size)?;
    let mut ours = Decoder::new(codec, chunk_size)?;
    let mut dst = vec![0u8; 2 * chunk_size as usize];
    let mut times = vec![Times::default(); contenders.len()];
    for round in 0..=rounds {
        let turns = chunks.streams.chunks(TURN).zip(chunks.contents.chunks(TURN));
        for (turn, (streams, contents)) in turns.enumerate() {
            // Whoever comes first finds the streams in no cache: take turns in that, too.
            for who in (0..contenders.len()).map(|i| (i + turn + round) % contenders.len()) {
                let mut work = Turn { streams, contents, is_compared: round == 0, dst: &mut dst };
                let start = processor_time();
                match contenders[who] {
                    Contender::Libwim => work.libwim(&mut theirs)?,
                    Contender::One => work.one(&mut ours)?,
                    Contender::Two => work.two(&mut ours)?,
                }
                if round > 0 {
                    times[who].add(round - 1, turn, processor_time() - start);
                }
            }
        }
    }
    Ok(times)
}

/// Seconds of processor time this thread has used.
fn processor_time() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// A few chunks, what they have to become, and where they are decoded to.
struct Turn<'a> {
    streams: &'a [Vec<u8>],
    contents: &'a [Vec<u8>],
    is_compared: bool,
    dst: &'a mut [u8],
}

impl Turn<'_> {
    fn libwim(&mut self, decoder: &mut libwim::Decompressor) -> Result<()> {
        for (stream, content) in self.streams.iter().zip(self.contents) {
            decoder.decode(stream, &mut self.dst[..content.len()])?;
        }
        Ok(())
    }

    fn one(&mut self, decoder: &mut Decoder) -> Result<()> {
        for (stream, content) in self.streams.iter().zip(self.contents) {
            let dst = &mut self.dst[..content.len()];
            decoder.decode(stream, dst)?;
            ensure!(!self.is_compared || dst == content.as_slice(), "decoded wrongly");
        }
        Ok(())
    }

    fn two(&mut self, decoder: &mut Decoder) -> Result<()> {
        for (streams, contents) in self.streams.chunks(2).zip(self.contents.chunks(2)) {
            let ([first, second], [a, b]) = (streams, contents) else {
                decoder.decode(&streams[0], &mut self.dst[..contents[0].len()])?;
                continue;
            };
            let (dst_a, rest) = self.dst.split_at_mut(a.len());
            let dst_b = &mut rest[..b.len()];
            let [left, right] = decoder.decode_two((first, &mut *dst_a), (second, &mut *dst_b));
            left?;
            right?;
            ensure!(!self.is_compared || (dst_a == a && dst_b == b), "decoded wrongly");
        }
        Ok(())
    }
}
