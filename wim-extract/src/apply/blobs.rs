//! What is known of the data that files are made of, before it comes.

use wim_format::Sha1Hash;

use crate::{
    archive::{BlobId, Wim},
    error::Error,
    piped::PipedBlobs,
};

/// Where data comes from.
pub(super) trait Blobs: Sync {
    /// The blob of that hash, if there will be one.
    fn find(&self, hash: &Sha1Hash) -> Option<BlobId>;

    /// Its hash.
    fn hash(&self, blob: BlobId) -> Sha1Hash;

    /// Its length in bytes, unless that is not known before it comes.
    fn size(&self, blob: BlobId) -> Option<u64>;

    /// Its length, if that can be relied upon so far that room is set aside for it.
    fn size_to_reserve(&self, blob: BlobId) -> u64;

    /// What the file that it is in is called.
    fn file(&self, blob: BlobId) -> String;

    /// The error of one that is missing; `path` names a file that needs it.
    fn missing(&self, hash: Sha1Hash, path: String) -> Error;
}

impl Blobs for Wim {
    fn find(&self, hash: &Sha1Hash) -> Option<BlobId> {
        self.find(hash)
    }

    fn hash(&self, blob: BlobId) -> Sha1Hash {
        self.blob(blob).hash
    }

    fn size(&self, blob: BlobId) -> Option<u64> {
        Some(self.blob(blob).size)
    }

    fn size_to_reserve(&self, blob: BlobId) -> u64 {
        self.blob(blob).size
    }

    fn file(&self, blob: BlobId) -> String {
        self.parts()[self.part_of(blob)].source.name()
    }

    fn missing(&self, hash: Sha1Hash, path: String) -> Error {
        self.missing(hash, Some(path))
    }
}

/// The blobs of a stream and its name.
pub(super) struct Piped<'a> {
    pub(super) blobs: &'a PipedBlobs,
    pub(super) name: String,
}

impl Blobs for Piped<'_> {
    fn find(&self, hash: &Sha1Hash) -> Option<BlobId> {
        self.blobs.find(hash)
    }

    fn hash(&self, blob: BlobId) -> Sha1Hash {
        self.blobs.hash(blob)
    }

    fn size(&self, blob: BlobId) -> Option<u64> {
        self.blobs.size(blob)
    }

    fn size_to_reserve(&self, _: BlobId) -> u64 {
        0
    }

    fn file(&self, _: BlobId) -> String {
        self.name.clone()
    }

    fn missing(&self, hash: Sha1Hash, path: String) -> Error {
        Error::MissingBlob { file: self.name.clone(), path: Some(path), hash }
    }
}
