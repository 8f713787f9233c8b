//! `wimx export`: copies images to a new or an existing archive.

use serde::Serialize;
use wim_extract::archive::Wim;
use wim_extract::export::{
    self, Boot, Compression, Existing, Grouping, Options, Outcome, Pipable, Recompress,
    Verification,
};
use wim_extract::readers::{Extent, Shape};
use wim_extract::{Cancel, Error};
use wim_format::Codec;
use wim_format::header::Layout;

use crate::args::{ExportArgs, Global};
use crate::bar::Bar;
use crate::compression::{AROUND_SOLID, Method, chunks, warn_of_recovery};
use crate::failure::Failure;
use crate::target::{self, Aim};
use crate::writing::{
    archive_to_stdout, integrity, is_stdout, new_layout, pipable, refuse_contradictions,
    warn_of_pipable,
};
use crate::{interrupt, open, stdout};

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    destination: String,
    /// Indices of the exported images in the destination.
    images: Vec<u32>,
    /// Length of the destination in bytes.
    length: u64,
    /// Bytes that were copied as they were.
    copied: u64,
    /// Bytes that were decoded.
    decoded: u64,
    /// Blobs written.
    blobs: u64,
    /// Blobs that the destination had already.
    shared: u64,
    warnings: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &ExportArgs, global: &Global) -> Result<(), Failure> {
    let pipable = refuse_what_cannot_be(args)?;
    let out = is_stdout(&args.destination).then(|| archive_to_stdout(global)).transpose()?;
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    if args.check {
        open::check(&args.source, &args.references.globs, global, &bar, &cancel)?;
    }
    let wim = open::archive(&args.source, &args.references.globs, global, &bar)?;
    let images = wim.resolve(&args.image)?;
    if open::means_all(&args.image) {
        check_all(args, &wim)?;
    }
    let (compression, layout) = match out.is_none() && args.destination.exists() {
        true => check_destination(args, global, &bar, &cancel)?,
        false => (new_compression(args, &wim)?, new_layout(pipable, &args.destination)),
    };
    let layout = pipable.layout(layout);
    let options = options(args, compression, pipable, global)?;
    check_readers(args, &options, &wim, global, &bar, &cancel)?;
    if let Some(out) = out {
        export::to_stream(&wim, &images, out, &options, &bar, &cancel)?;
        return Ok(());
    }
    warn_of_pipable(layout, &bar);
    warn_of_recovery(args.compress, options.grouping, &bar);
    let outcome = export::run(&wim, &images, &args.destination, &options, &bar, &cancel)?;
    report(args, outcome, global, &bar)
}

/// Whether what reads the destination in the end will be able to. Of a copy nothing is said unless
/// that is asked for.
fn check_readers(
    args: &ExportArgs,
    options: &Options,
    wim: &Wim,
    global: &Global,
    bar: &Bar,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let Options { compression, grouping, pipable, .. } = *options;
    let aim = Aim { target: args.target, boot: args.boot, wimboot: args.wimboot };
    if !is_stdout(&args.destination) && args.destination.exists() {
        if args.target.is_none() {
            return Ok(());
        }
        let there = open::archive(&args.destination, &[], global, bar)?;
        let layout = pipable.layout(there.header().layout);
        let extent = Extent::of(&there, global.threads(), cancel)?;
        let shape = target::shape(compression, grouping, Some(&there), layout);
        return target::check(Shape { extent, ..shape }, aim, bar);
    }
    if args.target.is_none() && (compression, grouping) == (Compression::AsSource, Grouping::Keep) {
        return Ok(());
    }
    let layout = new_layout(pipable, &args.destination);
    target::check(target::shape(compression, grouping, Some(wim), layout), aim, bar)
}

/// What cannot be said of all images, even where there is only one.
fn check_all(args: &ExportArgs, wim: &Wim) -> Result<(), Failure> {
    if args.name.is_some() || args.description.is_some() {
        let message = "with all images no name or description can be given; leave it out";
        return Err(Error::Parameter(message.into()).into());
    }
    if args.boot && wim.header().boot_image().is_none() {
        return Err(Failure::Usage(format!(
            "{}: none of its images is marked to be booted; leave out --boot",
            wim.name()
        )));
    }
    Ok(())
}

/// Options that contradict each other, and those that need an encoder. Gives the layout.
fn refuse_what_cannot_be(args: &ExportArgs) -> Result<Pipable, Failure> {
    let is_new = is_stdout(&args.destination) || !args.destination.exists();
    if is_new || rebuilds(args) || args.chunk_size.is_some() {
        refuse_contradictions(args.nocheck, args.check, args.include_integrity)?;
    }
    if args.unsafe_compact && !args.destination.exists() {
        let message = "--unsafe-compact is for a destination that exists; leave it out";
        return Err(Failure::Usage(message.into()));
    }
    pipable(args.pipable, args.not_pipable)
}

/// Whether a destination that is there is written anew.
fn rebuilds(args: &ExportArgs) -> bool {
    args.rebuild || args.not_pipable || args.unsafe_compact
}

/// The compression of a new destination.
fn new_compression(args: &ExportArgs, wim: &Wim) -> Result<Compression, Failure> {
    if args.wimboot && args.compress.is_none() {
        return chunks(Some(Codec::Xpress), Some(args.chunk_size.unwrap_or(4 << 10)));
    }
    match (args.compress, args.chunk_size) {
        (None, None) if args.solid.solid => Ok(AROUND_SOLID),
        (None, None) => Ok(Compression::AsSource),
        (None, size) if args.solid.solid => chunks(Some(Codec::Lzms), size),
        (None, size) => chunks(wim.codec(), size),
        (Some(method), None) if method.codec == wim.codec() && method.codec.is_some() => {
            chunks(method.codec, Some(wim.header().chunk_size))
        }
        (Some(method), size) => method.chunks(size),
    }
}

/// Makes sure that an existing destination has the compression asked for, which cannot be changed; its
/// chunks can. Gives its layout, too.
fn check_destination(
    args: &ExportArgs,
    global: &Global,
    bar: &Bar,
    cancel: &Cancel,
) -> Result<(Compression, Layout), Failure> {
    if args.destination.is_dir() {
        let directory = args.destination.display();
        return Err(Failure::Usage(format!("{directory}: is a directory; name a file in it")));
    }
    if args.check {
        open::check(&args.destination, &[], global, bar, cancel)?;
    }
    let destination = open::archive(&args.destination, &[], global, bar)?;
    if args.compress.is_some_and(|method| method.codec != destination.codec()) {
        return Err(Failure::Usage(format!(
            "{}: has another compression, which --compress cannot change; leave it out",
            destination.name()
        )));
    }
    let compression = match args.chunk_size {
        None => Compression::AsSource,
        size => chunks(destination.codec(), size)?,
    };
    Ok((compression, destination.header().layout))
}

fn options(
    args: &ExportArgs,
    compression: Compression,
    pipable: Pipable,
    global: &Global,
) -> Result<Options, Failure> {
    Ok(Options {
        threads: global.threads(),
        name: args.name.clone(),
        description: args.description.clone(),
        properties: match args.wimboot {
            true => vec![("WIMBOOT".to_owned(), "1".to_owned())],
            false => Vec::new(),
        },
        boot: if args.boot { Boot::Mark } else { Boot::Leave },
        integrity: integrity(args.nocheck, args.check || args.include_integrity),
        compression,
        level: args.compress.map(Method::level).unwrap_or_default(),
        recompress: if args.recompress { Recompress::Always } else { Recompress::WhenNeeded },
        verification: if args.verify { Verification::Check } else { Verification::Trust },
        guid: args.guid,
        existing: if rebuilds(args) { Existing::Rebuild } else { Existing::Append },
        pipable,
        grouping: args.solid.grouping(Grouping::Keep)?,
    })
}

fn report(args: &ExportArgs, outcome: Outcome, global: &Global, bar: &Bar) -> Result<(), Failure> {
    let destination = args.destination.display().to_string();
    if global.json {
        let Outcome { images, len, copied, decoded, blobs, shared, .. } = outcome;
        let (length, warnings) = (len, bar.warnings());
        return stdout::json(&Document {
            destination,
            images,
            length,
            copied,
            decoded,
            blobs,
            shared,
            warnings,
        });
    }
    if global.quiet {
        return Ok(());
    }
    let images = match outcome.images[..] {
        [index] => format!("as image {index}"),
        _ => format!("as {} images", outcome.images.len()),
    };
    stdout::line(&format!(
        "Exported to \"{destination}\" {images}: {} blobs copied, {} there already.",
        outcome.blobs, outcome.shared
    ))
}
