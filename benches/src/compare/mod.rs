//! Our commands against wimlib, 7-Zip, `cp` and `dd`.
//!
//! The contenders of a row run in turn, A B A B, so that whatever else slows the machine slows all of
//! them. Inputs lie in memory (tmpfs) with a warm page cache; outputs are removed between runs,
//! outside the measured time, and as much memory as they take is touched before each; a first round
//! warms up and is not counted. Memory is sampled in a run of its own, which is not timed.

mod chart;
#[cfg(feature = "libwim")]
mod codecs;
mod inputs;
mod machine;
pub(crate) mod measure;
mod report;
mod rows;
mod writing;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use tempfile::TempDir;

use inputs::{Inputs, Places};
use measure::{Sample, Spread};
use rows::{Goal, Pace, Programs, Row};

/// What to compare and how.
#[derive(Debug, Args)]
pub struct Options {
    /// A corpus that the command `corpus` has built.
    #[arg(long, value_name = "DIR", conflicts_with = "wim", default_value = "target/corpus/large")]
    corpus: PathBuf,
    /// Your own install.wim in place of the corpus.
    #[arg(long, value_name = "FILE")]
    wim: Option<PathBuf>,
    /// Which wimlib-imagex to compare with.
    #[arg(long, value_name = "FILE", default_value = "wimlib-imagex")]
    wimlib: PathBuf,
    /// Which wimx to measure [default: the one of this build].
    #[arg(long, value_name = "FILE")]
    wimx: Option<PathBuf>,
    /// Counted runs of every command.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Only the rows whose name begins so, separated by commas: verify-KIND, apply-KIND (lzx, xpress,
    /// none, lzms-solid), decode-KIND (with the feature libwim), export, export-disk, export-check,
    /// extract-large, extract-small, info, dir, capture-KIND (lzx, lzx-fast, xpress, none), append,
    /// recode-to-KIND (lzx, xpress), optimize, optimize-again, split, join, threads-VERB (verify,
    /// apply, capture).
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    rows: Vec<String>,
    /// Where inputs and outputs in memory lie: a tmpfs with about 8 GB free for the large corpus.
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    memory: PathBuf,
    /// Where inputs and outputs on a disk lie.
    #[arg(long, value_name = "DIR", default_value = "target")]
    disk: PathBuf,
    /// Where to write `comparison.md`, `comparison.json` and `comparison.svg`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// All figures of one comparison.
#[derive(Debug, Serialize)]
struct Report {
    machine: machine::Machine,
    origin: String,
    runs: u32,
    rows: Vec<Measured>,
}

/// The figures of one row.
#[derive(Debug, Serialize)]
struct Measured {
    name: String,
    title: String,
    bytes: Option<u64>,
    charted: bool,
    contenders: Vec<Figures>,
    goals: Vec<Verdict>,
}

/// The figures of one contender.
#[derive(Debug, Serialize)]
struct Figures {
    name: &'static str,
    command: String,
    wall: Spread,
    cpu: Spread,
    /// `None` where it was not measured.
    peak_anonymous: Option<u64>,
    /// Bytes of the file made, where that is compared.
    output: Option<u64>,
    /// Its time divided by ours, run by run. The first contender's own is 1.
    times_ours: Spread,
    samples: Vec<Sample>,
}

/// A goal and whether it was met.
#[derive(Debug, Serialize)]
struct Verdict {
    text: String,
    found: String,
    met: bool,
}

/// Runs the comparison and prints its report.
///
/// # Errors
/// When a program is missing or fails, or a folder cannot be written.
pub fn run(options: &Options) -> Result<()> {
    let programs = Programs {
        wimx: options.wimx.clone().map_or_else(own_wimx, Ok)?,
        wimlib: options.wimlib.clone(),
        seven_zip: machine::find_program(&["7zz", "7z"]),
    };
    let memory = scratch_in(&options.memory)?;
    let disk = scratch_in(&options.disk)?;
    let places = Places { memory: memory.path(), disk: disk.path() };
    let inputs = prepare(options, &programs, places)?;
    let out = memory.path().join("out");
    let disk_out = disk.path().join("out");
    let mut rows = rows::rows(&inputs, &programs, &out, &disk_out);
    rows.retain(|row| chosen(&options.rows, &row.name));
    let outputs = [out.as_path(), disk_out.as_path()];
    let mut measured = Vec::new();
    #[cfg(feature = "libwim")]
    if options.wim.is_none() {
        let is_chosen = |name: &str| chosen(&options.rows, name);
        measured.extend(codecs::measure(&options.corpus, &is_chosen, options.runs)?);
    }
    let nothing = rows.is_empty() && measured.is_empty();
    ensure!(!nothing, "no row begins with {}; see --help", options.rows.join(" or "));
    for row in &rows {
        eprintln!("measuring {}", row.name);
        let figures = measure_row(row, options.runs, &outputs);
        measured.push(figures.with_context(|| format!("measuring {}", row.name))?);
    }
    let machine = machine::Machine::describe(&programs)?;
    let report = Report { machine, origin: inputs.origin, runs: options.runs, rows: measured };
    print!("{}", report::markdown(&report));
    if let Some(folder) = &options.out {
        write(&report, folder)?;
    }
    Ok(())
}

fn write(report: &Report, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("comparison.md"), report::markdown(report))?;
    fs::write(folder.join("comparison.json"), serde_json::to_string_pretty(report)? + "\n")?;
    fs::write(folder.join("comparison.svg"), chart::svg(report))?;
    Ok(())
}

/// A folder that is removed when the comparison ends.
fn scratch_in(parent: &Path) -> Result<TempDir> {
    fs::create_dir_all(parent)?;
    let parent = fs::canonicalize(parent)?;
    TempDir::with_prefix_in("osupg-compare-", &parent)
        .with_context(|| format!("making a folder in {}", parent.display()))
}

fn prepare(options: &Options, programs: &Programs, places: Places<'_>) -> Result<Inputs> {
    if let Some(wim) = &options.wim {
        return inputs::from_wim(wim, programs, places);
    }
    // A WIM is made and copied only if some chosen row may work on it: rows about one kind end with
    // its name, rows about no kind in particular use LZX.
    let wanted = |kind: &str| {
        let general = |row: &String| inputs::KINDS.iter().all(|(_, name, _)| !row.ends_with(name));
        let needs = |row: &String| match row.as_str() {
            "verify" | "apply" => true,
            "recode" => matches!(kind, "lzx" | "xpress"),
            "recode-to-lzx" => kind == "xpress",
            "recode-to-xpress" => kind == "lzx",
            row if row.starts_with("capture") => false,
            _ if general(row) => kind == "lzx",
            _ => row.ends_with(kind),
        };
        options.rows.is_empty() || options.rows.iter().any(needs)
    };
    inputs::from_corpus(&fs::canonicalize(&options.corpus)?, &wanted, programs, places)
}

fn chosen(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|start| name.starts_with(start.as_str()))
}

/// `wimx` from the folder of this program.
fn own_wimx() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let wimx = this.with_file_name("wimx");
    ensure!(
        wimx.exists(),
        "{} is missing: cargo build --release -p wim-extract, or name one with --wimx",
        wimx.display()
    );
    Ok(wimx)
}

fn measure_row(row: &Row, runs: u32, outputs: &[&Path]) -> Result<Measured> {
    let mut samples = vec![Vec::new(); row.contenders.len()];
    let mut lengths = vec![None; row.contenders.len()];
    let rounds = match row.pace {
        Pace::Quick => 0..=runs,
        Pace::Slow => 1..=runs.div_ceil(3),
    };
    let mut room = 0;
    for round in rounds {
        for (at, contender) in row.contenders.iter().enumerate() {
            empty(outputs)?;
            touch_memory(outputs[0], contender.line.changed_bytes()? + room)?;
            let sample = measure::time(&contender.line)?;
            if round > 0 {
                samples[at].push(sample);
            }
            room = room.max(inputs::bytes_in(outputs[0])?);
            lengths[at] = match &row.output {
                Some(file) => Some(file.metadata()?.len()),
                None => None,
            };
        }
    }
    let mut contenders = Vec::new();
    for ((contender, own), output) in row.contenders.iter().zip(&samples).zip(lengths) {
        empty(outputs)?;
        let ours = samples[0].iter();
        contenders.push(Figures {
            name: contender.name,
            command: shortened(&contender.line.text(), outputs),
            wall: Spread::of(own.iter().map(|sample| sample.wall)),
            cpu: Spread::of(own.iter().map(Sample::cpu)),
            peak_anonymous: Some(measure::peak_anonymous(&contender.line)?),
            output,
            times_ours: Spread::of(own.iter().zip(ours).map(|(own, ours)| own.wall / ours.wall)),
            samples: own.clone(),
        });
    }
    empty(outputs)?;
    let goals = row.goals.iter().map(|goal| verdict(*goal, &contenders)).collect();
    let (name, title) = (row.name.clone(), row.title.clone());
    Ok(Measured { name, title, bytes: row.bytes, charted: row.charted, contenders, goals })
}

/// The command without the random names of scratch folders: outputs are in `OUT`, in memory or on the
/// disk, inputs beside it.
fn shortened(command: &str, outputs: &[&Path]) -> String {
    outputs.iter().fold(command.to_owned(), |text, out| {
        let beside = out.parent().unwrap_or(Path::new("/"));
        text.replace(&format!("{}", out.display()), "OUT")
            .replace(&format!("{}/", beside.display()), "")
    })
}

/// Gives every run empty folders for its output.
fn empty(folders: &[&Path]) -> Result<()> {
    for folder in folders {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir(folder)?;
    }
    Ok(())
}

/// Takes memory from the system and gives it back. A virtual machine may have handed free memory to its
/// host: then the first to write there waits four times as long (0.5 GB/s instead of 1.9 on a Xeon
/// under Firecracker), and which contender it hits depends on what ran before.
fn touch_memory(folder: &Path, bytes: u64) -> Result<()> {
    let path = folder.join("touched");
    io::copy(&mut io::repeat(0).take(bytes), &mut File::create(&path)?)?;
    Ok(fs::remove_file(path)?)
}

fn verdict(goal: Goal, contenders: &[Figures]) -> Verdict {
    let ratio = |peer: &str| {
        let peer = contenders.iter().find(|figures| figures.name == peer);
        peer.map_or(f64::NAN, |figures| figures.times_ours.median)
    };
    match goal {
        Goal::Faster(peer, wanted) => Verdict {
            text: format!("at least {wanted} × faster than {peer}"),
            found: format!("{:.2} ×", ratio(peer)),
            met: ratio(peer) >= wanted,
        },
        Goal::AtMost(peer, wanted) => Verdict {
            text: format!("at most {wanted} × the time of {peer}"),
            found: format!("{:.2} ×", 1.0 / ratio(peer)),
            met: 1.0 / ratio(peer) <= wanted,
        },
        Goal::Memory(wanted) => {
            let peak = contenders.first().and_then(|figures| figures.peak_anonymous);
            let peak = peak.unwrap_or(u64::MAX);
            Verdict {
                text: format!("at most {} of anonymous memory", rows::human(wanted)),
                found: rows::human(peak),
                met: peak <= wanted,
            }
        }
        Goal::NotLarger(peer) => {
            let output = |figures: Option<&Figures>| figures.and_then(|figures| figures.output);
            let of_peer = contenders.iter().find(|figures| figures.name == peer);
            let sizes = (output(contenders.first()), output(of_peer));
            let (ours, theirs) = (sizes.0.unwrap_or(u64::MAX) as f64, sizes.1.unwrap_or(0) as f64);
            Verdict {
                text: format!("not larger than {peer}'s"),
                found: format!("{:+.2} %", (ours / theirs - 1.0) * 100.0),
                met: ours <= theirs,
            }
        }
    }
}
