//! Takes away what nobody refers to: objects of removed packages and of imports that were cut off.
//!
//! The collector holds the store's lease alone, so no import is running and each import that the
//! database still lists is dead. Then every object that no content uses is litter. After an
//! ordinary removal the database knows which those are; after a dead import the whole library is
//! listed. Deleting comes before forgetting, so a collector that is cut off is simply repeated.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layout::{OBJECTS, ObjectId, Piece};
use super::lease::Lease;
use super::{Library, staging};
use crate::db::Db;
use crate::error::{Error, Result};
use crate::time::Moment;

/// Objects that are deleted at the same time.
const AT_ONCE: usize = 8;

/// How far a sweep looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// At what the database knows to be litter; at the whole library only after a dead import.
    Known,
    /// At the whole library.
    Everything,
}

/// What a sweep took away, or would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Swept {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Imports that had been cut off.
    pub imports: u64,
    /// Objects that nothing refers to but that are too young to go.
    pub young: u64,
}

/// What there is to take away.
#[derive(Debug, Default)]
pub struct Litter {
    /// Objects with their sizes.
    objects: HashMap<ObjectId, u64>,
    /// Those among them that the database knows.
    doomed: Vec<ObjectId>,
    young: u64,
    imports: u64,
    /// Whether the whole library was looked at.
    listed: bool,
}

impl Litter {
    /// Finds what nobody refers to. What became litter, or was stored, less than `grace` ago is too
    /// young. The caller holds the exclusive lease.
    ///
    /// # Errors
    /// When the store or the database cannot be reached.
    pub async fn find(db: &Db, library: &Library, grace: Duration, depth: Depth) -> Result<Self> {
        let leftovers = db.leftovers().await?;
        let mut litter = Self { imports: leftovers.imports.unsigned_abs(), ..Self::default() };
        let grace = i64::try_from(grace.as_micros()).unwrap_or(i64::MAX);
        let before = Moment(Moment::now().0.saturating_sub(grace));
        let mut waiting = HashSet::new();
        if leftovers.doomed > 0 {
            for (piece, doomed_at) in db.doomed().await? {
                if doomed_at > before {
                    litter.young += 1;
                    waiting.insert(piece.id);
                    continue;
                }
                litter.doomed.push(piece.id);
                // An import may have taken it up again since.
                if db.object_size(&piece.id).await?.is_none() {
                    litter.objects.insert(piece.id, piece.size);
                }
            }
        }
        if litter.imports > 0 || depth == Depth::Everything {
            litter.listed = true;
            litter.list(db, library, before, &waiting).await?;
        }
        Ok(litter)
    }

    /// Finds every object of the library that the database does not know.
    async fn list(
        &mut self,
        db: &Db,
        library: &Library,
        before: Moment,
        waiting: &HashSet<ObjectId>,
    ) -> Result<()> {
        let known: HashSet<ObjectId> = db.objects().await?.iter().map(|piece| piece.id).collect();
        let mut listing = library.store().list(Some(&OBJECTS.into()));
        while let Some(meta) = listing.try_next().await? {
            let Some(id) = ObjectId::at(&meta.location) else { continue };
            if known.contains(&id) || waiting.contains(&id) {
                continue;
            }
            if meta.last_modified.timestamp_micros() > before.0 {
                self.young += u64::from(!self.objects.contains_key(&id));
            } else {
                self.objects.insert(id, meta.size);
            }
        }
        Ok(())
    }

    /// Whether there is nothing to take away or to forget.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.doomed.is_empty() && self.imports == 0 && !self.listed
    }

    /// What taking it away takes away.
    #[must_use]
    pub fn swept(&self) -> Swept {
        Swept {
            objects: self.objects.len() as u64,
            bytes: self.objects.values().sum(),
            imports: self.imports,
            young: self.young,
        }
    }

    /// Takes it away.
    ///
    /// # Errors
    /// When the store or the database cannot be reached, or the lease was lost; the next sweep goes
    /// on from there.
    pub async fn remove(self, db: &Db, library: &Library, lease: &Lease) -> Result<Swept> {
        let mut swept = Swept { objects: 0, bytes: 0, ..self.swept() };
        let deletions = self.objects.iter().map(async |(id, size)| {
            if !lease.is_held() {
                return Err(Error::io("the lease of the content library was lost while sweeping"));
            }
            Ok((library.delete(id).await?, *size))
        });
        let mut deleted = stream::iter(deletions).buffer_unordered(AT_ONCE);
        while let Some((was_there, size)) = deleted.try_next().await? {
            swept.objects += u64::from(was_there);
            swept.bytes += if was_there { size } else { 0 };
        }
        drop(deleted);
        if self.listed
            && let Some(folder) = library.folder()
        {
            let root = folder.to_path_buf();
            // No import is running: what is half-written is nobody's.
            tokio::task::spawn_blocking(move || staging::remove_pieces(&root)).await??;
        }
        db.collected(&self.doomed).await?;
        Ok(swept)
    }
}

/// The objects that a store holds under names that the database does not know, for a check.
pub(crate) async fn unknown(library: &Library, known: &HashSet<ObjectId>) -> Result<Vec<Piece>> {
    let mut unknown = Vec::new();
    let mut listing = library.store().list(Some(&OBJECTS.into()));
    while let Some(meta) = listing.try_next().await? {
        if let Some(id) = ObjectId::at(&meta.location).filter(|id| !known.contains(id)) {
            unknown.push(Piece { id, size: meta.size });
        }
    }
    Ok(unknown)
}
