//! Times, and the owner, mode and extended attributes that a UNIX system has stored.

use std::{fs::File, io, os::fd::AsFd};

use rustix::fs::{self, Gid, Timespec, Timestamps, Uid, XattrFlags};
use wim_format::{metadata::Dentry, time::FileTime};

use super::{super::UnixData, Restore};
use crate::{
    beneath::{Component, Dir, mode_bits},
    error::{Action, Error},
};

impl Restore<'_> {
    /// Sets everything of a regular file that is open for writing.
    pub(in crate::apply) fn to_file(&self, file: &File) -> Result<(), Error> {
        self.to_open(file)
    }

    /// Sets everything of a directory.
    pub(in crate::apply) fn to_directory(&self, dir: &Dir) -> Result<(), Error> {
        self.to_open(dir)
    }

    /// The times come last, as everything else may change them. The owner comes before the
    /// attributes and the mode, because a new owner clears capabilities and set-user-id.
    fn to_open(&self, file: impl AsFd) -> Result<(), Error> {
        if self.unix_data != UnixData::Ignore {
            if let Some(unix) = self.dentry.unix_data() {
                let (uid, gid) = (Uid::from_raw(unix.uid), Gid::from_raw(unix.gid));
                self.judge("the owner", fs::fchown(&file, Some(uid), Some(gid)))?;
            }
            for attribute in self.dentry.extended_attributes() {
                let (name, value) = (attribute.name, attribute.value);
                let set = fs::fsetxattr(&file, name, value, XattrFlags::empty());
                self.judge_attribute(name, set.map_err(io::Error::from));
            }
            if let Some(unix) = self.dentry.unix_data() {
                self.judge("the mode", fs::fchmod(&file, mode_bits(unix.mode)))?;
            }
        }
        self.judge_times(fs::futimens(&file, &times(self.dentry)).map_err(io::Error::from));
        Ok(())
    }

    /// Sets everything of a symbolic link, which has no mode.
    pub(in crate::apply) fn to_link(&self, dir: &Dir, name: Component<'_>) -> Result<(), Error> {
        self.to_unopened(dir, name, false)
    }

    /// Sets everything of a special file.
    pub(in crate::apply) fn to_node(&self, dir: &Dir, name: Component<'_>) -> Result<(), Error> {
        self.to_unopened(dir, name, true)
    }

    fn to_unopened(&self, dir: &Dir, name: Component<'_>, has_mode: bool) -> Result<(), Error> {
        if self.unix_data != UnixData::Ignore {
            let unix = self.dentry.unix_data();
            if let Some(unix) = unix {
                self.judge("the owner", dir.set_owner(name, unix.uid, unix.gid))?;
            }
            for attribute in self.dentry.extended_attributes() {
                let set = dir.set_xattr(name, attribute.name, attribute.value);
                self.judge_attribute(attribute.name, set);
            }
            if let Some(unix) = unix.filter(|_| has_mode) {
                self.judge("the mode", dir.set_mode(name, unix.mode))?;
            }
        }
        self.times_of(dir, name);
        Ok(())
    }

    /// Sets the times alone.
    pub(in crate::apply) fn times_of(&self, dir: &Dir, name: Component<'_>) {
        self.judge_times(dir.set_times(name, &times(self.dentry)));
    }

    fn judge_attribute(&self, name: &[u8], result: io::Result<()>) {
        if let Err(error) = result {
            self.warnings.one_of("extended attributes that could not be set", || {
                let name = String::from_utf8_lossy(name);
                format!("cannot set attribute {name:?} of {}: {error}", (self.path)().display())
            });
        }
    }

    fn judge(&self, what: &str, result: Result<(), impl Into<io::Error>>) -> Result<(), Error> {
        let Err(error) = result.map_err(Into::into) else { return Ok(()) };
        if self.unix_data == UnixData::RestoreStrictly {
            return Err(Error::io(Action::SetAttributes, (self.path)())(error));
        }
        self.warnings.one_of("files whose owner or mode could not be set", || {
            format!("cannot set {what} of {}: {error}", (self.path)().display())
        });
        Ok(())
    }
}

/// The times of last access and last modification.
fn times(dentry: &Dentry<'_>) -> Timestamps {
    Timestamps {
        last_access: timespec(dentry.access_time()),
        last_modification: timespec(dentry.write_time()),
    }
}

fn timespec(time: FileTime) -> Timespec {
    let (seconds, nanos) = time.to_unix();
    Timespec { tv_sec: seconds, tv_nsec: nanos.into() }
}
