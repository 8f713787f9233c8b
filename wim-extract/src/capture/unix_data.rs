//! What a UNIX system keeps of a file and Windows does not: owner, mode, devices and extended
//! attributes.

#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[cfg(unix)]
use wim_format::metadata::ExtendedAttribute;
use wim_format::metadata::Inode;

use super::Links;
#[cfg(unix)]
use crate::error::Action;
use crate::error::Error;
use crate::status::Status;

/// There is none on Windows, which [`require_support`] has said before.
#[cfg(windows)]
pub(super) fn add(_: &mut Inode, _: &Path, _: &Status, _: Links) -> Result<(), Error> {
    require_support()
}

/// # Errors
/// [`Error::Unsupported`] on a system that has no such data.
pub(super) fn require_support() -> Result<(), Error> {
    if cfg!(unix) {
        return Ok(());
    }
    let problem = "Windows has no owners, modes and devices of UNIX to keep; leave out --unix-data";
    Err(Error::Unsupported(problem.into()))
}

/// Adds it to what is stored of a file.
#[cfg(unix)]
pub(super) fn add(
    inode: &mut Inode,
    path: &Path,
    status: &Status,
    links: Links,
) -> Result<(), Error> {
    inode.tagged.push_unix_data(status.unix_data());
    let attributes = xattr::all(path, links).map_err(Error::io(Action::Read, path))?;
    let each = attributes.iter().map(|(name, value)| ExtendedAttribute {
        name: name.as_bytes(),
        value,
        flags: 0,
    });
    inode.tagged.push_extended_attributes(each).map_err(|error| {
        Error::Parameter(format!("{}: extended attributes: {error}", path.display()))
    })
}

#[cfg(unix)]
mod xattr {
    use std::ffi::{OsStr, OsString};
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use crate::capture::Links;

    /// The extended attributes of a file, by name.
    pub(super) fn all(path: &Path, links: Links) -> io::Result<Vec<(OsString, Vec<u8>)>> {
        use rustix::fs::{getxattr, lgetxattr, listxattr, llistxattr};
        let list = |buffer: &mut [u8]| match links {
            Links::Keep => llistxattr(path, buffer),
            Links::Follow => listxattr(path, buffer),
        };
        let names = match read_all(list) {
            Ok(names) => names,
            // This file system has none.
            Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names: Vec<&[u8]> =
            names.split(|&byte| byte == 0).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        let mut attributes = Vec::new();
        for name in names {
            let name = OsStr::from_bytes(name);
            let value = read_all(|buffer| match links {
                Links::Keep => lgetxattr(path, name, buffer),
                Links::Follow => getxattr(path, name, buffer),
            });
            match value {
                Ok(value) => attributes.push((name.to_owned(), value)),
                // Gone in the meantime, or not for us to read.
                Err(
                    rustix::io::Errno::NODATA | rustix::io::Errno::ACCESS | rustix::io::Errno::PERM,
                ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(attributes)
    }

    /// Reads what a call gives that says when there is no room for it.
    fn read_all(
        mut read: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
    ) -> rustix::io::Result<Vec<u8>> {
        /// Linux has no longer lists and values.
        const LONGEST: usize = 64 << 10;
        let mut buffer = vec![0; 1 << 10];
        loop {
            match read(&mut buffer) {
                Ok(len) => {
                    buffer.truncate(len);
                    return Ok(buffer);
                }
                Err(rustix::io::Errno::RANGE) if buffer.len() < LONGEST => {
                    buffer.resize(LONGEST, 0);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
