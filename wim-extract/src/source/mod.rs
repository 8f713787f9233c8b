//! Where the bytes of an archive come from.
//!
//! A [`Source`] is a run of bytes of known length that can be read at any place, from any thread.
//! Every operation works on every source: a file that is mapped into memory ([`FileSource`]), the
//! same file read without a map, a file inside an ISO image ([`udf`]) that is nothing but a list of
//! ranges of the ISO file, or bytes in memory.
//!
//! [`open`] turns what a user types into a source:
//!
//! | typed | opened |
//! |---|---|
//! | `install.wim` | the file |
//! | `win.iso` | `sources/install.wim`, `install.esd` or `install.swm` in it, whichever is there |
//! | `win.iso:sources/boot.wim` | that file of the ISO; upper and lower case are alike |
//!
//! A path that exists is always taken as it stands, even with a colon in it.

mod error;
mod extents;
mod file;
mod locate;
pub mod udf;

use std::{fmt, fs::File, io, sync::Arc};

use bytes::Bytes;

pub use self::file::read_exact_at;
pub use self::{
    error::SourceError,
    extents::{Extent, ExtentSource},
    file::{FileSource, MemorySource},
    locate::{INSTALL_IMAGES, expand, open},
};
pub use crate::map::Expect;

/// How a file is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// Through a memory map: slices cost nothing. See [`crate::map`] for what a map cannot promise.
    #[default]
    Map,
    /// With positioned reads into buffers: slower, but a file that shrinks or a disk that fails
    /// gives an error in place of `SIGBUS`.
    Read,
}

/// A part of an open file, for copies that the kernel makes by itself.
#[derive(Debug, Clone)]
pub struct FileExtent {
    /// The open file.
    pub file: Arc<File>,
    /// First byte in the file.
    pub offset: u64,
    /// Number of bytes, at least 1.
    pub len: u64,
}

/// Bytes of known length, readable anywhere and by many threads at once.
pub trait Source: Send + Sync + fmt::Debug {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `len` bytes from `offset`; free of copies where the source is in memory and the range is
    /// in one piece.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the range is not wholly inside the source (nothing is
    /// allocated then), else those of reading.
    fn bytes(&self, offset: u64, len: usize) -> io::Result<Bytes>;

    /// Fills `buffer` with the bytes from `offset`. For callers that hold a buffer already.
    ///
    /// # Errors
    /// As [`bytes`](Source::bytes).
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.copy_from_slice(&self.bytes(offset, buffer.len())?);
        Ok(())
    }

    /// The ranges of open files, in order, that together hold the `len` bytes from `offset`; `None`
    /// where the bytes are not (or not all) in a file, or the range is not inside the source.
    fn file_extents(&self, offset: u64, len: u64) -> Option<Vec<FileExtent>>;

    /// What to call the source in messages: the path as the user knows it.
    fn name(&self) -> String;

    /// A hint about the `len` bytes from `offset`; never fails and changes no result.
    fn expect(&self, what: Expect, offset: u64, len: u64) {
        let _ = (what, offset, len);
    }
}

/// The end of `offset..offset + len`, if that range is inside a source of `size` bytes.
fn range_end(size: u64, offset: u64, len: u64) -> Option<u64> {
    offset.checked_add(len).filter(|&end| end <= size)
}

/// The error of a range that is not inside the source.
fn out_of_range(source: &dyn Source, offset: u64, len: u64) -> io::Error {
    let message = format!(
        "{}: {len} bytes at offset {offset} are wanted, but it ends at {}; the file is truncated \
         or damaged",
        source.name(),
        source.len()
    );
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}
