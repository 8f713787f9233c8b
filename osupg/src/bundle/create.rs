//! Makes a bundle.

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wim_extract::output::AtomicFile;

use super::frame::{self, FrameWriter};
use super::header::{self, Lock};
use super::index::{self, Base, Index, MAX_REVISIONS};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::document::{self, Document};
use crate::package::reference::Reference;
use crate::progress::{Phase, Watch};
use crate::space;
use crate::store::layout::{ObjectId, Piece};
use crate::text;
use crate::time::Moment;
use crate::trust::{self, TrustList};

/// Pieces that are read ahead.
const PIECES_AHEAD: usize = 2;

/// What to put into a bundle. Paths are those of the machine that makes it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The revisions.
    pub revisions: Vec<Reference>,
    /// The file to make.
    pub file: PathBuf,
    /// Revisions that its reader has: what they have is left out.
    #[serde(default)]
    pub since: Vec<Reference>,
    /// A point that is to get it: what the point has is left out.
    #[serde(default)]
    pub for_point: Option<String>,
    /// A trusted key, by name or id, that alone can open it.
    #[serde(default)]
    pub encrypt_to: Option<String>,
    /// A file with a passphrase that opens it.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
    /// Something to say about it: up to 127 characters.
    #[serde(default)]
    pub comment: String,
}

/// What was made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The file.
    pub file: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// The revisions in it, as in `OSU00001@3`.
    pub revisions: Vec<String>,
    /// What its reader must have.
    pub base: Vec<String>,
    /// Pieces in it.
    pub pieces: u64,
    /// Bytes that were left out because the bases have them.
    pub left_out: u64,
    /// Whether it is locked.
    pub locked: bool,
}

impl Operation for Request {
    type Outcome = Created;
    const NAME: &'static str = "bundle.create";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    /// A right that ends at a scope can be judged for one package only.
    fn subject(&self) -> Option<&str> {
        match &self.revisions[..] {
            // What a point has is other packages too.
            _ if self.for_point.is_some() => None,
            [only] if self.since.iter().all(|base| base.package == only.package) => {
                Some(&only.package)
            }
            _ => None,
        }
    }

    fn places(&self) -> Vec<&Path> {
        [&self.file].into_iter().chain(&self.passphrase_file).map(PathBuf::as_path).collect()
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Created> {
        create(home, self, watch).await
    }
}

async fn create(home: &Home, request: &Request, watch: Watch<'_>) -> Result<Created> {
    if !(1..=MAX_REVISIONS).contains(&request.revisions.len()) {
        return Err(Error::usage(format!("a bundle holds from 1 to {MAX_REVISIONS} revisions")));
    }
    let comment = index::comment(&request.comment)?;
    let lock = lock(home, request)?;
    let lease = home.lease().await?;
    let mut documents = Vec::new();
    for reference in &request.revisions {
        documents.push(document::of_revision(home, reference).await?);
    }
    let (mut base, mut known) = bases(home, &request.since).await?;
    if let Some(point) = &request.for_point {
        let needed = documents.iter().flat_map(Document::pieces).map(|piece| piece.id).collect();
        held_by(home, point, &needed, &mut base, &mut known).await?;
    }
    let (pieces, left_out) = pieces_of(&documents, &known);
    let signed = documents
        .into_iter()
        .map(|document| {
            let envelope = trust::sign(home, document::PAYLOAD_TYPE, &document.to_bytes()?)?;
            Ok((document, envelope))
        })
        .collect::<Result<Vec<_>>>()?;
    let index = Index { made_at: Moment::now(), comment, documents: signed, base, pieces };
    let envelope = trust::sign(home, index::PAYLOAD_TYPE, &index.to_bytes()?)?.to_json();
    if envelope.len() as u64 > index::MAX_BYTES {
        return Err(Error::usage("the bundle has more files than one can hold")
            .advise("make several bundles of fewer revisions"));
    }
    let size = write(home, &request.file, &lock, &index, envelope.as_bytes(), watch).await?;
    lease.release().await;
    Ok(Created {
        file: request.file.clone(),
        size,
        revisions: index
            .documents
            .iter()
            .map(|(document, _)| format!("{}@{}", document.package.id, document.number))
            .collect(),
        base: index.base.iter().map(|base| format!("{}@{}", base.package, base.number)).collect(),
        pieces: index.pieces.len() as u64,
        left_out,
        locked: !matches!(lock, Lock::Open),
    })
}

fn lock(home: &Home, request: &Request) -> Result<Lock> {
    match (&request.encrypt_to, &request.passphrase_file) {
        (None, None) => Ok(Lock::Open),
        (None, Some(file)) => Ok(Lock::Passphrase(super::read_passphrase(file)?)),
        (Some(key), None) => {
            let list = TrustList::of(home)?;
            let trusted = list.find(key)?;
            if trusted.revoked_at.is_some() {
                return Err(Error::usage(format!("key {} is revoked", trusted.id)));
            }
            Ok(Lock::Recipient(trusted.key))
        }
        (Some(_), Some(_)) => {
            Err(Error::usage("a bundle is locked by a passphrase or to a key, not by both"))
        }
    }
}

/// The revisions that the reader has, and their objects.
async fn bases(home: &Home, since: &[Reference]) -> Result<(Vec<Base>, HashSet<ObjectId>)> {
    let (mut bases, mut known) = (Vec::new(), HashSet::new());
    for reference in since {
        let document = document::of_revision(home, reference).await?;
        known.extend(document.pieces().into_iter().map(|piece| piece.id));
        bases.push(Base {
            package: document.package.id,
            number: document.number,
            digest: document.digest,
        });
    }
    Ok((bases, known))
}

/// Adds the revisions that a point has whole and that share something with what is `needed`.
async fn held_by(
    home: &Home,
    point: &str,
    needed: &HashSet<ObjectId>,
    bases: &mut Vec<Base>,
    known: &mut HashSet<ObjectId>,
) -> Result<()> {
    let point = home.db.point(point).await?;
    for presence in home.db.presences_at(point.key).await? {
        let reference = Reference { package: presence.package, revision: presence.held };
        if reference.revision.is_none() {
            continue;
        }
        let document = match document::of_revision(home, &reference).await {
            Ok(document) => document,
            // The point still has what was pruned here: nothing can be said of its pieces.
            Err(error) if error.kind() == Kind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let base = Base {
            package: document.package.id.clone(),
            number: document.number,
            digest: document.digest,
        };
        let shared: Vec<_> = document
            .pieces()
            .into_iter()
            .map(|piece| piece.id)
            .filter(|id| needed.contains(id))
            .collect();
        if !shared.is_empty() && !bases.contains(&base) {
            known.extend(shared);
            bases.push(base);
        }
    }
    Ok(())
}

/// The pieces of all documents, each once, without those that are known; and the bytes of those.
fn pieces_of(documents: &[Document], known: &HashSet<ObjectId>) -> (Vec<Piece>, u64) {
    let mut seen = HashSet::new();
    let (mut pieces, mut left_out) = (Vec::new(), 0);
    for piece in documents.iter().flat_map(Document::pieces) {
        if !seen.insert(piece.id) {
            continue;
        }
        if known.contains(&piece.id) {
            left_out += piece.size;
        } else {
            pieces.push(piece);
        }
    }
    (pieces, left_out)
}

async fn write(
    home: &Home,
    target: &Path,
    lock: &Lock,
    index: &Index,
    envelope: &[u8],
    watch: Watch<'_>,
) -> Result<u64> {
    if !super::may_be_replaced(target)? {
        return Err(Error::usage(format!("{} is there and no bundle", text::path(target)))
            .advise("give another name, or remove it first"));
    }
    let failed = |error: std::io::Error| Error::file("write", target, &error);
    let (header, cipher) = header::make(lock)?;
    let sealed = cipher.overhead() > 0;
    let size = index
        .size_in_file(sealed)
        .and_then(|size| size.checked_add(frame::size_of_content(envelope.len() as u64, sealed)?))
        .ok_or_else(|| Error::usage("the bundle would be larger than any file"))?;
    let file = AtomicFile::create(target)
        .map_err(|error| Error::io(format!("cannot make it: {error}")))?;
    space::require(file.directory(), target, size)?;
    let mut to = BufWriter::with_capacity(256 << 10, &**file.file());
    to.write_all(&header).map_err(failed)?;
    let mut frames = FrameWriter::new(to, cipher);
    frames.content(frame::Kind::Index, &(envelope.len() as u64).to_le_bytes()).map_err(failed)?;
    frames.content(frame::Kind::Index, envelope).map_err(failed)?;
    watch.progress.begin(Phase::Export, index.size());
    let mut pieces =
        stream::iter(&index.pieces).map(|piece| home.library.get(piece)).buffered(PIECES_AHEAD);
    while let Some(piece) = pieces.next().await {
        watch.check()?;
        let piece = piece?;
        tokio::task::block_in_place(|| frames.content(frame::Kind::Data, &piece))
            .map_err(failed)?;
        watch.progress.advance(piece.len() as u64);
    }
    let written = frames.end().map_err(failed)? + header.len() as u64;
    watch.progress.end();
    file.commit().map_err(|error| Error::io(error.to_string()))?;
    Ok(written)
}
