//! Adding images to an archive that is there already.
//!
//! In place, the file on disk is a valid archive at every moment:
//!
//! ```text
//!   before   header   | resources, tables
//!   1        header ! | resources, tables | new resources, new tables        ! = being written
//!            ─ made durable ─
//!   2        header'  | resources, (unused) | new resources, new tables
//! ```
//!
//! Until step 2, one write of 208 bytes within a disk sector, the header points to the old tables.
//! What an interrupted run leaves behind them is overwritten by the next one.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;

use wim_format::header::{HEADER_LEN, Header, HeaderFlags, Layout, Version};
use wim_format::integrity::DEFAULT_PIECE_SIZE;
use wim_format::resource::ResourceHeader;
use wim_format::xml::WimXml;

use super::add::add;
use super::select::Selection;
use super::{Compression, Existing, IntegrityTable, Options, Outcome, boot_index, copy_images};
use crate::archive::{ImageIndex, Wim};
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::integrity;
use crate::output::{AtomicFile, require_space, write_all_at};
use crate::progress::Progress;
use crate::source::{Access, FileSource};
use crate::write::execute;
use crate::write::layout::{Draft, Drafted};

/// Adds `images` of `wim` to the archive at `path`.
pub(super) fn run(
    wim: &Wim,
    images: &[ImageIndex],
    path: &Path,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Outcome, Error> {
    let file = lock(path)?;
    let source = FileSource::open(path, Access::Map)?;
    let old = Wim::from_source(Arc::new(source), [])?;
    let coding = check(wim, &old, images, options)?;
    let selection = Selection::of(wim, images, options.threads, cancel)?;
    let addition = Addition { old: &old, selection, coding, options, path };
    match options.existing {
        Existing::Append => addition.append(&file, progress, cancel),
        Existing::Rebuild => addition.rebuild(progress, cancel),
    }
}

/// Opens a file for writing and keeps others from doing so for as long as it is open.
fn lock(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(Error::io(Action::Open, path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io(Action::Open, path)(error)),
    }
}

/// Whether the images can be added to `old`; gives the coding of what is added.
fn check(wim: &Wim, old: &Wim, images: &[ImageIndex], options: &Options) -> Result<Coding, Error> {
    let header = old.header();
    let read_only =
        |reason: &str| Err(Error::ReadOnly { file: old.name(), reason: reason.to_owned() });
    if header.flags.contains(HeaderFlags::READONLY) {
        return read_only("it is marked as read-only");
    }
    if header.total_parts != 1 {
        return read_only("it is a part of a split set");
    }
    if header.layout == Layout::Pipable && options.existing == Existing::Append {
        return Err(Error::Unsupported(format!(
            "{}: is a pipable archive, to which nothing can be appended; make a normal archive of \
             it with --rebuild --not-pipable, or choose another destination",
            old.name()
        )));
    }
    let coding = old.coding();
    let wanted = match options.compression {
        Compression::AsSource => wim.coding().codec,
        Compression::Stored => None,
        Compression::Chunks { codec, .. } => Some(codec),
    };
    if coding.codec != wanted {
        return Err(Error::Usage(format!(
            "{}: is {coding}, which cannot be changed while images are added to it; choose another \
             destination, or a source of the same compression",
            old.name(),
        )));
    }
    let taken = old.xml().images();
    for image in images {
        let name = match &options.name {
            Some(name) => Some(name.clone()),
            None => wim.xml().image(image.get()).and_then(|image| image.name),
        };
        let Some(name) = name.filter(|name| !name.is_empty()) else { continue };
        if taken.iter().any(|other| other.name.as_ref() == Some(&name)) {
            return Err(Error::NameTaken { file: old.name(), name });
        }
    }
    Ok(coding)
}

/// What is to be added to what.
struct Addition<'a> {
    old: &'a Wim,
    selection: Selection<'a>,
    coding: Coding,
    options: &'a Options,
    path: &'a Path,
}

impl Addition<'_> {
    fn append(
        &self,
        file: &File,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Outcome, Error> {
        let part = &self.old.parts()[0];
        let old_len = part.source.len();
        let start = logical_end(self.old);
        let mut draft = Draft::behind(start, self.coding, part.blobs.clone());
        let outcome = add(&mut draft, &self.selection)?;
        let (mut drafted, outcome) = self.finish(draft, self.old.xml().clone(), outcome)?;
        drafted.keep(self.old, start)?;
        require_space(self.path, drafted.len().saturating_sub(old_len))?;
        let undo = Undo { file, header: self.old.header(), len: old_len };
        let written = self
            .write_header(file, &marked(self.old.header()))
            .and_then(|()| {
                execute::write(
                    &self.job(&[self.selection.wim], &drafted),
                    file,
                    self.path,
                    progress,
                    cancel,
                )
            })
            .and_then(|()| sync(file, self.path));
        if let Err(error) = written {
            undo.undo();
            return Err(error);
        }
        self.write_header(file, &drafted.header)?;
        if drafted.len() < old_len {
            file.set_len(drafted.len()).map_err(Error::io(Action::Write, self.path))?;
        }
        sync(file, self.path)?;
        Ok(outcome)
    }

    fn rebuild(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<Outcome, Error> {
        let all: Vec<_> = self.old.images().collect();
        let kept = Selection::of(self.old, &all, self.options.threads, cancel)?;
        let mut draft = Draft::new(self.coding);
        let before = add(&mut draft, &kept)?;
        let mut outcome = add(&mut draft, &self.selection)?;
        outcome.copied += before.copied;
        outcome.decoded += before.decoded;
        outcome.carried += before.carried;
        let (drafted, outcome) = self.finish(draft, self.old.xml().clone(), outcome)?;
        let file = AtomicFile::create(self.path)?;
        require_space(file.directory(), drafted.len())?;
        file.reserve(drafted.to_reserve())?;
        let job = self.job(&[self.old, self.selection.wim], &drafted);
        execute::write(&job, file.file(), file.target(), progress, cancel)?;
        file.write_at(&drafted.header.to_bytes(), 0)?;
        file.commit()?;
        Ok(outcome)
    }

    fn finish(
        &self,
        draft: Draft,
        mut xml: WimXml,
        mut outcome: Outcome,
    ) -> Result<(Drafted, Outcome), Error> {
        let old = self.old.header();
        if draft.has_solid() && old.version == Version::Normal {
            return Err(Error::Unsupported(format!(
                "{}: cannot take solid resources, which the source has; choose another destination",
                self.old.name()
            )));
        }
        let wim = self.selection.wim;
        outcome.images = copy_images(&mut xml, &self.selection, self.options)?;
        let images: Vec<_> = self.selection.images.iter().map(|image| image.index).collect();
        let mut header = Header { layout: Layout::Normal, ..old.clone() };
        header.flags |= wim.header().flags & HeaderFlags::RP_FIX;
        header.flags.remove(HeaderFlags::WRITE_IN_PROGRESS);
        header.boot_index = match boot_index(wim, &images, &outcome.images, self.options)? {
            0 => old.boot_image().unwrap_or(0),
            index => index,
        };
        let drafted = draft.finish(header, xml, self.piece_size()?)?;
        outcome.len = drafted.len();
        Ok((drafted, outcome))
    }

    /// Bytes of each piece of the integrity table, if there is to be one; an old table's is kept.
    fn piece_size(&self) -> Result<Option<u32>, Error> {
        let old = integrity::piece_size(&self.old.parts()[0])?;
        Ok(match self.options.integrity {
            IntegrityTable::Keep => old,
            IntegrityTable::Write => Some(old.unwrap_or(DEFAULT_PIECE_SIZE)),
            IntegrityTable::Omit => None,
        })
    }

    fn job<'j>(&self, inputs: &[&'j Wim], drafted: &'j Drafted) -> execute::Job<'j> {
        execute::Job {
            inputs: inputs.to_vec(),
            drafted,
            threads: self.options.threads,
            verification: self.options.verification,
        }
    }

    fn write_header(&self, file: &File, header: &Header) -> Result<(), Error> {
        write_all_at(file, &header.to_bytes(), 0).map_err(Error::io(Action::Write, self.path))
    }
}

/// The header of a file that is being written to.
fn marked(header: &Header) -> Header {
    let flags = header.flags | HeaderFlags::WRITE_IN_PROGRESS;
    Header { flags, ..header.clone() }
}

fn sync(file: &File, path: &Path) -> Result<(), Error> {
    file.sync_all().map_err(Error::io(Action::Write, path))
}

/// Where the last byte in use ends. What is behind it is left from an interrupted change.
fn logical_end(wim: &Wim) -> u64 {
    let part = &wim.parts()[0];
    let header = &part.header;
    let end = |place: &ResourceHeader| place.offset.saturating_add(place.size);
    let tables = [&header.blob_table, &header.xml, &header.integrity];
    let metadata = part.blobs.metadata.iter().map(|entry| &entry.resource);
    let solid = part.blobs.solid.iter().map(|solid| &solid.resource);
    let blobs = wim.blobs().map(|(id, _)| wim.resource(id).place);
    let ends = tables.into_iter().chain(metadata).chain(solid).map(end);
    let ends = ends.chain(blobs.map(|place| end(&place)));
    ends.fold(HEADER_LEN as u64, u64::max)
}

/// Puts a file back as it was.
struct Undo<'a> {
    file: &'a File,
    header: &'a Header,
    len: u64,
}

impl Undo<'_> {
    /// Does what it can: there is an error to be reported already, and the file is valid anyway.
    fn undo(&self) {
        let _ = write_all_at(self.file, &self.header.to_bytes(), 0);
        let _ = self.file.set_len(self.len);
        let _ = self.file.sync_all();
    }
}
