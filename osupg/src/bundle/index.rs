//! The index of a bundle: what it brings, signed by who made it.
//!
//! ```json
//! {"format": "osupg-bundle 1", "made_at": "2026-11-28T22:00:00Z", "comment": "",
//!  "documents": [<envelope of a revision>, …],
//!  "base": [{"package": "OSU00001", "number": 2, "digest": "<SHA-256>"}],
//!  "pieces": [["<BLAKE3>", 1048576], …]}
//! ```
//!
//! `pieces` are those that follow in the bundle, in their order. A difference leaves out what its
//! bases have. The whole is signed as [`PAYLOAD_TYPE`]; each document keeps the signature that it
//! travels under anywhere.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::frame;
use crate::error::{Error, Result};
use crate::package::document::{self, Document};
use crate::store::layout::{ObjectId, Piece};
use crate::text;
use crate::time::Moment;
use crate::trust::{self, Envelope, TrustList};

/// What an index is signed as.
pub const PAYLOAD_TYPE: &str = "application/vnd.osupg.bundle+json";
/// The longest index that is read.
pub const MAX_BYTES: u64 = 512 << 20;
/// Revisions in one bundle.
pub const MAX_REVISIONS: usize = 1000;
/// Characters in a comment.
pub const MAX_COMMENT: usize = 127;

const FORMAT: &str = "osupg-bundle 1";

/// A revision that whoever imports the bundle must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The package's id.
    pub package: String,
    /// The revision's number.
    pub number: i64,
    /// Its digest.
    #[serde(with = "text::as_hex")]
    pub digest: [u8; 32],
}

/// What a bundle brings, checked.
#[derive(Debug, Clone)]
pub struct Index {
    /// When it was made.
    pub made_at: Moment,
    /// What its maker says about it.
    pub comment: String,
    /// The revisions, each with its signed form.
    pub documents: Vec<(Document, Envelope)>,
    /// What the difference is to; empty for a full bundle.
    pub base: Vec<Base>,
    /// The pieces that follow, in their order.
    pub pieces: Vec<Piece>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: String,
    made_at: Moment,
    comment: String,
    documents: Vec<Envelope>,
    base: Vec<Base>,
    pieces: Vec<(Hash, u64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Hash(#[serde(with = "text::as_hex")] [u8; 32]);

impl Index {
    /// The bytes to sign.
    ///
    /// # Errors
    /// When they would be more than [`MAX_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wire = Wire {
            format: FORMAT.into(),
            made_at: self.made_at,
            comment: self.comment.clone(),
            documents: self.documents.iter().map(|(_, envelope)| envelope.clone()).collect(),
            base: self.base.clone(),
            pieces: self.pieces.iter().map(|piece| (Hash(piece.id.0), piece.size)).collect(),
        };
        serde_json::to_vec(&wire)
            .map_err(|error| Error::io(format!("the index of a bundle cannot be written: {error}")))
    }

    /// Reads the index from its bytes. Every document in it must be signed by a key on the list, or,
    /// when there is no list, by anybody: such an index is good for being shown only.
    ///
    /// # Errors
    /// When it is none, does not agree with itself, or a document is not signed by a trusted key.
    pub fn read(bytes: &[u8], trusted: Option<&TrustList>) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| bad(&error.to_string()))?;
        if wire.format != FORMAT {
            return Err(bad(&format!("its format is {:?}", text::clean(&wire.format)))
                .advise("a newer osupg made it: use that version or a later one"));
        }
        if !(1..=MAX_REVISIONS).contains(&wire.documents.len()) {
            return Err(bad(&format!("it has {} revisions", wire.documents.len())));
        }
        let comment = comment(&wire.comment).map_err(|error| bad(&error.to_string()))?;
        let mut documents = Vec::with_capacity(wire.documents.len());
        for envelope in wire.documents {
            let payload = match trusted {
                Some(list) => trust::open(&envelope, list, document::PAYLOAD_TYPE)
                    .map_err(|error| error.context("a revision in the bundle"))?,
                None => envelope.payload().to_vec(),
            };
            documents.push((Document::read(&payload)?, envelope));
        }
        let index = Self {
            made_at: wire.made_at,
            comment,
            documents,
            base: wire.base,
            pieces: wire
                .pieces
                .into_iter()
                .map(|(id, size)| Piece { id: ObjectId(id.0), size })
                .collect(),
        };
        index.check()?;
        Ok(index)
    }

    /// Every piece belongs to a revision, with the size that it has there, and comes once.
    fn check(&self) -> Result<()> {
        let mut wanted: HashMap<ObjectId, u64> =
            self.needed().map(|piece| (piece.id, piece.size)).collect();
        for piece in &self.pieces {
            if wanted.remove(&piece.id) != Some(piece.size) {
                return Err(bad(&format!(
                    "piece {} belongs to no revision, is there twice or has another size",
                    piece.id
                )));
            }
        }
        let mut revisions: Vec<_> = self
            .documents
            .iter()
            .map(|(document, _)| (&document.package.id, document.number))
            .collect();
        revisions.sort_unstable();
        revisions.dedup();
        if revisions.len() != self.documents.len() {
            return Err(bad("a revision is in it twice"));
        }
        for base in &self.base {
            if !document::is_package_id(&base.package) || base.number < 1 {
                return Err(bad("its base is no revision"));
            }
        }
        Ok(())
    }

    /// The pieces of all revisions; a piece that several have comes several times.
    pub fn needed(&self) -> impl Iterator<Item = Piece> {
        self.documents.iter().flat_map(|(document, _)| document.pieces())
    }

    /// The sum of the sizes of the pieces that follow.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.size))
    }

    /// The bytes that the pieces and the end take in the file; `None` beyond what a file can hold.
    #[must_use]
    pub fn size_in_file(&self, sealed: bool) -> Option<u64> {
        let end = frame::HEAD as u64 + if sealed { super::cipher::TAG as u64 } else { 0 };
        self.pieces.iter().try_fold(end, |sum, piece| {
            sum.checked_add(frame::size_of_content(piece.size, sealed)?)
        })
    }
}

/// A comment within its limits.
pub(super) fn comment(given: &str) -> Result<String> {
    let comment = given.trim();
    let count = comment.chars().count();
    if count > MAX_COMMENT || comment.chars().any(char::is_control) {
        return Err(Error::usage(format!(
            "the comment has {count} characters, of which {MAX_COMMENT} are the most, or holds a \
             control character"
        )));
    }
    Ok(comment.to_string())
}

fn bad(what: &str) -> Error {
    Error::damaged(format!("this is no index of a bundle: {what}"))
}
