//! Links of this system as Windows links.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::path::Path;

#[cfg(unix)]
pub(crate) use self::unix::LinkRoot;
#[cfg(windows)]
pub(crate) use self::windows::LinkRoot;
use crate::error::Error;

/// A link as an image has it.
#[derive(Debug)]
pub(super) struct Link {
    /// The tag of its reparse point.
    pub(super) tag: u32,
    /// The data of it.
    pub(super) data: Vec<u8>,
    /// Whether its target had to be changed because it is absolute and lies in the tree.
    pub(super) is_moved: bool,
    /// Whether it leads to a directory: Windows tells such links from others.
    pub(super) to_directory: bool,
}

/// The link at `path`; `root` is the tree that absolute targets are made relative to, if they are.
pub(super) fn read(path: &Path, root: Option<&LinkRoot>) -> Result<Link, Error> {
    #[cfg(unix)]
    return unix::read(path, root);
    #[cfg(windows)]
    return windows::read(path, root);
}

/// The error of a link that an image cannot hold.
fn impossible(path: &Path, problem: &str) -> Error {
    Error::Parameter(format!("{}: target of the link: {problem}", path.display()))
}
