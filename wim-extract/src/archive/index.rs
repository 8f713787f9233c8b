//! From SHA-1 to blob.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use wim_format::Sha1Hash;

use super::BlobId;

/// Finds blobs by their hash. Keeps ids only, five bytes a blob; the hashes are where the blobs
/// are. The table's own hash is keyed at random: whoever makes a file may choose its SHA-1 values.
#[derive(Debug, Default)]
pub(super) struct Index {
    ids: HashTable<u32>,
    state: RandomState,
}

impl Index {
    pub(super) fn with_capacity(blobs: usize) -> Self {
        Self { ids: HashTable::with_capacity(blobs), state: RandomState::new() }
    }

    /// Adds a blob whose hash is not in the index. `hash_of` tells the hash of any blob in it.
    pub(super) fn insert(
        &mut self,
        hash: &Sha1Hash,
        id: BlobId,
        hash_of: impl Fn(BlobId) -> Sha1Hash,
    ) {
        let state = &self.state;
        let rehash = |&id: &u32| state.hash_one(hash_of(BlobId(id)).0);
        self.ids.insert_unique(state.hash_one(hash.0), id.0, rehash);
    }

    pub(super) fn find(
        &self,
        hash: &Sha1Hash,
        hash_of: impl Fn(BlobId) -> Sha1Hash,
    ) -> Option<BlobId> {
        let found = self.ids.find(self.state.hash_one(hash.0), |&id| hash_of(BlobId(id)) == *hash);
        found.copied().map(BlobId)
    }
}
