//! The file that is written to: a new one, or an archive that something is added to.
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
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wim_format::Structure;
use wim_format::header::{HEADER_LEN, Header, HeaderFlags};

use super::layout::Drafted;
use super::parts::Parts;
use crate::archive::{Part, Wim};
use crate::error::{Action, Error};
use crate::output::{AtomicFile, lock_soon, require_space, write_all_at};
use crate::pipeline::lock::Lock;
use crate::source::{Access, FileSource, read_exact_at};
use crate::status::{FileId, Status};

/// How it is read meanwhile: Windows neither cuts nor replaces a file that is mapped.
const ACCESS: Access = if cfg!(windows) { Access::Read } else { Access::Map };

/// An archive that is to be changed: locked against other writers, and open for reading.
#[derive(Debug)]
pub(crate) struct Locked {
    file: File,
    path: PathBuf,
    /// What is in it.
    pub(crate) wim: Wim,
}

impl Locked {
    /// Opens the archive at `path` and keeps others from writing to it for as long as it is open.
    ///
    /// # Errors
    /// It cannot be opened for writing, is being written to by another process, is marked as
    /// read-only, is part of a split set, or is no archive.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = lock(path)?;
        let source = FileSource::open(path, ACCESS)?;
        let wim = Wim::from_source(Arc::new(source), [])?;
        let read_only =
            |reason: &str| Err(Error::ReadOnly { file: wim.name(), reason: reason.to_owned() });
        if wim.header().flags.contains(HeaderFlags::READONLY) {
            return read_only("it is marked as read-only");
        }
        if wim.header().total_parts != 1 {
            return read_only("it is a part of a split set");
        }
        wim.require_metadata()?;
        Ok(Self { file, path: path.to_owned(), wim })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells it from all other files.
    ///
    /// # Errors
    /// The operating system does not say.
    pub(crate) fn id(&self) -> Result<FileId, Error> {
        let status = Status::of(&self.file).map_err(Error::io(Action::Stat, &self.path))?;
        Ok(status.id())
    }
}

/// Opens a file for writing and locks it.
fn lock(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(Error::io(Action::Open, path))?;
    match lock_soon(&file, path) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io(Action::Open, path)(error)),
    }
}

/// Where an archive is written.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// A new file, or one that takes the place of an old one.
    New(AtomicFile),
    /// Behind what an archive holds.
    Behind(Addition<'a>),
    /// One byte after the other.
    Pipe(Pipe),
}

/// What bytes are written to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Output<'a> {
    /// A file and what it is called: any place of it, in any order.
    File(&'a File, &'a Path),
    /// What takes them in order only.
    Pipe(&'a Pipe),
    /// The parts of a split set.
    Parts(&'a Parts<'a>),
}

impl<'a> Output<'a> {
    pub(crate) fn name(self) -> &'a Path {
        match self {
            Self::File(_, name) => name,
            Self::Pipe(_) => Path::new(Pipe::NAME),
            Self::Parts(_) => Path::new("a part"),
        }
    }

    /// Writes all of `bytes` at `at`.
    pub(crate) fn write_at(self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let written = match self {
            Self::File(file, _) => write_all_at(file, bytes, at),
            Self::Pipe(pipe) => pipe.write_at(bytes, at),
            Self::Parts(parts) => return parts.write_at(bytes, at),
        };
        written.map_err(Error::io(Action::Write, self.name()))
    }

    /// Reads back what was written at `at`.
    pub(crate) fn read_at(self, bytes: &mut [u8], at: u64) -> Result<(), Error> {
        let read = match self {
            Self::File(file, _) => read_exact_at(file, bytes, at),
            Self::Pipe(_) => Err(io::ErrorKind::NotSeekable.into()),
            Self::Parts(parts) => return parts.read_at(bytes, at),
        };
        read.map_err(Error::io(Action::Read, self.name()))
    }
}

/// A pipe, or anything else that takes bytes one after the other.
#[derive(Debug)]
pub(crate) struct Pipe {
    file: File,
    /// Bytes written so far.
    at: Lock<u64>,
}

impl Pipe {
    /// What it is called in messages.
    const NAME: &str = "standard output";

    /// Bytes written so far.
    pub(crate) fn at(&self) -> u64 {
        *self.at.lock()
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut here = self.at.lock();
        if *here != at && !bytes.is_empty() {
            return Err(io::ErrorKind::NotSeekable.into());
        }
        (&self.file).write_all(bytes)?;
        *here += bytes.len() as u64;
        Ok(())
    }
}

impl<'a> Place<'a> {
    /// A new file at `path`.
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        Ok(Self::New(AtomicFile::create(path)?))
    }

    /// Behind what `old` holds. From now on it is marked as being written to.
    pub(crate) fn behind(old: &'a Locked) -> Result<Self, Error> {
        let addition = Addition { old, is_over: false };
        addition.write_header(&marked(old.wim.header()))?;
        Ok(Self::Behind(addition))
    }

    /// What takes bytes one after the other, from where it is.
    pub(crate) fn pipe(file: File) -> Self {
        Self::Pipe(Pipe { file, at: Lock::new(0) })
    }

    /// What to write to.
    pub(crate) fn output(&self) -> Output<'_> {
        match self {
            Self::New(file) => Output::File(file.file(), file.target()),
            Self::Behind(addition) => Output::File(&addition.old.file, &addition.old.path),
            Self::Pipe(pipe) => Output::Pipe(pipe),
        }
    }

    /// What the file is or will be called.
    pub(crate) fn path(&self) -> &Path {
        self.output().name()
    }

    /// Makes sure that the disk has room for a file of `len` bytes.
    pub(crate) fn require_space(&self, len: u64) -> Result<(), Error> {
        match self {
            Self::New(file) => require_space(file.directory(), len),
            Self::Behind(addition) => {
                require_space(&addition.old.path, len.saturating_sub(addition.old_len()))
            }
            Self::Pipe(_) => Ok(()),
        }
    }

    /// Sets room aside for a file of `len` bytes, where it is a new one.
    pub(crate) fn reserve(&self, len: u64) -> Result<(), Error> {
        match self {
            Self::New(file) => file.reserve(len),
            Self::Behind(_) | Self::Pipe(_) => Ok(()),
        }
    }

    /// Takes away what was copied ahead beyond `len`, the length of the whole file.
    pub(crate) fn cut(&self, len: u64) -> Result<(), Error> {
        let Self::New(file) = self else { return Ok(()) };
        let failed = Error::io(Action::Write, file.target());
        match file.file().metadata() {
            Ok(found) if found.len() > len => file.file().set_len(len).map_err(failed),
            Ok(_) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes what was written durable, and then the file what `drafted` says.
    pub(crate) fn commit(self, drafted: &Drafted) -> Result<(), Error> {
        match self {
            Self::New(file) => {
                if let Some(head) = drafted.head() {
                    file.write_at(&head, 0)?;
                }
                file.commit()
            }
            Self::Behind(addition) => addition.commit(drafted),
            Self::Pipe(_) => Ok(()),
        }
    }
}

/// Something that is being added to an archive. Dropped before [`commit`](Self::commit), the file
/// becomes what it was.
#[derive(Debug)]
pub(crate) struct Addition<'a> {
    old: &'a Locked,
    /// Whether there is nothing to be undone any more.
    is_over: bool,
}

impl Addition<'_> {
    fn old_len(&self) -> u64 {
        self.old.wim.parts()[0].source.len()
    }

    fn commit(mut self, drafted: &Drafted) -> Result<(), Error> {
        self.sync()?;
        // From here on the new header may be on the disk: what it points to has to stay.
        self.is_over = true;
        self.write_header(&drafted.header)?;
        if drafted.len() < self.old_len() {
            let cut = self.old.file.set_len(drafted.len());
            cut.map_err(Error::io(Action::Write, &self.old.path))?;
        }
        self.sync()
    }

    fn write_header(&self, header: &Header) -> Result<(), Error> {
        let written = write_all_at(&self.old.file, &header.to_bytes(), 0);
        written.map_err(Error::io(Action::Write, &self.old.path))
    }

    fn sync(&self) -> Result<(), Error> {
        self.old.file.sync_all().map_err(Error::io(Action::Write, &self.old.path))
    }
}

impl Drop for Addition<'_> {
    /// Does what it can: there is an error to be reported already, and the file is valid anyway.
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.write_header(self.old.wim.header());
            let _ = self.old.file.set_len(self.old_len());
            let _ = self.old.file.sync_all();
        }
    }
}

/// The header of a file that is being written to.
fn marked(header: &Header) -> Header {
    let flags = header.flags | HeaderFlags::WRITE_IN_PROGRESS;
    Header { flags, ..header.clone() }
}

/// Where the last byte in use ends. What is behind it is left from an interrupted change.
///
/// # Errors
/// Data that is not in the file: whoever added to the archive would add it behind that place.
pub(crate) fn logical_end(wim: &Wim) -> Result<u64, Error> {
    let part = &wim.parts()[0];
    let Part { header, source, .. } = part;
    let mut end = (HEADER_LEN as u64).max(header.blob_table.end()).max(header.xml.end());
    // An integrity table that is not there is replaced.
    if header.check_integrity_place(source.len()).is_ok() {
        end = end.max(header.integrity.end());
    }
    for image in wim.images() {
        let place = wim.metadata_entry(image)?.resource;
        part.resource(place).check_range(0, place.size).map_err(|damage| {
            let (file, image) = (wim.name(), image.get());
            Error::DamagedMetadata { file, image, damage }
        })?;
        end = end.max(place.end());
    }
    for (id, _) in wim.blobs() {
        let resource = wim.resource(id);
        let place = resource.place;
        resource.check_range(0, place.size).map_err(|damage| wim.damaged(id, damage))?;
        end = end.max(place.end());
    }
    // Those that hold no blob.
    for index in 0..part.blobs.solid.len() {
        let resource = part.solid(index);
        let place = resource.place;
        resource.check_range(0, place.size).map_err(|damage| Error::DamagedTable {
            file: wim.name(),
            structure: Structure::SolidHeader,
            damage,
        })?;
        end = end.max(place.end());
    }
    Ok(end)
}
