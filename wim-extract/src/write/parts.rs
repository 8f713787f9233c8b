//! The parts of a split set, written one after the other as if they were one file.
//!
//! ```text
//!   address   0 …            2^44 …           2 · 2^44 …
//!   file      first.swm      first2.swm       first3.swm
//! ```
//!
//! What goes to which part is decided while it is written ([`Draft`](super::layout::Draft)): how long a
//! resource is, is known only when it is compressed.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Action, Error};
use crate::output::AtomicFile;
use crate::pipeline::lock::Lock;
use crate::source::read_exact_at;

/// Addresses that a part has: more bytes than any file is long.
const SPAN: u64 = 1 << 44;

/// Most parts that a set can have.
pub(crate) const MOST: usize = u16::MAX as usize;

/// Where a part begins, counted from 0.
pub(crate) fn start(part: usize) -> u64 {
    SPAN.saturating_mul(part as u64)
}

/// The part at an address, counted from 0, and the offset in it.
pub(crate) fn split(at: u64) -> (usize, u64) {
    ((at / SPAN) as usize, at % SPAN)
}

/// The files of the parts, each begun when something is written to it.
pub(crate) struct Parts<'a> {
    files: Lock<Vec<Arc<AtomicFile>>>,
    /// Where a part goes, counted from 0.
    path: &'a (dyn Fn(usize) -> Result<PathBuf, Error> + Sync),
}

impl<'a> Parts<'a> {
    pub(crate) fn new(path: &'a (dyn Fn(usize) -> Result<PathBuf, Error> + Sync)) -> Self {
        Self { files: Lock::new(Vec::new()), path }
    }

    /// Writes all of `bytes`, which do not reach into another part.
    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let (part, offset) = split(at);
        self.file(part)?.write_at(bytes, offset)
    }

    /// Reads back what was written.
    pub(crate) fn read_at(&self, bytes: &mut [u8], at: u64) -> Result<(), Error> {
        let (part, offset) = split(at);
        let file = self.file(part)?;
        let read = read_exact_at(file.file(), bytes, offset);
        read.map_err(Error::io(Action::Read, file.target()))
    }

    /// All parts, at least `count` of them.
    pub(crate) fn finish(self, count: usize) -> Result<Vec<AtomicFile>, Error> {
        if let Some(last) = count.checked_sub(1) {
            self.file(last)?;
        }
        // Nobody has another handle any more.
        Ok(self.files.into_inner().into_iter().filter_map(Arc::into_inner).collect())
    }

    fn file(&self, part: usize) -> Result<Arc<AtomicFile>, Error> {
        if part >= MOST {
            let message =
                format!("the set would have more than {MOST} parts; choose a larger size");
            return Err(Error::Parameter(message));
        }
        let mut files = self.files.lock();
        while files.len() <= part {
            let path = (self.path)(files.len())?;
            files.push(Arc::new(AtomicFile::create(&path)?));
        }
        Ok(Arc::clone(&files[part]))
    }
}

impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}
