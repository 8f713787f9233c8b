//! Changes the tree of an image: files and directories are added, removed and renamed, all of it or
//! nothing. Also removes and reorders images in place.
//!
//! The commands work on the tree in memory. Then the data of new files is packed behind what the
//! archive holds, and the image gets new metadata; what nobody refers to any more leaves the blob
//! table, and the file when it is next written anew ([`rebuild`](crate::rebuild)).

mod tree;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use wim_format::header::Layout;
use wim_format::metadata::ImageBuilder;
use wim_format::name::CaseSensitivity;
use wim_format::time::FileTime;
use wim_format::{Level, Sha1Hash};

use self::tree::Edit;
use crate::archive::{ImageIndex, ImageTree, Wim};
use crate::cancel::Cancel;
use crate::capture::{Exclusions, Links, Replace, UnixMetadata};
use crate::error::Error;
use crate::export::{self, Existing, IntegrityTable, Pipable, Verification};
use crate::pipeline::Threads;
use crate::progress::{Phase, Progress};
use crate::rebuild;
use crate::windows::{self, Contents};
use crate::write::pack::Packing;
use crate::write::place::Locked;
use crate::write::session::{
    Context, Session, count_references, parameter, release_references, set_counts,
};

/// How to update.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Number of threads. What is written does not depend on it.
    pub threads: Threads,
    /// How paths inside the image are compared.
    pub case: CaseSensitivity,
    /// How hard the encoder tries.
    pub level: Level,
    /// Whether the archive has an integrity table from now on.
    pub integrity: IntegrityTable,
    /// Whether the archive is added to in place, or written anew.
    pub existing: Existing,
    /// Archives that this one builds on as a delta: what they hold is not stored.
    pub references: Vec<Arc<Wim>>,
}

/// A change of a tree. Paths inside the image are WTF-8, their parts divided by `/` or `\`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Adds a file, or a directory with all that is in it.
    Add {
        /// Where it is.
        source: PathBuf,
        /// Its path in the image. Directories on the way are made.
        destination: Vec<u8>,
        /// How.
        options: AddOptions,
    },
    /// Removes a file or directory.
    Delete {
        /// Its path in the image.
        path: Vec<u8>,
        /// Whether there has to be one.
        missing: Missing,
        /// Whether it may be a directory.
        directories: Directories,
    },
    /// Gives a file or directory another path; a file of that path is replaced.
    Rename {
        /// Its path in the image.
        from: Vec<u8>,
        /// Its new one.
        to: Vec<u8>,
    },
}

/// How files are added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddOptions {
    /// What becomes of symbolic links.
    pub links: Links,
    /// Whether owners, modes, devices and extended attributes are kept.
    pub unix: UnixMetadata,
    /// What is left out.
    pub exclusions: Exclusions,
    /// Whether files that are there are replaced.
    pub replace: Replace,
}

/// What happens when there is nothing to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// It is an error.
    #[default]
    Refuse,
    /// Nothing.
    Ignore,
}

/// Whether a directory is removed with all that is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Directories {
    /// It is an error.
    #[default]
    Refuse,
    /// It is.
    Remove,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Length of the archive before, in bytes.
    pub before: u64,
    /// Its length now.
    pub after: u64,
    /// Bytes of new file data, as they are stored.
    pub stored: u64,
}

/// Changes an image of the archive at `path`.
///
/// # Errors
/// A command that cannot be carried out; a file that cannot be read; an archive that is read-only,
/// locked or part of a split set; those of writing; [`Error::Cancelled`]. Unless it
/// succeeds, the file is as it was.
pub fn run(
    path: &Path,
    image: ImageIndex,
    commands: &[Command],
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let old = Locked::open(path)?;
    let wim = &old.wim;
    let context = Context { threads: options.threads, progress, cancel };
    let tree = wim.metadata(image)?;
    let built = ImageBuilder::from_metadata(&*tree);
    let mut edit = Edit::new(&old, image, built, options, context)?;
    commands.iter().try_for_each(|command| edit.apply(command))?;
    let pending = edit.finish();

    let packing = Packing::like(wim, options.level);
    let (mut session, lent) = begin(&old, image, &pending.image, options, packing, context)?;
    progress.begin(Phase::Write, pending.amount());
    let base = options.references.iter().flat_map(|wim| wim.blobs());
    let base = base.map(|(_, blob)| (blob.hash, blob.size));
    let known: Vec<_> = session.draft.known().chain(base).collect();
    let packed = pending.pack(&mut session, packing, known, context)?;
    progress.end(Phase::Write);
    match &lent {
        None => release_references(&mut session.draft, &tree),
        Some(lent) => lent.iter().for_each(|hash| session.draft.release(hash)),
    }
    let metadata = packed.image.to_bytes().map_err(|error| Error::Parameter(error.to_string()))?;
    let metadata = Bytes::from(metadata);
    let index = image.get();
    let name = session.path().to_owned();
    let absent = absent(wim, &tree);
    // Of what no archive at hand holds the length is not known.
    let elsewhere = |hash: &Sha1Hash| {
        let size = |wim: &Arc<Wim>| Some(wim.blob(wim.find(hash)?).size);
        options.references.iter().find_map(size).or_else(|| absent.contains(hash).then_some(0))
    };
    let stats = count_references(&mut session.draft, &metadata, index, &name, &elsewhere)?;
    let item = session.pack_metadata(packing, &metadata, options.threads)?;
    match lent {
        None => session.draft.replace_image(index, item),
        Some(_) => session.draft.insert_image(index, item),
    }
    session.draft.drop_unreferenced();
    set_counts(&mut session.xml, index, &stats).map_err(parameter)?;
    let wims = std::iter::once(wim).chain(options.references.iter().map(|wim| &**wim)).collect();
    let contents = Contents { packed: &packed, wims, context };
    windows::describe(&mut session.xml, index, &packed.image, &contents, progress)?;
    let now = FileTime::from(SystemTime::now());
    session.xml.set_time(index, "LASTMODIFICATIONTIME", now).map_err(parameter)?;
    let before = wim.parts()[0].source.len();
    let done = session.finish(options.integrity, Verification::Trust, context)?;
    Ok(Outcome { before, after: done.len, stored: done.stored })
}

/// Begins to write: in place, or, as a pipable archive always is, anew with all but the image that
/// changes. In a new file, gives the hashes of the data that only `new` needs and that is there
/// already, each of them referred to once.
fn begin<'a>(
    old: &'a Locked,
    image: ImageIndex,
    new: &ImageBuilder,
    options: &Options,
    packing: Packing,
    context: Context<'_>,
) -> Result<(Session<'a>, Option<Vec<Sha1Hash>>), Error> {
    let layout = old.wim.header().layout;
    if options.existing == Existing::Append && layout == Layout::Normal {
        return Ok((Session::append(old)?, None));
    }
    let mut session = Session::rebuild(old, packing.coding, layout)?;
    let needed = hashes_of(new);
    let lent = export::keep_others(&mut session, &old.wim, image, &needed, packing, context)?;
    Ok((session, Some(lent)))
}

/// What an image of the archive refers to that the archive does not hold.
fn absent(wim: &Wim, tree: &ImageTree) -> HashSet<Sha1Hash> {
    let hashes = tree.ids().flat_map(|id| tree.dentry(id).streams()).map(|stream| stream.hash);
    hashes.filter(|hash| !hash.is_zero() && wim.find(hash).is_none()).collect()
}

/// What the files of an image hold, as far as that is known.
fn hashes_of(image: &ImageBuilder) -> HashSet<Sha1Hash> {
    let (mut hashes, mut open) = (HashSet::new(), vec![ImageBuilder::ROOT]);
    while let Some(entry) = open.pop() {
        let inode = image.inode(entry);
        hashes.extend([inode.data, inode.reparse.hash]);
        hashes.extend(inode.named.iter().map(|(_, hash)| *hash));
        open.extend(image.children(entry));
    }
    hashes
}

/// Removes images in place. What only they referred to leaves the blob table, but not the file. (A
/// pipable archive is written anew, without it.)
///
/// # Errors
/// An archive that is read-only, locked or part of a split set; damaged metadata; those of
/// writing; [`Error::Cancelled`]. Unless it succeeds, the file is as it was.
pub fn remove_images(
    path: &Path,
    images: &[ImageIndex],
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let old = Locked::open(path)?;
    let wim: &Wim = &old.wim;
    let mut images = images.to_vec();
    images.sort_unstable();
    images.dedup();
    let context = Context { threads: options.threads, progress, cancel };
    let packing = Packing::like(wim, options.level);
    let mut session = export::add_to(&old, Existing::Append, Pipable::Keep, packing, context)?;
    for &image in images.iter().rev() {
        release_references(&mut session.draft, &wim.load_metadata(image)?);
        session.draft.remove_image(image.get());
    }
    session.draft.drop_unreferenced();
    rebuild::remove_images(&mut session, &images).map_err(parameter)?;
    let before = wim.parts()[0].source.len();
    let done = session.finish(options.integrity, Verification::Trust, context)?;
    Ok(Outcome { before, after: done.len, stored: 0 })
}

/// Puts the images of the archive at `path` into another order: first those of `order`, in that order,
/// then the others as they were. Only the tables are written. (A pipable archive is written anew.)
/// Gives the old index of each image, in the new order.
///
/// # Errors
/// An image that is named twice; an archive that is read-only, locked or part of a split set; those of
/// writing; [`Error::Cancelled`]. Unless it succeeds, the file is as it was.
pub fn reorder_images(
    path: &Path,
    order: &[ImageIndex],
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<ImageIndex>, Error> {
    let old = Locked::open(path)?;
    let wim: &Wim = &old.wim;
    if let Some(twice) = (1..order.len()).find(|&at| order[..at].contains(&order[at])) {
        return Err(Error::Parameter(format!("image {} is named twice", order[twice])));
    }
    let mut order = order.to_vec();
    let rest: Vec<_> = wim.images().filter(|image| !order.contains(image)).collect();
    order.extend(rest);
    let indices: Vec<u32> = order.iter().map(|image| image.get()).collect();
    let context = Context { threads: options.threads, progress, cancel };
    let packing = Packing::like(wim, options.level);
    let mut session = export::add_to(&old, Existing::Append, Pipable::Keep, packing, context)?;
    session.draft.reorder_images(&indices);
    for &index in &indices {
        session.xml.copy_image(wim.xml(), index).map_err(parameter)?;
    }
    for _ in &indices {
        session.xml.remove_image(1).map_err(parameter)?;
    }
    let boot = session.header.boot_index;
    let moved = indices.iter().position(|&index| index == boot);
    session.header.boot_index = moved.map_or(0, |at| at as u32 + 1);
    session.finish(options.integrity, Verification::Trust, context)?;
    Ok(order)
}
