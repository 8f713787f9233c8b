//! From SHA-1 to blob.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use wim_format::Sha1Hash;
use wim_format::blob_table::Blob;

use super::BlobId;

/// Finds blobs by their hash. Keeps ids only, five bytes a blob; the hashes are where the blobs
/// are. The table's own hash is keyed at random: whoever makes a file may choose its SHA-1 values.
#[derive(Debug, Default)]
pub(crate) struct Index {
    ids: HashTable<u32>,
    keys: Keys,
}

/// Keys of the table's own hash. That multiplies what is there already, which takes a tenth of the
/// time of the standard library's SipHash and is as good here: SHA-1 values are long, and without
/// the keys none can be chosen that collide.
#[derive(Debug)]
struct Keys([u64; 3]);

impl Default for Keys {
    fn default() -> Self {
        let state = RandomState::new();
        Self([0, 1, 2].map(|number: u64| state.hash_one(number)))
    }
}

impl Keys {
    fn hash(&self, sha1: &Sha1Hash) -> u64 {
        let (words, _) = sha1.0.as_chunks::<4>();
        let [a, b, c, d, e] = std::array::from_fn(|i| u64::from(u32::from_ne_bytes(words[i])));
        let [first, second, third] = self.0;
        let folded = fold((a << 32 | b) ^ first, (c << 32 | d) ^ second);
        fold(folded ^ e, third | 1)
    }
}

/// Both halves of a product.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Index {
    pub(crate) fn with_capacity(blobs: usize) -> Self {
        Self { ids: HashTable::with_capacity(blobs), keys: Keys::default() }
    }

    /// An index of these blobs, of which no two have the same hash.
    pub(crate) fn of(blobs: &[Blob]) -> Self {
        let mut index = Self::with_capacity(blobs.len());
        for (blob, id) in blobs.iter().zip(0..) {
            index.insert(&blob.hash, BlobId::at(id), |id| blobs[id.index()].hash);
        }
        index
    }

    /// Adds a blob whose hash is not in the index. `hash_of` tells the hash of any blob in it.
    pub(crate) fn insert(
        &mut self,
        hash: &Sha1Hash,
        id: BlobId,
        hash_of: impl Fn(BlobId) -> Sha1Hash,
    ) {
        let keys = &self.keys;
        let rehash = |&id: &u32| keys.hash(&hash_of(BlobId(id)));
        self.ids.insert_unique(keys.hash(hash), id.0, rehash);
    }

    pub(crate) fn find(
        &self,
        hash: &Sha1Hash,
        hash_of: impl Fn(BlobId) -> Sha1Hash,
    ) -> Option<BlobId> {
        let found = self.ids.find(self.keys.hash(hash), |&id| hash_of(BlobId(id)) == *hash);
        found.copied().map(BlobId)
    }
}
