//! What differs between UNIX and Windows beside files: processes and users, private folders, the
//! signals that end a command, the manager of services, the terminal.
//!
//! Both halves have the same functions; the rest of osupg names no system. Names of files and folders
//! are `wim_extract`'s.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use self::unix::*;
#[cfg(windows)]
pub(crate) use self::windows::*;

use std::path::{Path, PathBuf};

/// A variable that names a folder. The XDG specification: a relative path is invalid and must be
/// ignored.
fn folder_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// What is wrong with the permissions of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exposed {
    /// What.
    pub(crate) found: String,
    /// How it is mended.
    pub(crate) mend: String,
}

impl Exposed {
    #[cfg_attr(windows, expect(dead_code, reason = "what is below a profile inherits its rights"))]
    fn new(found: &str, path: &Path, command: &str) -> Self {
        let shown = crate::text::path(path);
        Self { found: format!("{found} {shown}"), mend: format!("{command} {shown}") }
    }
}
