//! Takes blobs from the pipeline and makes files of them.
//!
//! A blob that arrives in one piece is written to each of its files on the spot: created, written,
//! given its times and closed by the thread that decoded it. Of a blob that arrives in pieces one
//! file is open until the last piece is there, and any number of threads write to it; other files
//! with the same data are copies of that one, which the file system may make without moving a byte.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    path::PathBuf,
    sync::Arc,
};

use wim_format::metadata::reparse::ReparsePoint;

use super::{
    Options,
    attributes::Restore,
    blobs::Blobs,
    directories::Directories,
    layout::{Content, FileId, Layout, Link},
    links, sparse,
    warnings::Warnings,
};
use crate::{
    archive::{BlobId, ImageTree},
    beneath::{Component, Dir, Made, is_about_the_name, is_too_many_open},
    cancel::Cancel,
    error::{Action, Damage, Error},
    output::{self, Copier},
    pipeline::{DamagedData, Sink, Task, lock::Lock},
    source::{FileExtent, read_exact_at},
};

/// Files without data that are made in one task.
const TASK: usize = 256;
/// Bytes that are read and written at once for a sparse copy.
const BUFFER: usize = 1 << 20;

/// Makes the files of a layout.
pub(super) struct Writer<'a> {
    blobs: &'a dyn Blobs,
    tree: &'a ImageTree,
    layout: &'a Layout,
    directories: &'a Directories<'a>,
    options: &'a Options,
    /// What to put in front of absolute link targets.
    fix: Option<Vec<u8>>,
    warnings: &'a Warnings<'a>,
    /// Blobs of which some pieces have arrived.
    partial: Lock<HashMap<BlobId, Arc<Partial<'a>>>>,
    /// Blobs that were taken whole; only kept when damaged ones are delivered too.
    whole: Lock<HashSet<BlobId>>,
}

/// What the pieces of a blob are written to.
struct Partial<'a> {
    /// The first of its files that could be made, and whether zeros are left out of it.
    file: Option<Open<'a>>,
    /// Its bytes, if a symbolic link is made of it: at most 16 KiB.
    link_data: Option<Lock<Vec<u8>>>,
}

/// A file that is being written. Dropped without being finished, it is removed.
struct Open<'a> {
    id: FileId,
    file: File,
    sparse: bool,
    dir: Arc<Dir>,
    name: Component<'a>,
    finished: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // The run has failed already; the error that is reported is the cause.
            let _ = self.dir.remove(self.name);
        }
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        blobs: &'a dyn Blobs,
        tree: &'a ImageTree,
        layout: &'a Layout,
        directories: &'a Directories<'a>,
        options: &'a Options,
        fix: Option<Vec<u8>>,
        warnings: &'a Warnings<'a>,
    ) -> Writer<'a> {
        let (partial, whole) = (Lock::default(), Lock::default());
        Writer { blobs, tree, layout, directories, options, fix, warnings, partial, whole }
    }

    /// The length of a blob that has begun to come.
    fn size(&self, blob: BlobId) -> u64 {
        self.blobs.size(blob).unwrap_or(0)
    }

    /// The work that needs no blob: empty and special files.
    pub(super) fn tasks<'t>(&'t self, cancel: &'t Cancel) -> Vec<Task<'t>> {
        let files = self.layout.files_without_blob();
        let tasks = files.chunks(TASK).map(|files| {
            let files = files.to_vec();
            let task = move || {
                cancel.check()?;
                files.iter().try_for_each(|&id| self.make_without_blob(id))
            };
            Box::new(task) as Task<'t>
        });
        tasks.collect()
    }

    fn make_without_blob(&self, id: FileId) -> Result<(), Error> {
        let file = self.layout.file(id);
        if let Content::Node(node) = file.content {
            let Some(dir) = self.directory(file.link)? else { return Ok(()) };
            let name = self.layout.name_of(file.link);
            if let Err(error) = dir.make_node(name, node) {
                return self.cannot_make(file.link, error);
            }
            self.with_restore(id, |restore| restore.to_node(&dir, name))?;
            return self.make_links(id, dir, None);
        }
        match self.create(id)? {
            Some(open) => self.finish(open),
            None => Ok(()),
        }
    }

    /// Makes every file of a blob that is there in one piece.
    fn take_whole(&self, blob: BlobId, data: &[u8]) -> Result<(), Error> {
        for &(_, id) in self.layout.files_of(blob) {
            if let Content::Link(_) = self.layout.file(id).content {
                self.make_symlink(id, data)?;
            } else if let Some(open) = self.create(id)? {
                self.write(&open, data, 0)?;
                if open.sparse {
                    self.set_len(&open, data.len() as u64)?;
                }
                self.finish(open)?;
            }
        }
        Ok(())
    }

    /// The state of a blob that arrives in pieces.
    fn partial(&self, blob: BlobId) -> Result<Arc<Partial<'a>>, Error> {
        let mut partials = self.partial.lock();
        if let Some(partial) = partials.get(&blob) {
            return Ok(partial.clone());
        }
        let size = self.size(blob);
        let mut partial = Partial { file: None, link_data: None };
        for &(_, id) in self.layout.files_of(blob) {
            match self.layout.file(id).content {
                Content::Link(_) if partial.link_data.is_none() => {
                    partial.link_data = Some(Lock::new(vec![0; links::len_to_keep(size)]));
                }
                Content::Data(_) if partial.file.is_none() => {
                    partial.file = self.create(id)?;
                    if let Some(open) = &partial.file {
                        self.reserve(open, self.blobs.size_to_reserve(blob))?;
                    }
                }
                _ => {}
            }
        }
        let partial = Arc::new(partial);
        partials.insert(blob, partial.clone());
        Ok(partial)
    }

    fn take_piece(&self, blob: BlobId, offset: u64, data: &[u8]) -> Result<(), Error> {
        let partial = self.partial(blob)?;
        if let Some(bytes) = &partial.link_data {
            let mut bytes = bytes.lock();
            let place = offset as usize..offset as usize + data.len();
            if let Some(place) = bytes.get_mut(place) {
                place.copy_from_slice(data);
            }
        }
        match &partial.file {
            Some(open) => self.write(open, data, offset),
            None => Ok(()),
        }
    }

    /// Finishes a blob whose pieces have all arrived.
    fn finish_partial(&self, blob: BlobId, partial: Partial<'a>) -> Result<(), Error> {
        let Partial { file, link_data } = partial;
        let link_data = link_data.map(Lock::into_inner);
        let size = self.size(blob);
        let first = file.as_ref().map(|open| open.id);
        for &(_, id) in self.layout.files_of(blob) {
            match (self.layout.file(id).content, &link_data, &file) {
                (Content::Link(_), Some(data), _) => self.make_symlink(id, data)?,
                (Content::Data(_), _, Some(original)) if first != Some(id) => {
                    self.make_copy(id, original, size)?;
                }
                _ => {}
            }
        }
        match file {
            Some(open) => {
                // A hole at the end, or a piece that could not be read.
                self.set_len(&open, size)?;
                self.finish(open)
            }
            None => Ok(()),
        }
    }

    /// Makes a file with the same data as `original`.
    fn make_copy(&self, id: FileId, original: &Open<'_>, size: u64) -> Result<(), Error> {
        let Some(open) = self.create(id)? else { return Ok(()) };
        let failed = |error| Error::io(Action::Write, self.path(id))(error);
        if open.sparse || original.sparse {
            let mut buffer = vec![0; BUFFER];
            let mut at = 0;
            self.set_len(original, size)?;
            while at < size {
                let len = (size - at).min(BUFFER as u64) as usize;
                read_exact_at(&original.file, &mut buffer[..len], at).map_err(failed)?;
                self.write(&open, &buffer[..len], at)?;
                at += len as u64;
            }
        } else {
            self.set_len(original, size)?;
            copy_whole(&original.file, &open.file, size).map_err(failed)?;
        }
        self.set_len(&open, size)?;
        self.finish(open)
    }

    /// Opens a new file; `None` where it cannot be had, which the user has been told.
    fn create(&self, id: FileId) -> Result<Option<Open<'a>>, Error> {
        let link = self.layout.file(id).link;
        let Some(dir) = self.directory(link)? else { return Ok(None) };
        let name = self.layout.name_of(link);
        let created = match self.create_in(&dir, link) {
            Err(error) if is_too_many_open(&error) => {
                self.directories.close_idle();
                self.create_in(&dir, link)
            }
            result => result,
        };
        match created {
            Ok(file) => {
                let sparse = self.layout.is_sparse(self.tree, id);
                if sparse {
                    output::allow_holes(&file);
                }
                Ok(Some(Open { id, file, sparse, dir, name, finished: false }))
            }
            Err(error) => self.cannot_make(link, error).map(|()| None),
        }
    }

    fn create_in(&self, dir: &Dir, link: Link) -> io::Result<File> {
        let name = self.layout.name_of(link);
        match self.directories.is_new(link.directory) {
            // What has the name is a file of this run: the target does not tell cases apart.
            true => dir.create_new_file(name),
            false => dir.create_file(name),
        }
    }

    fn write(&self, open: &Open<'_>, data: &[u8], offset: u64) -> Result<(), Error> {
        let written = match open.sparse {
            true => sparse::write_at(&open.file, data, offset),
            false => output::write_all_at(&open.file, data, offset),
        };
        written.map_err(|error| Error::io(Action::Write, self.path(open.id))(error))
    }

    /// Has the file system set aside what a large file needs, in one piece if it can.
    fn reserve(&self, open: &Open<'_>, len: u64) -> Result<(), Error> {
        if open.sparse {
            return Ok(());
        }
        let reserved = output::reserve(&open.file, len);
        reserved.map_err(|error| Error::io(Action::Write, self.path(open.id))(error))
    }

    fn set_len(&self, open: &Open<'_>, len: u64) -> Result<(), Error> {
        let set = open.file.set_len(len);
        set.map_err(|error| Error::io(Action::Write, self.path(open.id))(error))
    }

    /// Sets the attributes of a file whose data is complete, and makes its further names.
    fn finish(&self, mut open: Open<'_>) -> Result<(), Error> {
        self.with_restore(open.id, |restore| restore.to_file(&open.file))?;
        open.finished = true;
        self.make_links(open.id, open.dir.clone(), Some(&open.file))
    }

    fn make_symlink(&self, id: FileId, data: &[u8]) -> Result<(), Error> {
        let file = self.layout.file(id);
        let dentry = self.tree.dentry(file.dentry);
        let (_, flags) = dentry.reparse_flags();
        let fix = self.fix.as_deref().filter(|_| flags & 1 == 0);
        let tag = dentry.reparse_tag().unwrap_or_default();
        let target = match data.len() > links::MAX_DATA {
            true => Err(format!("its target has more than {} bytes", links::MAX_DATA)),
            false => ReparsePoint::parse(tag, data).map_err(|error| error.to_string()),
        };
        let target = target.and_then(|link| links::target(&link, fix).map_err(str::to_owned));
        let target = match target {
            Ok(target) => target,
            Err(reason) => {
                self.warnings.one_of("links whose target is malformed", || {
                    format!("not extracting the link {}: {reason}", self.path(id).display())
                });
                return Ok(());
            }
        };
        let Some(dir) = self.directory(file.link)? else { return Ok(()) };
        let name = self.layout.name_of(file.link);
        let made = match self.directories.is_new(file.link.directory) {
            true => Made::New,
            false => Made::Existing,
        };
        if let Err(error) = links::make(&dir, name, &dentry, &target, made) {
            return self.cannot_make_link(file.link, error);
        }
        self.with_restore(id, |restore| restore.to_link(&dir, name))
    }

    /// Makes the further names of a file in `dir` that is complete. File systems limit the number
    /// of names; where there are more, the next one gets a copy of `file`, and those after it are
    /// names of that.
    fn make_links(&self, id: FileId, dir: Arc<Dir>, file: Option<&File>) -> Result<(), Error> {
        let (mut dir, mut name) = (dir, self.layout.name_of(self.layout.file(id).link));
        for &link in self.layout.more_links(id) {
            let Some(new_dir) = self.directory(link)? else { continue };
            let new_name = self.layout.name_of(link);
            // Where all was made by this run, a name that is taken is another of this image, which
            // differs in case alone.
            let made = match self.directories.is_new(link.directory) {
                true => new_dir.new_hard_link(&dir, name, new_name),
                false => new_dir.hard_link(&dir, name, new_name),
            };
            let Err(error) = made else { continue };
            match file {
                Some(file) if error.kind() == io::ErrorKind::TooManyLinks => {
                    self.make_another(id, link, &new_dir, file)?;
                    (dir, name) = (new_dir, new_name);
                }
                _ if is_about_the_name(&error) || error.kind() == io::ErrorKind::AlreadyExists => {
                    self.cannot_make(link, error)?;
                }
                _ => return Err(Error::io(Action::Link, self.directories.path_of(link))(error)),
            }
        }
        Ok(())
    }

    /// Makes a copy of `file`, which is complete, under a further name of it.
    fn make_another(&self, id: FileId, link: Link, dir: &Dir, file: &File) -> Result<(), Error> {
        let failed = |error| Error::io(Action::Write, self.directories.path_of(link))(error);
        let copy = self.create_in(dir, link).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        copy_whole(file, &copy, len).map_err(failed)?;
        self.with_restore(id, |restore| restore.to_file(&copy))
    }

    /// The open directory of a name; `None` where the directory could not be made.
    fn directory(&self, link: Link) -> Result<Option<Arc<Dir>>, Error> {
        if self.directories.is_missing(link.directory) {
            return Ok(None);
        }
        let failed = |error| Error::io(Action::Open, self.directories.path(link.directory))(error);
        self.directories.get(link.directory).map(Some).map_err(failed)
    }

    /// Tells what has become of a name, or gives the error if that ends the run.
    fn cannot_make(&self, link: Link, error: io::Error) -> Result<(), Error> {
        let path = self.directories.path_of(link);
        if is_about_the_name(&error) {
            self.warnings.one_of("names that this system cannot hold", || {
                format!("not extracting {}: {error}", path.display())
            });
            return Ok(());
        }
        if error.kind() == io::ErrorKind::AlreadyExists {
            self.warnings.one_of("names that differ in case alone", || {
                format!(
                    "not extracting {}: another file of the image has taken the name here",
                    path.display()
                )
            });
            return Ok(());
        }
        Err(Error::io(Action::Create, path)(error))
    }

    /// As [`cannot_make`](Self::cannot_make), of a link, which not every account may make on Windows
    /// nor every file system has; all else is of use without it.
    fn cannot_make_link(&self, link: Link, error: io::Error) -> Result<(), Error> {
        let Some(advice) = links::refusal(&error) else { return self.cannot_make(link, error) };
        self.warnings.one_of("links that could not be made", || {
            let path = self.directories.path_of(link);
            format!("not extracting the link {}: {error} ({advice})", path.display())
        });
        Ok(())
    }

    fn with_restore<T>(&self, id: FileId, act: impl FnOnce(Restore<'_>) -> T) -> T {
        let dentry = self.tree.dentry(self.layout.file(id).dentry);
        let path = || self.path(id);
        let (unix_data, warnings) = (self.options.unix_data, self.warnings);
        act(Restore { dentry: &dentry, unix_data, warnings, path: &path })
    }

    fn path(&self, id: FileId) -> PathBuf {
        self.directories.path_of(self.layout.file(id).link)
    }

    /// What to do about a damaged blob: it ends the run, or its files are made as far as possible.
    fn damaged(&self, blob: BlobId, damage: Damage) -> Result<(), Error> {
        let files = self.layout.files_of(blob);
        let hash = self.blobs.hash(blob);
        if self.options.damaged == DamagedData::Withhold {
            let path = files.first().map(|&(_, id)| {
                let path = self.tree.path(self.layout.file(id).dentry);
                String::from_utf8_lossy(&path).into_owned()
            });
            let file = self.blobs.file(blob);
            return Err(Error::Damaged { file, path, hash, damage });
        }
        for &(_, id) in files {
            self.warnings.one_of("files whose data is damaged", || {
                format!("the data of {} is damaged: {damage}", self.path(id).display())
            });
        }
        Ok(())
    }
}

/// Copies the `len` bytes of a file to another one, which is empty.
fn copy_whole(from: &File, to: &File, len: u64) -> io::Result<()> {
    let extent = FileExtent { file: Arc::new(from.try_clone()?), offset: 0, len };
    Copier::new().copy(&[extent], to, 0, &mut |_| Ok(()))
}

impl Sink for Writer<'_> {
    fn piece(&self, blob: BlobId, offset: u64, data: &[u8]) -> Result<(), Error> {
        if offset == 0 && data.len() as u64 == self.size(blob) {
            if self.options.damaged == DamagedData::Deliver {
                self.whole.lock().insert(blob);
            }
            return self.take_whole(blob, data);
        }
        self.take_piece(blob, offset, data)
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
        let mut was_whole = true;
        if self.options.damaged == DamagedData::Deliver {
            was_whole = self.whole.lock().remove(&blob);
        }
        if let Err(damage) = result {
            self.damaged(blob, damage)?;
            if !was_whole {
                // Nothing may have arrived at all; its files are made all the same.
                self.partial(blob)?;
            }
        }
        let Some(partial) = self.partial.lock().remove(&blob) else { return Ok(()) };
        let partial = Arc::into_inner(partial).expect("every piece has been taken");
        self.finish_partial(blob, partial)
    }
}
