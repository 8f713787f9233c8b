//! The claim to a folder: one process has it, and it ends with that.

use std::fs::File;
use std::io;
use std::path::Path;

/// While this lives, nobody else has a claim to the folder.
#[derive(Debug)]
pub(super) struct Claim {
    _held: File,
}

impl Claim {
    /// Claims the folder at `place`; `None` when somebody else has, or it is gone again. On UNIX the
    /// folder itself is locked.
    #[cfg(unix)]
    pub(super) fn take(place: &Path) -> io::Result<Option<Self>> {
        use std::fs::TryLockError;

        use wim_extract::status::Status;

        let folder = match File::open(place) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let held = Status::of(&folder)?.id();
        let same = Status::of_link(place).is_ok_and(|there| there.id() == held);
        Ok(same.then_some(Self { _held: folder }))
    }

    /// Claims the folder at `place`; `None` when somebody else has, or it is gone again. Windows locks
    /// no folders, so a file beside it stands for the claim: one process has it open, and it goes with
    /// that.
    #[cfg(windows)]
    pub(super) fn take(place: &Path) -> io::Result<Option<Self>> {
        use std::os::windows::fs::OpenOptionsExt;

        use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION};
        use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_DELETE_ON_CLOSE;

        let mut name = place.as_os_str().to_owned();
        name.push(".lock");
        let opened = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .share_mode(0)
            .custom_flags(FILE_FLAG_DELETE_ON_CLOSE)
            .open(&name);
        match opened {
            Ok(held) => Ok(place.is_dir().then_some(Self { _held: held })),
            // Open elsewhere, or about to be gone.
            Err(error)
                if [ERROR_SHARING_VIOLATION, ERROR_ACCESS_DENIED]
                    .map(|code| Some(code as i32))
                    .contains(&error.raw_os_error()) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
