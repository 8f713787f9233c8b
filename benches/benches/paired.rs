//! Decoding on one core: our decoders and libwim's in turn, over the same chunks.
//!
//! ```text
//! LIBWIM_DIR=…/lib cargo bench -p osupg-benches --features libwim --bench paired -- \
//!     SAMPLE [--codec lzx|xpress|lzms] [--chunk-size 32768] [--repeat 9] [--level 50]
//! ```
//!
//! `SAMPLE` is any file. It is cut into chunks, which libwim compresses once (kept beside the
//! sample for the next run). Then each round times libwim, our decoder chunk by chunk and our
//! decoder two chunks at a time, by the CPU time of the thread; what is reported is the median and
//! best speed of each, and the median of the ratios within rounds, which other load on the machine
//! disturbs least.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use osupg_benches::libwim;
use rustix::time::{ClockId, clock_gettime};
use wim_format::{Codec, Decoder};

#[derive(Parser)]
struct Arguments {
    /// The file whose contents are compressed and decoded.
    sample: PathBuf,
    /// `lzx`, `xpress` or `lzms`.
    #[arg(long, default_value = "lzx")]
    codec: String,
    /// Uncompressed size of a chunk.
    #[arg(long, default_value_t = 32768)]
    chunk_size: u32,
    /// Rounds.
    #[arg(long, default_value_t = 9)]
    repeat: usize,
    /// The level at which libwim compresses the sample.
    #[arg(long, default_value_t = 50)]
    level: u32,
    /// What to time, out of `libwim`, `one`, `two`.
    #[arg(long, value_delimiter = ',', default_value = "libwim,one,two")]
    run: Vec<String>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The chunks of the sample: those that became smaller, with their contents.
struct Chunks {
    streams: Vec<Vec<u8>>,
    contents: Vec<Vec<u8>>,
}

impl Chunks {
    fn bytes(&self) -> usize {
        self.contents.iter().map(Vec::len).sum()
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let codec = match arguments.codec.as_str() {
        "lzx" => Codec::Lzx,
        "xpress" => Codec::Xpress,
        "lzms" => Codec::Lzms,
        other => bail!("no codec is called {other}"),
    };
    let chunks = chunks(&arguments, codec)?;
    println!(
        "{} of {}, libwim {}: {} chunks, {:.1} MB from {:.1} MB",
        arguments.codec,
        arguments.chunk_size,
        libwim::version(),
        chunks.streams.len(),
        chunks.bytes() as f64 / 1e6,
        chunks.streams.iter().map(Vec::len).sum::<usize>() as f64 / 1e6,
    );
    compare(&arguments, codec, &chunks)
}

fn chunks(arguments: &Arguments, codec: Codec) -> Result<Chunks> {
    let sample = std::fs::read(&arguments.sample)
        .with_context(|| format!("cannot read {}", arguments.sample.display()))?;
    let cache = arguments.sample.with_extension(format!(
        "{}-{}-{}.chunks",
        arguments.codec, arguments.chunk_size, arguments.level
    ));
    let streams = match read_cache(&cache, &sample, arguments.chunk_size) {
        Some(streams) => streams,
        None => {
            let mut compressor =
                libwim::Compressor::new(codec, arguments.chunk_size, arguments.level)?;
            let streams: Vec<_> = sample
                .chunks(arguments.chunk_size as usize)
                .map(|chunk| compressor.compress(chunk).unwrap_or_default())
                .collect();
            write_cache(&cache, &streams)?;
            streams
        }
    };
    let contents = sample.chunks(arguments.chunk_size as usize).map(<[u8]>::to_vec);
    let (streams, contents) =
        streams.into_iter().zip(contents).filter(|(stream, _)| !stream.is_empty()).unzip();
    Ok(Chunks { streams, contents })
}

/// The streams of an earlier run: each as its length and its bytes.
fn read_cache(cache: &Path, sample: &[u8], chunk_size: u32) -> Option<Vec<Vec<u8>>> {
    let bytes = std::fs::read(cache).ok()?;
    let mut rest = bytes.as_slice();
    let mut streams = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (stream, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        streams.push(stream.to_vec());
        rest = after;
    }
    (streams.len() == sample.len().div_ceil(chunk_size as usize)).then_some(streams)
}

fn write_cache(cache: &Path, streams: &[Vec<u8>]) -> Result<()> {
    let mut bytes = Vec::new();
    for stream in streams {
        bytes.extend_from_slice(&u32::try_from(stream.len())?.to_le_bytes());
        bytes.extend_from_slice(stream);
    }
    std::fs::write(cache, bytes).with_context(|| format!("cannot write {}", cache.display()))
}

/// Seconds of CPU time this thread has used.
fn cpu_time() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// How many chunks one contender decodes before it is the next one's turn.
const TURN: usize = 4;

fn compare(arguments: &Arguments, codec: Codec, chunks: &Chunks) -> Result<()> {
    let mut theirs = libwim::Decompressor::new(codec, arguments.chunk_size)?;
    let mut ours = Decoder::new(codec, arguments.chunk_size)?;
    let mut dst = vec![0u8; 2 * arguments.chunk_size as usize];
    let names = &arguments.run;
    let mut times = vec![Times::default(); names.len()];
    for round in 0..=arguments.repeat {
        let turns = chunks.streams.chunks(TURN).zip(chunks.contents.chunks(TURN));
        for (turn, (streams, contents)) in turns.enumerate() {
            // Whoever comes first finds the streams in no cache: take turns in that, too.
            for who in (0..names.len()).map(|i| (i + turn + round) % names.len()) {
                let start = cpu_time();
                let mut outcome = Outcome { contents, check: round == 0, dst: &mut dst };
                match names[who].as_str() {
                    "libwim" => outcome.libwim(&mut theirs, streams)?,
                    "one" => outcome.one(&mut ours, streams)?,
                    "two" => outcome.two(&mut ours, streams)?,
                    other => bail!("nothing to time is called {other}"),
                }
                // The first round warms up and compares what comes out.
                if round > 0 {
                    times[who].add(round - 1, turn, cpu_time() - start);
                }
            }
        }
    }
    report(arguments, chunks.bytes(), &times);
    Ok(())
}

/// What one contender took.
#[derive(Clone, Default)]
struct Times {
    /// By round.
    rounds: Vec<f64>,
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

    fn quiet(&self) -> f64 {
        self.least.iter().sum()
    }
}

/// Where chunks are decoded to, and what they have to become.
struct Outcome<'a> {
    contents: &'a [Vec<u8>],
    check: bool,
    dst: &'a mut [u8],
}

impl Outcome<'_> {
    fn libwim(&mut self, decoder: &mut libwim::Decompressor, streams: &[Vec<u8>]) -> Result<()> {
        for (stream, content) in streams.iter().zip(self.contents) {
            decoder.decode(stream, &mut self.dst[..content.len()])?;
        }
        Ok(())
    }

    fn one(&mut self, decoder: &mut Decoder, streams: &[Vec<u8>]) -> Result<()> {
        for (stream, content) in streams.iter().zip(self.contents) {
            let dst = &mut self.dst[..content.len()];
            decoder.decode(stream, dst)?;
            ensure!(!self.check || dst == content.as_slice(), "decoded wrongly");
        }
        Ok(())
    }

    fn two(&mut self, decoder: &mut Decoder, streams: &[Vec<u8>]) -> Result<()> {
        for (streams, contents) in streams.chunks(2).zip(self.contents.chunks(2)) {
            let ([first, second], [a, b]) = (streams, contents) else {
                decoder.decode(&streams[0], &mut self.dst[..contents[0].len()])?;
                continue;
            };
            let (dst_a, rest) = self.dst.split_at_mut(a.len());
            let dst_b = &mut rest[..b.len()];
            let [left, right] = decoder.decode_two((first, &mut *dst_a), (second, &mut *dst_b));
            left?;
            right?;
            ensure!(!self.check || (dst_a == a && dst_b == b), "decoded wrongly");
        }
        Ok(())
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn report(arguments: &Arguments, bytes: usize, times: &[Times]) {
    let speed = |seconds: f64| bytes as f64 / seconds / 1e6;
    println!("           median of rounds         undisturbed");
    println!("           MB/s   × the first       MB/s   × the first");
    for (name, own) in arguments.run.iter().zip(times) {
        let ratios: Vec<f64> =
            times[0].rounds.iter().zip(&own.rounds).map(|(first, own)| first / own).collect();
        println!(
            "{name:8} {:>6.1} {:>13.3} {:>10.1} {:>13.3}",
            speed(median(&own.rounds)),
            median(&ratios),
            speed(own.quiet()),
            times[0].quiet() / own.quiet(),
        );
    }
}
