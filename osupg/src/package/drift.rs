//! Whether the source of a package is still what a revision holds, and what differs.
//!
//! What is told is what a refresh would take: with some images kept, the WIM that they would make.
//! Files that are as they were when they were last read are not read again; nothing is stored.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::compare::{self, FileChange};
use super::items::{self, File, Item};
use super::model::{Content, Entry, Package};
use super::reference::Reference;
use super::refresh;
use super::snapshot::{self, Reading};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::media::Media;
use crate::operation::{Length, Operation, Right};
use crate::progress::{Phase, Watch};
use crate::store::cut::MAX_PIECE;
use crate::text;

/// What to compare.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name, with or without a revision.
    pub package: Reference,
    /// Whether to read files that seem unchanged.
    #[serde(default)]
    pub reading: Reading,
}

/// What differs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// The package.
    pub id: String,
    /// The revision.
    pub revision: i64,
    /// The source.
    pub source: String,
    /// Whether anything differs.
    pub drifted: bool,
    /// Files and folders that differ, ordered by path: what a refresh would bring.
    pub files: Vec<FileChange>,
    /// Files and folders that are the same.
    pub same: u64,
    /// Bytes that were read to know.
    pub bytes_read: u64,
}

impl Operation for Request {
    type Outcome = Drift;
    const NAME: &'static str = "package.drift";
    const RIGHT: Right = Right::Read;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Drift> {
        let package = home.db.package_at(&self.package).await?;
        let media = refresh::open(PathBuf::from(&package.source_path), &package).await?;
        let (entries, bytes_read) = survey(home, &package, &media, self.reading, watch).await?;
        let held = home.db.entries(package.revision.key).await?;
        let comparison = compare::compare(&held, &entries);
        let touched = media.modified() != package.revision.root_modified;
        Ok(Drift {
            id: package.id,
            revision: package.revision.number,
            source: package.source_path,
            drifted: touched || !comparison.changes.is_empty(),
            files: comparison.changes,
            same: comparison.same,
            bytes_read,
        })
    }
}

/// The manifest that a refresh would make, without pieces, and the bytes that were read for it.
async fn survey(
    home: &Home,
    package: &Package,
    media: &Arc<Media>,
    reading: Reading,
    watch: Watch<'_>,
) -> Result<(Vec<Entry>, u64)> {
    let listed = Arc::clone(media);
    let facts = tokio::task::spawn_blocking(move || {
        Ok::<_, Error>(snapshot::open_install_image(&listed)?.facts())
    })
    .await??;
    let keep = package.selection.choose(&facts)?;
    let items = items::items(media, keep.as_deref());
    let mut contents = Vec::with_capacity(items.len());
    for item in &items {
        contents.push(match reading {
            Reading::Changed => items::recognise(home, media, item).await?,
            Reading::Everything => None,
        });
    }
    let unread = items.iter().zip(&mut contents).filter(|(_, content)| content.is_none());
    // Hashing takes this thread for a while; others go on.
    let bytes_read = tokio::task::block_in_place(|| hash(media, unread, watch))?;
    Ok((items::entries(media, items, contents)?, bytes_read))
}

fn hash<'i>(
    media: &Media,
    unread: impl Iterator<Item = (&'i Item, &'i mut Option<Content>)>,
    watch: Watch<'_>,
) -> Result<u64> {
    let files = unread
        .map(|(item, content)| Ok((File::plan(media, item.make.clone())?, content)))
        .collect::<Result<Vec<_>>>()?;
    let total = files.iter().map(|(file, _)| file.len()).sum();
    watch.progress.begin(Phase::Check, total);
    for (file, content) in files {
        let source = file.source(media)?;
        let (mut sha256, mut position) = (Sha256::new(), 0);
        while position < source.len() {
            watch.check()?;
            let len = (source.len() - position).min(MAX_PIECE as u64) as usize;
            let bytes = source.bytes(position, len).map_err(|error| {
                Error::io(format!("cannot read {}: {error}", text::clean(&source.name())))
            })?;
            sha256.update(&bytes);
            watch.progress.advance(bytes.len() as u64);
            position += len as u64;
        }
        let sha256 = sha256.finalize().into();
        *content = Some(Content { size: position, sha256, pieces: Vec::new() });
    }
    watch.progress.end();
    Ok(total)
}
