//! Attributes and times on Windows, which are one call.

use std::{fs::File, os::windows::io::AsHandle};

use wim_format::metadata::FileAttributes;

use super::Restore;
use crate::{
    beneath::{Component, Dir, State, set_state},
    error::Error,
};

/// Attributes that a program sets as such. A sparse file is one from its making on, links are made as
/// links, and compression is not restored.
const SETTABLE: FileAttributes = FileAttributes::READONLY
    .union(FileAttributes::HIDDEN)
    .union(FileAttributes::SYSTEM)
    .union(FileAttributes::ARCHIVE)
    .union(FileAttributes::NOT_CONTENT_INDEXED);

impl Restore<'_> {
    /// Sets everything of a file that is open for writing.
    pub(in crate::apply) fn to_file(&self, file: &File) -> Result<(), Error> {
        self.judge_times(set_state(file.as_handle(), &self.state()));
        Ok(())
    }

    /// Sets everything of a directory.
    pub(in crate::apply) fn to_directory(&self, dir: &Dir) -> Result<(), Error> {
        self.judge_times(dir.set_own_state(&self.state()));
        Ok(())
    }

    /// Sets everything of a link.
    pub(in crate::apply) fn to_link(&self, dir: &Dir, name: Component<'_>) -> Result<(), Error> {
        self.times_of(dir, name);
        Ok(())
    }

    /// Sets everything of a special file, which Windows has none of.
    pub(in crate::apply) fn to_node(&self, dir: &Dir, name: Component<'_>) -> Result<(), Error> {
        self.to_link(dir, name)
    }

    /// Sets attributes and times.
    pub(in crate::apply) fn times_of(&self, dir: &Dir, name: Component<'_>) {
        self.judge_times(dir.set_state(name, &self.state()));
    }

    fn state(&self) -> State {
        let kept = self.dentry.attributes() & SETTABLE;
        State {
            attributes: if kept.is_empty() { FileAttributes::NORMAL } else { kept },
            creation: self.dentry.creation_time(),
            access: self.dentry.access_time(),
            write: self.dentry.write_time(),
        }
    }
}
