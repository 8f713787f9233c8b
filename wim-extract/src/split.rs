//! Cuts an archive into the parts of a split set, for media and file systems that take no large
//! files.
//!
//! ```text
//! deal     the metadata to part 1, then blob after blob, in the order of the file, to the part at
//!          hand; one that does not fit opens the next part
//! layout   each part: its blobs as they are stored, tables of its own, the same XML in all
//! write    every part under a temporary name
//! rename   all parts, the first one last: a set without its first part is none
//! ```
//!
//! Resources are copied as they are, and the parts of a pipable archive are pipable: written to a pipe
//! one behind the other, they are read like the archive. An archive with solid resources, of which parts
//! can have none, or that is to get another compression, is compressed anew on the way: it is dealt out
//! while it is written, for how long a resource is, is known only then ([`recode`]).

mod deal;
mod recode;

use std::path::{Path, PathBuf};

use wim_format::header::{Header, HeaderFlags, Layout, Version};
use wim_format::{Codec, Level};

use self::deal::Share;
use crate::archive::Wim;
use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::export::add;
use crate::export::select::Selection;
use crate::export::{Compression, IntegrityTable, Verification};
use crate::integrity;
use crate::output::{AtomicFile, require_space};
use crate::pipeline::Threads;
use crate::progress::{Amount, Phase, Progress};
use crate::text;
use crate::write::execute::{self, Job};
use crate::write::layout::{Draft, Drafted};
use crate::write::session::Context;

/// How to split.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Number of threads. The bytes written do not depend on it.
    pub threads: Threads,
    /// Whether the parts get integrity tables; to keep means: if the archive has one.
    pub integrity: IntegrityTable,
    /// Whether the SHA-1 of every copied blob is checked.
    pub verification: Verification,
    /// The GUID that all parts share; random when `None`.
    pub guid: Option<[u8; 16]>,
    /// Compression of the parts; that of an archive with solid resources becomes LZX in chunks of 32 KiB
    /// if nothing else is asked for.
    pub compression: Compression,
    /// How hard the encoder tries, where something is compressed.
    pub level: Level,
}

/// What the parts of an archive with solid resources get if nothing else is asked for.
const INSTEAD_OF_SOLID: Compression =
    Compression::Chunks { codec: Codec::Lzx, chunk_size: 32 << 10 };

/// The compression of the parts of `wim` where `wanted` is asked for.
#[must_use]
pub fn compression_of_parts(wim: &Wim, wanted: Compression) -> Compression {
    match wanted {
        Compression::AsSource if wim.has_solid() => INSTEAD_OF_SOLID,
        wanted => wanted,
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The parts, from the first on.
    pub parts: Vec<Part>,
    /// Bytes copied as they were.
    pub copied: u64,
    /// Bytes decoded, to be compressed anew.
    pub decoded: u64,
}

/// A part that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub len: u64,
    /// Blobs in it.
    pub blobs: u64,
}

/// Splits `wim` into parts whose resources take at most `part_size` bytes each; a resource that is
/// larger gets a part of its own, and so does all metadata together if need be. The first part is
/// called `first`, the others get their numbers before its extension: `first.swm`, `first2.swm`.
///
/// # Errors
/// [`Error::Unsupported`] for what is a part already or builds on other archives;
/// [`Error::Parameter`] for a size of 0, or one that gives more than 65535 parts; [`Error::Usage`]
/// where a part would replace the archive itself; those of reading and writing. No part is there
/// then.
pub fn run(
    wim: &Wim,
    first: &Path,
    part_size: u64,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let selection = everything(wim, options, cancel)?;
    if let Some(coding) = recode::wanted(wim, options.compression) {
        let set = Set::new(&selection, first, options, progress);
        let context = Context { threads: options.threads, progress, cancel };
        return recode::run(&set, coding, part_size, context);
    }
    let shares = deal::deal(&selection, part_size)?;
    let set = Set::new(&selection, first, options, progress);
    set.spare_the_archive(shares.len())?;
    let mut outcome = Outcome::default();
    let mut drafted = Vec::with_capacity(shares.len());
    for number in 1..=shares.len() {
        cancel.check()?;
        drafted.push(set.draft(&shares, number, &mut outcome)?);
    }
    set.write(&drafted, progress, cancel)?;
    set.warn_of_older_parts(shares.len(), progress);
    Ok(outcome)
}

/// The path of a part, from 1: the number stands before the last dot of the name, the first part
/// has none.
#[must_use]
pub fn part_path(first: &Path, number: usize) -> PathBuf {
    let name = text::os_bytes(first.file_name().unwrap_or_default());
    if number <= 1 || name.is_empty() {
        return first.to_owned();
    }
    let dot = name.iter().rposition(|&byte| byte == b'.').unwrap_or(name.len());
    let digits = number.to_string();
    let name = [&name[..dot], digits.as_bytes(), &name[dot..]].concat();
    first.with_file_name(text::os_string(name))
}

/// All of the archive, if all of it is in this one file.
fn everything<'w>(
    wim: &'w Wim,
    options: &Options,
    cancel: &Cancel,
) -> Result<Selection<'w>, Error> {
    if wim.header().total_parts > 1 {
        return Err(Error::Unsupported(format!(
            "{}: is part {} of a split set; join its parts first, then split the result",
            wim.name(),
            wim.header().part_number,
        )));
    }
    let selection = Selection::everything(wim, options.threads, cancel);
    selection.map_err(|error| match error {
        Error::MissingBlob { .. } => Error::Unsupported(format!(
            "{}: does not hold all of its files' data, it builds on another archive; export it to \
             a whole one first, with --ref",
            wim.name()
        )),
        error => error,
    })
}

fn set_guid(options: &Options) -> [u8; 16] {
    options.guid.unwrap_or_else(|| uuid::Uuid::new_v4().into_bytes())
}

/// The parts in the making.
struct Set<'a> {
    selection: &'a Selection<'a>,
    first: &'a Path,
    options: &'a Options,
    guid: [u8; 16],
    /// Bytes of each piece that the integrity tables cover, if there are any.
    piece_size: Option<u32>,
}

impl<'a> Set<'a> {
    fn new(
        selection: &'a Selection<'a>,
        first: &'a Path,
        options: &'a Options,
        progress: &dyn Progress,
    ) -> Self {
        let main = &selection.wim.parts()[0];
        let piece_size = integrity::wanted_piece_size(main, options.integrity, progress);
        Self { selection, first, options, guid: set_guid(options), piece_size }
    }

    fn path(&self, number: usize) -> PathBuf {
        part_path(self.first, number)
    }

    /// Lays out a part.
    fn draft(
        &self,
        shares: &[Share],
        number: usize,
        outcome: &mut Outcome,
    ) -> Result<Drafted, Error> {
        let wim = self.selection.wim;
        let images = if number == 1 { &self.selection.images[..] } else { &[] };
        let share = self.selection.some(&shares[number - 1].blobs, images);
        let layout = add::layout_of_copy(wim);
        let header = self.header(number, shares.len(), layout);
        let mut draft = Draft::of_part(number as u16, wim.coding(), layout);
        let (threads, head) = (self.options.threads, (&header, wim.xml()));
        let added = add::copy_all(&mut draft, &share, threads, head)?;
        let drafted = draft.finish_part(header, wim.xml_bytes().clone(), self.piece_size)?;
        outcome.copied += added.copied;
        outcome.decoded += added.decoded;
        let (path, len) = (self.path(number), drafted.len());
        outcome.parts.push(Part { path, len, blobs: added.blobs });
        Ok(drafted)
    }

    /// The header of a part, its tables still unknown. A set of one part is an archive like any
    /// other; of several, none can be booted.
    fn header(&self, number: usize, total: usize, layout: Layout) -> Header {
        let wim = self.selection.wim;
        let old = wim.header();
        let mut flags = old.flags;
        flags.remove(HeaderFlags::WRITE_IN_PROGRESS);
        flags.set(HeaderFlags::SPANNED, total > 1);
        Header {
            layout,
            version: match wim.codec() {
                Some(Codec::Lzms) => Version::Solid,
                _ => Version::Normal,
            },
            flags,
            guid: self.guid,
            part_number: number as u16,
            total_parts: total as u16,
            image_count: wim.image_count(),
            boot_index: if total > 1 { 0 } else { old.boot_image().unwrap_or(0) },
            ..old.clone()
        }
    }

    /// Writes all parts, then gives them their names.
    fn write(
        &self,
        drafted: &[Drafted],
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let jobs: Vec<_> = drafted.iter().map(|drafted| self.job(drafted)).collect();
        let work = jobs.iter().map(Job::work).fold(0, u64::saturating_add);
        progress.begin(Phase::Write, Amount::new(work, 0));
        let needed = drafted.iter().map(Drafted::len).fold(0, u64::saturating_add);
        let mut files = Vec::with_capacity(jobs.len());
        for (job, number) in jobs.iter().zip(1..) {
            let file = AtomicFile::create(&self.path(number))?;
            if number == 1 {
                require_space(file.directory(), needed)?;
            }
            file.reserve(job.drafted.to_reserve())?;
            execute::write(job, file.file(), file.target(), &OneOfMany(progress), cancel)?;
            if let Some(head) = job.drafted.head() {
                file.write_at(&head, 0)?;
            }
            // Now, so that nothing can fail once the first has its name.
            file.file().sync_all().map_err(Error::io(Action::Write, file.target()))?;
            files.push(file);
        }
        progress.end(Phase::Write);
        cancel.check()?;
        commit_all(files)
    }

    fn job<'j>(&'j self, drafted: &'j Drafted) -> Job<'j> {
        Job {
            inputs: vec![self.selection.wim],
            drafted,
            threads: self.options.threads,
            verification: self.options.verification,
        }
    }

    /// Refuses to put a part in the place of the archive that is being split.
    fn spare_the_archive(&self, parts: usize) -> Result<(), Error> {
        let archive = PathBuf::from(self.selection.wim.name());
        let Ok(archive) = archive.canonicalize() else { return Ok(()) };
        for path in (1..=parts).map(|number| self.path(number)) {
            if path.canonicalize().is_ok_and(|path| path == archive) {
                return Err(Error::Usage(format!(
                    "{}: a part would take the place of the archive itself; choose another name \
                     for the first part",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// A pattern such as `--ref='first*.swm'` would find them too.
    fn warn_of_older_parts(&self, parts: usize, progress: &dyn Progress) {
        let next = self.path(parts + 1);
        if parts > 1 && next.exists() {
            progress.warning(&format!(
                "{}: is not of this set, which has {parts} parts; remove it if it is left from an \
                 earlier one",
                next.display()
            ));
        }
    }
}

/// Gives the finished parts their names, the first one last. If one cannot get its name, those that
/// have theirs are removed.
fn commit_all(mut files: Vec<AtomicFile>) -> Result<(), Error> {
    let first = if files.is_empty() { None } else { Some(files.remove(0)) };
    let mut named = Vec::with_capacity(files.len());
    for file in files.into_iter().chain(first) {
        let target = file.target().to_owned();
        if let Err(error) = file.commit() {
            // There is an error to be reported already.
            named.iter().for_each(|path| drop(std::fs::remove_file(path)));
            return Err(error);
        }
        named.push(target);
    }
    Ok(())
}

/// The progress of one part among that of all.
struct OneOfMany<'a>(&'a dyn Progress);

impl Progress for OneOfMany<'_> {
    fn advance(&self, done: Amount) {
        self.0.advance(done);
    }

    fn warning(&self, text: &str) {
        self.0.warning(text);
    }
}
