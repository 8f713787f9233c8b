//! Reads media into the library: the files of a revision, those already known not even opened.
//!
//! ```text
//! media ─► items (a file as it is, or one image of the install WIM)
//!            ├─ recognised: same path, size, times and inode as when it was last read
//!            └─ read, cut, stored
//!          ─► WIMs opened from the library: images listed, new ones verified
//! ```
//!
//! Images are verified from the library, not from the source: what is checked is what is kept.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wim_extract::source::Source;

use super::images::OpenWim;
use super::model::{Content, Entry, StoredImage};
use crate::db::sources::Identity;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::media::{self, Media, MediaEntry, OpenFile};
use crate::progress::{Phase, Watch};
use crate::space;
use crate::store::cut::{self, Span};
use crate::store::ingest::{self, Feeder, Ingested, Present};
use crate::store::source::PieceSource;
use crate::text;
use crate::time::{FileTime, Moment};

/// Whether a file that seems unchanged is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// Not if path, size, times and inode are as they were.
    #[default]
    Changed,
    /// Every file is read, and every object it consists of is checked in the library.
    Everything,
}

/// What taking a snapshot took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Work {
    /// Files that were read.
    pub files_read: u64,
    /// Their bytes.
    pub bytes_read: u64,
    /// Files recognised as unchanged, and not read.
    pub files_recognised: u64,
    /// Their bytes.
    pub bytes_recognised: u64,
    /// Objects that the library did not have.
    pub new_objects: u64,
    /// Their bytes.
    pub new_size: u64,
    /// Objects that were missing or damaged in the library and are whole again.
    pub mended_objects: u64,
    /// Images whose every blob was decoded and checked.
    pub images_verified: u64,
}

/// Media in the library, not yet part of any package.
pub(crate) struct Snapshot {
    /// Files and folders, ordered by path.
    pub entries: Vec<Entry>,
    /// The images in the WIM files among them.
    pub images: Vec<StoredImage>,
    /// What to remember of the files that were read.
    pub read: Vec<Remembered>,
    pub ingested: Ingested,
    pub work: Work,
}

/// A source file and what it held.
pub(crate) struct Remembered {
    pub key: String,
    pub selection: String,
    pub identity: Identity,
    pub seen: Moment,
    pub sha256: [u8; 32],
}

/// A file that the revision will hold.
#[derive(Debug, Clone)]
struct Item {
    path: MediaPath,
    modified: FileTime,
    make: Make,
}

/// How the file comes about.
#[derive(Debug, Clone)]
enum Make {
    /// As it is in the source.
    Copy(MediaEntry),
    /// A WIM with one image of the install WIM, which may be a split set.
    OneImage { first: MediaEntry, later: Vec<MediaEntry>, index: u32 },
}

impl Make {
    /// What distinguishes this content from that of the source file itself. The number is that of
    /// the rules by which an image is taken out; other rules may give other bytes.
    fn selection(&self) -> String {
        match self {
            Self::Copy(_) => String::new(),
            Self::OneImage { index, .. } => format!("image {index}, rules 1"),
        }
    }

    /// The source file to recognise it by. A split set is several and always read.
    fn source(&self) -> Option<&MediaEntry> {
        match self {
            Self::Copy(entry) => Some(entry),
            Self::OneImage { first, later, .. } => later.is_empty().then_some(first),
        }
    }
}

/// Opens the WIM with the editions straight from the media.
pub(crate) fn open_install_image(media: &Media) -> Result<OpenWim> {
    let Some(first) = media.install_image() else {
        return Err(Error::usage("the media hold no install.wim"));
    };
    let open = |entry: &MediaEntry| Ok::<_, Error>(media.open_file(entry)?.source);
    let later = media.later_parts(first).into_iter().map(open).collect::<Result<_>>()?;
    OpenWim::open(open(first)?, later)
}

/// Takes a snapshot of `media`, with the one image `keep` of the install WIM or all. The caller
/// holds the library's lease and has noted the import.
pub(crate) async fn take(
    home: &Home,
    media: &Arc<Media>,
    keep: Option<u32>,
    reading: Reading,
    watch: Watch<'_>,
) -> Result<Snapshot> {
    let items = items(media, keep);
    let mut work = Work::default();
    let mut contents: Vec<Option<Content>> = Vec::with_capacity(items.len());
    for item in &items {
        contents.push(match reading {
            Reading::Changed => recognise(home, media, item).await?,
            Reading::Everything => None,
        });
    }
    let unread: Vec<usize> = (0..items.len()).filter(|at| contents[*at].is_none()).collect();
    let seen = Moment::now();
    let ingested = read(home, media, &items, &unread, reading, watch).await?;
    let mut read = Vec::new();
    for (at, content) in unread.iter().zip(&ingested.contents) {
        read.extend(remembered(media, &items[*at], content, seen));
        work.bytes_read += content.size;
        contents[*at] = Some(content.clone());
    }
    work.files_read = unread.len() as u64;
    work.files_recognised = (items.len() - unread.len()) as u64;
    work.new_objects = ingested.stored.len() as u64;
    work.new_size = ingested.new_size();
    work.mended_objects = ingested.mended;

    let entries = entries(media, items, contents)?;
    let total: u64 = entries.iter().filter_map(|e| Some(e.content.as_ref()?.size)).sum();
    work.bytes_recognised = total - work.bytes_read;
    let (images, verified) = list_images(home, &entries, reading, watch).await?;
    work.images_verified = verified;
    Ok(Snapshot { entries, images, read, ingested, work })
}

/// The files of the revision, in the order of the media.
fn items(media: &Media, keep: Option<u32>) -> Vec<Item> {
    let install = media.install_image();
    let parts = install.map(|first| media.later_parts(first)).unwrap_or_default();
    let mut items = Vec::new();
    for entry in media.entries().iter().filter(|entry| entry.size.is_some()) {
        let is = |other: &MediaEntry| other.path == entry.path;
        let (path, make) = match keep {
            Some(index) if install.is_some_and(is) => {
                let later = parts.iter().map(|part| (*part).clone()).collect();
                (whole_name(&entry.path), Make::OneImage { first: entry.clone(), later, index })
            }
            // Their one image of interest is in the new file.
            Some(_) if parts.iter().any(|part| is(part)) => continue,
            _ => (entry.path.clone(), Make::Copy(entry.clone())),
        };
        items.push(Item { path, modified: entry.modified, make });
    }
    items
}

/// What an image taken out of a split set is called: `install.wim`.
fn whole_name(path: &MediaPath) -> MediaPath {
    let text = path.as_str();
    let split = text.len() > 4 && text.to_ascii_lowercase().ends_with(".swm");
    let whole = split.then(|| MediaPath::new(&format!("{}.wim", &text[..text.len() - 4])).ok());
    whole.flatten().unwrap_or_else(|| path.clone())
}

/// The content of a file that is as it was when it was last read, if the library still has it.
async fn recognise(home: &Home, media: &Media, item: &Item) -> Result<Option<Content>> {
    let Some(source) = item.make.source() else { return Ok(None) };
    let Some(identity) = media.identity(source) else { return Ok(None) };
    let (key, selection) = (media.key(source), item.make.selection());
    let Some(content) = home.db.remembered(&key, &selection, &identity).await? else {
        return Ok(None);
    };
    let content = home.db.content(content).await?;
    for piece in &content.pieces {
        if !home.library.has(piece).await? {
            return Ok(None);
        }
    }
    Ok(Some(content))
}

fn remembered(media: &Media, item: &Item, content: &Content, seen: Moment) -> Option<Remembered> {
    let source = item.make.source()?;
    let identity = media.identity(source).filter(|identity| identity.at_rest(seen))?;
    Some(Remembered {
        key: media.key(source),
        selection: item.make.selection(),
        identity,
        seen,
        sha256: content.sha256,
    })
}

async fn read(
    home: &Home,
    media: &Arc<Media>,
    items: &[Item],
    unread: &[usize],
    reading: Reading,
    watch: Watch<'_>,
) -> Result<Ingested> {
    let present = match reading {
        Reading::Changed => Present::Trusted,
        Reading::Everything => Present::Checked,
    };
    let wanted: Vec<Make> = unread.iter().map(|at| items[*at].make.clone()).collect();
    let media = Arc::clone(media);
    let planned = Arc::clone(&media);
    let files: Vec<File> = tokio::task::spawn_blocking(move || {
        wanted.into_iter().map(|make| File::plan(&planned, make)).collect::<Result<_>>()
    })
    .await??;
    let total = files.iter().map(File::len).sum();
    // Who has everything read again knows most of it to be in the library.
    if reading == Reading::Changed {
        let folder = home.library.folder();
        space::require(folder, folder, total).map_err(|error| {
            error.advise(
                "free some space or choose a store on another disk with --home; if the library \
                 holds most of it already, add it with --rehash",
            )
        })?;
    }
    watch.progress.begin(Phase::Store, total);
    let feed = move |feeder: &Feeder| files.iter().try_for_each(|file| file.feed(&media, feeder));
    let ingested = ingest::ingest(&home.db, &home.library, present, watch, feed).await?;
    watch.progress.end();
    Ok(ingested)
}

/// A file about to be read.
enum File {
    /// As it is in the source.
    Copy(MediaEntry),
    /// One image of the install WIM, whose file or files are open.
    OneImage { parts: Vec<OpenFile>, wim: Arc<dyn Source>, spans: Vec<Span> },
}

impl File {
    fn plan(media: &Media, make: Make) -> Result<Self> {
        let (first, later, index) = match make {
            Make::Copy(entry) => return Ok(Self::Copy(entry)),
            Make::OneImage { first, later, index } => (first, later, index),
        };
        let entries = [&first].into_iter().chain(&later);
        let parts: Vec<_> = entries.map(|part| media.open_file(part)).collect::<Result<_>>()?;
        let mut sources = parts.iter().map(|part| Arc::clone(&part.source));
        let Some(first) = sources.next() else { return Ok(Self::Copy(first)) };
        let wim = OpenWim::open(first, sources.collect())?.one_image(index)?;
        let spans = OpenWim::open(Arc::clone(&wim), Vec::new())?.spans();
        Ok(Self::OneImage { parts, wim, spans })
    }

    fn len(&self) -> u64 {
        match self {
            Self::Copy(entry) => entry.size.unwrap_or(0),
            Self::OneImage { wim, .. } => wim.len(),
        }
    }

    fn feed(&self, media: &Media, feeder: &Feeder) -> Result<()> {
        match self {
            Self::Copy(entry) => {
                let open = media.open_file(entry)?;
                let spans = spans(&entry.path, &open)?;
                feeder.file(&*open.source, &spans)?;
                open.check_unchanged()
            }
            Self::OneImage { parts, wim, spans } => {
                feeder.file(&**wim, spans)?;
                parts.iter().try_for_each(OpenFile::check_unchanged)
            }
        }
    }
}

fn spans(path: &MediaPath, open: &OpenFile) -> Result<Vec<Span>> {
    let wim = media::is_wim(path, &*open.source).map_err(|error| {
        Error::io(format!("cannot read {}: {error}", text::clean(&open.source.name())))
    })?;
    if wim {
        Ok(OpenWim::open(Arc::clone(&open.source), Vec::new())?.spans())
    } else {
        Ok(cut::plain(open.source.len()))
    }
}

/// The manifest: the folders of the media, and the files with their contents.
fn entries(media: &Media, items: Vec<Item>, contents: Vec<Option<Content>>) -> Result<Vec<Entry>> {
    let folders = media.entries().iter().filter(|entry| entry.size.is_none());
    let mut entries: Vec<_> = folders
        .map(|entry| Entry { path: entry.path.clone(), modified: entry.modified, content: None })
        .collect();
    for (item, content) in items.into_iter().zip(contents) {
        if content.is_none() {
            return Err(Error::io(format!("internal: {} has no content", item.path)));
        }
        entries.push(Entry { path: item.path, modified: item.modified, content });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// Opens every WIM of a manifest from the library and lists its images; those that no earlier
/// revision holds (all, when everything is read) are verified. Returns how many images were.
async fn list_images(
    home: &Home,
    entries: &[Entry],
    reading: Reading,
    watch: Watch<'_>,
) -> Result<(Vec<StoredImage>, u64)> {
    let mut images = Vec::new();
    let mut verified = 0;
    for wim in wims(home, entries) {
        let known = home.db.has_content(&wim.sha256).await?;
        let verify = !known || reading == Reading::Everything;
        // Decoding takes every core for a while: this thread waits for it, others go on.
        let (listed, count) = tokio::task::block_in_place(|| wim.read(verify, watch))?;
        images.extend(listed);
        verified += u64::from(count);
    }
    Ok((images, verified))
}

/// A WIM of a manifest, as it is in the library.
pub(crate) struct LibraryWim {
    pub path: MediaPath,
    sha256: [u8; 32],
    first: Arc<dyn Source>,
    later: Vec<Arc<dyn Source>>,
}

/// The files of a manifest that may be WIMs; the parts of a split set are together.
pub(crate) fn wims(home: &Home, entries: &[Entry]) -> Vec<LibraryWim> {
    let source = |entry: &Entry| -> Option<Arc<dyn Source>> {
        let pieces = &entry.content.as_ref()?.pieces;
        Some(Arc::new(PieceSource::new(home.library.clone(), pieces, entry.path.to_string())))
    };
    let mut wims = Vec::new();
    let mut taken: Vec<&MediaPath> = Vec::new();
    for entry in entries {
        let name = entry.path.name().to_ascii_lowercase();
        let is_wim = [".wim", ".esd", ".swm"].iter().any(|ending| name.ends_with(ending));
        let (Some(content), Some(first)) = (&entry.content, source(entry)) else { continue };
        if !is_wim || taken.contains(&&entry.path) {
            continue;
        }
        let mut later = Vec::new();
        if name.ends_with(".swm") {
            let stem = &entry.path.as_str()[..entry.path.as_str().len() - 4];
            let part = |number: u32| {
                let path = format!("{stem}{number}.swm");
                entries.iter().find(|other| other.path.is(&path))
            };
            for part in (2..).map_while(part) {
                taken.push(&part.path);
                later.extend(source(part));
            }
        }
        wims.push(LibraryWim { path: entry.path.clone(), sha256: content.sha256, first, later });
    }
    wims
}

impl LibraryWim {
    /// Lists its images and, if asked to, verifies them; returns how many were. A file that only
    /// has the name of a WIM has none.
    pub(crate) fn read(&self, verify: bool, watch: Watch<'_>) -> Result<(Vec<StoredImage>, u32)> {
        let is_wim = media::is_wim(&self.path, &*self.first)
            .map_err(|error| Error::damaged(format!("{}: {error}", self.path)))?;
        if !is_wim {
            return Ok((Vec::new(), 0));
        }
        let wim = OpenWim::open(Arc::clone(&self.first), self.later.clone())?;
        let images = wim
            .facts()
            .into_iter()
            .map(|facts| {
                let xml = wim.image_xml(facts.index)?;
                Ok(StoredImage { path: self.path.clone(), facts, xml })
            })
            .collect::<Result<_>>()?;
        let verified = if verify { wim.verify(watch)? } else { 0 };
        Ok((images, verified))
    }
}
