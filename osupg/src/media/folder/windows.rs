//! A folder read from its handle, name by name: no link is followed.

use std::fs::File;
use std::io;
use std::path::{self, Path};

use wim_extract::beneath::{Component, Dir, Sort};
use wim_extract::text::os_bytes;

use super::super::identity;
use super::Found;

/// An open folder.
pub(super) struct Tree(Dir);

impl Tree {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Dir::open(path).map(Self)
    }

    /// The file at `path`; `None` where it has gone.
    pub(super) fn file(&self, path: &Path) -> io::Result<Option<File>> {
        let opened = self.at(path, |dir, name| dir.open_file(name));
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in the folder at `place`; `None` where there are more than `most`.
    pub(super) fn names(&self, place: &Path, most: usize) -> io::Result<Option<Vec<Vec<u8>>>> {
        let parts = parts(place);
        let folder = self.0.descend(components(&parts)?)?;
        let mut names = Vec::new();
        let listed = folder.list(|entry| {
            names.push(entry.name);
            // What is said of the error is not seen.
            if names.len() > most { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        match listed {
            _ if names.len() > most => Ok(None),
            Ok(()) => Ok(Some(names)),
            Err(error) => Err(error),
        }
    }

    pub(super) fn examine(&self, place: &Path) -> io::Result<Found> {
        self.at(place, |dir, name| match dir.sort(name)? {
            Sort::Directory => Ok(Found::Folder(identity(&dir.look(name)?)?.mtime)),
            Sort::File => Ok(Found::File(identity(&dir.look(name)?)?)),
            Sort::Link => Ok(Found::Unfit("is a link; put what it leads to in its place")),
        })
    }

    /// Does something to the name at the end of a path.
    fn at<T>(
        &self,
        path: &Path,
        act: impl FnOnce(&Dir, Component<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut parts = parts(path);
        let Some(last) = parts.pop() else { return Err(io::ErrorKind::InvalidInput.into()) };
        let folder = self.0.descend(components(&parts)?)?;
        act(&folder, component(&last)?)
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The names of a path below the folder.
fn parts(path: &Path) -> Vec<Vec<u8>> {
    let names = path.components().filter_map(|part| match part {
        path::Component::Normal(name) => Some(os_bytes(name).into_owned()),
        _ => None,
    });
    names.collect()
}

fn components(parts: &[Vec<u8>]) -> io::Result<Vec<Component<'_>>> {
    parts.iter().map(|part| component(part)).collect()
}

fn component(name: &[u8]) -> io::Result<Component<'_>> {
    Component::new(name).ok_or_else(|| io::ErrorKind::InvalidFilename.into())
}
