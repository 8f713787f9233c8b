//! Fetches a revision from sources in order.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::report::WantedRevision;
use super::source::{Part, Source};
use crate::audit::{self, Deed, Outcome};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::package::adopt::{self, Arrival, Current};
use crate::package::document::{self, Document};
use crate::points::target::Depth;
use crate::points::trusted;
use crate::progress::{Phase, Watch};
use crate::space;
use crate::store::layout::Piece;
use crate::store::lease::Lease;
use crate::text;
use crate::trust::{self, TrustList};

/// What fetching is called in the audit log.
const PULL: &str = "point.pull";
/// Pieces that are fetched at the same time.
const PIECES_AT_ONCE: usize = 4;
/// Failures in a row after which a source is left alone for the rest of a revision.
const PATIENCE: u32 = 3;
/// A part that has not grown for so long is of a piece that is no longer wanted.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Times that a source may break off in the middle of a piece, as long as it gives more each time.
const RESUMES: u32 = 20;

/// What fetching a revision took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Bytes that travelled.
    pub sent: u64,
    /// Bytes that the library had.
    pub present: u64,
}

/// A source, and how it has behaved.
struct Tried<'a> {
    source: &'a dyn Source,
    failures: AtomicU32,
}

/// Fetches a revision into this store: what it lacks, from the first of `sources` that gives it.
/// What is here already is looked at as closely as `depth` says.
///
/// # Errors
/// When no source gives a document of this revision that a trusted key has signed, or a piece that
/// is lacking; the error says why of each.
pub async fn pull(
    home: &Home,
    sources: &[Box<dyn Source>],
    wanted: &WantedRevision,
    depth: Depth,
    watch: Watch<'_>,
) -> Result<(Document, Pulled)> {
    let tried: Vec<Tried<'_>> = sources
        .iter()
        .map(|source| Tried { source: &**source, failures: AtomicU32::new(0) })
        .collect();
    let (document, signer) = find(home, &tried, wanted, &trusted(home).await?, watch).await?;
    // Pieces belong to nobody until the revision is taken in: no collector may run meanwhile.
    let lease = home.lease().await?;
    let taken = take_in(home, &tried, &document, &signer, &lease, depth, watch).await;
    lease.release().await;
    Ok((document, taken?))
}

/// Fetches what the library lacks of a revision, and takes it in.
async fn take_in(
    home: &Home,
    tried: &[Tried<'_>],
    document: &Document,
    signer: &str,
    lease: &Lease,
    depth: Depth,
    watch: Watch<'_>,
) -> Result<Pulled> {
    // Before anything travels: another signer's package is never continued.
    adopt::standing(home, document, signer).await?;
    let import = home.db.import_begins(std::path::Path::new(signer)).await?;
    let missing = adopt::missing(home, document, depth, watch).await?;
    let to_send = missing.iter().map(|piece| piece.size).sum();
    space::require(home.root(), home.root(), to_send)?;
    watch.progress.note(&format!(
        "{} revision {}: {} of {} to fetch",
        document.package.id,
        document.number,
        text::size(to_send),
        text::size(document.total_size())
    ));
    let parts = parts_folder(home)?;
    let sent = AtomicU64::new(0);
    watch.progress.begin(Phase::Send, to_send);
    stream::iter(&missing)
        .map(|piece| fetch(home, tried, &parts, piece, &sent, watch))
        .buffer_unordered(PIECES_AT_ONCE)
        .try_collect::<()>()
        .await?;
    watch.progress.end();
    let arrival = Arrival {
        signer,
        cause: "pull",
        current: Current::Arrived,
        import: &import,
        lease,
        new_size: to_send,
    };
    adopt::adopt(home, document, &arrival, watch).await?;
    clear(&parts, document);
    let sent = sent.load(Ordering::Relaxed);
    let present = document.total_size().saturating_sub(sent);
    Ok(Pulled { sent, present })
}

/// Where pieces grow until they are whole.
fn parts_folder(home: &Home) -> Result<PathBuf> {
    let folder = home.root().join("incoming");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::file("make the folder", &folder, &error))?;
    Ok(folder)
}

/// Takes away the parts of pieces that are whole now, as one that was stored just before a transfer
/// was cut off leaves, and those that nobody has gone on with for long. What stays costs room only.
fn clear(parts: &Path, document: &Document) {
    for piece in document.pieces() {
        Part::done(parts, &piece);
    }
    let Ok(entries) = std::fs::read_dir(parts) else { return };
    for entry in entries.flatten() {
        let touched = entry.metadata().and_then(|meta| meta.modified()).ok();
        let age = touched.and_then(|touched| touched.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The document of the wanted revision from the first source that gives it right, and what people
/// here call the key that has signed it.
async fn find(
    home: &Home,
    sources: &[Tried<'_>],
    wanted: &WantedRevision,
    trusted: &TrustList,
    watch: Watch<'_>,
) -> Result<(Document, String)> {
    let mut reasons = Vec::new();
    let mut worst = Kind::Io;
    for Tried { source, .. } in sources {
        watch.check()?;
        let name = source.name();
        let found = source.envelope(&wanted.package, wanted.number).await;
        let opened = match found {
            Ok(None) => Err(Error::io("it does not have the revision")),
            Ok(Some(envelope)) => Document::open(&envelope, trusted).and_then(|document| {
                check_wanted(&document, wanted)?;
                let (_, signer) = trust::signer(&envelope, trusted, document::PAYLOAD_TYPE)?;
                Ok((document, signer))
            }),
            Err(error) => Err(error),
        };
        match opened {
            Ok(found) => return Ok(found),
            Err(error) => {
                // That somebody forges is worse than that somebody is away.
                if error.kind() == Kind::Damaged {
                    worst = Kind::Damaged;
                    accuse(home, &name, wanted, &error).await?;
                }
                watch.progress.note(&format!("{}: {error}", text::clean(&name)));
                reasons.push(format!("{}: {error}", text::clean(&name)));
            }
        }
    }
    let WantedRevision { package, number, .. } = wanted;
    Err(match reasons.is_empty() {
        true => Error::usage("no source to fetch from is configured"),
        false => Error::of(
            worst,
            format!("no source has {package} revision {number}: {}", reasons.join("; ")),
        ),
    })
}

/// Writes down who gave something forged, or something old as new.
async fn accuse(home: &Home, source: &str, wanted: &WantedRevision, error: &Error) -> Result<()> {
    let deed = Deed {
        who: home.by(),
        address: source,
        operation: PULL,
        subject: Some(&wanted.package),
        request: &json!({ "package": wanted.package, "number": wanted.number }),
    };
    audit::record(home, &deed, Outcome::Failed(error)).await
}

/// A document that was signed once can be that of another package or an older revision, played
/// again.
fn check_wanted(document: &Document, wanted: &WantedRevision) -> Result<()> {
    if document.package.id != wanted.package || document.number != wanted.number {
        return Err(Error::damaged(format!(
            "it gives {} revision {} where {} revision {} is wanted",
            document.package.id, document.number, wanted.package, wanted.number
        )));
    }
    if document.digest != wanted.digest {
        return Err(Error::damaged(format!(
            "it gives another {} revision {} than is wanted",
            wanted.package, wanted.number
        )));
    }
    Ok(())
}

/// Fetches a piece into the library, from the first source that gives it right.
async fn fetch(
    home: &Home,
    sources: &[Tried<'_>],
    parts: &Path,
    piece: &Piece,
    sent: &AtomicU64,
    watch: Watch<'_>,
) -> Result<()> {
    let mut reasons = Vec::new();
    for tried in sources {
        if tried.failures.load(Ordering::Relaxed) >= PATIENCE {
            reasons.push(format!("{}: failed too often", text::clean(&tried.source.name())));
            continue;
        }
        match fetch_from(tried.source, parts, piece, sent, watch).await {
            Ok(bytes) => {
                home.library.put(&piece.id, &bytes).await?;
                Part::done(parts, piece);
                tried.failures.store(0, Ordering::Relaxed);
                return Ok(());
            }
            Err(error) if error.kind() == Kind::Cancelled => return Err(error),
            Err(error) => {
                tried.failures.fetch_add(1, Ordering::Relaxed);
                let name = tried.source.name();
                watch.progress.note(&format!("{}: {error}", text::clean(&name)));
                reasons.push(format!("{}: {error}", text::clean(&name)));
            }
        }
    }
    Err(Error::io(format!("no source gives object {}: {}", piece.id, reasons.join("; ")))
        .advise("what has come so far is kept; the next try goes on from there"))
}

/// Fetches a piece from one source; as long as that gives a little more each time, it may break
/// off.
async fn fetch_from(
    source: &dyn Source,
    parts: &Path,
    piece: &Piece,
    sent: &AtomicU64,
    watch: Watch<'_>,
) -> Result<bytes::Bytes> {
    let mut part = Part::open(parts, piece)?;
    for _ in 0..RESUMES {
        watch.check()?;
        let before = part.len();
        let done = source.piece(piece, &mut part).await;
        let more = part.len().saturating_sub(before);
        sent.fetch_add(more, Ordering::Relaxed);
        watch.progress.advance(more);
        if part.is_full() {
            return part.take()?.ok_or_else(|| {
                Error::damaged(format!("it gives other bytes than object {} has", piece.id))
            });
        }
        match done {
            Err(error) if error.kind() == Kind::Damaged => {
                part.restart()?;
                return Err(error);
            }
            Err(error) if more == 0 => return Err(error),
            Ok(()) if more == 0 => {
                return Err(Error::io(format!("it ends in the middle of object {}", piece.id)));
            }
            _ => {}
        }
    }
    Err(Error::io(format!("it breaks off again and again in object {}", piece.id)))
}
