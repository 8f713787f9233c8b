//! `wimx dir`: lists the files of an image.

mod detail;
mod entry;

use std::io::{self, Write};
use std::sync::Arc;

use wim_extract::Error;
use wim_extract::archive::{ImageIndex, ImageTree, Wim};
use wim_format::metadata::{DentryId, WalkEntry};

use self::detail::Details;
use crate::args::{DirArgs, Global};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::{open, paths, stdout};

/// Runs the command.
pub(crate) fn run(args: &DirArgs, global: &Global) -> Result<(), Failure> {
    let bar = Bar::new(global);
    let wim = open::archive(&args.wim, &args.references.globs, global, &bar)?;
    let images = open::images(&wim, args.image.as_deref())?;
    if global.json {
        return json(&wim, &images, args);
    }
    stdout::with(|out| {
        for image in images {
            let listing = Listing::new(&wim, image, args)?;
            match args.detailed {
                true => listing.detailed(out)?,
                false => listing.paths(out)?,
            }
        }
        Ok(())
    })
}

/// One document for all images; nothing is printed before all of them could be read.
fn json(wim: &Wim, images: &[ImageIndex], args: &DirArgs) -> Result<(), Failure> {
    let listings: Result<Vec<_>, _> =
        images.iter().map(|&image| Listing::new(wim, image, args)).collect();
    let listings = listings?;
    stdout::with(|out| {
        write!(out, "{{\"images\":[")?;
        for (position, listing) in listings.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(out, "{comma}{{\"index\":{},\"entries\":[", listing.image)?;
            listing.json(out)?;
            write!(out, "]}}")?;
        }
        write!(out, "],\"warnings\":")?;
        serde_json::to_writer(&mut *out, wim.warnings()).map_err(io::Error::from)?;
        Ok(writeln!(out, "}}")?)
    })
}

/// What is listed of one image.
struct Listing<'w> {
    wim: &'w Wim,
    image: ImageIndex,
    tree: Arc<ImageTree>,
    start: DentryId,
    depth: Depth,
    detailed: bool,
}

/// How far a listing reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    OneFile,
    Everything,
}

impl<'w> Listing<'w> {
    fn new(wim: &'w Wim, image: ImageIndex, args: &DirArgs) -> Result<Self, Error> {
        let tree = wim.metadata(image)?;
        let start = match &args.path {
            Some(path) => paths::find(&tree, path, paths::case_from_environment())
                .ok_or_else(|| paths::not_found(wim, image, path))?,
            None => DentryId::ROOT,
        };
        let depth = if args.one_file_only { Depth::OneFile } else { Depth::Everything };
        Ok(Self { wim, image, tree, start, depth, detailed: args.detailed })
    }

    fn paths(&self, out: &mut impl Write) -> io::Result<()> {
        self.each(|entry| {
            out.write_all(entry.path)?;
            out.write_all(b"\n")
        })
    }

    fn detailed(&self, out: &mut impl Write) -> io::Result<()> {
        let details = Details::new(self.wim, &self.tree);
        self.each(|entry| details.print(entry, out))
    }

    fn json(&self, out: &mut impl Write) -> io::Result<()> {
        let details = Details::new(self.wim, &self.tree);
        let mut comma = "";
        self.each(|entry| {
            write!(out, "{comma}")?;
            comma = ",";
            let view = details.entry(entry, self.detailed);
            Ok(serde_json::to_writer(&mut *out, &view)?)
        })
    }

    /// Visits what is to be listed; after the first error nothing more is printed.
    fn each(&self, mut print: impl FnMut(WalkEntry<'_>) -> io::Result<()>) -> io::Result<()> {
        if self.depth == Depth::OneFile {
            let path = self.tree.path(self.start);
            return print(WalkEntry { id: self.start, path: &path });
        }
        let mut result = Ok(());
        self.tree.walk(self.start, |entry| {
            if result.is_ok() {
                result = print(entry);
            }
        });
        result
    }
}
