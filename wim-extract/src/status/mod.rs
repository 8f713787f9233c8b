//! What a file is and in which state: what tells it from all others, and what changes when somebody
//! writes to it.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use self::unix::Status;
#[cfg(windows)]
pub use self::windows::Status;

/// What tells a file from all others of this machine, for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Its file system.
    pub volume: u64,
    /// Its number in there, of 64 bits but on some file systems of Windows.
    pub number: u128,
}

/// A point in time as systems give it: seconds since 1970 and nanoseconds within the second.
pub type UnixTime = (i64, u32);

/// What is different once a file has been written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its length in bytes.
    pub size: u64,
    written: UnixTime,
    changed: UnixTime,
}

impl From<&Status> for Stamp {
    fn from(status: &Status) -> Self {
        Self { size: status.len(), written: status.written(), changed: status.changed() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn names_of_one_file_are_told_from_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "x").unwrap();
        fs::write(path("c"), "x").unwrap();
        assert_eq!(Status::at(&path("a")).unwrap().links(), 1);
        fs::hard_link(path("a"), path("b")).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| Status::at(&path(name)).unwrap());
        assert_eq!((a.id(), a.links(), a.len()), (b.id(), 2, 1));
        assert_ne!(a.id(), c.id());
        assert!(a.is_file() && Status::at(folder.path()).unwrap().is_dir());
        assert!(Status::at(&path("none")).is_err());
    }

    #[test]
    fn a_file_that_was_written_to_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "x").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let stamp = || Stamp::from(&Status::of(&file).unwrap());
        let before = stamp();
        assert_eq!(before, Stamp::from(&Status::at(&path).unwrap()));
        crate::output::write_all_at(&file, b"longer", 0).unwrap();
        assert_ne!(before, stamp());
    }
}
