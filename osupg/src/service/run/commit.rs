//! Puts what a run has made into the library, and then into the database as the next revision.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use wim_extract::source::{Access, FileSource, MemorySource, Source};

use super::super::install;
use super::super::inventory::{self, is_wim};
use super::media::{self, New};
use super::{Changes, Work};
use crate::db::contents::ContentWriter;
use crate::db::packages::NewRevision;
use crate::db::{imports, service};
use crate::error::{Error, Result};
use crate::media::path::MediaPath;
use crate::package::images::OpenWim;
use crate::package::manifest;
use crate::package::model::{Entry, StoredImage};
use crate::package::select;
use crate::progress::Phase;
use crate::store::cut;
use crate::store::ingest::{self, Feeder, Ingested, Present};
use crate::store::lease::Lease;
use crate::time::{FileTime, Moment};

/// The next revision, in the library but in no database.
pub(super) struct Made {
    /// Its manifest, ordered by path.
    pub(super) entries: Vec<Entry>,
    /// The images in its WIM files.
    pub(super) images: Vec<StoredImage>,
    /// Paths of the WIM files that are new.
    pub(super) new_wims: Vec<MediaPath>,
    pub(super) ingested: Ingested,
}

/// Stores files of the scratch folder; WIM files are cut at their resources.
pub(super) async fn keep(work: &Work<'_>, files: Vec<PathBuf>) -> Result<Ingested> {
    let sources = tokio::task::block_in_place(|| {
        files.iter().map(|path| open(&New::File(path.clone()))).collect::<Result<Vec<_>>>()
    })?;
    store_all(work, sources).await
}

fn open(new: &New) -> Result<Arc<dyn Source>> {
    match new {
        New::File(path) => FileSource::open(path, Access::Read)
            .map(|source| Arc::new(source) as Arc<dyn Source>)
            .map_err(|error| Error::io(error.to_string())),
        New::Bytes(bytes) => {
            Ok(Arc::new(MemorySource::new(Bytes::from(bytes.clone()), "a file made by the run")))
        }
        New::Content(_) => Err(Error::io("internal: a content of the library is not stored again")),
    }
}

async fn store_all(work: &Work<'_>, sources: Vec<Arc<dyn Source>>) -> Result<Ingested> {
    let total = sources.iter().map(|source| source.len()).sum();
    let library = &work.home.library;
    library.require_space(total)?;
    work.watch.progress.begin(Phase::Store, total);
    let feed = move |feeder: &Feeder| {
        for source in &sources {
            let wim = source.len() >= 8
                && source.bytes(0, 8).is_ok_and(|head| &head[..] == b"MSWIM\0\0\0");
            let spans = if wim {
                OpenWim::open(Arc::clone(source), Vec::new())?.spans()
            } else {
                cut::plain(source.len())
            };
            feeder.file(&**source, &spans)?;
        }
        Ok(())
    };
    let ingested =
        ingest::ingest(&work.home.db, library, Present::Trusted, work.watch, feed).await?;
    work.watch.progress.end();
    Ok(ingested)
}

/// Stores what is new and makes the manifest.
pub(super) async fn store(work: &Work<'_>, changes: &Changes) -> Result<Made> {
    let mut stored: Vec<(&MediaPath, &New)> = Vec::new();
    let mut sources = Vec::new();
    for (path, new) in changes.new_files() {
        if !matches!(new, New::Content(_)) {
            sources.push(tokio::task::block_in_place(|| open(new))?);
            stored.push((path, new));
        }
    }
    let ingested = store_all(work, sources).await?;
    let base = &work.survey.entries;
    let old = |path: &MediaPath| base.iter().find(|entry| entry.path.folded() == path.folded());
    let mut entries: Vec<Entry> = base
        .iter()
        .filter(|entry| !changes.is_gone(&entry.path))
        .filter(|entry| !changes.new_files().any(|(path, _)| path.folded() == entry.path.folded()))
        .cloned()
        .collect();
    let mut new_wims = Vec::new();
    let mut contents = ingested.contents.iter();
    for (path, new) in changes.new_files() {
        let content = match new {
            New::Content(content) => content.clone(),
            _ => contents
                .next()
                .cloned()
                .ok_or_else(|| Error::io(format!("internal: {path} was not stored")))?,
        };
        let before = old(path);
        if before.is_some_and(|entry| entry.content.is_none()) {
            return Err(Error::usage(format!("{path} is a folder on the media, not a file")));
        }
        // What comes out as it was keeps its time, so that nothing seems to have changed.
        let same = before.filter(|entry| {
            entry.content.as_ref().is_some_and(|there| there.sha256 == content.sha256)
        });
        let modified = match same {
            Some(entry) => entry.modified,
            None => media::modified(new)?,
        };
        let entry = Entry { path: path.clone(), modified, content: Some(content) };
        if same.is_none() {
            new_wims.push(path.clone());
        }
        add_folders(&mut entries, path, modified)?;
        entries.push(entry);
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let wims: Vec<_> = entries.iter().filter(|entry| is_wim(&entries, entry)).collect();
    new_wims.retain(|path| wims.iter().any(|entry| entry.path == *path));
    let images = list_images(work, &entries, &new_wims).await?;
    Ok(Made { entries, images, new_wims, ingested })
}

/// The folders above a new file that are not there yet.
fn add_folders(entries: &mut Vec<Entry>, path: &MediaPath, modified: FileTime) -> Result<()> {
    let mut above = path.parent();
    while let Some(folder) = above {
        match entries.iter().find(|entry| entry.path.folded() == folder.folded()) {
            Some(entry) if entry.content.is_none() => return Ok(()),
            Some(_) => {
                return Err(Error::usage(format!("{folder} is a file on the media, not a folder")));
            }
            None => entries.push(Entry { path: folder.clone(), modified, content: None }),
        }
        above = folder.parent();
    }
    Ok(())
}

/// The images of the WIM files: those of the base as they are known, the new ones read.
async fn list_images(
    work: &Work<'_>,
    entries: &[Entry],
    new_wims: &[MediaPath],
) -> Result<Vec<StoredImage>> {
    let known = work.home.db.images(work.survey.base.revision.key).await?;
    let mut images: Vec<StoredImage> = known
        .into_iter()
        .filter(|image| entries.iter().any(|entry| entry.path == image.path))
        .filter(|image| !new_wims.contains(&image.path))
        .collect();
    for entry in entries.iter().filter(|entry| new_wims.contains(&entry.path)) {
        let read = tokio::task::block_in_place(|| {
            let open = inventory::open(work.home, entries, entry)?;
            open.facts()
                .into_iter()
                .map(|facts| {
                    let xml = open.image_xml(facts.index)?;
                    Ok(StoredImage { path: entry.path.clone(), facts, xml })
                })
                .collect::<Result<Vec<_>>>()
        })?;
        images.extend(read);
    }
    Ok(images)
}

/// Makes it the current revision of the package, if that is still at the revision that it was at;
/// returns its number, or `None` when the current revision is the same already.
pub(super) async fn commit(
    work: &Work<'_>,
    made: &Made,
    cause: &str,
    run: &str,
    lease: Lease,
) -> Result<Option<i64>> {
    let package = &work.survey.package;
    let root_modified = work.survey.base.revision.root_modified;
    let digest = manifest::digest(root_modified, &made.entries);
    let now = Moment::now();
    let mut tx = work.home.db.begin().await?;
    let mut contents = ContentWriter::default();
    let mut number = None;
    if digest != package.revision.digest {
        let mut entries = Vec::with_capacity(made.entries.len());
        for entry in &made.entries {
            let key = match &entry.content {
                Some(content) => Some(contents.ensure(&mut tx, content, now).await?),
                None => None,
            };
            entries.push((entry, key));
        }
        let installs: Vec<_> = made
            .images
            .iter()
            .filter(|image| install::is_install(&image.path))
            .map(|image| image.facts.clone())
            .collect();
        let statement = select::state(&installs, None, None)?;
        let selection = match work.recipe.keep.as_slice() {
            [] => work.survey.base.revision.selection.clone(),
            kept => format!("images {}", kept.join(", ")),
        };
        let revision = NewRevision {
            cause,
            made_by: work.home.by(),
            selection: &selection,
            editions: &statement.editions,
            builds: &statement.builds,
            digest,
            root_modified,
            new_size: made.ingested.new_size(),
            entries: &entries,
            images: &made.images,
        };
        let base = work.survey.base.revision.number;
        number = Some(service::append(&mut tx, package, base, &revision, run, now).await?);
    }
    contents.doom_unused(&mut tx, &made.ingested.stored, now).await?;
    imports::import_ends(&mut tx, work.import).await?;
    lease.confirm(&mut tx).await?;
    tx.commit().await?;
    drop(lease);
    Ok(number)
}
