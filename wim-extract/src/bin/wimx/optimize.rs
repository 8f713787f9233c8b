//! `wimx optimize`: writes a file anew, smaller.

use wim_extract::archive::Wim;
use wim_extract::export::{Compression, Grouping, Recompress, Verification};
use wim_extract::rebuild::{self, Options};
use wim_format::Codec;

use crate::args::{Global, OptimizeArgs};
use crate::bar::Bar;
use crate::compression::{AROUND_SOLID, Method, chunks, warn_of_recovery};
use crate::failure::Failure;
use crate::target::{self, Aim};
use crate::writing::{Lengths, checked_table, pipable, warn_of_pipable};
use crate::{interrupt, open};

/// Runs the command.
pub(crate) fn run(args: &OptimizeArgs, global: &Global) -> Result<(), Failure> {
    let pipable = pipable(args.pipable, args.not_pipable)?;
    let grouping = args.solid.grouping(Grouping::Keep)?;
    let recompress =
        args.recompress || args.compress.is_some() || args.chunk_size.is_some() || args.solid.solid;
    if recompress && args.table.unsafe_compact {
        let message =
            "--unsafe-compact keeps the compression; leave out it or what compresses anew";
        return Err(Failure::Compaction(message.into()));
    }
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let integrity = checked_table(&args.table, &args.wim, global, &bar, &cancel)?;
    let warn_of_readers = |wim: &Wim, compression| -> Result<(), Failure> {
        if args.target.is_some() || recompress {
            let layout = pipable.layout(wim.header().layout);
            let shape = target::shape(compression, grouping, Some(wim), layout);
            target::check(shape, Aim { target: args.target, boot: false, wimboot: false }, &bar)?;
        }
        Ok(())
    };
    let done = if args.dry_run {
        let wim = open::archive(&args.wim, &[], global, &bar)?;
        warn_of_readers(&wim, compression(args, &wim)?)?;
        if recompress {
            return Err(Failure::Usage(
                "--dry-run: what compressing will save is known only when it is done; leave out \
                 --compress, --recompress, --chunk-size and --solid"
                    .into(),
            ));
        }
        let before = wim.parts()[0].source.len();
        let after = rebuild::estimate(&wim, global.threads(), &cancel)?;
        rebuild::Outcome { before, after, ..Default::default() }
    } else {
        let old = open::to_rebuild(&args.wim, &bar)?;
        let compression = compression(args, old.wim())?;
        warn_of_recovery(args.compress, grouping, &bar);
        warn_of_readers(old.wim(), compression)?;
        let options = Options {
            threads: global.threads(),
            compression,
            level: args.compress.map(Method::level).unwrap_or_default(),
            recompress: if recompress { Recompress::Always } else { Recompress::WhenNeeded },
            integrity,
            verification: if args.verify { Verification::Check } else { Verification::Trust },
            pipable,
            grouping,
            ..Default::default()
        };
        warn_of_pipable(pipable.layout(old.wim().header().layout), &bar);
        old.rebuild(&options, &bar, &cancel)?
    };
    let (wim, warnings) = (args.wim.display().to_string(), bar.warnings());
    let verb = match args.dry_run {
        true => "Would optimize",
        false if done.is_unchanged => "Nothing to optimize in",
        false => "Optimized",
    };
    Lengths {
        wim,
        before: done.before,
        after: done.after,
        stored: None,
        excluded: Vec::new(),
        warnings,
    }
    .report(verb, global)
}

fn compression(args: &OptimizeArgs, wim: &Wim) -> Result<Compression, Failure> {
    match (args.compress, args.chunk_size) {
        (None, None) if args.solid.solid => Ok(AROUND_SOLID),
        (None, None) => Ok(Compression::AsSource),
        (None, size) if args.solid.solid => chunks(Some(Codec::Lzms), size),
        (None, size) => chunks(wim.codec(), size),
        (Some(method), None) if method.codec.is_some() && method.codec == wim.codec() => {
            chunks(method.codec, Some(wim.header().chunk_size))
        }
        (Some(method), size) => method.chunks(size),
    }
}
