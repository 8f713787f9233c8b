//! Encoding on one core: our levels and libwim's in turn, over the same chunks.
//!
//! Chunks are cut as a WIM has them: each distinct file into pieces of the chunk size. Every few
//! chunks it is the next one's turn, so that whatever else slows the machine slows all of them.
//! What counts is the processor time of the thread.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use wim_format::{Codec, Decoder, Encoder, Level};

use crate::libwim;

/// How many bytes one contender encodes before it is the next one's turn.
const TURN: usize = 1 << 18;

/// Who encodes, and how hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// libwim at one of its levels, whose usual one is 50.
    Libwim(u32),
    /// Our encoder.
    Ours(Level),
}

impl Contender {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Libwim(level) => format!("libwim {level}"),
            Self::Ours(level) => format!("{level:?}").to_lowercase(),
        }
    }
}

/// What one contender took and made.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Bytes after encoding, raw chunks included.
    pub size: usize,
    /// Seconds of processor time for all chunks, by round.
    pub rounds: Vec<f64>,
}

/// The chunks of `paths`, files or folders: of every `every` chunks the first, so that a sample of a
/// large tree has a bit of everything.
///
/// # Errors
/// A file cannot be read.
pub fn chunks(paths: &[PathBuf], chunk_size: u32, every: usize) -> Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    files.sort();
    let mut seen = HashSet::new();
    let mut chunks = Vec::new();
    let mut count = 0;
    for file in files {
        let bytes =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if !seen.insert(Sha256::digest(&bytes)) {
            continue;
        }
        for chunk in bytes.chunks(chunk_size as usize) {
            if count % every == 0 {
                chunks.push(chunk.to_vec());
            }
            count += 1;
        }
    }
    Ok(chunks)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let kind = std::fs::symlink_metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if kind.is_file() {
        files.push(path.to_path_buf());
    } else if kind.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    }
    Ok(())
}

/// One contender with its state.
enum Encoding {
    Libwim(libwim::Compressor),
    Ours(Encoder),
}

impl Encoding {
    fn new(contender: Contender, codec: Codec, chunk_size: u32) -> Result<Self> {
        Ok(match contender {
            Contender::Libwim(level) => {
                Self::Libwim(libwim::Compressor::new(codec, chunk_size, level)?)
            }
            Contender::Ours(level) => Self::Ours(Encoder::new(codec, chunk_size, level)?),
        })
    }

    fn encode(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        match self {
            Self::Libwim(compressor) => {
                let stream = compressor.compress(src)?;
                dst[..stream.len()].copy_from_slice(&stream);
                Some(stream.len())
            }
            Self::Ours(encoder) => encoder.encode(src, dst),
        }
    }
}

/// Lets `contenders` encode all chunks in turn, `rounds` times. In the first round all that comes
/// out is decoded by libwim and by our decoder, and compared.
///
/// # Errors
/// A chunk does not come back as it was.
pub fn run(
    codec: Codec,
    chunk_size: u32,
    chunks: &[Vec<u8>],
    contenders: &[Contender],
    rounds: usize,
) -> Result<Vec<Outcome>> {
    let mut encoders = contenders
        .iter()
        .map(|&contender| Encoding::new(contender, codec, chunk_size))
        .collect::<Result<Vec<_>>>()?;
    let mut judge = Judge::new(codec, chunk_size)?;
    let mut outcomes = vec![Outcome { size: 0, rounds: vec![0.0; rounds] }; contenders.len()];
    let mut dst = vec![0u8; chunk_size as usize];
    for round in 0..rounds {
        for (turn, chunks) in turns(chunks).enumerate() {
            for who in (0..contenders.len()).map(|i| (i + turn + round) % contenders.len()) {
                let start = processor_time();
                for chunk in chunks {
                    let len = encoders[who].encode(chunk, &mut dst);
                    if round == 0 {
                        outcomes[who].size += len.unwrap_or(chunk.len());
                        judge.check(&dst[..len.unwrap_or(0)], chunk)?;
                    }
                }
                outcomes[who].rounds[round] += processor_time() - start;
            }
        }
    }
    // The first round has been judging, too.
    if rounds > 1 {
        for outcome in &mut outcomes {
            outcome.rounds.remove(0);
        }
    }
    Ok(outcomes)
}

/// The chunks of each turn.
fn turns(chunks: &[Vec<u8>]) -> impl Iterator<Item = &[Vec<u8>]> {
    let mut rest = chunks;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let end = rest.iter().position(|chunk| {
            let is_full = bytes >= TURN;
            bytes += chunk.len();
            is_full
        });
        let (turn, others) = rest.split_at(end.unwrap_or(rest.len()));
        rest = others;
        (!turn.is_empty()).then_some(turn)
    })
}

/// Decodes what was encoded.
struct Judge {
    theirs: libwim::Decompressor,
    ours: Decoder,
    dst: Vec<u8>,
}

impl Judge {
    fn new(codec: Codec, chunk_size: u32) -> Result<Self> {
        Ok(Self {
            theirs: libwim::Decompressor::new(codec, chunk_size)?,
            ours: Decoder::new(codec, chunk_size)?,
            dst: vec![0; chunk_size as usize],
        })
    }

    fn check(&mut self, stream: &[u8], chunk: &[u8]) -> Result<()> {
        if stream.is_empty() {
            return Ok(());
        }
        let dst = &mut self.dst[..chunk.len()];
        self.theirs.decode(stream, dst)?;
        ensure!(dst == chunk, "libwim decodes something else");
        dst.fill(0);
        self.ours.decode(stream, dst)?;
        ensure!(dst == chunk, "our decoder decodes something else");
        Ok(())
    }
}

/// Seconds of processor time this thread has used.
fn processor_time() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}
