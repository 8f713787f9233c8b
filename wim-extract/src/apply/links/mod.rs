//! The links of an image as links of this system.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use self::unix::{make, target};
#[cfg(windows)]
pub(super) use self::windows::{make, target};

/// Most bytes that the data of a reparse point may have: Windows allows 16 KiB with its header.
pub(super) const MAX_DATA: usize = 16 * 1024 - 8;

/// How many of the bytes of a link's data are kept until all are there: one more than there may be.
pub(super) fn len_to_keep(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX).min(MAX_DATA + 1)
}

/// Why Windows makes no links here, if that is what an error says: what there is to do about it.
pub(super) fn refusal(error: &std::io::Error) -> Option<&'static str> {
    if !cfg!(windows) {
        return None;
    }
    match error.raw_os_error()? {
        // ERROR_PRIVILEGE_NOT_HELD
        1314 => Some("run as administrator, or switch on developer mode"),
        // ERROR_INVALID_FUNCTION and ERROR_NOT_SUPPORTED, of FAT and the like.
        1 | 50 => Some("this file system has no links"),
        _ => None,
    }
}
