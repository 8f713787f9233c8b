//! Captures a directory tree as an image of a new or an existing archive.
//!
//! ```text
//! scan     what files are there, in parallel; links become Windows links
//! image    a tree of what was found, and a list of the data it needs
//! files    each file is read once and hashed; what is new is packed (write::pack)
//! finish   metadata, tables, header
//! ```
//!
//! For solid resources, whose blobs are put in order first, and for pipable archives files are read
//! twice: to be hashed, and again what is new.
//!
//! A file that changes or vanishes while it is read ends the capture: half of two versions is not
//! stored as one.

mod exclude;
mod files;
mod image;
mod links;
mod scan;
mod template;
mod unix_data;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use wim_format::header::{HeaderFlags, Layout};
use wim_format::metadata::{ImageBuilder, Inode};
use wim_format::name::{CaseSensitivity, Utf16NameBuf};
use wim_format::time::FileTime;
use wim_format::xml::{EditError, WimXml};
use wim_format::{Codec, Level, Sha1Hash};

pub use self::exclude::Exclusions;
pub(crate) use self::image::{Merging, Packed, Pending, parts};
use self::links::LinkRoot;
pub(crate) use self::scan::{Found, Kind as FoundKind, Scanner};
pub use self::template::Template;
use crate::archive::Wim;
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::export::{
    self, Boot, Compression, Existing, Grouping, IntegrityTable, Pipable, Verification,
};
use crate::pipeline::Threads;
use crate::pipeline::team::share_among;
use crate::progress::{Amount, Phase, Progress};
use crate::status::FileId;
use crate::windows::{self, Contents};
use crate::write::pack::Packing;
use crate::write::place::Locked;
use crate::write::session::{Context, Session, count_references, parameter, set_counts};

/// How to capture.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Number of threads. What is written does not depend on it.
    pub threads: Threads,
    /// Name of the image; none when empty.
    pub name: String,
    /// Description of the image; none when empty.
    pub description: String,
    /// Further properties of the image in the XML, path and value, such as `FLAGS`.
    pub properties: Vec<(String, String)>,
    /// Compression of a new archive, LZX in chunks of 32 KiB by default. An archive that is there
    /// keeps its own, unless other chunks are asked for, for which it is written anew.
    pub compression: Option<Compression>,
    /// How hard the encoder tries.
    pub level: Level,
    /// Whether the archive gets an integrity table.
    pub integrity: IntegrityTable,
    /// Whether the image becomes the one to boot.
    pub boot: Boot,
    /// What is left out.
    pub exclusions: Exclusions,
    /// What becomes of symbolic links.
    pub links: Links,
    /// Whether owners, modes, devices and extended attributes are kept.
    pub unix: UnixMetadata,
    /// Whether absolute links into the tree are made relative to it.
    pub root_fix: RootFix,
    /// GUID of a new archive; random when `None`.
    pub guid: Option<[u8; 16]>,
    /// Whether the image is added to an archive that is there.
    pub into: Into,
    /// How it is added to it.
    pub existing: Existing,
    /// Whether the archive is pipable.
    pub pipable: Pipable,
    /// Whether the data of files is put together.
    pub grouping: Grouping,
    /// Archives whose blobs are referred to but not stored: the result is a delta.
    pub delta_from: Vec<Arc<Wim>>,
    /// An image since which most files are unchanged; those are not read.
    pub update_of: Option<Template>,
}

/// Where an image goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Into {
    /// To a new archive, which takes the place of any file of its name.
    #[default]
    New,
    /// To the archive that is there.
    Existing,
}

/// What becomes of symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// They are stored as links.
    #[default]
    Keep,
    /// What they lead to is stored in their place.
    Follow,
}

/// Whether files that are there are replaced by those that are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// They are.
    #[default]
    Files,
    /// Their contents and the time of their last change are; every name, attribute, named stream and
    /// the security descriptor stay.
    Contents,
    /// It is an error.
    Nothing,
}

/// Whether owners, modes, devices and extended attributes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnixMetadata {
    /// They are not: Windows has no use for them.
    #[default]
    Drop,
    /// They are, as wimlib keeps them.
    Keep,
}

/// Whether absolute links into the tree are made relative to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RootFix {
    /// If the archive is new, or says that it was done for its other images.
    #[default]
    AsArchive,
    /// Yes.
    Fix,
    /// No.
    Leave,
}

/// A tree to be captured, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTree {
    /// Where it is.
    pub path: PathBuf,
    /// Its path in the image, WTF-8; nothing or a slash makes it the root.
    pub destination: Vec<u8>,
}

impl SourceTree {
    /// A whole image.
    #[must_use]
    pub fn root(path: PathBuf) -> Self {
        Self { path, destination: Vec::new() }
    }

    /// Whether it becomes the root, or one with what is there.
    fn is_root(&self) -> bool {
        parts(&self.destination).is_empty()
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Index of the image in the archive, from 1.
    pub image: u32,
    /// Length of the archive in bytes.
    pub len: u64,
    /// Directories and files of the image.
    pub directories: u64,
    /// Files of the image, each name counted.
    pub files: u64,
    /// Bytes of all files, each name counted.
    pub bytes: u64,
    /// Bytes of the file data that was new to the archive, as they are stored.
    pub stored: u64,
}

/// Captures `sources`, each laid over those before it, to `destination`.
///
/// # Errors
/// A file that cannot be read, changes meanwhile, or has a name no image can hold; an archive that
/// is read-only, locked, or has an image of that name; those of writing; [`Error::Cancelled`].
/// Unless it succeeds, the destination is as it was before.
pub fn run(
    sources: &[SourceTree],
    destination: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let old = match options.into {
        Into::New => None,
        Into::Existing => Some(Locked::open(destination)?),
    };
    if let Some(old) = &old {
        let named = options.properties.iter().filter(|(path, _)| path == "NAME");
        let names = std::iter::once(&options.name).chain(named.map(|(_, name)| name));
        names.into_iter().try_for_each(|name| require_free_name(&old.wim, name))?;
    }
    let coding = coding(options, old.as_ref())?;
    let context = Context { threads: options.threads, progress, cancel };
    let fix = fixes_links(options, old.as_ref());
    let archive = old.as_ref().map(Locked::id).transpose()?;
    let pending = scan(sources, fix, archive, options, destination, context)?;
    let layout = old.as_ref().map_or(Layout::Normal, |old| old.wim.header().layout);
    let layout = options.pipable.layout(layout);
    let like = old.as_ref().map(|old| &old.wim);
    let packing = options.grouping.packing(coding, options.level, layout, like)?;
    let session = match &old {
        None => Session::create(destination, coding, layout, options.guid)?,
        Some(old) => export::add_to(old, options.existing, options.pipable, packing, context)?,
    };
    add(session, pending, fix, packing, old.as_ref().map(|old| &old.wim), options, context)
}

/// Captures `sources`, each laid over those before it, to a new archive that goes to `out` one byte
/// after the other: a pipable one.
///
/// # Errors
/// Those of [`run`]; [`Error::Parameter`] for another layout, or an integrity table. What was written
/// by then is not a whole archive.
pub fn to_stream(
    sources: &[SourceTree],
    out: File,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let coding = coding(options, None)?;
    let context = Context { threads: options.threads, progress, cancel };
    let session = Session::stream(out, coding, options.pipable, options.integrity, options.guid)?;
    let fix = fixes_links(options, None);
    let pending = scan(sources, fix, None, options, session.path(), context)?;
    let packing = options.grouping.packing(coding, options.level, Layout::Pipable, None)?;
    add(session, pending, fix, packing, None, options, context)
}

/// Adds what was found to what a session has begun, and finishes it.
fn add(
    mut session: Session<'_>,
    pending: Pending,
    fix: bool,
    packing: Packing,
    old: Option<&Wim>,
    options: &Options,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    if fix {
        session.header.flags |= HeaderFlags::RP_FIX;
    }
    let outcome = add_image(&mut session, pending, packing, old, options, context)?;
    let done = session.finish(options.integrity, Verification::Trust, context)?;
    Ok(Outcome { len: done.len, stored: done.stored, ..outcome })
}

/// The compression of what is written.
fn coding(options: &Options, old: Option<&Locked>) -> Result<Coding, Error> {
    let old = old.map(|old| old.wim.coding());
    Ok(match (old, options.compression) {
        (Some(old), None | Some(Compression::AsSource | Compression::Stored)) => old,
        // Its codec cannot be changed by adding to it, its chunks can.
        (Some(old), Some(Compression::Chunks { codec, chunk_size })) => match old.codec {
            Some(kept) if kept == codec => Coding { chunk_size, ..old },
            _ => old,
        },
        (None, None | Some(Compression::AsSource)) => {
            Coding { codec: Some(Codec::Lzx), chunk_size: 32 << 10 }
        }
        (None, Some(Compression::Stored)) => Coding { codec: None, chunk_size: 0 },
        (None, Some(Compression::Chunks { codec, chunk_size })) => {
            Coding { codec: Some(codec), chunk_size }
        }
    })
}

fn fixes_links(options: &Options, old: Option<&Locked>) -> bool {
    match options.root_fix {
        RootFix::Fix => true,
        RootFix::Leave => false,
        RootFix::AsArchive => old.is_none_or(|old| {
            old.wim.image_count() == 0 || old.wim.header().flags.contains(HeaderFlags::RP_FIX)
        }),
    }
}

/// Looks at the trees.
fn scan(
    sources: &[SourceTree],
    fix: bool,
    archive: Option<FileId>,
    options: &Options,
    destination: &Path,
    context: Context<'_>,
) -> Result<Pending, Error> {
    let file = || destination.display().to_string();
    let problem = |path: &[u8], problem| {
        let path = String::from_utf8_lossy(path).into_owned();
        Error::Tree { file: file(), image: None, path, problem }
    };
    let manner =
        Merging { replace: Replace::Files, case: CaseSensitivity::Sensitive, problem: &problem };
    let now = FileTime::from(SystemTime::now());
    let mut pending = Pending::new(ImageBuilder::new(Inode::directory().at(now)));
    context.progress.begin(Phase::Scan, Amount::default());
    for source in sources {
        let found = scan_one(source, fix && source.is_root(), archive, options, context)?;
        let Some(found) = found else { continue };
        if source.is_root() {
            if !matches!(found.kind, FoundKind::Directory(_)) {
                return Err(Error::Io {
                    action: Action::List,
                    path: source.path.clone(),
                    source: std::io::ErrorKind::NotADirectory.into(),
                });
            }
            *pending.image.inode_mut(ImageBuilder::ROOT) = found.inode.clone();
        }
        pending.add_at(&parts(&source.destination), found, &manner)?;
    }
    context.progress.end(Phase::Scan);
    Ok(pending)
}

fn scan_one(
    source: &SourceTree,
    fix: bool,
    archive: Option<FileId>,
    options: &Options,
    context: Context<'_>,
) -> Result<Option<Found>, Error> {
    if options.unix == UnixMetadata::Keep {
        unix_data::require_support()?;
    }
    let Context { threads, progress, cancel } = context;
    let root = fix.then(|| LinkRoot::of(&source.path)).transpose();
    let root = root.map_err(Error::io(Action::Scan, &source.path))?;
    let scanner = Scanner {
        exclusions: &options.exclusions,
        links: options.links,
        unix: options.unix,
        root,
        archive,
        progress,
        cancel,
    };
    let links = if source.is_root() { Links::Follow } else { options.links };
    share_among(threads, || scanner.tree(&source.path, Utf16NameBuf::default(), links))
}

/// Reads the data of the image, packs what is new, and adds the image.
fn add_image(
    session: &mut Session<'_>,
    mut pending: Pending,
    packing: Packing,
    old: Option<&Wim>,
    options: &Options,
    context: Context<'_>,
) -> Result<Outcome, Error> {
    let Context { threads, progress, .. } = context;
    let elsewhere = |hash: &Sha1Hash| {
        let size = |wim: &Arc<Wim>| Some(wim.blob(wim.find(hash)?).size);
        options.delta_from.iter().find_map(size)
    };
    let base = options.delta_from.iter().flat_map(|wim| wim.blobs());
    let base = base.map(|(_, blob)| (blob.hash, blob.size));
    let known: Vec<_> = session.draft.known().chain(base).collect();
    if let Some(Template { wim, image }) = &options.update_of {
        let Some(wim) = wim.as_deref().or(old) else {
            let problem = "the image that is updated has to be named with its archive";
            return Err(Error::Usage(problem.to_owned()));
        };
        let hashes: HashSet<Sha1Hash> = known.iter().map(|(hash, _)| *hash).collect();
        template::take_over(&mut pending, wim, *image, &|hash| hashes.contains(hash))?;
    }
    progress.begin(Phase::Write, pending.amount());
    let packed = pending.pack(session, packing, known, context)?;
    progress.end(Phase::Write);
    let metadata = packed.image.to_bytes().map_err(|error| Error::Parameter(error.to_string()))?;
    let metadata = Bytes::from(metadata);
    let item = session.pack_metadata(packing, &metadata, threads)?;
    session.draft.add_image(item);
    let path = session.path().to_owned();
    let index = session.xml.add_image().map_err(parameter)?;
    let stats = count_references(&mut session.draft, &metadata, index, &path, &elsewhere)?;
    begin_description(&mut session.xml, index, options).map_err(parameter)?;
    set_counts(&mut session.xml, index, &stats).map_err(parameter)?;
    let template = options.update_of.iter().filter_map(|template| template.wim.as_ref());
    let others = options.delta_from.iter().chain(template).map(|wim| &**wim);
    let wims = old.into_iter().chain(others).collect();
    let contents = Contents { packed: &packed, wims, context };
    windows::describe(&mut session.xml, index, &packed.image, &contents, progress)?;
    end_description(&mut session.xml, index, options).map_err(parameter)?;
    if options.boot == Boot::Mark {
        session.header.boot_index = index;
    }
    Ok(Outcome {
        image: index,
        len: 0,
        directories: stats.dir_count,
        files: stats.file_count,
        bytes: stats.total_bytes,
        stored: 0,
    })
}

/// Says of the image what it is called and how much it is. The order is wimlib's, here and in what
/// follows.
fn begin_description(xml: &mut WimXml, index: u32, options: &Options) -> Result<(), EditError> {
    if !options.name.is_empty() {
        xml.set_property(index, "NAME", &options.name)?;
    }
    for count in ["DIRCOUNT", "FILECOUNT", "TOTALBYTES", "HARDLINKBYTES"] {
        xml.set_property(index, count, "0")?;
    }
    let now = FileTime::from(SystemTime::now());
    let mut times = ["CREATIONTIME", "LASTMODIFICATIONTIME"].into_iter();
    times.try_for_each(|property| xml.set_time(index, property, now))
}

/// Says of the image what the caller wants to be said, whatever is known otherwise.
fn end_description(xml: &mut WimXml, index: u32, options: &Options) -> Result<(), EditError> {
    for (path, value) in &options.properties {
        xml.set_property(index, path, value)?;
    }
    if !options.description.is_empty() {
        xml.set_property(index, "DESCRIPTION", &options.description)?;
    }
    Ok(())
}

/// # Errors
/// [`Error::NameTaken`].
fn require_free_name(wim: &Wim, name: &str) -> Result<(), Error> {
    let is_taken = !name.is_empty() && wim.image_named(name).is_some();
    if is_taken {
        return Err(Error::NameTaken { file: wim.name(), name: name.to_owned() });
    }
    Ok(())
}
