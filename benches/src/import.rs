//! How fast media become a package, and what the next month's media add to the library.
//!
//! A media tree is made by rule: an install.wim of files of many sizes, half of what they hold
//! compressible, and other files beside it. `osupg package add` takes it in, into a fresh store each
//! time; then one file in twenty of every size is made anew and `osupg package refresh` takes in the
//! result. With folder and store on a tmpfs no disk is measured.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::Value;

use crate::compare::measure::anonymous;

/// Sizes of files, and how many of each there are for one of the largest.
const MIX: [(usize, u64); 5] =
    [(64 << 20, 1), (4 << 20, 8), (400 << 10, 30), (40 << 10, 100), (4 << 10, 200)];
/// One file in so many changes from one month to the next.
const CHANGED: u64 = 20;
/// The share of the media that is not in install.wim: a tenth.
const BESIDE: u64 = 10;

/// What to make and measure.
#[derive(Debug, Args)]
pub struct Options {
    /// MiB of media.
    #[arg(long, default_value_t = 5 << 10)]
    size: u64,
    /// How install.wim is compressed: none, XPRESS or LZX.
    #[arg(long, default_value = "none")]
    compress: String,
    /// How often the media are added, to a fresh store each time; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Where media and store are, with room for both: a tmpfs.
    #[arg(long, default_value = "/dev/shm")]
    folder: PathBuf,
    /// Where the files that go into install.wim are made.
    #[arg(long)]
    scratch: Option<PathBuf>,
}

/// Makes media and measures.
pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let scratch = match &options.scratch {
        Some(scratch) => tempfile::tempdir_in(scratch)?,
        None => tempfile::tempdir()?,
    };
    let media = folder.path().join("media");
    let size = make(&media, scratch.path(), options, 0)?;
    println!("{:.2} GB of media, install.wim with --compress={}\n", gb(size), options.compress);
    println!(
        "| step | time | MB/s | CPU | peak anonymous memory | new bytes |\n|---|---|---|---|---|---|"
    );
    let home = folder.path().join("home");
    let mut adds = Vec::new();
    for _ in 0..options.runs.max(1) {
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        adds.push(osupg(&home, &["package", "add", &text(&media), "--name", "Media"])?);
    }
    adds.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    for (run, name) in
        [(&adds[adds.len() / 2], "add, median"), (&adds[adds.len() - 1], "add, slowest")]
    {
        run.row(name, size);
    }
    fs::remove_dir_all(&media)?;
    let size = make(&media, scratch.path(), options, 1)?;
    let refreshed = osupg(&home, &["package", "refresh", "Media"])?;
    refreshed.row("refresh", size);
    println!(
        "\nnew bytes of the refresh: {:.2} % of the media",
        100.0 * refreshed.new as f64 / size as f64
    );
    Ok(())
}

fn gb(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Makes the media of a month; returns their bytes.
fn make(media: &Path, scratch: &Path, options: &Options, month: u64) -> Result<u64> {
    let size = options.size << 20;
    let tree = scratch.join("tree");
    fill(&tree, size - size / BESIDE, month, 1)?;
    fill(&media.join("sources/other"), size / BESIDE, month, 2)?;
    fs::write(media.join("setup.exe"), "MZ")?;
    let wim = media.join("sources/install.wim");
    let done = Command::new(beside("wimx")?)
        .arg("capture")
        .args([&tree, &wim])
        .arg(format!("--compress={}", options.compress))
        .stdout(Stdio::null())
        .status()?;
    ensure!(done.success(), "wimx capture failed: {done}");
    fs::remove_dir_all(&tree)?;
    let other = size / BESIDE / group() * group();
    Ok(fs::metadata(&wim)?.len() + other)
}

/// The bytes of one file of the largest size with all the smaller ones that come with it.
fn group() -> u64 {
    MIX.iter().map(|(size, count)| *size as u64 * count).sum()
}

/// Fills a folder with as many groups of files as fit.
fn fill(folder: &Path, bytes: u64, month: u64, seed: u64) -> Result<()> {
    fs::create_dir_all(folder)?;
    let groups = bytes / group();
    ensure!(groups > 0, "there must be {} MiB at least", (group() * BESIDE) >> 20);
    for (size, count) in MIX {
        for number in 0..groups * count {
            // In the middle of each run of twenty, so that ten of the largest have one, too.
            let version = if number % CHANGED == CHANGED / 2 { month } else { 0 };
            let path = folder.join(format!("{size}-{number}.bin"));
            let file = File::create(&path).with_context(|| path.display().to_string())?;
            write(file, size, seed << 56 | version << 52 | (size as u64) << 20 | number)?;
        }
    }
    Ok(())
}

/// Writes bytes of which every other block of 4 KiB compresses well, none twice.
fn write(file: File, size: usize, seed: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut state = seed;
    let mut block = [0_u8; 4096];
    for number in 0..size / block.len() {
        let words = if number % 2 == 0 { block.len() / 8 } else { block.len() / 64 };
        for word in 0..words {
            // SplitMix64.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            block[word * 8..word * 8 + 8].copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        }
        let made = words * 8;
        let mut filled = made;
        while filled < block.len() {
            block.copy_within(0..made, filled);
            filled += made;
        }
        out.write_all(&block)?;
    }
    Ok(out.flush()?)
}

/// A program that was built with this one.
fn beside(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{} is missing: `cargo build --release` makes it", path.display());
    Ok(path)
}

/// A command that was measured.
struct Run {
    wall: f64,
    cpu: f64,
    peak: u64,
    new: u64,
}

impl Run {
    fn row(&self, name: &str, size: u64) {
        println!(
            "| {name} | {:.1} s | {:.0} | {:.1} s | {:.0} MB | {:.3} GB |",
            self.wall,
            size as f64 / 1e6 / self.wall,
            self.cpu,
            self.peak as f64 / 1e6,
            gb(self.new)
        );
    }
}

/// Runs osupg, with a look at its memory every few milliseconds.
fn osupg(home: &Path, arguments: &[&str]) -> Result<Run> {
    let mut command = Command::new(beside("osupg")?);
    command.args(["--home", &text(home), "--json"]).args(arguments).stdout(Stdio::piped());
    let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let start = Instant::now();
    let mut child = command.spawn()?;
    let id = child.id();
    let output = child.stdout.take().context("its output is piped")?;
    let reader = thread::spawn(move || serde_json::from_reader::<_, Value>(output));
    let mut peak = 0;
    let status = loop {
        peak = peak.max(anonymous(id).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let wall = start.elapsed().as_secs_f64();
    ensure!(status.success(), "osupg {arguments:?} failed: {status}");
    let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let spent = |part: fn(&Usage) -> nix::sys::time::TimeVal| {
        (part(&after) - part(&before)).num_microseconds() as f64 / 1e6
    };
    let outcome = reader.join().map_err(|_| anyhow::anyhow!("the output was not read"))??;
    let new = outcome["work"]["new_size"].as_u64().context("the outcome says what is new")?;
    Ok(Run { wall, cpu: spent(Usage::user_time) + spent(Usage::system_time), peak, new })
}
