//! Locks that keep other writers away and nobody from reading.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::status::Status;

/// How long a lock may outlive the file that it is on. A process that is being started has everything open that
/// the one that starts it has, until its own program runs.
const PATIENCE: Duration = Duration::from_millis(500);
/// Time between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Locks the file at `path`, open as `file`, for as long as it is open, unless another process has it locked and
/// keeps it: the lock of a file that has just been closed is waited for.
///
/// # Errors
/// As of [`try_lock`]; [`TryLockError::WouldBlock`] also where another file is at `path` by now.
pub fn lock_soon(file: &File, path: &Path) -> Result<(), TryLockError> {
    let start = Instant::now();
    loop {
        match try_lock(file) {
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => thread::sleep(PAUSE),
            result => break result?,
        }
    }
    let ids = || Ok((Status::of(file)?.id(), Status::at(path)?.id()));
    match ids().map_err(TryLockError::Error)? {
        (locked, there) if locked == there => Ok(()),
        _ => Err(TryLockError::WouldBlock),
    }
}

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
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    fn a_file() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "content").unwrap();
        (folder, path)
    }

    fn open(path: &Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn a_lock_keeps_writers_away_and_not_readers() {
        let (_folder, path) = a_file();
        let open = || open(&path);
        let first = open();
        try_lock(&first).unwrap();
        assert!(matches!(try_lock(&open()), Err(TryLockError::WouldBlock)));
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
        drop(first);
        try_lock(&open()).unwrap();
    }

    #[test]
    fn a_lock_that_is_about_to_go_is_waited_for_and_no_other() {
        let (_folder, path) = a_file();
        let open = || open(&path);
        let (first, second) = (open(), open());
        try_lock(&first).unwrap();
        assert!(matches!(lock_soon(&second, &path), Err(TryLockError::WouldBlock)));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(2 * PAUSE);
                drop(first);
            });
            lock_soon(&second, &path).unwrap();
        });
        // One that has been replaced meanwhile is not the one to be changed.
        drop(second);
        let old = open();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "new").unwrap();
        assert!(matches!(lock_soon(&old, &path), Err(TryLockError::WouldBlock)));
    }
}
