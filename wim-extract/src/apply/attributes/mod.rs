//! What an image says of a file beside its data, as far as this system has it: times everywhere;
//! attributes on Windows; owner, mode and extended attributes on UNIX, if it was a UNIX system that
//! stored them.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{io, path::PathBuf};

use wim_format::metadata::Dentry;

use super::{UnixData, warnings::Warnings};

/// Sets what an image says of a file that has been made.
pub(super) struct Restore<'a> {
    pub(super) dentry: &'a Dentry<'a>,
    #[cfg_attr(windows, expect(dead_code, reason = "refused before there"))]
    pub(super) unix_data: UnixData,
    pub(super) warnings: &'a Warnings<'a>,
    /// The path of the file, for messages.
    pub(super) path: &'a dyn Fn() -> PathBuf,
}

impl Restore<'_> {
    fn judge_times(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.warnings.one_of("files whose times could not be set", || {
                format!("cannot set the times of {}: {error}", (self.path)().display())
            });
        }
    }
}
