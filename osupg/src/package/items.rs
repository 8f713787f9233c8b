//! The files that a revision of some media holds, and how each comes about: as it is in the source,
//! or made of some images of the install WIM.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use wim_extract::source::Source;

use super::images::OpenWim;
use super::model::{Content, Entry};
use super::select;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::path::MediaPath;
use crate::media::{self, Media, MediaEntry, OpenFile};
use crate::store::cut::{self, Span};
use crate::store::ingest::Feeder;
use crate::text;
use crate::time::FileTime;

/// Objects that are looked for at the same time: a library elsewhere takes its time for each.
const LOOKS_AT_ONCE: usize = 32;

/// A file that the revision will hold.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub path: MediaPath,
    pub modified: FileTime,
    pub make: Make,
}

/// How the file comes about.
#[derive(Debug, Clone)]
pub(crate) enum Make {
    /// As it is in the source.
    Copy(MediaEntry),
    /// A WIM with some images of the install WIM, which may be a split set.
    Images { first: MediaEntry, later: Vec<MediaEntry>, indexes: Vec<u32> },
}

impl Make {
    /// What distinguishes this content from that of the source file itself. The number is that of
    /// the rules by which images are taken out; other rules may give other bytes.
    pub(crate) fn selection(&self) -> String {
        match self {
            Self::Copy(_) => String::new(),
            Self::Images { indexes, .. } => {
                format!("{}, rules 1", select::kept_words(Some(indexes)))
            }
        }
    }

    /// The source file to recognise it by. A split set is several and always read.
    pub(crate) fn source(&self) -> Option<&MediaEntry> {
        match self {
            Self::Copy(entry) => Some(entry),
            Self::Images { first, later, .. } => later.is_empty().then_some(first),
        }
    }
}

/// The files of the revision, in the order of the media.
pub(crate) fn items(media: &Media, keep: Option<&[u32]>) -> Vec<Item> {
    let install = media.install_image();
    let parts = install.map(|first| media.later_parts(first)).unwrap_or_default();
    let mut items = Vec::new();
    for entry in media.entries().iter().filter(|entry| entry.size.is_some()) {
        let is = |other: &MediaEntry| other.path == entry.path;
        let (path, make) = match keep {
            Some(indexes) if install.is_some_and(is) => {
                let later = parts.iter().map(|part| (*part).clone()).collect();
                let indexes = indexes.to_vec();
                (whole_name(&entry.path), Make::Images { first: entry.clone(), later, indexes })
            }
            // Their images of interest are in the new file.
            Some(_) if parts.iter().any(|part| is(part)) => continue,
            _ => (entry.path.clone(), Make::Copy(entry.clone())),
        };
        items.push(Item { path, modified: entry.modified, make });
    }
    items
}

/// What images taken out of a split set are called: `install.wim`.
fn whole_name(path: &MediaPath) -> MediaPath {
    let text = path.as_str();
    let split = text.len() > 4 && text.to_ascii_lowercase().ends_with(".swm");
    let whole = split.then(|| MediaPath::new(&format!("{}.wim", &text[..text.len() - 4])).ok());
    whole.flatten().unwrap_or_else(|| path.clone())
}

/// The content of a file that is as it was when it was last read, if the library still has it.
pub(crate) async fn recognise(home: &Home, media: &Media, item: &Item) -> Result<Option<Content>> {
    let Some(source) = item.make.source() else { return Ok(None) };
    let Some(identity) = media.identity(source) else { return Ok(None) };
    let (key, selection) = (media.key(source), item.make.selection());
    let Some(content) = home.db.remembered(&key, &selection, &identity).await? else {
        return Ok(None);
    };
    let content = home.db.content(content).await?;
    let mut there = stream::iter(&content.pieces)
        .map(|piece| home.library.has(piece))
        .buffer_unordered(LOOKS_AT_ONCE);
    while let Some(there) = there.next().await {
        if !there? {
            return Ok(None);
        }
    }
    drop(there);
    Ok(Some(content))
}

/// A file about to be read.
pub(crate) enum File {
    /// As it is in the source.
    Copy(MediaEntry),
    /// Images of the install WIM, whose file or files are open.
    Images { parts: Vec<OpenFile>, wim: Arc<dyn Source>, spans: Vec<Span> },
}

impl File {
    /// Opens what is needed to make it.
    pub(crate) fn plan(media: &Media, make: Make) -> Result<Self> {
        let (first, later, indexes) = match make {
            Make::Copy(entry) => return Ok(Self::Copy(entry)),
            Make::Images { first, later, indexes } => (first, later, indexes),
        };
        let entries = [&first].into_iter().chain(&later);
        let parts: Vec<_> = entries.map(|part| media.open_file(part)).collect::<Result<_>>()?;
        let mut sources = parts.iter().map(|part| Arc::clone(&part.source));
        let Some(first) = sources.next() else { return Ok(Self::Copy(first)) };
        let wim = OpenWim::open(first, sources.collect())?.images(&indexes)?;
        let spans = OpenWim::open(Arc::clone(&wim), Vec::new())?.spans();
        Ok(Self::Images { parts, wim, spans })
    }

    /// Bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Copy(entry) => entry.size.unwrap_or(0),
            Self::Images { wim, .. } => wim.len(),
        }
    }

    /// Feeds it to the library.
    pub(crate) fn feed(&self, media: &Media, feeder: &Feeder) -> Result<()> {
        match self {
            Self::Copy(entry) => {
                let open = media.open_file(entry)?;
                let spans = spans(&entry.path, &open)?;
                feeder.file(&*open.source, &spans)?;
                open.check_unchanged()
            }
            Self::Images { parts, wim, spans } => {
                feeder.file(&**wim, spans)?;
                parts.iter().try_for_each(OpenFile::check_unchanged)
            }
        }
    }

    /// Its bytes.
    pub(crate) fn source(&self, media: &Media) -> Result<Arc<dyn Source>> {
        match self {
            Self::Copy(entry) => Ok(media.open_file(entry)?.source),
            Self::Images { wim, .. } => Ok(Arc::clone(wim)),
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
pub(crate) fn entries(
    media: &Media,
    items: Vec<Item>,
    contents: Vec<Option<Content>>,
) -> Result<Vec<Entry>> {
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
