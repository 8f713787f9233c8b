//! Locks that keep other writers away and nobody from reading.

use std::fs::{File, TryLockError};

/// Locks a file for as long as it is open, unless another process has it locked.
///
/// # Errors
/// [`TryLockError::WouldBlock`] where another process has; else those of the file system, which may
/// have no locks.
#[cfg(not(windows))]
pub fn try_lock(file: &File) -> Result<(), TryLockError> {
    file.try_lock()
}

/// Locks a file for as long as it is open, unless another process has it locked.
///
/// # Errors
/// [`TryLockError::WouldBlock`] where another process has; else those of the file system.
#[cfg(windows)]
pub fn try_lock(file: &File) -> Result<(), TryLockError> {
    use std::io;
    use std::os::windows::io::AsRawHandle;

    use windows_sys::Win32::{
        Foundation::{ERROR_IO_PENDING, ERROR_LOCK_VIOLATION},
        Storage::FileSystem::{LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx},
        System::IO::OVERLAPPED,
    };

    // A lock on bytes keeps everybody from reading them here. This is one byte that no file has.
    let mut place = OVERLAPPED::default();
    place.Anonymous.Anonymous.Offset = u32::MAX - 1;
    place.Anonymous.Anonymous.OffsetHigh = i32::MAX as u32;
    let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: the handle is open, and the call ends before `place` does.
    if unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &mut place) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(|code| code as u32) {
        Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) => Err(TryLockError::WouldBlock),
        _ => Err(TryLockError::Error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_writers_away_and_not_readers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "content").unwrap();
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        let first = open();
        try_lock(&first).unwrap();
        assert!(matches!(try_lock(&open()), Err(TryLockError::WouldBlock)));
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        drop(first);
        try_lock(&open()).unwrap();
    }
}
