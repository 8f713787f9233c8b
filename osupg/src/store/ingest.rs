//! Puts files into the library: cut, hashed, stored where new.
//!
//! ```text
//! one thread:  read → cut ─► another: SHA-256 of the file ─► several pieces at a time:
//!                                                            BLAKE3 → known? → store
//! ```
//!
//! Memory is bounded by the queues and the pieces in flight, whatever the size of the files. The
//! contents come back in the order of the files.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use wim_extract::Cancel;
use wim_extract::source::Source;

use super::cut::{Cut, Pieces, Span};
use super::layout::{ObjectId, Piece};
use super::{Health, Library, Stored};
use crate::db::Db;
use crate::error::{Error, Result};
use crate::package::model::Content;
use crate::progress::{Progress, Watch};
use crate::text;

/// Pieces that are hashed and stored at the same time: enough to keep a store busy that takes its
/// time for each.
const IN_FLIGHT: usize = 16;
/// Memory of the pieces that are queued and in flight, in units of 64 KiB: 64 MiB.
const BUDGET: u32 = 1024;
/// A unit of the budget in bytes.
const UNIT: usize = 64 << 10;

/// What to think of an object that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// It has the right name and size: believed.
    Trusted,
    /// It is read and checked, and put right if it is damaged.
    Checked,
}

/// What became of the files.
#[derive(Debug, Default)]
pub struct Ingested {
    /// The contents, in the order of the files.
    pub contents: Vec<Content>,
    /// Objects that no revision referred to before.
    pub stored: HashSet<Piece>,
    /// Objects that were missing or damaged in the library and are whole again.
    pub mended: u64,
}

impl Ingested {
    /// Bytes that were not in the library before.
    #[must_use]
    pub fn new_size(&self) -> u64 {
        self.stored.iter().map(|piece| piece.size).sum()
    }
}

/// Where the reading thread puts files.
pub struct Feeder {
    queue: mpsc::Sender<Event<()>>,
    budget: Arc<Semaphore>,
    runtime: Handle,
    cancel: Cancel,
}

/// A file, taken apart; its end brings its SHA-256, or what is to become of it.
enum Event<End> {
    Piece { bytes: Bytes, held: OwnedSemaphorePermit },
    End(End),
}

/// What a file was.
struct Whole {
    size: u64,
    sha256: [u8; 32],
}

impl Feeder {
    /// Feeds one file, cut along `spans`.
    ///
    /// # Errors
    /// When it cannot be read, or the command was stopped.
    pub fn file(&self, source: &dyn Source, spans: &[Span]) -> Result<()> {
        for cut in Pieces::new(source, spans) {
            self.cancel.check().map_err(|_| Error::cancelled())?;
            let Cut { bytes, held } = cut.map_err(|error| unreadable(source, &error))?;
            let units = u32::try_from(held.div_ceil(UNIT)).unwrap_or(BUDGET).min(BUDGET);
            let waiting = Arc::clone(&self.budget).acquire_many_owned(units);
            let held = self.runtime.block_on(waiting).map_err(|_| Error::cancelled())?;
            self.send(Event::Piece { bytes, held })?;
        }
        self.send(Event::End(()))
    }

    fn send(&self, event: Event<()>) -> Result<()> {
        // The other end is gone when storing has failed; that error is the one to show.
        self.queue.blocking_send(event).map_err(|_| Error::cancelled())
    }
}

/// Hashes files while they pass.
fn hash(mut files: mpsc::Receiver<Event<()>>, hashed: &mpsc::Sender<Event<Whole>>) {
    let (mut sha256, mut size) = (Sha256::new(), 0);
    while let Some(event) = files.blocking_recv() {
        let event = match event {
            Event::Piece { bytes, held } => {
                sha256.update(&bytes);
                size += bytes.len() as u64;
                Event::Piece { bytes, held }
            }
            Event::End(()) => Event::End(Whole {
                size: std::mem::take(&mut size),
                sha256: sha256.finalize_reset().into(),
            }),
        };
        // Storing has failed when nobody listens any more.
        if hashed.blocking_send(event).is_err() {
            return;
        }
    }
}

fn unreadable(source: &dyn Source, error: &std::io::Error) -> Error {
    let name = source.name();
    let name = text::clean(&name);
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Error::damaged(format!("{name} is shorter than it should be: {error}"))
        }
        _ => Error::io(format!("cannot read {name}: {error}")),
    }
}

/// Stores the files that `feed` feeds. `feed` runs on a thread of its own.
///
/// # Errors
/// That of `feed`, or that of storing. Objects stored until then belong to no revision; the
/// caller's import record makes the next sweep take them away.
pub async fn ingest<F>(
    db: &Db,
    library: &Library,
    present: Present,
    watch: Watch<'_>,
    feed: F,
) -> Result<Ingested>
where
    F: FnOnce(&Feeder) -> Result<()> + Send + 'static,
{
    let (queue, files) = mpsc::channel(IN_FLIGHT);
    let (hashed, events) = mpsc::channel(IN_FLIGHT);
    let budget = Arc::new(Semaphore::new(BUDGET as usize));
    let runtime = Handle::current();
    let feeder =
        Feeder { queue, budget: Arc::clone(&budget), runtime, cancel: watch.cancel.clone() };
    let reader = tokio::task::spawn_blocking(move || feed(&feeder));
    tokio::task::spawn_blocking(move || hash(files, &hashed));
    let storing = Storing { db, library, present, seen: Mutex::default() };
    let stored = storing.run(events, watch.progress).await;
    // Should storing have failed, the reader waits no longer.
    budget.close();
    match (reader.await?, stored) {
        // Storing failed: the reader only noticed that nobody listens any more.
        (_, Err(error)) => Err(error),
        (Err(error), Ok(_)) => Err(error),
        (Ok(()), Ok(ingested)) => Ok(ingested),
    }
}

struct Storing<'a> {
    db: &'a Db,
    library: &'a Library,
    present: Present,
    /// Objects that this run has stored or found whole.
    seen: Mutex<HashSet<ObjectId>>,
}

enum Outcome {
    Piece { piece: Piece, new: bool, mended: bool },
    End(Whole),
}

impl Storing<'_> {
    async fn run(
        &self,
        events: mpsc::Receiver<Event<Whole>>,
        progress: &dyn Progress,
    ) -> Result<Ingested> {
        let events = stream::unfold(events, |mut events| async move {
            events.recv().await.map(|event| (event, events))
        });
        let mut outcomes = std::pin::pin!(
            events
                .map(|event| async move {
                    match event {
                        Event::Piece { bytes, held } => {
                            let stored = self.piece(bytes).await;
                            drop(held);
                            stored
                        }
                        Event::End(whole) => Ok(Outcome::End(whole)),
                    }
                })
                .buffered(IN_FLIGHT)
        );
        let mut ingested = Ingested::default();
        let mut pieces = Vec::new();
        while let Some(outcome) = outcomes.next().await {
            match outcome? {
                Outcome::Piece { piece, new, mended } => {
                    progress.advance(piece.size);
                    pieces.push(piece);
                    ingested.mended += u64::from(mended);
                    if new {
                        ingested.stored.insert(piece);
                    }
                }
                Outcome::End(Whole { size, sha256 }) => {
                    let pieces = std::mem::take(&mut pieces);
                    ingested.contents.push(Content { size, sha256, pieces });
                }
            }
        }
        Ok(ingested)
    }

    async fn piece(&self, bytes: Bytes) -> Result<Outcome> {
        let (bytes, id) = tokio::task::spawn_blocking(move || {
            let id = ObjectId::of(&bytes);
            (bytes, id)
        })
        .await?;
        let piece = Piece { id, size: bytes.len() as u64 };
        if self.was_seen(&id) {
            return Ok(Outcome::Piece { piece, new: false, mended: false });
        }
        let known = self.db.object_size(&id).await?.is_some();
        let whole = known && self.is_whole(&piece).await?;
        let mended = if whole {
            false
        } else {
            self.library.put(&id, &bytes).await? == Stored::Mended || known
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        Ok(Outcome::Piece { piece, new: !known, mended })
    }

    fn was_seen(&self, id: &ObjectId) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    async fn is_whole(&self, piece: &Piece) -> Result<bool> {
        match self.present {
            Present::Trusted => self.library.has(piece).await,
            Present::Checked => Ok(self.library.check(piece).await? == Health::Whole),
        }
    }
}
