//! Making durable what was written.

#[cfg(unix)]
use std::fs::File;
use std::io;
use std::path::Path;

/// Makes names in a directory durable.
///
/// # Errors
/// Those of `fsync(2)`. Windows has no such call, and writes names down by itself.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match File::open(directory)?.sync_all() {
        // Some network file systems cannot, and have nothing to make durable.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        result => return result,
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

/// Makes everything in a directory and below it durable.
///
/// # Errors
/// Those of `syncfs(2)`, one call for the whole tree; elsewhere of opening each file.
pub fn sync_tree(directory: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return Ok(rustix::fs::syncfs(File::open(directory)?)?);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    sync_each(directory)
}

/// Whether somebody else's use of a file keeps it from being opened for writing, or it is read-only.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_in_use(error: &io::Error) -> bool {
    const ERROR_SHARING_VIOLATION: i32 = 32;
    error.kind() == io::ErrorKind::PermissionDenied
        || cfg!(windows) && error.raw_os_error() == Some(ERROR_SHARING_VIOLATION)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn sync_each(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_each(&entry.path())?;
        } else if kind.is_file() {
            // Only who may write may make durable. What cannot be opened is not new: somebody runs it.
            match std::fs::File::options().write(true).open(entry.path()) {
                Ok(file) => file.sync_all()?,
                Err(error) if is_in_use(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    sync_directory(directory)
}
