//! `wimx convert`: all images to a file of another kind.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use wim_extract::convert::{self, Options, Outcome};
use wim_extract::export::{Compression, Grouping, Verification};
use wim_format::Codec;
use wim_format::header::Layout;

use crate::args::{Global, References};
use crate::bar::Bar;
use crate::compression::{
    AROUND_SOLID, Method, chunks, parse_guid, parse_method, parse_size, solid, warn_of_recovery,
};
use crate::failure::Failure;
use crate::target::{self, Aim, Target};
use crate::writing::{integrity, refuse_contradictions};
use crate::{interrupt, open, stdout};

/// Write all images of a WIM to a new file of another kind: WIM to ESD, ESD to WIM, XPRESS to LZX
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ConvertArgs {
    /// The WIM to read, or an ISO that holds one
    #[arg(value_name = "SRC_WIMFILE")]
    source: PathBuf,
    /// The file to write; it must not exist
    #[arg(value_name = "DEST_WIMFILE")]
    destination: PathBuf,
    /// What it becomes; by default an ESD if its name ends in .esd, else a WIM
    #[arg(long, value_name = "KIND", value_enum)]
    to: Option<Kind>,
    /// Compression: none, xpress, lzx or lzms, with an optional :LEVEL; lzx for a WIM, lzms for an ESD
    #[arg(long, value_name = "TYPE[:LEVEL]", value_parser = parse_method)]
    compress: Option<Method>,
    /// Compression chunk size; 32K for a WIM, 64M for an ESD
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    chunk_size: Option<u32>,
    /// Check the source's integrity table first and write one
    #[arg(long)]
    check: bool,
    /// Write no integrity table
    #[arg(long, alias = "no-check")]
    nocheck: bool,
    /// Write an integrity table; by default there is one if the source has one
    #[arg(long)]
    include_integrity: bool,
    /// Check the SHA-1 of what is copied, too
    #[arg(long)]
    verify: bool,
    /// GUID of the new file (32 hexadecimal digits, dashes allowed); random by default
    #[arg(long, value_parser = parse_guid)]
    guid: Option<[u8; 16]>,
    /// Refuse what this reader could not read
    #[arg(long = "for", value_name = "READER", value_enum)]
    target: Option<Target>,
    #[command(flatten)]
    references: References,
}

/// What a file becomes. (Comments that clap shows would make the help of all options long.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    // Each file's data by itself
    Wim,
    // File data together, in one solid resource
    Esd,
}

const HELP: &str = "\
Images, their order and metadata, what the XML says of them and the boot mark stay as they are. Data
that is compressed as it is to be already is copied. The new file is complete or not there.

Examples:
  wimx convert install.esd install.wim
  wimx convert install.wim install.esd
  wimx convert install.wim small.esd --compress=lzms:100
  wimx convert fast.wim small.wim --compress=lzx:100 --check
  wimx convert win.iso /media/usb/sources/install.wim --for=setup
  wimx convert install.swm whole.wim --ref='install*.swm'

An ESD takes long to make, and some 700 MB of memory for each thread; of threads only as many are
used as there is memory for.

JSON: {\"destination\", \"images\", \"length\", \"copied\", \"decoded\", \"warnings\": [text]}.";

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    destination: String,
    /// How many images there are.
    images: u32,
    /// Length of the destination in bytes.
    length: u64,
    /// Bytes that were copied as they were.
    copied: u64,
    /// Bytes that were decoded.
    decoded: u64,
    warnings: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &ConvertArgs, global: &Global) -> Result<(), Failure> {
    refuse_contradictions(args.nocheck, args.check, args.include_integrity)?;
    if args.destination.symlink_metadata().is_ok() {
        return Err(Failure::Usage(format!(
            "{}: exists already; choose another name, or remove it first",
            args.destination.display()
        )));
    }
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let options = options(args, global)?;
    if args.check {
        open::check(&args.source, &args.references.globs, global, &bar, &cancel)?;
    }
    let wim = open::archive(&args.source, &args.references.globs, global, &bar)?;
    let Options { compression, grouping, .. } = options;
    warn_of_recovery(args.compress, grouping, &bar);
    let shape = target::shape(compression, grouping, Some(&wim), Layout::Normal);
    target::check(shape, Aim { target: args.target, boot: false, wimboot: false }, &bar)?;
    let outcome = convert::run(&wim, &args.destination, &options, &bar, &cancel)?;
    report(args, outcome, global, &bar)
}

fn options(args: &ConvertArgs, global: &Global) -> Result<Options, Failure> {
    let (compression, grouping) = match args.to.unwrap_or_else(|| by_name(&args.destination)) {
        Kind::Wim => (single(args)?, Grouping::Single),
        Kind::Esd => (AROUND_SOLID, Grouping::Solid(solid(args.compress, args.chunk_size)?)),
    };
    Ok(Options {
        threads: global.threads(),
        compression,
        level: args.compress.map(Method::level).unwrap_or_default(),
        grouping,
        integrity: integrity(args.nocheck, args.check || args.include_integrity),
        verification: if args.verify { Verification::Check } else { Verification::Trust },
        guid: args.guid,
    })
}

/// What the extension of a name says.
fn by_name(destination: &Path) -> Kind {
    let is_esd = |extension: &std::ffi::OsStr| extension.eq_ignore_ascii_case("esd");
    if destination.extension().is_some_and(is_esd) { Kind::Esd } else { Kind::Wim }
}

fn single(args: &ConvertArgs) -> Result<Compression, Failure> {
    match args.compress {
        Some(method) => method.chunks(args.chunk_size),
        None => chunks(Some(Codec::Lzx), Some(args.chunk_size.unwrap_or(32 << 10))),
    }
}

fn report(args: &ConvertArgs, outcome: Outcome, global: &Global, bar: &Bar) -> Result<(), Failure> {
    let destination = args.destination.display().to_string();
    let Outcome { images, len, copied, decoded } = outcome;
    if global.json {
        let (length, warnings) = (len, bar.warnings());
        return stdout::json(&Document { destination, images, length, copied, decoded, warnings });
    }
    if global.quiet {
        return Ok(());
    }
    let source = args.source.display();
    let images = if images == 1 { "1 image".to_owned() } else { format!("{images} images") };
    stdout::line(&format!("Converted \"{source}\" to \"{destination}\": {images}, {len} bytes."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_name() {
        for (name, kind) in [
            ("a.esd", Kind::Esd),
            ("dir.esd/A.ESD", Kind::Esd),
            ("a.wim", Kind::Wim),
            ("a.esd.wim", Kind::Wim),
            ("esd", Kind::Wim),
            (".esd", Kind::Wim),
        ] {
            assert_eq!(by_name(Path::new(name)), kind, "{name}");
        }
    }
}
