//! Whether an output fits, asked before its first byte.

use std::{io, path::Path};

use crate::error::{Action, Error};

/// Bytes that can still be written in the file system that holds the existing file or directory
/// `path`; `None` where the file system does not say.
///
/// # Errors
/// Those of asking.
pub fn available_space(path: &Path) -> io::Result<Option<u64>> {
    #[cfg(unix)]
    {
        let stat = rustix::fs::statvfs(path)?;
        // Network and special file systems report no blocks at all.
        let known = stat.f_blocks > 0;
        Ok(known.then(|| stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
    #[cfg(windows)]
    {
        use std::os::windows::ffi::OsStrExt;
        use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
        // The call takes directories only.
        let directory = match std::fs::metadata(path)?.is_dir() {
            true => path,
            false => {
                path.parent().filter(|above| *above != Path::new("")).unwrap_or(Path::new("."))
            }
        };
        let name: Vec<u16> = directory.as_os_str().encode_wide().chain([0]).collect();
        let (mut free, none) = (0, std::ptr::null_mut());
        // SAFETY: the name ends with a NUL, and the number is one that the call fills.
        let done = unsafe { GetDiskFreeSpaceExW(name.as_ptr(), &mut free, none, none) };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(Some(free)) }
    }
}

/// Makes sure that `needed` more bytes fit into the file system that holds `path`, which is an
/// existing file or directory. The disk may still fill up meanwhile; this only spares the user the
/// wait for an error that is certain.
///
/// # Errors
/// [`Error::NoSpace`] where they do not fit, [`Error::Io`] where `path` does not exist.
pub fn require_space(path: &Path, needed: u64) -> Result<(), Error> {
    match available_space(path).map_err(Error::io(Action::Stat, path))? {
        Some(available) if available < needed => {
            Err(Error::NoSpace { path: path.to_owned(), needed, available })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_and_not_enough() {
        let dir = tempfile::tempdir().unwrap();
        require_space(dir.path(), 0).unwrap();
        let error = require_space(dir.path(), u64::MAX).unwrap_err();
        assert!(matches!(error, Error::NoSpace { needed: u64::MAX, .. }), "{error}");
        assert!(require_space(&dir.path().join("none"), 0).is_err());
    }
}
