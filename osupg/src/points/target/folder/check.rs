//! Reads what is at the point and compares it with a document.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::dir::{Dir, Kind};
use super::{Folder, Place};
use wim_extract::source::read_exact_at;

use crate::error::{Error, Result};
use crate::media::path::MediaPath;
use crate::package::document::Document;
use crate::package::model::Content;
use crate::points::feed::Feed;
use crate::points::target::Flaw;
use crate::text;

/// Bytes that are read and hashed in one step.
const CHUNK: usize = 4 << 20;
/// Flaws that are listed; of more there is only the number.
const MAX_LISTED: usize = 1000;

/// What is wrong with the installed tree of `document`'s package.
pub(super) async fn verify(
    folder: &Folder,
    document: &Document,
    feed: &Feed<'_>,
) -> Result<Vec<Flaw>> {
    let nothing = || {
        vec![Flaw { path: String::new(), what: "nothing of the package is at the point".into() }]
    };
    let Some(place) = folder.place_if_any(&document.package.id).await? else {
        return Ok(nothing());
    };
    let Place { id, root, .. } = place;
    let tree = folder.step(move || root.sub(&id)).await?.map(Arc::new);
    let Some(tree) = tree else { return Ok(nothing()) };
    let mut flaws: Vec<Flaw> = stream::iter(document.files())
        .map(|(entry, content)| check_file(folder, &tree, &entry.path, content, feed))
        .buffer_unordered(feed.rules.threads)
        .try_filter_map(|flaw| async { Ok(flaw) })
        .try_collect()
        .await?;
    flaws.extend(check_names(folder, &tree, document).await?);
    flaws.sort_by(|a, b| (&a.path, &a.what).cmp(&(&b.path, &b.what)));
    if flaws.len() > MAX_LISTED {
        let more = flaws.len() - MAX_LISTED;
        flaws.truncate(MAX_LISTED);
        flaws.push(Flaw { path: String::new(), what: format!("and {more} more") });
    }
    Ok(flaws)
}

async fn check_file(
    folder: &Folder,
    tree: &Arc<Dir>,
    path: &MediaPath,
    content: &Content,
    feed: &Feed<'_>,
) -> Result<Option<Flaw>> {
    let flaw = |what: &str| Some(Flaw { path: path.as_str().to_string(), what: what.into() });
    let (dir, name) = (Arc::clone(tree), path.as_str().to_string());
    let Some(file) = folder.step(move || dir.file(&name)).await? else {
        return Ok(flaw("is missing"));
    };
    let size = file
        .metadata()
        .map_err(|error| Error::file("examine", &tree.shown().join(path.as_str()), &error))?
        .len();
    if size != content.size {
        let (has, should) = (text::size(size), text::size(content.size));
        return Ok(flaw(&match has == should {
            true => format!("has {size} bytes instead of {}", content.size),
            false => format!("has {has} instead of {should}"),
        }));
    }
    match sha256(folder, &Arc::new(file), size, feed, Watched::Yes).await? {
        Some(found) if found == content.sha256 => Ok(None),
        Some(_) => Ok(flaw("was changed: its SHA-256 is not the one that was signed")),
        None => Ok(flaw("cannot be read to its end")),
    }
}

/// Whether whoever watches is told of every byte read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    Yes,
    No,
}

/// The SHA-256 of a file of this size; `None` when it is shorter or cannot be read.
pub(super) async fn sha256(
    folder: &Folder,
    file: &Arc<File>,
    size: u64,
    feed: &Feed<'_>,
    watched: Watched,
) -> Result<Option<[u8; 32]>> {
    let mut state = (Sha256::new(), vec![0; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK))]);
    let mut offset = 0;
    while offset < size {
        feed.check()?;
        let take = usize::try_from(size - offset).unwrap_or(CHUNK).min(CHUNK);
        let (file, (mut hash, mut buffer)) = (Arc::clone(file), state);
        let read;
        (hash, buffer, read) = folder
            .step(move || {
                let read = match buffer.get_mut(..take) {
                    Some(part) => {
                        let read = read_exact_at(&file, part, offset);
                        hash.update(part);
                        read.is_ok()
                    }
                    None => false,
                };
                Ok((hash, buffer, read))
            })
            .await?;
        if !read {
            return Ok(None);
        }
        state = (hash, buffer);
        offset += take as u64;
        if watched == Watched::Yes {
            feed.watch().progress.advance(take as u64);
        }
    }
    Ok(Some(state.0.finalize().into()))
}

/// Names in the tree that the document does not have, and folders that it has and the tree not.
async fn check_names(folder: &Folder, tree: &Arc<Dir>, document: &Document) -> Result<Vec<Flaw>> {
    let most = document.entries.len() + MAX_LISTED;
    let dir = Arc::clone(tree);
    let walk = folder.step(move || dir.walk(most)).await?;
    let mut wanted: HashMap<&str, Kind> = document
        .entries
        .iter()
        .map(|entry| {
            let kind = if entry.content.is_none() { Kind::Folder } else { Kind::File };
            (entry.path.as_str(), kind)
        })
        .collect();
    let mut flaws = Vec::new();
    for (path, kind) in &walk.found {
        match wanted.remove(path.as_str()) {
            Some(right) if right == *kind => {}
            // A file that is missing has been said already.
            Some(Kind::File) => {}
            Some(_) => flaws.push(Flaw { path: path.clone(), what: "is no folder".into() }),
            None => flaws
                .push(Flaw { path: path.clone(), what: "does not belong to the package".into() }),
        }
    }
    let missing = wanted.iter().filter(|(_, kind)| **kind == Kind::Folder && !walk.cut_off);
    flaws.extend(
        missing.map(|(path, _)| Flaw {
            path: (*path).to_string(),
            what: "the folder is missing".into(),
        }),
    );
    if walk.strange > 0 {
        let count = walk.strange;
        let what = format!("{count} name{} that are not text", text::plural(count as u64));
        flaws.push(Flaw { path: String::new(), what });
    }
    if walk.cut_off {
        let what = "there are many more files than belong to the package".into();
        flaws.push(Flaw { path: String::new(), what });
    }
    Ok(flaws)
}
