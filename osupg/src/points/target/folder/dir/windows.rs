//! A folder by its handle.

use std::fs::File;
use std::io;
use std::path::Path;

use wim_extract::beneath::{Component, Dir, Sort};
use wim_extract::output::sync_tree;
use wim_extract::status::{FileId, Status};

use super::{Kind, Sharing};

/// An open folder.
#[derive(Debug)]
pub(super) struct Handle(Dir);

fn component(name: &str) -> io::Result<Component<'_>> {
    Component::new(name.as_bytes()).ok_or_else(|| io::ErrorKind::InvalidFilename.into())
}

impl Handle {
    /// Opens a folder; links in its path are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Dir::open(path).map(Self)
    }

    /// Opens the folder `name`; an error of the kind `NotADirectory` where it is something else.
    pub(super) fn folder(&self, name: &str) -> io::Result<Self> {
        self.0.open_dir(component(name)?).map(Self)
    }

    /// Makes the folder `name` unless it is there. Its rights are inherited.
    pub(super) fn make(&self, name: &str, _: u32) -> io::Result<()> {
        self.0.make_dir(component(name)?).map(drop)
    }

    /// Opens `name` for reading; `None` where there is nothing, or something that cannot be a file.
    pub(super) fn file(&self, name: &str) -> io::Result<Option<File>> {
        match self.kind(name) {
            Ok(Kind::File) => self.0.open_file(component(name)?).map(Some),
            Ok(Kind::Folder | Kind::Other) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens `name` for reading and writing; made if need be.
    pub(super) fn grow(&self, name: &str) -> io::Result<File> {
        self.0.grow_file(component(name)?)
    }

    /// Makes the file `name`, which nothing has.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        self.0.create_new_file(component(name)?)
    }

    /// Gives `name` another name in `to`, in the place of any file there.
    pub(super) fn rename(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        self.0.rename(component(name)?, &to.0, component(to_name)?)
    }

    /// Windows cannot: two renames do it.
    pub(super) fn exchange(&self, _: &str, _: &Self, _: &str) -> io::Result<bool> {
        Ok(false)
    }

    /// What `name` is.
    pub(super) fn kind(&self, name: &str) -> io::Result<Kind> {
        Ok(match self.0.sort(component(name)?)? {
            Sort::Directory => Kind::Folder,
            Sort::File => Kind::File,
            Sort::Link => Kind::Other,
        })
    }

    /// Which file `name` is.
    pub(super) fn id(&self, name: &str) -> io::Result<FileId> {
        Ok(Status::of(&self.0.look(component(name)?)?)?.id())
    }

    /// Removes `name`, which is no folder.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(component(name)?)
    }

    /// Removes the folder `name` if nothing is in it.
    pub(super) fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.0.remove_dir(component(name)?)
    }

    /// All names in this folder.
    pub(super) fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        self.0.list(|entry| {
            names.push(entry.name);
            Ok(())
        })?;
        Ok(names)
    }

    /// Gives the file `name` in `from` the further name `to_name` here.
    pub(super) fn link(&self, from: &Self, name: &str, to_name: &str) -> io::Result<()> {
        self.0.hard_link(&from.0, component(name)?, component(to_name)?)
    }

    /// This folder, open so that its times can be set.
    pub(super) fn to_set_times(&self) -> io::Result<File> {
        self.0.reopen_to_set_times()
    }

    /// Windows writes names down by itself.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes everything in this folder, which is at `path`, durable.
    pub(super) fn sync_all(&self, path: &Path) -> io::Result<()> {
        sync_tree(path)
    }
}

/// Not tried: only ReFS has it.
pub(super) fn share_blocks(_: &File, _: &File) -> Sharing {
    Sharing::Never
}
