//! Files and directories under one directory, and never anywhere else.
//!
//! An archive says where its files go, and an archive may be hostile: names like `..` or
//! `/etc/passwd`, a symbolic link followed by a file "inside" it, a link that was in the target
//! before. No examination of path strings is safe against all of that, so none is made here.
//! Instead:
//!
//! * A name is a [`Component`], which cannot be empty, `.` or `..`, and holds no separator or NUL, nor
//!   anything else that this system takes for more than a name.
//! * Everything is created in an open directory ([`Dir`]), by a system call that takes one
//!   component and does not follow a link at it.
//! * A directory is opened from another one, without following links.
//!
//! So a path can only lead downwards through real directories, whatever exists already and whatever
//! another process does meanwhile.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

#[cfg(unix)]
use self::unix as system;
#[cfg(unix)]
pub use self::unix::{Dir, mode_bits};
#[cfg(windows)]
use self::windows as system;
#[cfg(windows)]
pub use self::windows::{Dir, Entry, Sort, State, set_state};
use crate::text::os_bytes;

/// The name of one file in its directory, WTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Component<'a>(&'a [u8]);

impl<'a> Component<'a> {
    /// Longest name that file systems here take, in bytes. Where they count otherwise, see
    /// [`is_too_long`](Component::is_too_long).
    pub const MAX_LEN: usize = 255;

    /// `name` as a component; `None` where it is empty, `.` or `..`, holds a separator or NUL, or is
    /// no name to this system for another reason: on Windows a stream (`a:b`), a device (`con`), or
    /// one that would lose its last character (`a.`).
    pub fn new(name: &'a [u8]) -> Option<Component<'a>> {
        let special = name.is_empty() || name == b"." || name == b"..";
        (!special && system::is_name(name)).then_some(Component(name))
    }

    /// Whether file systems here take no name of this length.
    pub fn is_too_long(self) -> bool {
        system::is_too_long(self.0)
    }

    /// `name` with another character for each that no name here can have.
    pub fn cleaned(name: &str) -> String {
        system::cleaned(name)
    }

    /// The bytes of the name.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The name as a path of one part.
    pub fn to_path(self) -> Cow<'a, Path> {
        system::path(self.0)
    }
}

/// What [`Dir::make_dir`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// There was nothing, and now there is a directory.
    New,
    /// There was a directory (not a link to one) already.
    Existing,
}

/// A special file that [`Dir::make_node`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A socket, without anyone who listens.
    Socket,
    /// A character device with its device number.
    CharacterDevice(u64),
    /// A block device with its device number.
    BlockDevice(u64),
}

/// The absolute path of what is there, with links followed, as people and other programs write it. The
/// form that Windows has for itself (`\\?\C:\…`) is one that DISM and many more do not take.
///
/// # Errors
/// Those of looking it up.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    std::fs::canonicalize(path).map(system::as_written)
}

/// The absolute path of an existing directory, with links followed, WTF-8.
///
/// # Errors
/// Those of looking it up.
pub fn absolute(path: &Path) -> io::Result<Vec<u8>> {
    let path = real_path(path)?;
    Ok(os_bytes(path.as_os_str()).into_owned())
}

/// Whether the system refuses a name as such: too long, or with characters that this file system
/// does not take.
pub(crate) fn is_about_the_name(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| system::NAME_ERRORS.contains(&code))
}

/// Whether the process or the system has too many files open.
pub(crate) fn is_too_many_open(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| system::TOO_MANY_OPEN.contains(&code))
}
