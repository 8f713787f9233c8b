//! Carrying out commands on a tree in memory.

use std::path::Path;

use wim_format::metadata::{BuildError, EntryId, ImageBuilder};
use wim_format::name::{Utf16Name, Utf16NameBuf};

use super::{AddOptions, Command, Directories, Missing, Options};
use crate::archive::{ImageIndex, Wim};
use crate::capture::{Links, Merging, Pending, Scanner, parts};
use crate::error::{Error, TreeProblem};
use crate::pipeline::team::share_among;
use crate::progress::{Amount, Phase};
use crate::status::FileId;
use crate::write::place::Locked;
use crate::write::session::Context;

/// A tree that is being changed.
pub(super) struct Edit<'a> {
    wim: &'a Wim,
    /// The file that it is.
    archive: FileId,
    index: ImageIndex,
    pending: Pending,
    options: &'a Options,
    context: Context<'a>,
}

impl<'a> Edit<'a> {
    pub(super) fn new(
        old: &'a Locked,
        index: ImageIndex,
        image: ImageBuilder,
        options: &'a Options,
        context: Context<'a>,
    ) -> Result<Self, Error> {
        let (wim, archive) = (&old.wim, old.id()?);
        Ok(Self { wim, archive, index, pending: Pending::new(image), options, context })
    }

    /// The changed tree.
    pub(super) fn finish(self) -> Pending {
        self.pending
    }

    pub(super) fn apply(&mut self, command: &Command) -> Result<(), Error> {
        match command {
            Command::Add { source, destination, options } => self.add(source, destination, options),
            Command::Delete { path, missing, directories } => {
                self.delete(path, *missing, *directories)
            }
            Command::Rename { from, to } => self.rename(from, to),
        }
    }

    fn add(
        &mut self,
        source: &Path,
        destination: &[u8],
        options: &AddOptions,
    ) -> Result<(), Error> {
        let Context { threads, progress, cancel } = self.context;
        progress.begin(Phase::Scan, Amount::default());
        let scanner = Scanner {
            exclusions: &options.exclusions,
            links: options.links,
            unix: options.unix,
            root: None,
            archive: Some(self.archive),
            progress,
            cancel,
        };
        let parts = parts(destination);
        // What becomes one with the root has to be a directory.
        let links = if parts.is_empty() { Links::Follow } else { options.links };
        let found = share_among(threads, || scanner.tree(source, Utf16NameBuf::default(), links))?;
        progress.end(Phase::Scan);
        let Some(found) = found else { return Ok(()) };
        let manner = Merging {
            replace: options.replace,
            case: self.options.case,
            problem: &|path, problem| problem_in(self.wim, self.index, path, problem),
        };
        self.pending.add_at(&parts, found, &manner)
    }

    fn delete(
        &mut self,
        path: &[u8],
        missing: Missing,
        directories: Directories,
    ) -> Result<(), Error> {
        let Some(entry) = self.lookup(path) else {
            return match missing {
                Missing::Ignore => Ok(()),
                Missing::Refuse => Err(self.no_such_path(path)),
            };
        };
        if self.is_directory(entry) && directories == Directories::Refuse {
            return Err(self.problem(path, TreeProblem::IsDirectory));
        }
        self.pending.remove(entry);
        Ok(())
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        let entry = self.lookup(from).ok_or_else(|| self.no_such_path(from))?;
        let parts = parts(to);
        let Some((name, above)) = parts.split_last() else {
            return match entry {
                ImageBuilder::ROOT => Ok(()),
                entry if self.is_directory(entry) => Err(self.problem(to, TreeProblem::Busy)),
                _ => Err(self.problem(to, TreeProblem::IsDirectory)),
            };
        };
        let directory = above.join(&b'/');
        let directory = self.lookup(&directory).ok_or_else(|| self.no_such_path(&directory))?;
        let name = self.name(name, to)?;
        let there = self.child(directory, name.as_name()).filter(|&there| there != entry);
        if let Some(there) = there {
            match (self.is_directory(entry), self.is_directory(there)) {
                (false, true) => return Err(self.problem(to, TreeProblem::IsDirectory)),
                (true, false) => return Err(self.problem(to, TreeProblem::NotADirectory)),
                (true, true) if self.pending.image.children(there).next().is_some() => {
                    return Err(self.problem(to, TreeProblem::NotEmpty));
                }
                _ => {}
            }
        }
        match self.pending.image.rename(entry, directory, name) {
            Ok(()) => {}
            Err(BuildError::WithinItself { .. }) => {
                return Err(self.problem(from, TreeProblem::Busy));
            }
            Err(error) => return Err(Error::Parameter(format!("{}: {error}", text(to)))),
        }
        if let Some(there) = there {
            self.pending.remove(there);
        }
        Ok(())
    }

    fn lookup(&self, path: &[u8]) -> Option<EntryId> {
        self.pending.image.lookup(&parts(path).join(&b'/'), self.options.case)
    }

    fn child(&self, directory: EntryId, name: Utf16Name<'_>) -> Option<EntryId> {
        self.pending.image.child(directory, name, self.options.case)
    }

    fn is_directory(&self, entry: EntryId) -> bool {
        self.pending.image.inode(entry).is_plain_directory()
    }

    fn name(&self, part: &[u8], path: &[u8]) -> Result<Utf16NameBuf, Error> {
        Utf16NameBuf::from_wtf8(part)
            .map_err(|_| Error::NotUnicode { name: text(path), what_to_do: "choose another" })
    }

    fn no_such_path(&self, path: &[u8]) -> Error {
        let (file, image) = (self.wim.name(), self.index.get());
        Error::NoSuchPath { file, image, path: text(path) }
    }

    fn problem(&self, path: &[u8], problem: TreeProblem) -> Error {
        problem_in(self.wim, self.index, path, problem)
    }
}

fn problem_in(wim: &Wim, index: ImageIndex, path: &[u8], problem: TreeProblem) -> Error {
    Error::Tree { file: wim.name(), image: Some(index.get()), path: text(path), problem }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
