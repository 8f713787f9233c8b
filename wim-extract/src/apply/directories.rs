//! The directories of the target: made level by level, kept open while they are in use.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    UnixData, attributes,
    layout::{DirectoryId, Layout, Link},
    warnings::Warnings,
};
use crate::{
    archive::ImageTree,
    beneath::{Dir, Made, is_about_the_name, is_too_many_open},
    error::{Action, Error},
    pipeline::lock::Lock,
};

/// Directories kept open at a time. Files are open too, and a process may often have 1024 in all.
const KEPT_OPEN: usize = 128;

/// Levels that are opened one by one, and kept, when a directory is far from all that are open: who
/// goes up from it, as happens at the end of a run, finds the next ones open.
const STEPPED: usize = 32;

/// The directories of the target.
pub(super) struct Directories<'l> {
    layout: &'l Layout,
    target: PathBuf,
    root: Arc<Dir>,
    open: Lock<Open>,
    state: Vec<State>,
}

/// What is known of a directory.
#[derive(Debug, Default)]
struct State {
    /// It could not be made, and what is below it is left out.
    missing: AtomicBool,
    /// This run has made it, so what is in it is of this run too.
    new: AtomicBool,
}

#[derive(Debug, Default)]
struct Open {
    directories: HashMap<DirectoryId, Arc<Dir>>,
    /// In the order in which they were opened.
    order: VecDeque<DirectoryId>,
}

impl<'l> Directories<'l> {
    /// Opens the target, which exists; `made` says since when.
    pub(super) fn open(
        target: &Path,
        made: Made,
        layout: &'l Layout,
    ) -> Result<Directories<'l>, Error> {
        let root = Arc::new(Dir::open(target).map_err(Error::io(Action::Open, target))?);
        let state: Vec<_> = layout.directories().iter().map(|_| State::default()).collect();
        state[DirectoryId::TARGET.index()].new.store(made == Made::New, Ordering::Relaxed);
        let open = Lock::default();
        Ok(Directories { layout, target: target.to_owned(), root, open, state })
    }

    /// The path of a name, for messages.
    pub(super) fn path_of(&self, link: Link) -> PathBuf {
        self.target.join(self.layout.path_of(link))
    }

    pub(super) fn path(&self, id: DirectoryId) -> PathBuf {
        self.target.join(self.layout.directory_path(id))
    }

    /// Whether the directory, or one above it, could not be made.
    pub(super) fn is_missing(&self, id: DirectoryId) -> bool {
        self.state[id.index()].missing.load(Ordering::Relaxed)
    }

    /// Whether all that is in the directory was made by this run.
    pub(super) fn is_new(&self, id: DirectoryId) -> bool {
        self.state[id.index()].new.load(Ordering::Relaxed)
    }

    /// Makes a directory whose parent has been made.
    pub(super) fn make(&self, id: DirectoryId, warnings: &Warnings<'_>) -> Result<(), Error> {
        let parent = self.layout.directory(id).parent;
        let state = &self.state[id.index()];
        if self.is_missing(parent) {
            state.missing.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let name = self.layout.directory_name(id);
        let made = self.get(parent).and_then(|dir| dir.make_dir(name));
        match made {
            Ok(made) => {
                if made == Made::Existing && self.is_new(parent) {
                    warnings.one_of("names that differ in case alone", || {
                        format!("{} is one directory here for two of the image", self.show(id))
                    });
                }
                state.new.store(made == Made::New, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if is_about_the_name(&error) => {
                state.missing.store(true, Ordering::Relaxed);
                warnings.one_of("names that this system cannot hold", || {
                    format!("not extracting {} and all below it: {error}", self.show(id))
                });
                Ok(())
            }
            Err(error) => Err(Error::io(Action::MakeDirectory, self.path(id))(error)),
        }
    }

    /// Sets the times, and what else is wanted, of a directory that nothing more is put into.
    pub(super) fn set_attributes(
        &self,
        id: DirectoryId,
        tree: &ImageTree,
        unix_data: UnixData,
        warnings: &Warnings<'_>,
    ) -> Result<(), Error> {
        let Some(dentry) = self.layout.directory(id).dentry else { return Ok(()) };
        if self.is_missing(id) {
            return Ok(());
        }
        let dentry = tree.dentry(dentry);
        let path = || self.path(id);
        let restore = attributes::Restore { dentry: &dentry, unix_data, warnings, path: &path };
        if id == DirectoryId::TARGET {
            return restore.to_directory(&self.root);
        }
        let parent = self.layout.directory(id).parent;
        let name = self.layout.directory_name(id);
        let parent = self.get(parent).map_err(|error| Error::io(Action::Open, path())(error))?;
        match unix_data {
            UnixData::Ignore => {
                restore.times_of(&parent, name);
                Ok(())
            }
            UnixData::Restore | UnixData::RestoreStrictly => {
                let own = parent.open_dir(name);
                restore.to_directory(&own.map_err(Error::io(Action::Open, path()))?)
            }
        }
    }

    fn show(&self, id: DirectoryId) -> String {
        self.path(id).display().to_string()
    }

    /// The open directory. When the process has too many files open, those that are only kept for
    /// later are closed.
    pub(super) fn get(&self, id: DirectoryId) -> io::Result<Arc<Dir>> {
        match self.try_get(id) {
            Err(error) if is_too_many_open(&error) => {
                *self.open.lock() = Open::default();
                self.try_get(id)
            }
            result => result,
        }
    }

    /// Closes the directories that are only kept for later.
    pub(super) fn close_idle(&self) {
        *self.open.lock() = Open::default();
    }

    fn try_get(&self, id: DirectoryId) -> io::Result<Arc<Dir>> {
        let mut below: Vec<DirectoryId> = Vec::new();
        let mut here = id;
        let mut dir = {
            let open = self.open.lock();
            loop {
                if here == DirectoryId::TARGET {
                    break self.root.clone();
                }
                if let Some(dir) = open.directories.get(&here) {
                    break dir.clone();
                }
                below.push(here);
                here = self.layout.directory(here).parent;
            }
        };
        let stepped = below.len().min(STEPPED);
        if below.len() > stepped {
            let far = below.drain(stepped..).rev();
            dir = Arc::new(dir.descend(far.map(|id| self.layout.directory_name(id)))?);
        }
        for id in below.into_iter().rev() {
            dir = Arc::new(dir.open_dir(self.layout.directory_name(id))?);
            self.open.lock().keep(id, dir.clone());
        }
        Ok(dir)
    }
}

impl Open {
    fn keep(&mut self, id: DirectoryId, dir: Arc<Dir>) {
        if self.order.len() >= KEPT_OPEN
            && let Some(oldest) = self.order.pop_front()
        {
            self.directories.remove(&oldest);
        }
        if self.directories.insert(id, dir).is_none() {
            self.order.push_back(id);
        }
    }
}
