//! Who may rely on objects being there, and who may take them away.
//!
//! An import relies on objects that it found in the library, or put there, before any revision
//! refers to them. So bytes are deleted under one rule: only while no import holds its lease. The
//! lease is an advisory lock on a file of the store, shared by imports and exclusive for the
//! collector; the kernel gives it back when a process ends, however it ends.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A lock that ends when this value is dropped.
#[derive(Debug)]
pub struct Lease {
    _file: File,
}

impl Lease {
    /// Waits until no collector is at work, then keeps collectors away. Blocks the thread.
    ///
    /// # Errors
    /// When the lock file cannot be made, or its file system has no locks.
    pub fn shared(path: &Path) -> Result<Self> {
        Self::wait(path, FlockOperation::LockShared)
    }

    /// Waits until everyone else is done. Blocks the thread.
    ///
    /// # Errors
    /// As [`Lease::shared`].
    pub fn exclusive(path: &Path) -> Result<Self> {
        Self::wait(path, FlockOperation::LockExclusive)
    }

    /// The exclusive lease, or `None` while anyone else holds one.
    ///
    /// # Errors
    /// As [`Lease::shared`].
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(Error::file("lock", path, &error.into())),
        }
    }

    fn wait(path: &Path, operation: FlockOperation) -> Result<Self> {
        let file = open(path)?;
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::file("lock", path, &error.into())),
            }
        }
    }
}

fn open(path: &Path) -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| Error::file("open the lock file", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_share_and_the_collector_stays_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lease::shared(&path).unwrap();
        let second = Lease::shared(&path).unwrap();
        assert!(Lease::try_exclusive(&path).unwrap().is_none());
        drop(first);
        assert!(Lease::try_exclusive(&path).unwrap().is_none());
        drop(second);
        let collector = Lease::try_exclusive(&path).unwrap();
        assert!(collector.is_some());
        assert!(Lease::try_exclusive(&path).unwrap().is_none());
    }
}
