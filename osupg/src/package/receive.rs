//! Takes in a revision that was made elsewhere: from a bundle, or by a node that has fetched it.
//!
//! Its pieces are in the library already. Every file is read from it once more and checked against
//! its SHA-256 before the one transaction that makes the revision part of this store.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::document::Document;
use super::model::Content;
use super::snapshot;
use crate::db::contents::ContentWriter;
use crate::db::packages::NewRevision;
use crate::db::received;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::points::target::Depth;
use crate::progress::{Phase, Watch};
use crate::store::Health;
use crate::store::layout::Piece;
use crate::text;
use crate::time::Moment;

/// The pieces of a document that the library of this store lacks, each once; with
/// [`Depth::EveryByte`] also those that are damaged in it.
///
/// # Errors
/// When the library cannot be reached, or the command was stopped.
pub async fn missing(
    home: &Home,
    document: &Document,
    depth: Depth,
    watch: Watch<'_>,
) -> Result<Vec<Piece>> {
    let mut missing = Vec::new();
    for piece in document.pieces() {
        watch.check()?;
        let there = match depth {
            Depth::Usual => home.library.has(&piece).await?,
            Depth::EveryByte => home.library.check(&piece).await? == Health::Whole,
        };
        if !there {
            missing.push(piece);
        }
    }
    Ok(missing)
}

/// Takes in a revision whose pieces are in the library. The caller holds a lease of the library;
/// `source` says where the revision comes from.
///
/// A revision that is here already is made the current one again.
///
/// # Errors
/// When a piece is missing or damaged, a file is not what was signed, another package here has its
/// name, or another revision its number.
pub async fn receive(
    home: &Home,
    document: &Document,
    source: &str,
    watch: Watch<'_>,
) -> Result<()> {
    check_files(home, document, watch).await?;
    let mut images = Vec::new();
    for wim in snapshot::wims(home, &document.entries) {
        watch.check()?;
        // What is named like a WIM and is none, or a damaged one, is still what was signed.
        if let Ok((found, _)) = tokio::task::block_in_place(|| wim.read(false, watch)) {
            images.extend(found);
        }
    }
    let now = Moment::now();
    let mut tx = home.db.begin().await?;
    let mut contents = ContentWriter::default();
    let mut entries = Vec::with_capacity(document.entries.len());
    for entry in &document.entries {
        let key = match &entry.content {
            Some(content) => Some(contents.ensure(&mut tx, content, now).await?),
            None => None,
        };
        entries.push((entry, key));
    }
    let revision = NewRevision {
        cause: "received",
        made_by: home.by(),
        selection: "",
        editions: &document.editions,
        builds: &document.builds,
        digest: document.digest,
        root_modified: document.root_modified,
        new_size: 0,
        entries: &entries,
        images: &images,
    };
    received::insert_received(&mut tx, &document.package, document.number, source, &revision, now)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Reads every file that no revision here has yet.
async fn check_files(home: &Home, document: &Document, watch: Watch<'_>) -> Result<()> {
    let mut new: Vec<(String, &Content)> = Vec::new();
    let mut seen = HashSet::new();
    for (entry, content) in document.files() {
        if seen.insert(content.sha256) && !home.db.has_content(&content.sha256).await? {
            new.push((entry.path.to_string(), content));
        }
    }
    watch.progress.begin(Phase::Check, new.iter().map(|(_, content)| content.size).sum());
    for (path, content) in new {
        let mut sha256 = Sha256::new();
        for piece in &content.pieces {
            watch.check()?;
            let bytes = home.library.get(piece).await.map_err(|error| error.context(&path))?;
            sha256 = tokio::task::spawn_blocking(move || {
                sha256.update(&bytes);
                sha256
            })
            .await?;
            watch.progress.advance(piece.size);
        }
        let found: [u8; 32] = sha256.finalize().into();
        if found != content.sha256 {
            return Err(Error::damaged(format!(
                "{path} has the SHA-256 {} instead of {}, although each of its pieces is right",
                text::hex(&found),
                text::hex(&content.sha256)
            ))
            .advise("whoever signed this revision signed something wrong"));
        }
    }
    watch.progress.end();
    Ok(())
}
