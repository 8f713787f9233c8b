//! Encoding on one core, any files as the sample: our levels and libwim's in turn.
//!
//! ```text
//! LIBWIM_DIR=…/lib cargo bench -p osupg-benches --features libwim --bench paired_encode -- \
//!     FILE|FOLDER… [--codec lzx|xpress|lzms] [--chunk-size 32768] [--every 20] [--repeat 4] \
//!     [--ours fast,usual] [--libwim 20,50,100]
//! ```
//!
//! Reported are size and ratio, the median speed, and, against each level of libwim, the size and the
//! median of the ratios of speed within rounds, which other load on the machine disturbs least.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Parser;
use osupg_benches::encode::{Contender, Outcome, chunks, run};
use osupg_benches::libwim;
use wim_format::{Codec, Level};

#[derive(Parser)]
struct Arguments {
    /// Files, and folders with all that is in them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// `lzx`, `xpress` or `lzms`.
    #[arg(long, default_value = "lzx")]
    codec: String,
    /// Uncompressed size of a chunk.
    #[arg(long, default_value_t = 32768)]
    chunk_size: u32,
    /// Of how many chunks one is taken.
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Rounds.
    #[arg(long, default_value_t = 4)]
    repeat: usize,
    /// Our levels.
    #[arg(long, value_delimiter = ',', default_value = "fast,balanced,usual,best,smallest")]
    ours: Vec<String>,
    /// Levels of libwim.
    #[arg(long, value_delimiter = ',', default_value = "20,35,50,100")]
    libwim: Vec<u32>,
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
        other => bail!("no encoder is called {other}"),
    };
    let mut contenders: Vec<Contender> =
        arguments.libwim.iter().map(|&level| Contender::Libwim(level)).collect();
    for name in &arguments.ours {
        let level = Level::ALL.into_iter().find(|&level| Contender::Ours(level).name() == *name);
        match level {
            Some(level) => contenders.push(Contender::Ours(level)),
            None => bail!("no level is called {name}"),
        }
    }
    let chunks = chunks(&arguments.paths, arguments.chunk_size, arguments.every)?;
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    println!(
        "{} of {}, libwim {}: {} chunks, {:.1} MB",
        arguments.codec,
        arguments.chunk_size,
        libwim::version(),
        chunks.len(),
        bytes as f64 / 1e6,
    );
    let outcomes = run(codec, arguments.chunk_size, &chunks, &contenders, arguments.repeat)?;
    report(bytes, &contenders, &outcomes);
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn report(bytes: usize, contenders: &[Contender], outcomes: &[Outcome]) {
    print!("{:12} {:>7} {:>11} {:>7}", "", "MB/s", "size", "ratio");
    let all = || contenders.iter().zip(outcomes);
    let theirs = || all().filter(|(contender, _)| matches!(contender, Contender::Libwim(_)));
    theirs().for_each(|(contender, _)| print!(" {:>16}", format!("vs {}", contender.name())));
    println!();
    for (contender, own) in all() {
        print!(
            "{:12} {:>7.1} {:>11} {:>7.4}",
            contender.name(),
            bytes as f64 / median(&own.rounds) / 1e6,
            own.size,
            own.size as f64 / bytes as f64,
        );
        for (_, other) in theirs() {
            let ratios: Vec<f64> =
                other.rounds.iter().zip(&own.rounds).map(|(other, own)| other / own).collect();
            let larger = own.size as f64 / other.size as f64 - 1.0;
            print!(" {:>+8.2}% {:>6.2}x", 100.0 * larger, median(&ratios));
        }
        println!();
    }
}
