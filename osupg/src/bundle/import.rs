//! Takes a bundle into the store.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Opened;
use super::frame::Kind;
use super::index::{self, Index};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::adopt::{self, Arrival, Current, Standing};
use crate::package::document::{self, Document};
use crate::progress::{Phase, Watch};
use crate::store::layout::{ObjectId, Piece};
use crate::text;
use crate::trust::{self, TrustList};

/// What to take in. Paths are those of the machine whose store it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The bundle.
    pub file: PathBuf,
    /// A file with the passphrase that opens it.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
}

/// What was taken in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// What people here call the key that has signed the bundle.
    pub signer: String,
    /// The revisions in it.
    pub revisions: Vec<Taken>,
    /// Pieces that were stored.
    pub stored: u64,
    /// Their bytes.
    pub stored_size: u64,
    /// Pieces of the bundle that the library had.
    pub present: u64,
}

/// A revision of a bundle.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// The package's id.
    pub package: String,
    /// Its name.
    pub name: String,
    /// The revision's number.
    pub number: i64,
    /// Whether the store did not have it before.
    pub new: bool,
}

impl Operation for Request {
    type Outcome = Imported;
    const NAME: &'static str = "bundle.import";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    fn places(&self) -> Vec<&Path> {
        [&self.file].into_iter().chain(&self.passphrase_file).map(PathBuf::as_path).collect()
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Imported> {
        let passphrase = self.passphrase_file.as_deref();
        let opened = tokio::task::block_in_place(|| Opened::open(&self.file, passphrase, home))?;
        import(home, opened, watch).await.map_err(|error| error.context(text::path(&self.file)))
    }
}

async fn import(home: &Home, mut opened: Opened, watch: Watch<'_>) -> Result<Imported> {
    let trusted = TrustList::of(home)?;
    let (_, signer) = trust::signer(&opened.envelope, &trusted, index::PAYLOAD_TYPE)?;
    let index = Index::read(opened.envelope.payload(), Some(&trusted))?;
    let signers = index
        .documents
        .iter()
        .map(|(_, envelope)| trust::signer(envelope, &trusted, document::PAYLOAD_TYPE))
        .collect::<Result<Vec<_>>>()?;
    check_size(&opened, &index)?;
    refuse_stale(home, &index, &signers).await?;
    // Held until the revisions are there, so that nothing takes the pieces away.
    let lease = home.lease().await?;
    let missing = missing(home, &index).await?;
    refuse_incomplete(home, &index, &missing).await?;
    home.library.require_space(missing.iter().map(|piece| piece.size).sum())?;
    let import = home.db.import_begins(Path::new(&signer)).await?;

    let missing: HashSet<ObjectId> = missing.into_iter().map(|piece| piece.id).collect();
    let mut imported =
        Imported { signer, revisions: Vec::new(), stored: 0, stored_size: 0, present: 0 };
    watch.progress.begin(Phase::Store, index.size());
    for piece in &index.pieces {
        watch.check()?;
        if missing.contains(&piece.id) {
            store(home, &mut opened, piece).await?;
            imported.stored += 1;
            imported.stored_size += piece.size;
        } else {
            opened.frames.skip(piece.size)?;
            imported.present += 1;
        }
        watch.progress.advance(piece.size);
    }
    watch.progress.end();
    tokio::task::block_in_place(|| opened.frames.end())?;

    let mut documents: Vec<_> =
        index.documents.iter().map(|(document, _)| document).zip(&signers).collect();
    documents.sort_by_key(|(document, _)| (&document.package.id, document.number));
    for (document, (_, signer)) in documents {
        let new_size = new_size(document, &missing);
        let arrival = Arrival {
            signer,
            cause: "bundle",
            current: Current::Newest,
            import: &import,
            lease: &lease,
            new_size,
        };
        let adopted = adopt::adopt(home, document, &arrival, watch).await?;
        imported.revisions.push(Taken {
            package: document.package.id.clone(),
            name: document.package.name.clone(),
            number: document.number,
            new: adopted.new,
        });
    }
    lease.release().await;
    Ok(imported)
}

/// A bundle that was cut is found before anything of it is stored.
fn check_size(opened: &Opened, index: &Index) -> Result<()> {
    let expected =
        index.size_in_file(opened.sealed()).and_then(|size| size.checked_add(opened.start));
    if expected == Some(opened.size) {
        return Ok(());
    }
    Err(Error::damaged(match expected {
        Some(expected) => {
            format!("the bundle has {} bytes, and its index announces {expected}", opened.size)
        }
        None => "the index announces more than a file can hold".to_string(),
    })
    .advise("copy the file again from where it was made"))
}

/// Refuses a bundle that is older than what the store has.
async fn refuse_stale(
    home: &Home,
    index: &Index,
    signers: &[(crate::trust::KeyId, String)],
) -> Result<()> {
    for ((document, _), (_, signer)) in index.documents.iter().zip(signers) {
        if let Standing::Stale(current) = adopt::standing(home, document, signer).await? {
            let (id, number) = (&document.package.id, document.number);
            return Err(Error::usage(format!(
                "the bundle is stale: it brings {id} revision {number}, and this store has \
                 revision {current}"
            ))
            .advise(format!(
                "have the difference to what this store has made, from the newest revision: \
                 osupg bundle create {id} --since {id}@{current}"
            )));
        }
    }
    Ok(())
}

/// The pieces of the bundle's revisions that the library has not got, each once.
async fn missing(home: &Home, index: &Index) -> Result<Vec<Piece>> {
    let mut seen = HashSet::new();
    let mut missing = Vec::new();
    for piece in index.needed().filter(|piece| seen.insert(piece.id)) {
        if !home.library.has(&piece).await? {
            missing.push(piece);
        }
    }
    Ok(missing)
}

/// Refuses a difference to something that the store has not got.
async fn refuse_incomplete(home: &Home, index: &Index, missing: &[Piece]) -> Result<()> {
    let brought: HashSet<_> = index.pieces.iter().map(|piece| piece.id).collect();
    let lacking: Vec<_> = missing.iter().filter(|piece| !brought.contains(&piece.id)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let size = text::size(lacking.iter().map(|piece| piece.size).sum());
    for base in &index.base {
        let there = home.db.digest_of(&base.package, base.number).await?;
        if there.is_none_or(|digest| digest != base.digest) {
            let (id, number) = (&base.package, base.number);
            let has = home.db.source_of(id).await?;
            let offer = match (has, index.documents.first()) {
                (Some((_, _, current)), Some((document, _))) => format!(
                    "have the difference to what this store has made: osupg bundle create {}@{} \
                     --since {id}@{current}",
                    document.package.id, document.number
                ),
                _ => "have a full bundle made: leave out --since".to_string(),
            };
            return Err(Error::usage(format!(
                "the bundle is the difference to {id} revision {number}, which this store has not \
                 got; {size} are missing"
            ))
            .advise(offer));
        }
    }
    Err(Error::damaged(format!(
        "{size} that the bundle counts on are neither in it nor in the library"
    ))
    .advise("check the library with `osupg package verify`, or have a full bundle made"))
}

async fn store(home: &Home, opened: &mut Opened, piece: &Piece) -> Result<()> {
    let size = piece.size as usize;
    let bytes = tokio::task::block_in_place(|| {
        let bytes = opened.frames.content(Kind::Data, size)?;
        if ObjectId::of(&bytes) == piece.id {
            return Ok(bytes::Bytes::from(bytes));
        }
        Err(Error::damaged(format!(
            "piece {} of the bundle has other contents than its index says",
            piece.id
        )))
    })?;
    home.library.put(&piece.id, &bytes).await?;
    Ok(())
}

fn new_size(document: &Document, stored: &HashSet<ObjectId>) -> u64 {
    let pieces = document.pieces();
    pieces.iter().filter(|piece| stored.contains(&piece.id)).map(|piece| piece.size).sum()
}
