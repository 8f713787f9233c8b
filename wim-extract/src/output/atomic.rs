//! Files that appear under their name only when they are complete.
//!
//! An [`AtomicFile`] is written beside its target under the name
//! `<target>.<process>-<32 random hex digits>.wimx-partial`. It is locked for as long as its writer
//! lives: the system drops the lock with the process, however that ends, so whoever gets the lock
//! knows that the file is litter. The next [`AtomicFile::create`] for the same target removes it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    replace::{bring_back, replace},
    reserve, sync_directory, try_lock, write_all_at,
};
use crate::beneath::real_path;
use crate::error::{Action, Error};

/// How the names of temporary files end.
const SUFFIX: &str = ".wimx-partial";
/// Bytes of the target's name that are kept in the temporary one, which must not exceed 255.
const STEM_LEN: usize = 190;

/// A file in the making. Dropped before [`commit`](AtomicFile::commit), it vanishes, and what was
/// under its name before remains untouched.
#[derive(Debug)]
pub struct AtomicFile {
    file: Arc<File>,
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl AtomicFile {
    /// Begins a file that will be called `target`, in place of any file of that name. A symbolic
    /// link is followed: the file it leads to is replaced. Temporaries of dead processes for the
    /// same target are removed.
    ///
    /// # Errors
    /// [`Error::Io`] where the directory does not exist or cannot be written, or `target` exists
    /// and is no regular file.
    pub fn create(target: &Path) -> Result<AtomicFile, Error> {
        let target = resolve(target).map_err(Error::io(Action::Create, target))?;
        remove_litter(&target);
        if cfg!(windows) {
            bring_back(&target);
        }
        let (file, temporary) =
            create_locked(&target).map_err(Error::io(Action::Create, &target))?;
        Ok(AtomicFile { file: Arc::new(file), temporary, target, committed: false })
    }

    /// The file to write to (and to read from), for positioned access from any thread.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Where the file will be: the path given, with symbolic links followed.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The existing directory that takes the file.
    pub fn directory(&self) -> &Path {
        directory_of(&self.target)
    }

    /// Reserves disk space for a file of `len` bytes, see [`reserve`].
    ///
    /// # Errors
    /// [`Error::Io`] where the disk is too small.
    pub fn reserve(&self, len: u64) -> Result<(), Error> {
        reserve(&self.file, len).map_err(Error::io(Action::Write, &self.target))
    }

    /// Writes all of `bytes` at `offset`; any thread may.
    ///
    /// # Errors
    /// [`Error::Io`] that names the target.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        write_all_at(&self.file, bytes, offset).map_err(Error::io(Action::Write, &self.target))
    }

    /// Makes the file durable and gives it its name, in one step for whoever looks: before it, the
    /// old file is there whole, after it the new one. An old file's permissions are kept.
    ///
    /// # Errors
    /// [`Error::Io`]; the old file is then untouched and the new one gone.
    pub fn commit(mut self) -> Result<(), Error> {
        if let Ok(old) = fs::metadata(&self.target) {
            let kept = self.file.set_permissions(old.permissions());
            kept.map_err(Error::io(Action::SetAttributes, &self.target))?;
        }
        self.file.sync_all().map_err(Error::io(Action::Write, &self.target))?;
        replace(&self.temporary, &self.target).map_err(Error::io(Action::Rename, &self.target))?;
        self.committed = true;
        sync_directory(self.directory()).map_err(Error::io(Action::Write, &self.target))
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            // The next run removes it if this fails.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Follows symbolic links at `target`, and refuses what a rename would destroy or cannot replace.
fn resolve(target: &Path) -> io::Result<PathBuf> {
    if target.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not the name of a file"));
    }
    match fs::metadata(target) {
        Ok(found) if found.is_file() => real_path(target),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is not a regular file has this name",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match fs::read_link(target) {
                // A link to nothing: create what it names.
                Ok(link) => Ok(directory_of(target).join(link)),
                Err(_) => Ok(target.to_owned()),
            }
        }
        Err(error) => Err(error),
    }
}

fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// What the names of all temporaries for `target` begin with.
fn stem(target: &Path) -> OsString {
    let name = target.file_name().unwrap_or(OsStr::new("out"));
    let bytes = name.as_encoded_bytes();
    if bytes.len() <= STEM_LEN {
        return name.to_owned();
    }
    // Cutting through a character is no harm: it only has to be the same every time.
    String::from_utf8_lossy(&bytes[..STEM_LEN - 3]).into_owned().into()
}

fn create_locked(target: &Path) -> io::Result<(File, PathBuf)> {
    loop {
        let mut name = stem(target);
        name.push(format!(".{}-{}{SUFFIX}", std::process::id(), uuid::Uuid::new_v4().simple()));
        let path = directory_of(target).join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        match try_lock(&file) {
            // Another process may have taken it for litter before it was locked.
            Ok(()) if !path.exists() => {}
            // Where files cannot be locked, nobody can take it for litter either.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok((file, path)),
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

/// Removes the temporaries for `target` that no process holds. What cannot be removed stays.
fn remove_litter(target: &Path) {
    let stem = stem(target);
    let Ok(entries) = fs::read_dir(directory_of(target)) else { return };
    for entry in entries.flatten() {
        if !is_temporary(&entry.file_name(), &stem) {
            continue;
        }
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let free = || File::open(&path).is_ok_and(|file| try_lock(&file).is_ok());
        if is_file && free() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether `name` is `<stem>.<digits>-<32 hex digits><SUFFIX>`.
fn is_temporary(name: &OsStr, stem: &OsStr) -> bool {
    let middle = name
        .as_encoded_bytes()
        .strip_prefix(stem.as_encoded_bytes())
        .and_then(|rest| rest.strip_prefix(b"."))
        .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
    let Some(middle) = middle else { return false };
    let Some(dash) = middle.iter().position(|&byte| byte == b'-') else { return false };
    let (process, random) = (&middle[..dash], &middle[dash + 1..]);
    !process.is_empty()
        && process.iter().all(u8::is_ascii_digit)
        && random.len() == 32
        && random.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_appears_whole_and_only_at_commit() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.wim");
        fs::write(&target, "old").unwrap();
        let file = AtomicFile::create(&target).unwrap();
        file.reserve(1 << 20).unwrap();
        file.write_at(b"w", 2).unwrap();
        file.write_at(b"ne", 0).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["out.wim"]);
    }

    #[test]
    fn a_file_that_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.wim");
        drop(AtomicFile::create(&target).unwrap());
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn litter_of_the_dead_goes_and_work_of_the_living_stays() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.wim");
        let random = "0123456789abcdef0123456789abcdef";
        let dead = format!("out.wim.4242-{random}{SUFFIX}");
        let others = [
            format!("other.wim.4242-{random}{SUFFIX}"),
            format!("out.wim.x-{random}{SUFFIX}"),
            format!("out.wim.4242-{random}0{SUFFIX}"),
            format!("out.wim.4242{SUFFIX}"),
            "out.wim".to_owned(),
        ];
        for name in others.iter().chain([&dead]) {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let living = AtomicFile::create(&target).unwrap();
        assert!(!names(dir.path()).contains(&dead));
        let second = AtomicFile::create(&target).unwrap();
        assert!(living.temporary.exists(), "its lock is held");
        drop((living, second));
        let mut expected = others.to_vec();
        expected.sort();
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("no/out.wim"), "/".into()] {
            let error = AtomicFile::create(&path).unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_long_name_is_no_trouble() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("ü".repeat(127));
        let file = AtomicFile::create(&target).unwrap();
        let temporary = file.temporary.clone();
        assert!(is_temporary(temporary.file_name().unwrap(), &stem(&target)));
        file.commit().unwrap();
        fs::rename(&target, &temporary).unwrap();
        AtomicFile::create(&target).unwrap().commit().unwrap();
        assert!(!temporary.exists(), "it was litter");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_permissions_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real.wim");
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        for (link, to) in [("a", "real.wim"), ("b", "new.wim")] {
            let link = dir.path().join(link);
            symlink(to, &link).unwrap();
            let file = AtomicFile::create(&link).unwrap();
            file.write_at(b"new", 0).unwrap();
            file.commit().unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read(dir.path().join(to)).unwrap(), b"new");
        }
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
