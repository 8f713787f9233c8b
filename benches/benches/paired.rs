//! Decoding on one core, any file as the sample: our decoders and libwim's in turn.
//!
//! ```text
//! LIBWIM_DIR=…/lib cargo bench -p osupg-benches --features libwim --bench paired -- \
//!     SAMPLE [--codec lzx|xpress|lzms] [--chunk-size 32768] [--repeat 9] [--level 50]
//! ```
//!
//! Reported are the median and the best speed of each, and the median of the ratios within rounds,
//! which other load on the machine disturbs least.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use osupg_benches::libwim;
use osupg_benches::paired::{Chunks, Contender, Times, run};
use wim_format::Codec;

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
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let codec = match arguments.codec.as_str() {
        "lzx" => Codec::Lzx,
        "xpress" => Codec::Xpress,
        "lzms" => Codec::Lzms,
        other => bail!("no codec is called {other}"),
    };
    let sample = std::fs::read(&arguments.sample)
        .with_context(|| format!("cannot read {}", arguments.sample.display()))?;
    let chunks = Chunks::new(codec, arguments.chunk_size, arguments.level, &sample)?;
    println!(
        "{} of {}, libwim {}: {} chunks, {:.1} MB from {:.1} MB",
        arguments.codec,
        arguments.chunk_size,
        libwim::version(),
        chunks.count(),
        chunks.uncompressed() as f64 / 1e6,
        chunks.compressed() as f64 / 1e6,
    );
    let times = run(&chunks, &Contender::ALL, arguments.repeat)?;
    report(chunks.uncompressed(), &times);
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn report(bytes: usize, times: &[Times]) {
    let speed = |seconds: f64| bytes as f64 / seconds / 1e6;
    println!("                       median of rounds         undisturbed");
    println!("                       MB/s  × libwim        MB/s  × libwim");
    for (contender, own) in Contender::ALL.iter().zip(times) {
        let ratios: Vec<f64> =
            times[0].rounds.iter().zip(&own.rounds).map(|(first, own)| first / own).collect();
        println!(
            "{:20} {:>6.1} {:>9.3} {:>11.1} {:>9.3}",
            contender.name(),
            speed(median(&own.rounds)),
            median(&ratios),
            speed(own.undisturbed()),
            times[0].undisturbed() / own.undisturbed(),
        );
    }
}
