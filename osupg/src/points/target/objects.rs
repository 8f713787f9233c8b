//! A prefix in an object store: pieces named by their hash, and signed documents.
//!
//! ```text
//! objects/aa/<blake3>         pieces, each once whatever package it is of
//! revisions/OSU00001.json     the signed document of what is installed
//! next/OSU00001.json          … of what is being installed
//! leaving/<digest>.json       … of what was installed and is no longer, until its pieces are gone
//! point.json                  the mark: whose point this is
//! ```
//!
//! Nobody runs setup.exe from a bucket, and no store builds an object out of ranges of others; a
//! tree there would travel again whenever its install.wim changed a little. As pieces, only what
//! changed travels, a cut-off transfer goes on where it was (no piece has more than 8 MiB, so none
//! needs a multipart upload), and the prefix is at the same time a library from which pulling nodes
//! fetch. Pieces come before the document that needs them and go after it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::folder::{MAX_MARK, mark_in, new_mark};
use super::{Depth, Flaw, Installed, Plan, Signed, Target};
use crate::error::{Error, Result};
use crate::package::document::{self, Document, MAX_SIGNED_BYTES};
use crate::points::feed::Feed;
use crate::points::prefix::Prefix;
use crate::progress::Phase;
use crate::store::layout::{ObjectId, Piece};
use crate::store::place::Place;
use crate::store::staging;
use crate::text;
use crate::trust::Envelope;

const MARK: &str = "point.json";
const INSTALLED: &str = "revisions";
const NEXT: &str = "next";
const LEAVING: &str = "leaving";
/// Requests that are under way at the same time where no transfer says how many.
const REQUESTS: usize = 8;
/// Bytes a second at which a slow line still counts as one. How far a put has come cannot be seen, so
/// one of many bytes gets the time that it takes at this rate, beside the usual one.
const SLOWEST: u64 = 32 << 10;

/// A prefix that is a point.
#[derive(Debug, Clone)]
pub struct Objects {
    prefix: Prefix,
    /// Where that is a folder of this machine.
    folder: Option<PathBuf>,
}

impl Objects {
    /// The point at this place, which begins at the prefix; `address` is for messages. A store that
    /// is silent for longer than `timeout` has failed.
    #[must_use]
    pub fn new(place: Place, address: &str, timeout: Duration) -> Self {
        let Place { store, folder } = place;
        Self { prefix: Prefix { store, address: address.to_string(), silence: timeout }, folder }
    }

    async fn put(&self, at: &Path, bytes: Bytes) -> Result<()> {
        let timeout = self.prefix.silence + Duration::from_secs(bytes.len() as u64 / SLOWEST);
        let put = self.prefix.store.put(at, PutPayload::from_bytes(bytes));
        self.prefix.ask_within(timeout, put).await.map(|_| ())
    }

    async fn delete(&self, at: &Path) -> Result<()> {
        self.prefix.ask(self.prefix.store.delete(at)).await.map(|_| ())
    }

    /// A piece, if it is there and right.
    async fn right(&self, piece: &Piece) -> Result<Option<Bytes>> {
        let limit = usize::try_from(piece.size).unwrap_or(usize::MAX);
        let bytes = match self.prefix.get(&piece.id.location(), limit).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            // Something else, and longer.
            Err(error) if error.kind() == crate::error::Kind::Damaged => return Ok(None),
            Err(error) => return Err(error),
        };
        let id = piece.id;
        let bytes =
            tokio::task::spawn_blocking(move || (ObjectId::of(&bytes) == id).then_some(bytes))
                .await?;
        Ok(bytes.filter(|bytes| bytes.len() as u64 == piece.size))
    }

    /// Whether a piece is there, as closely as `depth` says.
    async fn has(&self, piece: &Piece, depth: Depth) -> Result<bool> {
        match depth {
            Depth::EveryByte => Ok(self.right(piece).await?.is_some()),
            Depth::Usual => {
                let meta = self.prefix.ask(self.prefix.store.head(&piece.id.location())).await?;
                Ok(meta.is_some_and(|meta| meta.size == piece.size))
            }
        }
    }

    async fn envelope(&self, at: &Path) -> Result<Option<Envelope>> {
        let bytes = self.prefix.get(at, MAX_SIGNED_BYTES).await?;
        Ok(bytes.and_then(|bytes| Envelope::from_json(&bytes).ok()))
    }

    /// The document at a place, whoever has signed it: good for knowing which pieces it names.
    async fn unverified(&self, at: &Path) -> Result<Option<Document>> {
        let envelope = self.envelope(at).await?;
        Ok(envelope.and_then(|envelope| Document::read(envelope.payload()).ok()))
    }

    /// The objects below a folder of the prefix.
    async fn below(&self, folder: &str) -> Result<Vec<Path>> {
        let prefix = Path::from(folder);
        let all = self.prefix.store.list(Some(&prefix)).map_ok(|meta| meta.location).try_collect();
        Ok(self.prefix.ask(all).await?.unwrap_or_default())
    }

    /// Puts what was installed of a package among what leaves.
    async fn retire(&self, at: &Path) -> Result<()> {
        let Some(bytes) = self.prefix.get(at, MAX_SIGNED_BYTES).await? else { return Ok(()) };
        let name = format!("{}.json", ObjectId::of(&bytes));
        self.put(&Path::from_iter([LEAVING, &name]), bytes).await
    }

    async fn install(&self, signed: &Signed, depth: Depth, feed: &Feed<'_>) -> Result<Installed> {
        let document = &signed.document;
        let (installed, next) = places(&document.package.id)?;
        let envelope = Bytes::from(signed.envelope.to_json());
        let before = self.prefix.get(&installed, MAX_SIGNED_BYTES).await?;
        self.put(&next, envelope.clone()).await?;
        let pieces = document.pieces();
        let missing = self.missing(&pieces, depth, feed).await?;
        feed.watch().progress.begin(Phase::Send, missing.iter().map(|piece| piece.size).sum());
        let sent: Result<()> = stream::iter(missing.iter().map(|piece| self.send(piece, feed)))
            .buffer_unordered(feed.rules.threads)
            .try_collect()
            .await;
        feed.watch().progress.end();
        sent?;
        feed.check()?;
        if before.as_ref().is_some_and(|before| *before != envelope) {
            self.retire(&installed).await?;
        }
        self.put(&installed, envelope).await?;
        self.delete(&next).await?;
        let sent = feed.sent();
        Ok(Installed { sent, reused: document.total_size().saturating_sub(sent) })
    }

    async fn missing(&self, pieces: &[Piece], depth: Depth, feed: &Feed<'_>) -> Result<Vec<Piece>> {
        let looks = pieces.iter().map(|piece| async move {
            feed.check()?;
            Ok::<_, Error>((!self.has(piece, depth).await?).then_some(*piece))
        });
        let found: Vec<Option<Piece>> =
            stream::iter(looks).buffered(feed.rules.threads.max(REQUESTS)).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Sends a piece and reads it back: what the store acknowledges is not yet what it gives.
    async fn send(&self, piece: &Piece, feed: &Feed<'_>) -> Result<()> {
        let bytes = feed.piece(piece).await?;
        feed.pace(bytes.len() as u64).await?;
        self.put(&piece.id.location(), bytes).await?;
        if self.right(piece).await?.is_none() {
            return Err(Error::damaged(format!(
                "{} gives back another object than was sent ({})",
                self.prefix.shown(),
                piece.id
            ))
            .advise("the store is not reliable: look at its state before trying again"));
        }
        Ok(())
    }

    async fn verify(&self, document: &Document, feed: &Feed<'_>) -> Result<Vec<Flaw>> {
        let (installed, _) = places(&document.package.id)?;
        if self.envelope(&installed).await?.is_none() {
            let what = "nothing of the package is at the point".into();
            return Ok(vec![Flaw { path: String::new(), what }]);
        }
        let pieces = document.pieces();
        let checks = pieces.iter().map(|piece| async move {
            feed.check()?;
            let right = self.right(piece).await?.is_some();
            feed.watch().progress.advance(piece.size);
            Ok::<_, Error>((!right).then_some(piece.id))
        });
        let bad: Vec<Option<ObjectId>> =
            stream::iter(checks).buffer_unordered(feed.rules.threads).try_collect().await?;
        let bad: HashSet<ObjectId> = bad.into_iter().flatten().collect();
        let flaws = document.files().filter_map(|(entry, content)| {
            let count = content.pieces.iter().filter(|piece| bad.contains(&piece.id)).count();
            (count > 0).then(|| Flaw {
                path: entry.path.as_str().to_string(),
                what: format!(
                    "{count} of its {} piece{} missing or changed",
                    content.pieces.len(),
                    if content.pieces.len() == 1 { " is" } else { "s are" }
                ),
            })
        });
        Ok(flaws.collect())
    }

    async fn remove(&self, package: &str, feed: &Feed<'_>) -> Result<()> {
        let (installed, next) = places(package)?;
        feed.watch().check()?;
        for place in [&installed, &next] {
            self.retire(place).await?;
            self.delete(place).await?;
        }
        Ok(())
    }

    /// Deletes the pieces of what leaves that nothing else needs, and what a killed process has left
    /// half-written. Nobody else works at the point meanwhile.
    async fn tidy(&self, feed: &Feed<'_>) -> Result<()> {
        if let Some(folder) = self.folder.clone() {
            tokio::task::spawn_blocking(move || remove_half_written(&folder)).await??;
        }
        let leaving = self.below(LEAVING).await?;
        if leaving.is_empty() {
            return Ok(());
        }
        let mut going: HashMap<ObjectId, Piece> = HashMap::new();
        for place in &leaving {
            if let Some(document) = self.unverified(place).await? {
                going.extend(document.pieces().into_iter().map(|piece| (piece.id, piece)));
            }
        }
        for place in self.below(INSTALLED).await?.into_iter().chain(self.below(NEXT).await?) {
            feed.check()?;
            match self.unverified(&place).await? {
                Some(document) => {
                    for piece in document.pieces() {
                        going.remove(&piece.id);
                    }
                }
                // What cannot be read may need anything; so nothing goes.
                None => {
                    return Err(Error::damaged(format!(
                        "{}/{place} is no signed document, so nothing is taken away there",
                        self.prefix.shown()
                    ))
                    .advise("publish that package to the point again, or remove the object"));
                }
            }
        }
        let deletes = going.values().map(|piece| async move {
            feed.check()?;
            self.delete(&piece.id.location()).await
        });
        stream::iter(deletes).buffer_unordered(REQUESTS).try_collect::<()>().await?;
        for place in &leaving {
            self.delete(place).await?;
        }
        Ok(())
    }

    async fn mark(&self) -> Result<Option<String>> {
        let Some(bytes) = self.prefix.get(&Path::from(MARK), MAX_MARK).await? else {
            return Ok(None);
        };
        mark_in(&bytes, &format!("{}/{MARK}", self.prefix.shown())).map(Some)
    }
}

fn remove_half_written(root: &std::path::Path) -> Result<()> {
    let is_document = |name: &str| name.ends_with(".json");
    staging::remove(root, |name| name == MARK)?;
    for folder in [INSTALLED, NEXT, LEAVING] {
        staging::remove(&root.join(folder), is_document)?;
    }
    staging::remove_pieces(root)
}

/// Where the documents of a package are: installed, and on the way.
fn places(package: &str) -> Result<(Path, Path)> {
    if !document::is_package_id(package) {
        return Err(Error::damaged(format!("{:?} is no package id", text::clean(package))));
    }
    let name = format!("{package}.json");
    Ok((Path::from_iter([INSTALLED, &name]), Path::from_iter([NEXT, &name])))
}

impl Target for Objects {
    fn claim(&self) -> LocalBoxFuture<'_, Result<String>> {
        async {
            if let Some(mark) = self.mark().await? {
                return Ok(mark);
            }
            let (mark, bytes) = new_mark()?;
            self.put(&Path::from(MARK), bytes.into()).await?;
            Ok(mark)
        }
        .boxed_local()
    }

    fn check_mark<'a>(&'a self, mark: &'a str) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let address = self.prefix.shown();
            match self.mark().await? {
                Some(found) if found == mark => Ok(()),
                Some(_) => Err(Error::io(format!("{address} is the prefix of another point"))),
                None => Err(Error::io(format!("{address} has lost the mark of its point"))
                    .advise("check that the bucket and prefix are still those")),
            }
        }
        .boxed_local()
    }

    fn unclaim(&self) -> LocalBoxFuture<'_, Result<()>> {
        async { self.delete(&Path::from(MARK)).await }.boxed_local()
    }

    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<String>>> {
        async {
            let places = self.below(INSTALLED).await?;
            let ids = places.iter().filter_map(|place| {
                let id = place.filename()?.strip_suffix(".json")?;
                document::is_package_id(id).then(|| id.to_string())
            });
            Ok(ids.collect())
        }
        .boxed_local()
    }

    fn document<'a>(&'a self, package: &'a str) -> LocalBoxFuture<'a, Result<Option<Envelope>>> {
        async move {
            let (installed, _) = places(package)?;
            self.envelope(&installed).await
        }
        .boxed_local()
    }

    fn plan<'a>(&'a self, signed: &'a Signed) -> LocalBoxFuture<'a, Result<Plan>> {
        async move {
            let pieces = signed.document.pieces();
            let looks = pieces.iter().map(|piece| async move {
                let there = self.has(piece, Depth::Usual).await?;
                Ok::<_, Error>(if there { 0 } else { piece.size })
            });
            let missing: Vec<u64> =
                stream::iter(looks).buffer_unordered(REQUESTS).try_collect().await?;
            let (total, send) = (signed.document.total_size(), missing.into_iter().sum());
            Ok(Plan { total, send, present: total.saturating_sub(send), space: send })
        }
        .boxed_local()
    }

    fn install<'a>(
        &'a self,
        signed: &'a Signed,
        depth: Depth,
        feed: &'a Feed<'a>,
    ) -> LocalBoxFuture<'a, Result<Installed>> {
        self.install(signed, depth, feed).boxed_local()
    }

    fn verify<'a>(
        &'a self,
        document: &'a Document,
        feed: &'a Feed<'a>,
    ) -> LocalBoxFuture<'a, Result<Vec<Flaw>>> {
        self.verify(document, feed).boxed_local()
    }

    fn remove<'a>(
        &'a self,
        package: &'a str,
        feed: &'a Feed<'a>,
    ) -> LocalBoxFuture<'a, Result<()>> {
        self.remove(package, feed).boxed_local()
    }

    fn tidy<'a>(&'a self, feed: &'a Feed<'a>) -> LocalBoxFuture<'a, Result<()>> {
        self.tidy(feed).boxed_local()
    }

    fn piece<'a>(
        &'a self,
        _package: &'a str,
        piece: &'a Piece,
    ) -> LocalBoxFuture<'a, Result<Option<Bytes>>> {
        self.right(piece).boxed_local()
    }

    fn free_space(&self) -> LocalBoxFuture<'_, Result<Option<u64>>> {
        async { Ok(None) }.boxed_local()
    }
}
