//! `wimx join`: the parts of a split set as one archive again.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wim_extract::export::Verification;
use wim_extract::join::{self, Options, Outcome};
use wim_extract::{Error, Progress, source, verify};

use crate::args::Global;
use crate::bar::Bar;
use crate::failure::Failure;
use crate::{interrupt, open, stdout, writing};

/// Join the parts of a split WIM (SWM) into one WIM
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct JoinArgs {
    /// The WIM to write; a file of that name is replaced
    #[arg(value_name = "OUT_WIMFILE")]
    destination: PathBuf,
    /// All parts of the set, in any order
    #[arg(value_name = "SPLIT_WIM_PART", required = true)]
    parts: Vec<PathBuf>,
    /// Check the integrity tables first and write one
    #[arg(long)]
    check: bool,
    /// Write an integrity table
    #[arg(long)]
    include_integrity: bool,
    /// Check the SHA-1 of every blob while it is copied
    #[arg(long)]
    verify: bool,
}

const HELP: &str = "\
Data is copied as it is, in the kernel where that is possible. The WIM is complete or not there.
A part that is missing, given twice or of another set ends with code 62.

Examples:
  wimx join install.wim install*.swm
  wimx join install.wim part2.swm part1.swm --check

JSON: {\"destination\", \"parts\", \"length\", \"copied\", \"blobs\", \"warnings\": [text]}.";

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    destination: String,
    /// How many parts there were.
    parts: u16,
    /// Length of the destination in bytes.
    length: u64,
    /// Bytes that were copied as they were.
    copied: u64,
    blobs: u64,
    warnings: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &JoinArgs, global: &Global) -> Result<(), Failure> {
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let parts = args.parts.iter().map(|part| source::open(part, open::access(global)));
    let parts = parts.collect::<Result<Vec<_>, _>>().map_err(Error::from)?;
    if args.check {
        let without = verify::check_integrity(&parts, global.threads(), &bar, &cancel)?;
        open::warn_of_no_table(&without, &bar);
    }
    let wim = join::open(parts)?;
    wim.warnings().iter().for_each(|warning| bar.warning(warning));
    let options = Options {
        threads: global.threads(),
        integrity: writing::integrity(false, args.check || args.include_integrity),
        verification: if args.verify { Verification::Check } else { Verification::Trust },
    };
    let outcome = join::run(&wim, &args.destination, &options, &bar, &cancel)?;
    report(args, &outcome, global, &bar)
}

fn report(args: &JoinArgs, outcome: &Outcome, global: &Global, bar: &Bar) -> Result<(), Failure> {
    let destination = args.destination.display().to_string();
    let Outcome { parts, len, copied, blobs, .. } = *outcome;
    if global.json {
        let (length, warnings) = (len, bar.warnings());
        return stdout::json(&Document { destination, parts, length, copied, blobs, warnings });
    }
    if global.quiet {
        return Ok(());
    }
    let of = if parts == 1 { "1 part".to_owned() } else { format!("{parts} parts") };
    stdout::line(&format!("Joined {of} into \"{destination}\": {blobs} blobs, {len} bytes."))
}
