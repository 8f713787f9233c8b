//! Writes an archive anew: without what nobody refers to, without some of its images, or in another
//! compression. The new file takes the place of the old one when it is complete.

use std::path::Path;

use wim_format::Level;
use wim_format::xml::EditError;

use crate::archive::{ImageIndex, Wim};
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::export::select::{Absent, Selection};
use crate::export::{self, Compression, Grouping, IntegrityTable, Recompress, Verification};
use crate::pipeline::Threads;
use crate::progress::Progress;
pub use crate::write::Pipable;
use crate::write::place::Locked;
use crate::write::session::{Context, Done, Session, parameter};

/// How to rebuild.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Number of threads. What is written does not depend on it.
    pub threads: Threads,
    /// Images that are left out. The others move up.
    pub without: Vec<ImageIndex>,
    /// The archive's compression from now on.
    pub compression: Compression,
    /// How hard the encoder tries, where something is compressed.
    pub level: Level,
    /// Which data is compressed anew.
    pub recompress: Recompress,
    /// Whether the archive has an integrity table from now on.
    pub integrity: IntegrityTable,
    /// Whether the SHA-1 of every copied blob is checked.
    pub verification: Verification,
    /// Whether the archive is pipable from now on.
    pub pipable: Pipable,
    /// Whether the data of files is put together from now on.
    pub grouping: Grouping,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Length of the archive before, in bytes.
    pub before: u64,
    /// Its length now.
    pub after: u64,
    /// Bytes copied as they were.
    pub copied: u64,
    /// Bytes decoded.
    pub decoded: u64,
    /// Whether the file was left alone, since it is what it would become.
    pub is_unchanged: bool,
}

/// Writes the archive at `path` anew, unless it is already what it would become.
///
/// # Errors
/// Those of [`Old::open`] and [`Old::rebuild`].
pub fn run(
    path: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    Old::open(path)?.rebuild(options, progress, cancel)
}

/// An archive that is to be written anew, for who has to look at it first. Others cannot write to it
/// for as long as it is open.
#[derive(Debug)]
pub struct Old(Locked);

impl Old {
    /// Opens the archive at `path`.
    ///
    /// # Errors
    /// It cannot be written to, is read-only, locked or part of a split set, or is no archive.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Locked::open(path).map(Self)
    }

    /// What is in it.
    #[must_use]
    pub fn wim(&self) -> &Wim {
        &self.0.wim
    }

    /// Writes it anew, unless it is already what it would become.
    ///
    /// # Errors
    /// Damaged metadata or data that has to be decoded; those of writing; [`Error::Cancelled`]. Unless
    /// it succeeds, the file is as it was.
    pub fn rebuild(
        self,
        options: &Options,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Outcome, Error> {
        rebuild(&self.0, options, progress, cancel)
    }
}

fn rebuild(
    old: &Locked,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let wim = &old.wim;
    let coding = export::add::coding(wim, options.compression);
    let context = Context { threads: options.threads, progress, cancel };
    let kept: Vec<_> = wim.images().filter(|image| !options.without.contains(image)).collect();
    let layout = options.pipable.layout(wim.header().layout);
    let packing = options.grouping.packing(coding, options.level, layout, Some(wim))?;
    let mut session = Session::rebuild(old, coding, layout)?;
    let Options { recompress, grouping, .. } = *options;
    let others = match copies_all(options, wim, coding) {
        true => session.copy_ahead(context),
        false => context.threads,
    };
    let selection = Selection::of(wim, &kept, Absent::Leave, others, cancel)?;
    let meanwhile = Context { threads: others, ..context };
    export::keep(&mut session, selection, recompress, grouping, packing, meanwhile)?;
    remove_images(&mut session, &options.without).map_err(parameter)?;
    let before = wim.parts()[0].source.len();
    let done = session.finish(options.integrity, options.verification, context)?;
    let Done { len: after, copied, decoded, is_unchanged, .. } = done;
    Ok(Outcome { before, after, copied, decoded, is_unchanged })
}

/// Whether all data that something refers to is copied as it is.
fn copies_all(options: &Options, wim: &Wim, coding: Coding) -> bool {
    options.without.is_empty()
        && options.recompress == Recompress::WhenNeeded
        && coding == wim.coding()
        && options.grouping == Grouping::Keep
}

/// How long the archive would be if it were written anew, all images kept and all data copied.
///
/// # Errors
/// Damaged metadata; [`Error::Cancelled`].
pub fn estimate(wim: &Wim, threads: Threads, cancel: &Cancel) -> Result<u64, Error> {
    let table = match wim.header().integrity.size {
        0 => IntegrityTable::Omit,
        _ => IntegrityTable::Write,
    };
    let options = export::Options { threads, integrity: table, ..Default::default() };
    let images: Vec<_> = wim.images().collect();
    let selection = Selection::of(wim, &images, Absent::Leave, threads, cancel)?;
    Ok(export::plan_of(&selection, &options)?.len())
}

/// Takes images out of what the XML and the header say.
pub(crate) fn remove_images(
    session: &mut Session<'_>,
    images: &[ImageIndex],
) -> Result<(), EditError> {
    let mut images: Vec<u32> = images.iter().map(|image| image.get()).collect();
    images.sort_unstable();
    images.dedup();
    for &image in images.iter().rev() {
        session.xml.remove_image(image)?;
        let boot = session.header.boot_index;
        session.header.boot_index = match boot.cmp(&image) {
            std::cmp::Ordering::Less => boot,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => boot - 1,
        };
    }
    Ok(())
}
