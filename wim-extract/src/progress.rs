//! What a long operation tells whoever watches it.

use std::fmt;
use std::path::Path;

/// A part of an operation with its own total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Checking the integrity table against the file.
    Integrity,
    /// Reading the images' metadata.
    Metadata,
    /// Decoding and hashing blobs.
    Verify,
    /// Creating directories and empty files.
    Structure,
    /// Writing file data.
    Extract,
    /// Setting links, times and permissions.
    Attributes,
    /// Looking at the files of a directory tree; the total is not known.
    Scan,
    /// Compressing blobs.
    Compress,
    /// Copying or writing blobs into an archive.
    Write,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integrity => "checking integrity table",
            Self::Metadata => "reading metadata",
            Self::Verify => "verifying",
            Self::Structure => "creating files",
            Self::Extract => "extracting",
            Self::Attributes => "setting attributes",
            Self::Scan => "scanning",
            Self::Compress => "compressing",
            Self::Write => "writing",
        })
    }
}

/// An amount of work: uncompressed bytes, and things (blobs, files or images, as the phase has it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Bytes of uncompressed data; for [`Phase::Integrity`] and raw copies, bytes of the file.
    pub bytes: u64,
    /// Number of blobs, files or images.
    pub items: u64,
}

impl Amount {
    /// `bytes` and `items` together.
    #[must_use]
    pub const fn new(bytes: u64, items: u64) -> Self {
        Self { bytes, items }
    }
}

/// What an operation does with a file because it was told to, for who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note<'a> {
    /// This file, or directory with all below it, is excluded.
    Excluded(&'a Path),
    /// The absolute target of this link is stored relative to the image.
    LinkMoved(&'a Path),
}

/// Watches an operation. Every method may be called from any of its threads; they must return
/// quickly, and the calls of one phase come between its `begin` and its `end`.
pub trait Progress: Send + Sync {
    /// A phase starts; `total` is what the [`advance`](Self::advance) calls will add up to.
    fn begin(&self, phase: Phase, total: Amount) {
        let _ = (phase, total);
    }

    /// `done` more of the current phase is finished.
    fn advance(&self, done: Amount) {
        let _ = done;
    }

    /// The phase is over.
    fn end(&self, phase: Phase) {
        let _ = phase;
    }

    /// Something was done as it was asked for.
    fn note(&self, note: Note<'_>) {
        let _ = note;
    }

    /// Something went wrong that does not stop the operation; one sentence for a person.
    fn warning(&self, text: &str) {
        let _ = text;
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
