//! Takes in a revision that another store has made: a bundle or a pulling node brings its pieces and
//! its signed document, and this makes a package of them.
//!
//! A package keeps its id and its revisions their numbers, so that all stores speak of the same
//! thing. What this store made itself, or took in from another signer, is never mixed with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::document::Document;
use super::model::{Content, Package, StoredImage};
use super::reference::Reference;
use super::snapshot;
use crate::db::adopt::{self as rows, STORE};
use crate::db::contents::ContentWriter;
use crate::db::imports;
use crate::db::packages::NewRevision;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::points::target::Depth;
use crate::progress::{Phase, Watch};
use crate::store::Health;
use crate::store::layout::Piece;
use crate::store::lease::Lease;
use crate::text;
use crate::time::Moment;

/// What became of a document.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Adopted {
    /// The package, with the revision of the document.
    pub package: Package,
    /// Whether the store did not have this revision before.
    pub new: bool,
}

/// How a document stands to what the store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The store has not got the package, or only older revisions of it.
    New,
    /// The store has exactly this revision.
    Present,
    /// The store has a newer revision, and not this one: its number is this.
    Stale(i64),
}

/// Compares a document, signed by the key with this name, with what the store has.
///
/// # Errors
/// When the store has another package or another revision under its id.
pub async fn standing(home: &Home, document: &Document, signer: &str) -> Result<Standing> {
    let (id, number) = (&document.package.id, document.number);
    let Some((kind, source, current)) = home.db.source_of(id).await? else {
        return Ok(Standing::New);
    };
    match home.db.digest_of(id, number).await? {
        Some(digest) if digest == document.digest => return Ok(Standing::Present),
        Some(_) => {
            return Err(Error::damaged(format!(
                "{id} revision {number} of this store has other contents than that of {:?}",
                text::clean(signer)
            ))
            .advise(
                "one of the two was made by somebody else under the same number: compare them",
            ));
        }
        None => {}
    }
    check_source(id, (&kind, &source), signer)?;
    Ok(if current > number { Standing::Stale(current) } else { Standing::New })
}

/// Checks that the package with this id, which is here and has this kind of source and that source,
/// came from the store whose key is called `signer`: nobody else continues it.
///
/// # Errors
/// When this store made it, or another one did.
pub(crate) fn check_source(id: &str, (kind, source): (&str, &str), signer: &str) -> Result<()> {
    if kind != STORE {
        return Err(Error::usage(format!("this store has a package {id} of its own")).advise(
            "stores that exchange packages need site codes of their own: set site-code in the \
             configuration of one of them",
        ));
    }
    if source != signer {
        return Err(Error::usage(format!(
            "{id} came from {:?} and cannot be continued by {:?}",
            text::clean(source),
            text::clean(signer)
        ))
        .advise("remove the package first if it is to come from the other store from now on"));
    }
    Ok(())
}

/// Which revision of the package is the current one afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// The newest that the store has.
    Newest,
    /// That of the document, which may be an older one.
    Arrived,
}

/// How a document came here.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// What people here call the key that has signed it.
    pub signer: &'a str,
    /// What brought it: `bundle`, `pull`.
    pub cause: &'a str,
    /// Which revision is the current one then.
    pub current: Current,
    /// The import that has brought its pieces; it ends with the revision.
    pub import: &'a str,
    /// The lease under which they were brought.
    pub lease: &'a Lease,
    /// Bytes that the library did not have before.
    pub new_size: u64,
}

/// The pieces of a document that the library lacks, each once; with [`Depth::EveryByte`] also those
/// that are damaged in it.
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

/// Makes a revision of a document whose pieces are in the library, checked, while the caller holds
/// the lease and has noted the import.
///
/// # Errors
/// As [`standing`]; and when a piece is missing, a file is not the one that the document names, the
/// name is taken by another package, or the database cannot be written. Nothing is changed then.
pub async fn adopt(
    home: &Home,
    document: &Document,
    arrival: &Arrival<'_>,
    watch: Watch<'_>,
) -> Result<Adopted> {
    let reference =
        Reference { package: document.package.id.clone(), revision: Some(document.number) };
    if standing(home, document, arrival.signer).await? == Standing::Present {
        let mut tx = home.db.begin().await?;
        if arrival.current == Current::Arrived {
            rows::upsert_adopted(
                &mut tx,
                document,
                arrival.signer,
                Current::Arrived,
                Moment::now(),
            )
            .await?;
        }
        imports::import_ends(&mut tx, arrival.import).await?;
        tx.commit().await?;
        return Ok(Adopted { package: home.db.package_at(&reference).await?, new: false });
    }
    check_files(home, document, watch).await?;
    let images = images(home, document, watch)?;
    watch.check()?;
    commit(home, document, arrival, &images).await?;
    Ok(Adopted { package: home.db.package_at(&reference).await?, new: true })
}

/// Checks that the pieces of every file that the store has not got yet give that file.
async fn check_files(home: &Home, document: &Document, watch: Watch<'_>) -> Result<()> {
    let mut unknown = Vec::new();
    for content in document.contents() {
        if !home.db.has_content(&content.sha256).await? {
            unknown.push(content);
        }
    }
    watch.progress.begin(Phase::Check, unknown.iter().map(|content| content.size).sum());
    for content in unknown {
        check_file(home, document, content, watch).await?;
    }
    watch.progress.end();
    Ok(())
}

async fn check_file(
    home: &Home,
    document: &Document,
    content: &Content,
    watch: Watch<'_>,
) -> Result<()> {
    let path = || {
        let named = document.files().find(|(_, other)| other.sha256 == content.sha256);
        named.map(|(entry, _)| entry.path.to_string()).unwrap_or_default()
    };
    let mut sha256 = Sha256::new();
    for piece in &content.pieces {
        watch.check()?;
        let bytes = home.library.get(piece).await.map_err(|error| error.context(path()))?;
        watch.progress.advance(piece.size);
        sha256 = tokio::task::spawn_blocking(move || {
            sha256.update(&bytes);
            sha256
        })
        .await?;
    }
    let found: [u8; 32] = sha256.finalize().into();
    if found == content.sha256 {
        return Ok(());
    }
    Err(Error::damaged(format!(
        "the pieces of {} give another file than the document of {} revision {} names",
        path(),
        document.package.id,
        document.number
    ))
    .advise("whoever signed it has made a mistake, or the key is in wrong hands"))
}

/// The images in the WIM files, whose blobs their maker has verified.
fn images(home: &Home, document: &Document, watch: Watch<'_>) -> Result<Vec<StoredImage>> {
    let mut images = Vec::new();
    for wim in snapshot::wims(home, &document.entries) {
        watch.check()?;
        let (listed, _) = tokio::task::block_in_place(|| wim.read(false, watch))?;
        images.extend(listed);
    }
    Ok(images)
}

async fn commit(
    home: &Home,
    document: &Document,
    arrival: &Arrival<'_>,
    images: &[StoredImage],
) -> Result<()> {
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
        cause: arrival.cause,
        selection: "",
        editions: &document.editions,
        builds: &document.builds,
        digest: document.digest,
        root_modified: document.root_modified,
        new_size: arrival.new_size,
        made_by: home.by(),
        entries: &entries,
        images,
    };
    rows::insert_adopted(&mut tx, document, arrival, &revision, now).await?;
    // Where the store cuts a file otherwise, it keeps its own pieces and nobody needs the new ones.
    contents.doom_unused(&mut tx, &document.pieces().into_iter().collect(), now).await?;
    imports::import_ends(&mut tx, arrival.import).await?;
    // Until now nothing else has kept the pieces.
    arrival.lease.confirm(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use wim_extract::Cancel;

    use super::*;
    use crate::progress::Silent;

    /// Makes a revision of a document whose pieces are in the library the current one of a store.
    pub(crate) async fn adopt(home: &Home, document: &Document) {
        let lease = home.lease().await.unwrap();
        let arrival = Arrival {
            signer: "test",
            cause: "test",
            current: Current::Arrived,
            import: &home.db.import_begins(std::path::Path::new("test")).await.unwrap(),
            lease: &lease,
            new_size: 0,
        };
        let cancel = Cancel::new();
        let watch = Watch { progress: &Silent, cancel: &cancel };
        super::adopt(home, document, &arrival, watch).await.unwrap();
        lease.release().await;
    }
}
