//! What was found as an image, and the data that it needs.

use std::collections::HashMap;
use std::path::PathBuf;

use wim_format::Sha1Hash;
use wim_format::metadata::{BuildError, EntryId, ImageBuilder};

use super::files::Data;
use super::scan::{FileData, Found, Kind};
use crate::error::Error;
use crate::progress::Amount;

/// An image whose data is not read yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) image: ImageBuilder,
    /// What its files hold, in the order in which it is to be read.
    pub(super) data: Vec<Data>,
    /// For each of `data`, what has it.
    owners: Vec<(EntryId, Part)>,
    /// Files with several names, by device and inode.
    linked: HashMap<(u64, u64), EntryId>,
}

/// What part of a file data is.
#[derive(Debug, Clone, Copy)]
enum Part {
    Contents,
    ReparsePoint,
}

impl Pending {
    /// Data goes into this image.
    pub(super) fn new(image: ImageBuilder) -> Self {
        Self { image, data: Vec::new(), owners: Vec::new(), linked: HashMap::new() }
    }

    /// Adds what was found, with all below it, to a directory.
    ///
    /// # Errors
    /// A name that no image can hold, or more depth than one can have.
    pub(super) fn add(&mut self, parent: EntryId, found: Found) -> Result<(), Error> {
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

    fn add_file(&mut self, entry: EntryId, path: PathBuf, data: FileData) {
        if let Some(linked) = data.linked {
            self.linked.insert(linked, entry);
        }
        if data.stamp.size > 0 {
            self.owners.push((entry, Part::Contents));
            self.data.push(Data::File(path, data.stamp));
        }
    }

    /// How much data it is.
    pub(super) fn amount(&self) -> Amount {
        let bytes = self.data.iter().map(Data::len).fold(0, u64::saturating_add);
        Amount::new(bytes, self.data.len() as u64)
    }

    /// The image, now that the hashes of its data are known.
    pub(super) fn with_hashes(mut self, hashes: Vec<Sha1Hash>) -> ImageBuilder {
        for ((entry, part), hash) in self.owners.into_iter().zip(hashes) {
            let inode = self.image.inode_mut(entry);
            match part {
                Part::Contents => inode.data = hash,
                Part::ReparsePoint => inode.reparse.hash = hash,
            }
        }
        self.image
    }
}

fn in_words(path: &std::path::Path, error: BuildError) -> Error {
    Error::Parameter(format!("{}: {error}", path.display()))
}
