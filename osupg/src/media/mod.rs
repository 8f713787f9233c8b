//! Media: where a package's files come from. A source is only ever read.
//!
//! | source | what it holds |
//! |---|---|
//! | a folder | Windows Setup media: `setup.exe`, `sources/install.wim` and the rest |
//! | an ISO | the same, in its UDF file system |
//! | a bare WIM or ESD | that one file, which becomes `sources/install.wim` or `.esd` |
//!
//! Whatever the kind, it is first listed as a whole, and every name checked; a file that changes
//! between then and the end of its reading is an error, so a snapshot is never a mixture.

mod bare;
mod folder;
mod iso;
pub mod path;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wim_extract::source::Source;
use wim_extract::status::Status;

use crate::db::sources::Identity;
use crate::error::{Error, Result};
use crate::text;
use crate::time::FileTime;
use path::MediaPath;

/// Files and folders that media may hold; Windows media have about two thousand.
const MAX_ENTRIES: usize = 1_000_000;
/// Offending names that one error lists.
const MAX_LISTED: usize = 20;
/// The names of the WIM with the editions, in order of preference.
const INSTALL_IMAGES: [&str; 3] =
    ["sources/install.wim", "sources/install.esd", "sources/install.swm"];

/// What kind of source media are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// A folder.
    Folder,
    /// An ISO image.
    Iso,
    /// A WIM or ESD by itself.
    Image,
}

impl MediaKind {
    /// The word in the database and in output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Iso => "iso",
            Self::Image => "image",
        }
    }
}

/// A file or folder of media.
#[derive(Debug, Clone)]
pub struct MediaEntry {
    /// Where it is in the media.
    pub path: MediaPath,
    /// When it was last modified.
    pub modified: FileTime,
    /// Bytes of a file; `None` for a folder.
    pub size: Option<u64>,
    /// Where to find it in the source: an index of the kind's own.
    place: usize,
}

/// Reads one kind of source.
trait Reader: Send + Sync {
    /// Opens the file at `place`.
    fn open(&self, place: usize) -> Result<OpenFile>;

    /// What identified the file at `place` when it was listed; for a file in an ISO, the ISO.
    fn identity(&self, place: usize) -> Option<Identity>;
}

/// Media, listed and checked.
pub struct Media {
    kind: MediaKind,
    origin: PathBuf,
    /// Of the top folder; of the file, where the source is one.
    modified: FileTime,
    entries: Vec<MediaEntry>,
    reader: Box<dyn Reader>,
}

impl Media {
    /// Opens the folder, ISO, WIM or ESD at `path` and lists what it holds.
    ///
    /// # Errors
    /// When it cannot be read, or holds something that a package cannot.
    pub fn open(path: &Path) -> Result<Self> {
        let origin = wim_extract::beneath::real_path(path)
            .map_err(|error| Error::file("open the source", path, &error))?;
        let meta = std::fs::metadata(&origin)
            .map_err(|error| Error::file("open the source", &origin, &error))?;
        let kind = meta.file_type();
        let modified = meta.modified().map_or(FileTime::EPOCH, FileTime::from);
        let (kind, entries, reader): (_, _, Box<dyn Reader>) = if kind.is_dir() {
            let (entries, reader) = folder::open(&origin)?;
            (MediaKind::Folder, entries, Box::new(reader))
        } else if !kind.is_file() {
            return Err(Error::usage(format!(
                "{} is neither a folder nor a file",
                text::path(path)
            )));
        } else if bare::is_wim(&origin)? {
            let (entries, reader) = bare::open(&origin)?;
            (MediaKind::Image, entries, Box::new(reader))
        } else {
            let (entries, reader) = iso::open(&origin)?;
            (MediaKind::Iso, entries, Box::new(reader))
        };
        let media = Self { kind, origin, modified, entries, reader };
        media.refuse_colliding_names()?;
        media.refuse_what_is_no_media()?;
        Ok(media)
    }

    /// What kind of source it is.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// The absolute path of the source.
    #[must_use]
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// When the top folder was last modified; for an ISO or image, that file.
    #[must_use]
    pub fn modified(&self) -> FileTime {
        self.modified
    }

    /// Its files and folders, ordered by path.
    #[must_use]
    pub fn entries(&self) -> &[MediaEntry] {
        &self.entries
    }

    /// The file at `path`, whatever its capitals.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&MediaEntry> {
        self.entries.iter().find(|entry| entry.size.is_some() && entry.path.is(path))
    }

    /// The WIM that holds the editions.
    #[must_use]
    pub fn install_image(&self) -> Option<&MediaEntry> {
        INSTALL_IMAGES.iter().find_map(|path| self.find(path))
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened, or is no longer the file that was listed.
    pub fn open_file(&self, entry: &MediaEntry) -> Result<OpenFile> {
        self.reader.open(entry.place)
    }

    /// What identified a file when it was listed; for a file in an ISO, what identified the ISO.
    #[must_use]
    pub fn identity(&self, entry: &MediaEntry) -> Option<Identity> {
        entry.size.and_then(|_| self.reader.identity(entry.place))
    }

    /// The other files of the split set that `first` begins, in order: `install2.swm` and so on
    /// after `install.swm`.
    #[must_use]
    pub fn later_parts(&self, first: &MediaEntry) -> Vec<&MediaEntry> {
        let Some(stem) = split_stem(&first.path) else { return Vec::new() };
        (2_u32..).map_while(|number| self.find(&format!("{stem}{number}.swm"))).collect()
    }

    /// Checks that the source still holds what was listed, nothing more and nothing less.
    ///
    /// # Errors
    /// When it does not; the error names the first difference.
    pub fn check_unchanged(&self) -> Result<()> {
        let now = Self::open(&self.origin)?;
        let describe = |media: &Self| -> Vec<(MediaPath, FileTime, Option<Identity>)> {
            let entries = media.entries.iter();
            entries.map(|e| (e.path.clone(), e.modified, media.identity(e))).collect()
        };
        if now.modified != self.modified {
            return Err(changed(&text::path(&self.origin)));
        }
        let (before, now) = (describe(self), describe(&now));
        let differing = before.iter().zip(&now).find(|(before, now)| before != now);
        let differing = differing.map(|(before, now)| (&before.0).min(&now.0)).or_else(|| {
            let longer = if before.len() > now.len() { &before } else { &now };
            longer.get(before.len().min(now.len())).map(|entry| &entry.0)
        });
        match differing {
            None => Ok(()),
            Some(path) => Err(changed(&format!("{} in {}", path, text::path(&self.origin)))),
        }
    }

    /// The name under which the contents of a file are remembered.
    #[must_use]
    pub fn key(&self, entry: &MediaEntry) -> String {
        match self.kind {
            MediaKind::Folder => format!("{}/{}", text::path(&self.origin), entry.path.as_str()),
            MediaKind::Iso => format!("{}:{}", text::path(&self.origin), entry.path.as_str()),
            MediaKind::Image => text::path(&self.origin),
        }
    }

    /// Windows takes two names that differ in capitals for one; a tree with both cannot be used.
    fn refuse_colliding_names(&self) -> Result<()> {
        let mut seen: HashMap<String, &MediaPath> = HashMap::with_capacity(self.entries.len());
        for entry in &self.entries {
            if let Some(other) = seen.insert(entry.path.folded(), &entry.path) {
                return Err(Error::usage(format!(
                    "the source holds both {other} and {}, which are one name to Windows",
                    entry.path
                ))
                .advise("remove or rename one of them in the source"));
            }
        }
        Ok(())
    }

    fn refuse_what_is_no_media(&self) -> Result<()> {
        if self.kind != MediaKind::Image && self.find("setup.exe").is_none() {
            return Err(no_media(&self.origin, "setup.exe"));
        }
        if self.install_image().is_none() {
            return Err(no_media(&self.origin, "sources/install.wim or sources/install.esd"));
        }
        Ok(())
    }
}

/// The error of a source that is something else.
fn no_media(origin: &Path, lacking: &str) -> Error {
    let origin = text::path(origin);
    Error::usage(format!("{origin} holds no Windows Setup media: there is no {lacking} in it"))
        .advise("give the folder or ISO that holds setup.exe, or a WIM or ESD by itself")
}

/// An open file of media, and the means to tell whether it stayed the same.
#[derive(Debug)]
pub struct OpenFile {
    /// Its bytes.
    pub source: Arc<dyn Source>,
    /// What it was when it was opened. For a file in an ISO, what the ISO was.
    pub identity: Identity,
    file: Arc<File>,
}

impl OpenFile {
    /// Checks that nothing has written to the file since it was opened.
    ///
    /// # Errors
    /// When something has; the error names the file.
    pub fn check_unchanged(&self) -> Result<()> {
        let now = identity(&self.file).map_err(|error| {
            Error::io(format!("cannot examine {}: {error}", text::clean(&self.source.name())))
        })?;
        if now == self.identity { Ok(()) } else { Err(changed(&self.source.name())) }
    }
}

/// Whether the file at `path` with these bytes is a WIM: its name says so, and it begins as one.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn is_wim(path: &MediaPath, source: &dyn Source) -> std::io::Result<bool> {
    let name = path.name().to_ascii_lowercase();
    if ![".wim", ".esd", ".swm"].iter().any(|ending| name.ends_with(ending)) || source.len() < 8 {
        return Ok(false);
    }
    Ok(bare::begins_as_wim(&source.bytes(0, 8)?))
}

/// The error of a file that changes under our hands.
fn changed(name: &str) -> Error {
    Error::io(format!("{} was changed while it was being read", text::clean(name)))
        .advise("wait until nothing writes to the source, then run the command again")
}

/// What identifies an open file and its state.
fn identity(file: &File) -> std::io::Result<Identity> {
    let status = Status::of(file)?;
    let time = |(seconds, nanos)| FileTime { seconds, nanos };
    Ok(Identity {
        size: status.len(),
        mtime: time(status.written()),
        ctime: time(status.changed()),
        device: status.id().volume,
        // Only Windows has wider ones, whose halves are both counted.
        inode: (status.id().number ^ status.id().number >> 64) as u64,
    })
}

/// Names that a package cannot hold, gathered so that one run shows them all.
#[derive(Default)]
struct Refused {
    lines: Vec<String>,
    count: usize,
}

impl Refused {
    fn add(&mut self, shown: &str, why: &str) {
        self.count += 1;
        if self.lines.len() < MAX_LISTED {
            self.lines.push(format!("\n  {shown} {why}"));
        }
    }

    fn check(self) -> Result<()> {
        let more = self.count - self.lines.len();
        match self.count {
            0 => Ok(()),
            count => {
                let mut message = format!(
                    "the source holds {count} thing{} that a package cannot hold:{}",
                    text::plural(count as u64),
                    self.lines.concat()
                );
                if more > 0 {
                    message.push_str(&format!("\n  and {more} more"));
                }
                Err(Error::usage(message)
                    .advise("rename or remove them in the source, or copy it without them"))
            }
        }
    }
}

/// The path of the first file of a split set without its ending; `None` for any other file.
fn split_stem(path: &MediaPath) -> Option<&str> {
    let path = path.as_str();
    let (stem, ending) = path.split_at_checked(path.len().checked_sub(4)?)?;
    ending.eq_ignore_ascii_case(".swm").then_some(stem)
}

fn too_many() -> Error {
    Error::usage(format!("the source holds more than {MAX_ENTRIES} files"))
        .advise("give the folder that holds setup.exe, not one above it")
}
