//! A folder that appears whole or not at all.
//!
//! It is filled under a name of its own beside its place, made durable, and renamed. While it is
//! being filled its maker holds a [`Claim`] to it, so that a later run can tell one that is still
//! growing from one whose maker was killed, and clears the latter away.

mod claim;

use std::fs;
use std::path::{Path, PathBuf};

use wim_extract::output::{sync_directory, sync_tree};

use self::claim::Claim;
use crate::error::{Error, Result};
use crate::text;

/// How every unfinished folder begins; sixteen hexadecimal digits follow.
const PREFIX: &str = ".osupg-part-";

/// A folder under construction. Dropped unfinished, it is removed.
#[derive(Debug)]
pub struct StagedFolder {
    target: PathBuf,
    place: PathBuf,
    _claim: Claim,
    finished: bool,
}

impl StagedFolder {
    /// Begins the folder that is to appear at `target`, where nothing or an empty folder may be.
    ///
    /// # Errors
    /// When something is at `target`, the folder above it does not exist, or nothing can be made
    /// there.
    pub fn begin(target: &Path) -> Result<Self> {
        let parent = parent_of(target)?;
        refuse_occupied(target)?;
        clear_abandoned(&parent)?;
        loop {
            let digits = &uuid::Uuid::new_v4().simple().to_string()[..16];
            let place = parent.join(format!("{PREFIX}{digits}"));
            fs::create_dir(&place).map_err(|error| Error::file("make", &place, &error))?;
            if let Some(claim) = claim(&place)? {
                let target = target.to_path_buf();
                return Ok(Self { target, place, _claim: claim, finished: false });
            }
            // Between making and claiming it, another run took it for abandoned.
        }
    }

    /// Where to put what belongs into the folder.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Where the folder will be.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Makes everything durable and puts the folder into its place.
    ///
    /// # Errors
    /// When the disk fails, or something has come to be at the target meanwhile.
    pub fn finish(mut self) -> Result<()> {
        let failed = |error: std::io::Error| Error::file("write", &self.target, &error);
        sync_tree(&self.place).map_err(failed)?;
        refuse_occupied(&self.target)?;
        if cfg!(windows) {
            // An empty folder is not replaced there; that there is none is no error.
            let _ = fs::remove_dir(&self.target);
        }
        fs::rename(&self.place, &self.target)
            .map_err(|error| Error::file("put the finished folder at", &self.target, &error))?;
        self.finished = true;
        let parent = parent_of(&self.target)?;
        sync_directory(&parent).map_err(|error| Error::file("synchronise", &parent, &error))
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is cleared by the next run.
            let _ = fs::remove_dir_all(&self.place);
        }
    }
}

fn parent_of(target: &Path) -> Result<PathBuf> {
    let bad = || Error::usage(format!("{} does not name a folder", text::path(target)));
    target.file_name().ok_or_else(bad)?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    wim_extract::beneath::real_path(parent)
        .map_err(|error| Error::file("open the folder", parent, &error).advise("make it first"))
}

fn refuse_occupied(target: &Path) -> Result<()> {
    let occupied = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::file("examine", target, &error)),
        Ok(meta) if meta.is_dir() => fs::read_dir(target)
            .map_err(|error| Error::file("list", target, &error))?
            .next()
            .is_some(),
        Ok(_) => true,
    };
    if occupied {
        return Err(Error::usage(format!("there is something at {} already", text::path(target)))
            .advise("name a folder that does not exist yet or is empty"));
    }
    Ok(())
}

fn claim(place: &Path) -> Result<Option<Claim>> {
    Claim::take(place).map_err(|error| Error::file("lock", place, &error))
}

fn clear_abandoned(parent: &Path) -> Result<()> {
    let entries = fs::read_dir(parent).map_err(|error| Error::file("list", parent, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).is_some_and(|digits| {
            digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        if ours
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Ok(Some(_claim)) = claim(&entry.path())
        {
            fs::remove_dir_all(entry.path())
                .map_err(|error| Error::file("remove the unfinished", &entry.path(), &error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn appears_whole_or_not_at_all() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("out");
        let staged = StagedFolder::begin(&target).unwrap();
        fs::write(staged.place().join("file"), "x").unwrap();
        assert!(!target.exists());
        drop(staged);
        assert!(names(parent.path()).is_empty());

        let staged = StagedFolder::begin(&target).unwrap();
        fs::write(staged.place().join("file"), "x").unwrap();
        staged.finish().unwrap();
        assert_eq!(names(parent.path()), ["out"]);
        assert_eq!(names(&target), ["file"]);
    }

    #[test]
    fn an_empty_folder_may_be_there_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("out");
        fs::create_dir(&target).unwrap();
        StagedFolder::begin(&target).unwrap().finish().unwrap();
        fs::write(target.join("file"), "x").unwrap();
        assert!(StagedFolder::begin(&target).is_err());
        assert!(StagedFolder::begin(&target.join("file")).is_err());
        assert!(StagedFolder::begin(&parent.path().join("no/such")).is_err());
        assert!(StagedFolder::begin(Path::new("/")).is_err());

        let late = parent.path().join("late");
        let staged = StagedFolder::begin(&late).unwrap();
        fs::write(&late, "came first").unwrap();
        assert!(staged.finish().is_err());
        assert_eq!(names(parent.path()), ["late", "out"]);
    }

    #[test]
    fn what_a_killed_run_left_is_cleared_and_what_grows_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let abandoned = parent.path().join(".osupg-part-0123456789abcdef");
        fs::create_dir_all(abandoned.join("sources")).unwrap();
        let foreign = parent.path().join(".osupg-part-of-something-else");
        fs::create_dir(&foreign).unwrap();
        let growing = StagedFolder::begin(&parent.path().join("one")).unwrap();
        let second = StagedFolder::begin(&parent.path().join("two")).unwrap();
        assert!(!abandoned.exists());
        assert!(foreign.exists());
        assert!(growing.place().exists());
        assert!(second.place().exists());
    }
}
