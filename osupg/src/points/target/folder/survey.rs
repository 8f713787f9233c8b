//! What is at the point already that a revision can be made of.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use bytes::Bytes;

use super::dir::{Dir, Kind};
use super::{INSTALLED, LEAVING, NEXT, NEXT_TREE, Place, STATE, unverified};
use wim_extract::source::read_exact_at;

use crate::error::Result;
use crate::package::document::Document;
use crate::store::layout::{ObjectId, Piece};

/// Places that are kept of the same bytes: should one turn out to be damaged, there is another.
const CHOICES: usize = 4;
/// Places of the same bytes that are looked at: most are names under which something may be.
const CANDIDATES: usize = 64;

/// A file at the point, from the point's own folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The folder of a tree, such as `OSU00001` or `.osupg/OSU00001/next`.
    pub tree: String,
    /// The file in it.
    pub path: String,
}

impl Found {
    /// The folder that the file is in, and its name there.
    pub(super) fn split(&self) -> (String, &str) {
        match self.path.rsplit_once('/') {
            Some((folder, name)) => (format!("{}/{folder}", self.tree), name),
            None => (self.tree.clone(), &self.path),
        }
    }

    /// Opens it if it is there, an ordinary file and as long as it should be.
    pub(super) fn open(&self, root: &Dir, size: u64) -> Result<Option<File>> {
        let Some(file) = root.file(&format!("{}/{}", self.tree, self.path))? else {
            return Ok(None);
        };
        Ok(file.metadata().is_ok_and(|meta| meta.len() == size).then_some(file))
    }
}

/// Which places a survey names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// Where bytes are as a document at the point says: good for a forecast.
    Said,
    /// Wherever they can be: every place is read before it is used.
    Possible,
}

/// Where bytes are that a revision needs. Nothing of it has been read: the hash decides.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Whole files, by SHA-256.
    pub files: HashMap<[u8; 32], Vec<Found>>,
    /// Parts of files, by hash: the file and the offset in it.
    pub pieces: HashMap<ObjectId, Vec<(Found, u64)>>,
}

impl Survey {
    /// Looks for what `wanted` needs: in the package's own trees, old and new, and in those of the
    /// packages `near`.
    pub(super) fn of(
        place: &Place,
        wanted: &Document,
        near: &[String],
        basis: Basis,
    ) -> Result<Self> {
        let need = Need {
            files: wanted.files().map(|(_, content)| content.sha256).collect(),
            pieces: wanted.pieces().into_iter().map(|piece| piece.id).collect(),
        };
        let mut survey = Self::default();
        let own = place.id.clone();
        let next = format!("{STATE}/{own}/{NEXT_TREE}");
        // A cut-off change of places may have left either tree under either name.
        survey.add(&need, wanted, &next);
        if basis == Basis::Possible {
            survey.add(&need, wanted, &own);
        }
        for name in [INSTALLED, LEAVING, NEXT] {
            if let Some(document) = unverified(&place.state, name)? {
                survey.add(&need, &document, &own);
                survey.add(&need, &document, &next);
            }
        }
        for other in near.iter().filter(|other| **other != own) {
            let other = super::checked(other)?;
            if let Some(state) = place.root.sub(&format!("{STATE}/{other}"))?
                && let Some(document) = unverified(&state, INSTALLED)?
            {
                survey.add(&need, &document, &other);
            }
        }
        Ok(survey)
    }

    fn add(&mut self, need: &Need, document: &Document, tree: &str) {
        for (entry, content) in document.files() {
            let found = || Found { tree: tree.to_string(), path: entry.path.as_str().to_string() };
            if need.files.contains(&content.sha256) {
                let files = self.files.entry(content.sha256).or_default();
                if files.len() < CANDIDATES && !files.contains(&found()) {
                    files.push(found());
                }
            }
            let mut offset = 0;
            for piece in &content.pieces {
                if need.pieces.contains(&piece.id) {
                    let places = self.pieces.entry(piece.id).or_default();
                    let place = (found(), offset);
                    if places.len() < CANDIDATES && !places.contains(&place) {
                        places.push(place);
                    }
                }
                offset += piece.size;
            }
        }
    }

    /// Drops what is not there: by name, kind and size, without reading.
    pub(super) fn keep_what_exists(&mut self, place: &Place, wanted: &Document) -> Result<()> {
        let sizes: HashMap<[u8; 32], u64> =
            wanted.files().map(|(_, content)| (content.sha256, content.size)).collect();
        let mut known: HashMap<(String, String), Option<u64>> = HashMap::new();
        let mut length = |found: &Found| -> Result<Option<u64>> {
            let key = (found.tree.clone(), found.path.clone());
            if let Some(length) = known.get(&key) {
                return Ok(*length);
            }
            let (folder, name) = found.split();
            let length = match place.root.sub(&folder) {
                Ok(Some(dir)) if dir.kind(name)? == Some(Kind::File) => {
                    dir.file(name)?.and_then(|file| file.metadata().ok()).map(|meta| meta.len())
                }
                _ => None,
            };
            known.insert(key, length);
            Ok(length)
        };
        for (sha256, files) in &mut self.files {
            let mut kept = Vec::new();
            for found in files.drain(..) {
                if kept.len() < CHOICES && length(&found)? == sizes.get(sha256).copied() {
                    kept.push(found);
                }
            }
            *files = kept;
        }
        let sizes: HashMap<ObjectId, u64> =
            wanted.pieces().into_iter().map(|piece| (piece.id, piece.size)).collect();
        for (id, places) in &mut self.pieces {
            let size = sizes.get(id).copied().unwrap_or(0);
            let mut kept = Vec::new();
            for (found, offset) in places.drain(..) {
                let whole = |length| offset + size <= length;
                if kept.len() < CHOICES && length(&found)?.is_some_and(whole) {
                    kept.push((found, offset));
                }
            }
            *places = kept;
        }
        Ok(())
    }
}

struct Need {
    files: HashSet<[u8; 32]>,
    pieces: HashSet<ObjectId>,
}

/// The bytes of a piece at `offset` of a file, if they are the right ones.
pub(super) fn read_piece(file: &File, offset: u64, piece: &Piece) -> Option<Bytes> {
    // Pieces of a checked document are never longer than 8 MiB.
    let mut bytes = vec![0; usize::try_from(piece.size).ok()?];
    read_exact_at(file, &mut bytes, offset).ok()?;
    (ObjectId::of(&bytes) == piece.id).then(|| bytes.into())
}

/// A piece out of the installed tree of a package.
pub(super) fn piece_of(place: &Place, piece: &Piece) -> Result<Option<Bytes>> {
    let Some(document) = unverified(&place.state, INSTALLED)? else { return Ok(None) };
    for (entry, content) in document.files() {
        let mut offset = 0;
        for one in &content.pieces {
            if one == piece
                && let Some(file) =
                    place.root.file(&format!("{}/{}", place.id, entry.path.as_str()))?
                && let Some(bytes) = read_piece(&file, offset, piece)
            {
                return Ok(Some(bytes));
            }
            offset += one.size;
        }
    }
    Ok(None)
}
