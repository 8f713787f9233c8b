//! A folder or mounted share: ready media trees that setup.exe runs from.
//!
//! ```text
//! OSU00001/…                    the tree of the revision that is installed
//! .osupg/point.json             the mark: whose point this is
//! .osupg/OSU00001/
//!     installed.json            the signed document of what is installed
//!     next.json                 … of what is being installed
//!     next/…                    its tree, growing; files in it are whole
//!     parts/<sha256>            files that are growing
//!     leaving.json              … of what was installed and is no longer
//! ```
//!
//! A file is built from what is at the point already (whole files under any name, pieces of other
//! files) and from pieces that travel, read again and checked against its SHA-256, and moved into
//! the next tree. When that is whole, nothing is called installed for a moment, the two trees
//! change places in one step, and the new document takes the place of the old. A part needs no
//! record of how far it is: every piece in it that has the right hash is there.

mod build;
mod check;
mod dir;
mod survey;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use super::{Depth, Flaw, Installed, Plan, Signed, Target};
use crate::error::{Error, Result};
use crate::package::document::{self, Document, MAX_SIGNED_BYTES};
use crate::points::feed::Feed;
use crate::store::layout::Piece;
use crate::text;
use crate::trust::Envelope;
use dir::{Dir, Kind};

/// The folder with everything that is not a media tree.
const STATE: &str = ".osupg";
const MARK: &str = "point.json";
const INSTALLED: &str = "installed.json";
const NEXT: &str = "next.json";
const LEAVING: &str = "leaving.json";
const NEXT_TREE: &str = "next";
const OLD_TREE: &str = "old";
const PARTS: &str = "parts";
/// Only the account that runs osupg looks into the state.
const PRIVATE: u32 = 0o700;
/// Trees are for everyone to read.
const PUBLIC: u32 = 0o755;

/// A folder that is a point.
#[derive(Debug, Clone)]
pub struct Folder {
    root: Arc<Path>,
    timeout: Duration,
}

/// The mark in a point's folder.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    pub format: String,
    pub mark: String,
}

/// How a mark says that it is one.
pub(super) const MARK_FORMAT: &str = "osupg-point 1";
/// Bytes of a mark at most.
pub(super) const MAX_MARK: usize = 4096;

/// The two folders of a package at the point.
#[derive(Debug, Clone)]
struct Place {
    id: String,
    root: Arc<Dir>,
    state: Arc<Dir>,
}

impl Folder {
    /// The point in this folder; a step there that takes longer than `timeout` fails.
    #[must_use]
    pub fn new(root: &Path, timeout: Duration) -> Self {
        Self { root: root.into(), timeout }
    }

    /// Does something at the point, which may be a share whose server is gone: then the thread
    /// hangs, and the caller goes on.
    async fn step<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout, tokio::task::spawn_blocking(work)).await {
            Ok(done) => done?,
            Err(_) => Err(Error::io(format!(
                "{} has not answered for {} seconds",
                text::path(&self.root),
                self.timeout.as_secs()
            ))
            .advise("check that the share is mounted and its server runs")),
        }
    }

    async fn open(&self) -> Result<Arc<Dir>> {
        let root = Arc::clone(&self.root);
        self.step(move || Dir::open(&root).map(Arc::new)).await
    }

    /// The folders of a package, made if need be.
    async fn place(&self, id: &str) -> Result<Place> {
        let id = checked(id)?;
        let root = self.open().await?;
        self.step(move || {
            let state = Arc::new(root.make(STATE, PRIVATE)?.make(&id, PRIVATE)?);
            Ok(Place { id, root, state })
        })
        .await
    }

    /// The folders of a package; `None` where it has none.
    async fn place_if_any(&self, id: &str) -> Result<Option<Place>> {
        let id = checked(id)?;
        let root = self.open().await?;
        self.step(move || {
            let state = root.sub(&format!("{STATE}/{id}"))?;
            Ok(state.map(|state| Place { id, root, state: Arc::new(state) }))
        })
        .await
    }
}

/// A package id is the name of a folder here.
fn checked(id: &str) -> Result<String> {
    if document::is_package_id(id) {
        return Ok(id.to_string());
    }
    Err(Error::damaged(format!("{:?} is no package id", text::clean(id))))
}

/// The signed document in the file `name` of a package's state; `None` where there is none, or
/// what there is cannot be read as one.
fn envelope(state: &Dir, name: &str) -> Result<Option<Envelope>> {
    let Some(bytes) = state.read(name, MAX_SIGNED_BYTES)? else { return Ok(None) };
    Ok(Envelope::from_json(&bytes).ok())
}

/// The document in such a file, whoever has signed it: good for finding bytes whose hashes are
/// looked at before they are used, and for nothing else.
fn unverified(state: &Dir, name: &str) -> Result<Option<Document>> {
    let envelope = envelope(state, name)?;
    Ok(envelope.and_then(|envelope| Document::read(envelope.payload()).ok()))
}

/// The mark in `bytes`.
pub(super) fn mark_in(bytes: &[u8], place: &str) -> Result<String> {
    match serde_json::from_slice::<Mark>(bytes) {
        Ok(mark) if mark.format == MARK_FORMAT && uuid::Uuid::parse_str(&mark.mark).is_ok() => {
            Ok(mark.mark)
        }
        _ => Err(Error::damaged(format!("{place} is no mark of a point"))
            .advise("remove it if the place is to become a point anew")),
    }
}

/// A new mark and its bytes.
pub(super) fn new_mark() -> Result<(String, Vec<u8>)> {
    let mark = Mark { format: MARK_FORMAT.into(), mark: uuid::Uuid::new_v4().to_string() };
    let bytes = serde_json::to_vec(&mark)
        .map_err(|error| Error::io(format!("a mark cannot be written: {error}")))?;
    Ok((mark.mark, bytes))
}

fn read_mark(root: &Dir) -> Result<Option<String>> {
    let Some(state) = root.sub(STATE)? else { return Ok(None) };
    let Some(bytes) = state.read(MARK, MAX_MARK)? else { return Ok(None) };
    mark_in(&bytes, &text::path(&state.shown().join(MARK))).map(Some)
}

impl Target for Folder {
    fn claim(&self) -> LocalBoxFuture<'_, Result<String>> {
        async {
            let root = self.open().await?;
            self.step(move || {
                if let Some(mark) = read_mark(&root)? {
                    return Ok(mark);
                }
                let (mark, bytes) = new_mark()?;
                root.make(STATE, PRIVATE)?.write(MARK, &bytes)?;
                Ok(mark)
            })
            .await
        }
        .boxed_local()
    }

    fn check_mark<'a>(&'a self, mark: &'a str) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let root = self.open().await?;
            let shown = text::path(&self.root);
            match self.step(move || read_mark(&root)).await? {
                Some(found) if found == mark => Ok(()),
                Some(_) => Err(Error::io(format!("{shown} is the folder of another point"))
                    .advise("check which share is mounted there")),
                None => Err(Error::io(format!("{shown} has lost the mark of its point"))
                    .advise("check that the share is mounted there, not just an empty folder")),
            }
        }
        .boxed_local()
    }

    fn unclaim(&self) -> LocalBoxFuture<'_, Result<()>> {
        async {
            let root = self.open().await?;
            self.step(move || {
                if let Some(state) = root.sub(STATE)? {
                    state.clear(MARK)?;
                }
                root.clear_if_empty(STATE)
            })
            .await
        }
        .boxed_local()
    }

    fn list(&self) -> LocalBoxFuture<'_, Result<Vec<String>>> {
        async {
            let root = self.open().await?;
            self.step(move || {
                let Some(state) = root.sub(STATE)? else { return Ok(Vec::new()) };
                let mut ids = Vec::new();
                for (name, kind) in state.list()?.0 {
                    if kind == Kind::Folder
                        && document::is_package_id(&name)
                        && let Some(package) = state.sub(&name)?
                        && package.kind(INSTALLED)? == Some(Kind::File)
                    {
                        ids.push(name);
                    }
                }
                Ok(ids)
            })
            .await
        }
        .boxed_local()
    }

    fn document<'a>(&'a self, package: &'a str) -> LocalBoxFuture<'a, Result<Option<Envelope>>> {
        async move {
            let Some(place) = self.place_if_any(package).await? else { return Ok(None) };
            self.step(move || envelope(&place.state, INSTALLED)).await
        }
        .boxed_local()
    }

    fn plan<'a>(&'a self, signed: &'a Signed) -> LocalBoxFuture<'a, Result<Plan>> {
        build::plan(self, signed).boxed_local()
    }

    fn install<'a>(
        &'a self,
        signed: &'a Signed,
        // What is there is on a disk: it is always read.
        _depth: Depth,
        feed: &'a Feed<'a>,
    ) -> LocalBoxFuture<'a, Result<Installed>> {
        build::install(self, signed, feed).boxed_local()
    }

    fn verify<'a>(
        &'a self,
        document: &'a Document,
        feed: &'a Feed<'a>,
    ) -> LocalBoxFuture<'a, Result<Vec<Flaw>>> {
        check::verify(self, document, feed).boxed_local()
    }

    fn remove<'a>(
        &'a self,
        package: &'a str,
        feed: &'a Feed<'a>,
    ) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let Some(place) = self.place_if_any(package).await? else { return Ok(()) };
            feed.watch().check()?;
            let Place { id, root, state } = place.clone();
            // Nothing is called installed before the first file goes. Without a document of ours
            // the tree is not ours either.
            let ours = self
                .step(move || {
                    if state.kind(INSTALLED)?.is_some() {
                        state.rename(INSTALLED, &state, LEAVING)?;
                        state.sync()?;
                    }
                    let ours = state.kind(LEAVING)?.is_some() || state.kind(NEXT)?.is_some();
                    if ours && root.kind(&id)?.is_some() {
                        state.clear(OLD_TREE)?;
                        root.rename(&id, &state, OLD_TREE)?;
                    }
                    Ok(ours)
                })
                .await?;
            for name in [OLD_TREE, NEXT_TREE, PARTS].into_iter().filter(|_| ours) {
                let state = Arc::clone(&place.state);
                self.step(move || state.clear(name)).await?;
            }
            self.step(move || {
                for name in [LEAVING, NEXT, INSTALLED] {
                    place.state.clear(name)?;
                }
                match place.root.sub(STATE)? {
                    Some(state) => state.clear(&place.id).and_then(|()| state.sync()),
                    None => Ok(()),
                }
            })
            .await
        }
        .boxed_local()
    }

    fn tidy<'a>(&'a self, _feed: &'a Feed<'a>) -> LocalBoxFuture<'a, Result<()>> {
        // A tree is all that a package has here.
        async { Ok(()) }.boxed_local()
    }

    fn piece<'a>(
        &'a self,
        package: &'a str,
        piece: &'a Piece,
    ) -> LocalBoxFuture<'a, Result<Option<Bytes>>> {
        async move {
            let Some(place) = self.place_if_any(package).await? else { return Ok(None) };
            let piece = *piece;
            self.step(move || survey::piece_of(&place, &piece)).await
        }
        .boxed_local()
    }

    fn free_space(&self) -> LocalBoxFuture<'_, Result<Option<u64>>> {
        async {
            let root = Arc::clone(&self.root);
            self.step(move || {
                wim_extract::output::available_space(&root)
                    .map_err(|error| Error::file("examine the disk of", &root, &error))
            })
            .await
        }
        .boxed_local()
    }
}

impl Folder {
    /// Where the tree of a package is.
    #[must_use]
    pub fn tree(&self, package: &str) -> PathBuf {
        self.root.join(package)
    }
}
