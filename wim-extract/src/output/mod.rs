//! Output files that are complete or absent, copies that the kernel makes, and free space.

mod atomic;
mod copy;
mod durable;
mod kind;
mod lock;
mod replace;
mod space;

pub(crate) use self::kind::is_memory;
pub use self::{
    atomic::AtomicFile,
    copy::{Copied, Copier},
    durable::{sync_directory, sync_tree},
    kind::shares_blocks,
    lock::{lock_soon, try_lock},
    space::{available_space, require_space},
};

use std::{fs::File, io};

/// Writes all of `bytes` at `offset`; the file's own position is neither used nor moved, so any
/// number of threads may write to one file.
///
/// # Errors
/// Those of writing.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, bytes, offset);
    #[cfg(windows)]
    {
        let (mut rest, mut at) = (bytes, offset);
        while !rest.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(file, rest, at)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => (rest, at) = (&rest[n..], at + n as u64),
            }
        }
        Ok(())
    }
}

/// Reserves `len` bytes of disk space for a file that is about to be written, so that a full disk
/// is noticed at once and the file lies in one piece. Does nothing where the file system cannot, or
/// keeps files in memory: there it would only look up each page once more (4 % of applying an image).
///
/// # Errors
/// [`io::ErrorKind::StorageFull`] and the like; that the operation is not supported is no error.
pub fn reserve(file: &File, len: u64) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if len > 0 && !is_memory(file) {
        use rustix::{
            fs::{FallocateFlags, fallocate},
            io::{Errno, retry_on_intr},
        };
        // The size stays: a reader of a half-written file must not see zeros as its content.
        match retry_on_intr(|| fallocate(file, FallocateFlags::KEEP_SIZE, 0, len)) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (file, len);
    Ok(())
}

/// Sets times of a file or directory.
///
/// # Errors
/// Those of opening it and of setting them.
pub fn set_times(path: &std::path::Path, times: std::fs::FileTimes) -> io::Result<()> {
    let mut options = File::options();
    #[cfg(not(windows))]
    options.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        use windows_sys::Win32::Storage::FileSystem::{
            FILE_FLAG_BACKUP_SEMANTICS, FILE_WRITE_ATTRIBUTES,
        };
        // Reading is not enough there, and directories are opened on demand only.
        options.access_mode(FILE_WRITE_ATTRIBUTES).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    }
    options.open(path)?.set_times(times)
}

/// Says that zeros of a file which are not written need not be stored, where a file system has to be
/// told. One that cannot stores them.
pub fn allow_holes(file: &File) {
    #[cfg(windows)]
    {
        use std::os::windows::io::AsRawHandle;
        use windows_sys::Win32::System::{IO::DeviceIoControl, Ioctl::FSCTL_SET_SPARSE};
        let (none, mut returned) = (std::ptr::null_mut(), 0);
        let handle = file.as_raw_handle();
        // SAFETY: the handle is open, and the call takes and gives nothing else.
        unsafe {
            DeviceIoControl(handle, FSCTL_SET_SPARSE, none, 0, none, 0, &mut returned, none.cast())
        };
    }
    #[cfg(not(windows))]
    let _ = file;
}
