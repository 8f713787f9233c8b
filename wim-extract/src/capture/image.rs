//! What was found as an image, and the data that it needs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wim_format::Sha1Hash;
use wim_format::header::Layout;
use wim_format::metadata::{BuildError, EntryId, FileAttributes, ImageBuilder, Inode};
use wim_format::name::{CaseSensitivity, Utf16NameBuf};
use wim_format::time::FileTime;

use super::Replace;
use super::files::{Data, Files};
use super::scan::{FileData, Found, Kind};
use crate::error::{Error, TreeProblem};
use crate::pipeline::team::share_among;
use crate::progress::{Amount, Phase};
use crate::status::FileId;
use crate::windows::require_len;
use crate::write::pack::order::{SolidOrder, SortKey};
use crate::write::pack::{Batch, Packing, batch_len};
use crate::write::session::{Context, Session};

/// Pieces of large files are a multiple of this long, and of the chunk size.
const MIN_GRAIN: u32 = 1 << 16;

/// An image whose data is not read yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) image: ImageBuilder,
    /// What its files hold, in the order in which it is to be read.
    pub(crate) data: Vec<Data>,
    /// For each of `data`, what has it.
    owners: Vec<(EntryId, Part)>,
    /// Files with several names, by device and inode.
    linked: HashMap<FileId, EntryId>,
}

/// How what is added becomes one with what is there.
pub(crate) struct Merging<'a> {
    pub(crate) replace: Replace,
    pub(crate) case: CaseSensitivity,
    /// The error of something that cannot be, at a path.
    pub(crate) problem: &'a dyn Fn(&[u8], TreeProblem) -> Error,
}

/// What part of a file data is.
#[derive(Debug, Clone, Copy)]
enum Part {
    Contents,
    ReparsePoint,
}

impl Pending {
    /// Data goes into this image.
    pub(crate) fn new(image: ImageBuilder) -> Self {
        Self { image, data: Vec::new(), owners: Vec::new(), linked: HashMap::new() }
    }

    /// Adds what was found, with all below it, to a directory.
    ///
    /// # Errors
    /// A name that no image can hold, or more depth than one can have.
    pub(crate) fn add(&mut self, parent: EntryId, found: Found) -> Result<(), Error> {
        let Found { name, path, inode, kind } = found;
        let failed = |error: BuildError| in_words(&path, error);
        if let Kind::File(FileData { linked: Some(linked), .. }) = &kind
            && let Some(&other) = self.linked.get(linked)
        {
            self.image.link(parent, name, other).map_err(failed)?;
            return Ok(());
        }
        let entry = self.image.add(parent, name, inode).map_err(failed)?;
        match kind {
            Kind::Directory(children) => {
                children.into_iter().try_for_each(|child| self.add(entry, child))?;
            }
            Kind::File(data) => self.add_file(entry, path, data),
            Kind::Link(data) => {
                self.owners.push((entry, Part::ReparsePoint));
                self.data.push(Data::Bytes(data));
            }
            Kind::Special => {}
        }
        Ok(())
    }

    /// Adds what was found at a path, together with what is there: directories on the way are made,
    /// a directory becomes one with the one there, a file takes the place of the one there.
    ///
    /// # Errors
    /// Something is there that it cannot become one with, or what [`add`](Self::add) gives.
    pub(crate) fn add_at(
        &mut self,
        parts: &[&[u8]],
        found: Found,
        manner: &Merging<'_>,
    ) -> Result<(), Error> {
        let path = parts.join(&b'/');
        let Some((name, above)) = parts.split_last() else {
            return match found.kind {
                Kind::Directory(children) => {
                    self.merge(ImageBuilder::ROOT, &path, children, manner)
                }
                // It is not a directory, and so cannot become the root.
                _ => Err((manner.problem)(&path, TreeProblem::NotADirectory)),
            };
        };
        let mut directory = ImageBuilder::ROOT;
        for part in above {
            let name = name_of(part, &path)?;
            directory = match self.image.child(directory, name.as_name(), manner.case) {
                Some(there) if self.image.inode(there).is_plain_directory() => there,
                Some(_) => return Err((manner.problem)(&path, TreeProblem::NotADirectory)),
                None => self.make_directory(directory, name)?,
            };
        }
        let name = name_of(name, &path)?;
        self.put(directory, &path, Found { name, ..found }, manner)
    }

    /// Puts what was found into a directory, together with what is there under its name.
    fn put(
        &mut self,
        directory: EntryId,
        path: &[u8],
        found: Found,
        manner: &Merging<'_>,
    ) -> Result<(), Error> {
        let there = self.image.child(directory, found.name.as_name(), manner.case);
        let Some(there) = there else { return self.add(directory, found) };
        let problem = |problem| Err((manner.problem)(path, problem));
        match (self.image.inode(there).is_plain_directory(), found) {
            (true, Found { kind: Kind::Directory(children), .. }) => {
                self.merge(there, path, children, manner)
            }
            (true, _) => problem(TreeProblem::IsDirectory),
            (false, Found { kind: Kind::Directory(_), .. }) => problem(TreeProblem::NotADirectory),
            (false, _) if manner.replace == Replace::Nothing => problem(TreeProblem::Exists),
            (false, Found { path, inode, kind: Kind::File(data), .. })
                if manner.replace == Replace::Contents
                    && is_plain_file(self.image.inode(there)) =>
            {
                let old = self.image.inode_mut(there);
                old.data = Sha1Hash::ZERO;
                old.write_time = inode.write_time;
                // One file with several names must not become one with another file's.
                self.add_file(there, path, FileData { linked: None, ..data });
                Ok(())
            }
            (false, found) => {
                self.remove(there);
                self.add(directory, found)
            }
        }
    }

    /// Adds what was found in a directory to one of the image.
    fn merge(
        &mut self,
        directory: EntryId,
        path: &[u8],
        found: Vec<Found>,
        manner: &Merging<'_>,
    ) -> Result<(), Error> {
        // An empty directory needs no comparison.
        if self.image.children(directory).next().is_none() {
            return found.into_iter().try_for_each(|child| self.add(directory, child));
        }
        for child in found {
            let mut path = path.to_vec();
            path.push(b'/');
            child.name.as_name().append_wtf8(&mut path);
            self.put(directory, &path, child, manner)?;
        }
        Ok(())
    }

    fn add_file(&mut self, entry: EntryId, path: PathBuf, data: FileData) {
        if let Some(linked) = data.linked {
            self.linked.insert(linked, entry);
        }
        if data.stamp.size > 0 {
            self.owners.push((entry, Part::Contents));
            self.data.push(Data::File(path, data.stamp));
        }
    }

    /// Takes the data of files from elsewhere, where `hash_of` knows its hash by the path of the file in
    /// the image, by what it is, and by its length. It will not be read.
    pub(super) fn take_over(
        &mut self,
        mut hash_of: impl FnMut(&[u8], &Inode, u64) -> Option<Sha1Hash>,
    ) {
        let (mut data, mut owners) = (Vec::new(), Vec::new());
        for (found, owner) in self.data.drain(..).zip(self.owners.drain(..)) {
            let (entry, part) = owner;
            let hash = match (&found, part) {
                (Data::File(_, stamp), Part::Contents) => {
                    hash_of(&path_of(&self.image, entry), self.image.inode(entry), stamp.size)
                }
                _ => None,
            };
            match hash {
                Some(hash) => self.image.inode_mut(entry).data = hash,
                None => {
                    data.push(found);
                    owners.push(owner);
                }
            }
        }
        (self.data, self.owners) = (data, owners);
    }

    /// How much data it is.
    pub(crate) fn amount(&self) -> Amount {
        let bytes = self.data.iter().map(Data::len).fold(0, u64::saturating_add);
        Amount::new(bytes, self.data.len() as u64)
    }

    /// Makes an empty directory, as old as it is.
    ///
    /// # Errors
    /// A name that no image can hold.
    fn make_directory(&mut self, parent: EntryId, name: Utf16NameBuf) -> Result<EntryId, Error> {
        let text = name.as_name().to_os_string();
        let inode = Inode::directory().at(FileTime::from(SystemTime::now()));
        let made = self.image.add(parent, name, inode);
        made.map_err(|error| in_words(Path::new(&text), error))
    }

    /// Removes an entry and all below it. What of their data is not read yet will not be.
    pub(crate) fn remove(&mut self, entry: EntryId) {
        self.image.remove(entry);
        let gone: Vec<bool> =
            self.owners.iter().map(|(owner, _)| !self.image.is_linked(*owner)).collect();
        let mut each = gone.iter();
        self.data.retain(|_| !each.next().is_some_and(|&gone| gone));
        let mut gone = gone.into_iter();
        self.owners.retain(|_| !gone.next().unwrap_or(false));
        let image = &self.image;
        self.linked.retain(|_, entry| image.is_linked(*entry));
    }

    /// Reads the data, and packs what is not `known`; in a layout with the images first, only sees to
    /// it that it will be packed. Gives the finished tree.
    ///
    /// Where hashes have to be known before anything is packed, everything is read twice: for a pipable
    /// layout, which has them in front, and for solid data, of which the length is in front and which is
    /// put in order.
    ///
    /// # Errors
    /// A file cannot be read or has changed; those of writing; [`Error::Cancelled`].
    pub(crate) fn pack(
        self,
        session: &mut Session<'_>,
        packing: Packing,
        known: Vec<(Sha1Hash, u64)>,
        context: Context<'_>,
    ) -> Result<Packed, Error> {
        let grain = packing.coding.chunk_size.max(MIN_GRAIN) as usize;
        let Context { threads, progress, cancel } = context;
        if (session.draft.layout(), packing.solid) == (Layout::Normal, None) {
            let mut files = Files::new(&self.data, known, grain, progress, cancel);
            if packing.coding.codec.is_none() {
                files = files.weave();
            }
            session.done.stored += session.pack(packing, &mut files, context)?;
            let hashes = files.hashes;
            return Ok(self.with_hashes(hashes));
        }
        let files = Files::new(&self.data, [], grain, progress, cancel);
        let batch = Batch::new(batch_len(threads, packing.coding.chunk_size))?;
        let hashes = share_among(threads, || files.hash(batch))?;
        progress.end(Phase::Write);
        let mut known: HashSet<Sha1Hash> = known.into_iter().map(|(hash, _)| hash).collect();
        let mut new: Vec<usize> =
            (0..hashes.len()).filter(|&index| known.insert(hashes[index])).collect();
        if packing.solid.is_some_and(|solid| solid.order == SolidOrder::Name) {
            new.sort_by_cached_key(|&index| SortKey::of(self.image.name(self.owners[index].0)));
        }
        let packed = self.with_hashes(hashes);
        let new = new.into_iter().map(|index| (packed.data[index].clone(), packed.hashes[index]));
        let new: Vec<(Data, Sha1Hash)> = new.collect();
        for (data, hash) in &new {
            session.draft.announce(*hash, data.len(), 0);
        }
        session.write_data(context, move |session, context| {
            let (data, hashes): (Vec<_>, Vec<_>) = new.into_iter().unzip();
            let Context { progress, cancel, .. } = context;
            let bytes = data.iter().map(Data::len).fold(0, u64::saturating_add);
            progress.begin(Phase::Compress, Amount::new(bytes, data.len() as u64));
            let mut files = Files::again(&data, hashes, grain, progress, cancel);
            session.done.stored += match packing.solid {
                None => session.pack(packing, &mut files, context)?,
                Some(solid) => session.pack_solid(solid, bytes, &mut files, context)?,
            };
            progress.end(Phase::Compress);
            Ok(())
        })?;
        Ok(packed)
    }

    /// The finished tree, now that the hashes of its data are known.
    fn with_hashes(self, hashes: Vec<Sha1Hash>) -> Packed {
        let Self { mut image, data, owners, .. } = self;
        for ((entry, part), &hash) in owners.into_iter().zip(&hashes) {
            let inode = image.inode_mut(entry);
            match part {
                Part::Contents => inode.data = hash,
                Part::ReparsePoint => inode.reparse.hash = hash,
            }
        }
        Packed { image, data, hashes }
    }
}

/// An image whose data is packed, or will be.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) image: ImageBuilder,
    /// What was read, and the hash of each.
    data: Vec<Data>,
    hashes: Vec<Sha1Hash>,
}

impl Packed {
    /// Reads data with this hash once more, up to `max` bytes of it; `None` if none was read before.
    ///
    /// # Errors
    /// It cannot be read, has changed meanwhile, or is too long.
    pub(crate) fn read(&self, hash: &Sha1Hash, max: u64) -> Option<Result<Vec<u8>, Error>> {
        let index = self.hashes.iter().position(|found| found == hash)?;
        let data = self.data.get(index)?;
        Some(require_len(data.len(), max).and_then(|()| data.read()))
    }
}

/// Whether a file is its unnamed data, and no link and not encrypted.
fn is_plain_file(inode: &Inode) -> bool {
    let other =
        FileAttributes::DIRECTORY | FileAttributes::REPARSE_POINT | FileAttributes::ENCRYPTED;
    !inode.attributes.intersects(other)
}

/// The path of an entry of an image, with a slash in front.
fn path_of(image: &ImageBuilder, mut entry: EntryId) -> Vec<u8> {
    let mut names = Vec::new();
    while entry != ImageBuilder::ROOT {
        names.push(image.name(entry).to_wtf8());
        entry = image.parent(entry);
    }
    names.iter().rev().flat_map(|name| [b"/", name.as_slice()].concat()).collect()
}

/// The names on the way to a path in an image.
pub(crate) fn parts(path: &[u8]) -> Vec<&[u8]> {
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    path.split(is_separator).filter(|part| !part.is_empty()).collect()
}

fn name_of(part: &[u8], path: &[u8]) -> Result<Utf16NameBuf, Error> {
    let name = || String::from_utf8_lossy(path).into_owned();
    Utf16NameBuf::from_wtf8(part)
        .map_err(|_| Error::NotUnicode { name: name(), what_to_do: "choose another" })
}

fn in_words(path: &Path, error: BuildError) -> Error {
    Error::Parameter(format!("{}: {error}", path.display()))
}
