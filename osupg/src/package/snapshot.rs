//! Reads media into the library: the files of a revision, those already known not even opened.
//!
//! ```text
//! media ─► items (a file as it is, or some images of the install WIM)
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
use super::items::{self, File, Item, Make};
use super::manifest;
use super::model::{Content, Entry, StoredImage};
use crate::db::sources::Identity;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::media::{self, Media, MediaEntry};
use crate::progress::{Phase, Watch};
use crate::store::ingest::{self, Feeder, Ingested, Present};
use crate::store::source::PieceSource;
use crate::time::Moment;

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

impl Snapshot {
    /// The digest of the revision that it makes.
    pub(crate) fn digest(&self, media: &Media) -> [u8; 32] {
        manifest::digest(media.modified(), &self.entries)
    }
}

/// A source file and what it held.
pub(crate) struct Remembered {
    pub key: String,
    pub selection: String,
    pub identity: Identity,
    pub seen: Moment,
    pub sha256: [u8; 32],
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

/// Takes a snapshot of `media`, with the images `keep` of the install WIM or all. The caller
/// holds the library's lease and has noted the import.
pub(crate) async fn take(
    home: &Home,
    media: &Arc<Media>,
    keep: Option<&[u32]>,
    reading: Reading,
    watch: Watch<'_>,
) -> Result<Snapshot> {
    let items = items::items(media, keep);
    let mut work = Work::default();
    let mut contents: Vec<Option<Content>> = Vec::with_capacity(items.len());
    for item in &items {
        contents.push(match reading {
            Reading::Changed => items::recognise(home, media, item).await?,
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

    let entries = items::entries(media, items, contents)?;
    let total: u64 = entries.iter().filter_map(|e| Some(e.content.as_ref()?.size)).sum();
    work.bytes_recognised = total - work.bytes_read;
    let (images, verified) = list_images(home, &entries, reading, watch).await?;
    work.images_verified = verified;
    Ok(Snapshot { entries, images, read, ingested, work })
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
        home.library.require_space(total)?;
    }
    watch.progress.begin(Phase::Store, total);
    let feed = move |feeder: &Feeder| files.iter().try_for_each(|file| file.feed(&media, feeder));
    let ingested = ingest::ingest(&home.db, &home.library, present, watch, feed).await?;
    watch.progress.end();
    Ok(ingested)
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
    later_paths: Vec<MediaPath>,
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
        let (mut later, mut later_paths) = (Vec::new(), Vec::new());
        if name.ends_with(".swm") {
            let stem = &entry.path.as_str()[..entry.path.as_str().len() - 4];
            let part = |number: u32| {
                let path = format!("{stem}{number}.swm");
                entries.iter().find(|other| other.path.is(&path))
            };
            for part in (2..).map_while(part) {
                taken.push(&part.path);
                later.extend(source(part));
                later_paths.push(part.path.clone());
            }
        }
        wims.push(LibraryWim {
            path: entry.path.clone(),
            sha256: content.sha256,
            first,
            later,
            later_paths,
        });
    }
    wims
}

impl LibraryWim {
    /// The paths of its files: more than one for a split set.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &MediaPath> {
        [&self.path].into_iter().chain(&self.later_paths)
    }

    /// Opens it; `None` for a file that only has the name of a WIM.
    pub(crate) fn open(&self) -> Result<Option<OpenWim>> {
        let is_wim = media::is_wim(&self.path, &*self.first)
            .map_err(|error| Error::damaged(format!("{}: {error}", self.path)))?;
        is_wim.then(|| OpenWim::open(Arc::clone(&self.first), self.later.clone())).transpose()
    }

    /// Lists its images and, if asked to, verifies them; returns how many were. A file that only
    /// has the name of a WIM has none.
    pub(crate) fn read(&self, verify: bool, watch: Watch<'_>) -> Result<(Vec<StoredImage>, u32)> {
        let Some(wim) = self.open()? else { return Ok((Vec::new(), 0)) };
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
