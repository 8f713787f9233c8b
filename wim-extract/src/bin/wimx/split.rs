//! `wimx split`: an archive in parts, for media that take no large files.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wim_extract::Error;
use wim_extract::archive::Wim;
use wim_extract::export::{Compression, Grouping, Verification};
use wim_extract::readers::{Extent, Shape};
use wim_extract::split::{self, Options, Outcome};

use crate::args::Global;
use crate::bar::Bar;
use crate::compression::{Method, chunks, parse_guid, parse_method, warn_of_recovery};
use crate::failure::Failure;
use crate::target::{self, Aim, Target};
use crate::{interrupt, open, stdout, writing};

/// Split a WIM into parts (SWM) that fit on media with a limit
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct SplitArgs {
    /// The WIM to split, or an ISO that holds one
    #[arg(value_name = "WIMFILE")]
    wim: PathBuf,
    /// The first part; the others get their numbers before its extension
    #[arg(value_name = "SPLIT_WIM_PART_1")]
    first: PathBuf,
    /// Most MiB of data in a part; fractions allowed
    #[arg(value_name = "PART_SIZE_MB", value_parser = parse_part_size)]
    part_size: f64,
    /// Check the integrity table first and write one into every part
    #[arg(long)]
    check: bool,
    /// Write an integrity table into every part
    #[arg(long)]
    include_integrity: bool,
    /// Check the SHA-1 of every blob while it is copied
    #[arg(long)]
    verify: bool,
    /// Compression of the parts: none, xpress, lzx or lzms, with an optional :LEVEL
    #[arg(long, value_name = "TYPE[:LEVEL]", value_parser = parse_method)]
    compress: Option<Method>,
    /// Refuse what this reader could not read
    #[arg(long = "for", value_name = "READER", value_enum)]
    target: Option<Target>,
    /// GUID of the set (32 hexadecimal digits, dashes allowed); random by default
    #[arg(long, value_parser = parse_guid)]
    guid: Option<[u8; 16]>,
}

const HELP: &str = "\
Data is copied as it is, in the kernel where that is possible. A part is larger than PART_SIZE_MB
only when a single file's data is. All parts appear, or none does.

Of an ESD, whose files are compressed together, they are compressed anew, each by itself, with lzx if
--compress says nothing else (wimlib-imagex refuses ESDs).

Examples:
  wimx split install.wim install.swm 3800
  wimx split install.esd install.swm 3800
  wimx split win.iso /media/usb/sources/install.swm 3800 --check --for=setup
  wimx apply install.swm 1 dir --ref='install*.swm'

JSON: {\"parts\": [{path, length, blobs}], \"copied\", \"decoded\", \"warnings\": [text]}.";

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    parts: Vec<PartView>,
    /// Bytes that were copied as they were.
    copied: u64,
    /// Bytes that were decoded.
    decoded: u64,
    warnings: Vec<String>,
}

/// A part that was written.
#[derive(Serialize)]
struct PartView {
    path: String,
    /// In bytes.
    length: u64,
    blobs: u64,
}

/// Runs the command.
pub(crate) fn run(args: &SplitArgs, global: &Global) -> Result<(), Failure> {
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let part_size = bytes(args.part_size)?;
    if args.check {
        open::check(&args.wim, &[], global, &bar, &cancel)?;
    }
    let wim = open::archive(&args.wim, &[], global, &bar)?;
    let compression = compression(args, &wim)?;
    check_reader(args.target, compression, &wim, &bar)?;
    warn_of_recovery(args.compress, Grouping::Single, &bar);
    let options = Options {
        threads: global.threads(),
        integrity: writing::integrity(false, args.check || args.include_integrity),
        verification: if args.verify { Verification::Check } else { Verification::Trust },
        guid: args.guid,
        compression,
        level: args.compress.map(Method::level).unwrap_or_default(),
    };
    let outcome = split::run(&wim, &args.first, part_size, &options, &bar, &cancel)?;
    report(args, &outcome, global, &bar)
}

/// The compression of the parts. One of the archive's own codec keeps its chunks.
fn compression(args: &SplitArgs, wim: &Wim) -> Result<Compression, Failure> {
    match args.compress {
        None => Ok(Compression::AsSource),
        Some(method) if method.codec.is_some() && method.codec == wim.codec() => {
            chunks(method.codec, Some(wim.header().chunk_size))
        }
        Some(method) => method.chunks(None),
    }
}

/// Whether what reads the parts in the end will be able to.
fn check_reader(
    target: Option<Target>,
    compression: Compression,
    wim: &Wim,
    bar: &Bar,
) -> Result<(), Failure> {
    if target.is_none() {
        return Ok(());
    }
    let compression = split::compression_of_parts(wim, compression);
    let shape = target::shape(compression, Grouping::Single, Some(wim), wim.header().layout);
    let aim = Aim { target, boot: false, wimboot: false };
    target::check(Shape { extent: Extent::Parts, ..shape }, aim, bar)
}

fn parse_part_size(text: &str) -> Result<f64, String> {
    text.trim_start()
        .parse()
        .map_err(|_| "this is not a number of MiB, such as 3800 or 0.5".to_owned())
}

/// The part size in bytes.
fn bytes(mib: f64) -> Result<u64, Failure> {
    let bytes = mib * f64::from(1 << 20);
    if !(1.0..u64::MAX as f64).contains(&bytes) {
        let message = format!("parts of {mib} MiB make no sense; choose a size such as 3800");
        return Err(Error::Parameter(message).into());
    }
    Ok(bytes as u64)
}

fn report(args: &SplitArgs, outcome: &Outcome, global: &Global, bar: &Bar) -> Result<(), Failure> {
    let path = |part: &split::Part| part.path.display().to_string();
    if global.json {
        let view =
            |part: &split::Part| PartView { path: path(part), length: part.len, blobs: part.blobs };
        return stdout::json(&Document {
            parts: outcome.parts.iter().map(view).collect(),
            copied: outcome.copied,
            decoded: outcome.decoded,
            warnings: bar.warnings(),
        });
    }
    if global.quiet {
        return Ok(());
    }
    let wim = args.wim.display();
    stdout::line(&match &outcome.parts[..] {
        [first, .., last] => format!(
            "Split \"{wim}\" into {} parts: \"{}\" to \"{}\".",
            outcome.parts.len(),
            path(first),
            path(last)
        ),
        _ => format!("\"{wim}\" fits into one part: \"{}\".", args.first.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_mebibytes_and_fractions_of_them() {
        for (text, expected) in
            [("3800", 3800 << 20), ("0.5", 1 << 19), ("1e3", 1000 << 20), (" 1", 1 << 20)]
        {
            let size = parse_part_size(text).expect("a number");
            assert_eq!(bytes(size).expect("a size"), expected, "{text}");
        }
        for text in ["0", "-1", "0.0000001", "inf", "nan", "1e300"] {
            let size = parse_part_size(text).expect("a number");
            assert_eq!(bytes(size).expect_err(text).code(), 24, "{text}");
        }
        for text in ["", " ", "abc", "1x", "1 "] {
            assert!(parse_part_size(text).is_err(), "{text}");
        }
    }
}
