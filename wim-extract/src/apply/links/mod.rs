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

/// Whether a link could not be made because the account has no right to.
pub(super) fn needs_privilege(error: &std::io::Error) -> bool {
    /// `ERROR_PRIVILEGE_NOT_HELD`.
    const NOT_HELD: i32 = 1314;
    error.raw_os_error() == Some(NOT_HELD)
}
