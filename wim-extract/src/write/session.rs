//! Writing an archive: beginning one or adding to one, then blobs, images, tables, header.

use std::path::Path;

use bytes::Bytes;
use wim_format::Sha1Hash;
use wim_format::header::{Header, HeaderFlags, Layout, Version};
use wim_format::metadata::ImageStats;
use wim_format::resource::ResourceHeader;
use wim_format::xml::{EditError, WimXml};
use wim_format::{Codec, metadata::Metadata};

use super::execute::{self, Verification};
use super::layout::Draft;
use super::pack::{self, Packing, Supply};
use super::place::{Locked, Place, logical_end};
use crate::archive::{ImageTree, Wim};
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::{Error, Of};
use crate::export::IntegrityTable;
use crate::hash::sha1;
use crate::integrity;
use crate::pipeline::Threads;
use crate::progress::Progress;

/// An archive that is being written. Dropped before [`finish`](Self::finish), it leaves the file as
/// it was, or none.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    place: Place<'a>,
    pub(crate) draft: Draft,
    pub(crate) xml: WimXml,
    /// Of the finished archive; its tables are filled in at the end.
    pub(crate) header: Header,
    /// What segments are decoded or copied from.
    pub(crate) inputs: Vec<&'a Wim>,
    /// What there was before.
    old: Option<&'a Wim>,
    /// Where the new part begins in an archive that something is added to in place.
    behind: Option<u64>,
}

/// What all steps of an operation share.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) threads: Threads,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

impl<'a> Session<'a> {
    /// Begins a new archive.
    pub(crate) fn create(
        path: &Path,
        coding: Coding,
        guid: Option<[u8; 16]>,
    ) -> Result<Self, Error> {
        Ok(Self {
            place: Place::new(path)?,
            draft: Draft::new(coding),
            xml: WimXml::new(),
            header: new_header(coding, guid),
            inputs: Vec::new(),
            old: None,
            behind: None,
        })
    }

    /// Begins to add to an archive in place. From now on it is marked as being written to.
    pub(crate) fn append(old: &'a Locked) -> Result<Self, Error> {
        let wim = &old.wim;
        if wim.header().layout == Layout::Pipable {
            return Err(Error::Unsupported(format!(
                "{}: is a pipable archive, to which nothing can be appended; make a normal archive \
                 of it with --rebuild --not-pipable, or choose another destination",
                wim.name()
            )));
        }
        let start = logical_end(wim);
        Ok(Self {
            place: Place::behind(old)?,
            draft: Draft::behind(start, wim.coding(), wim.parts()[0].blobs.clone()),
            xml: wim.xml().clone(),
            header: unmarked(wim.header()),
            inputs: Vec::new(),
            old: Some(wim),
            behind: Some(start),
        })
    }

    /// Begins a new file that takes the place of an archive. Nothing is taken over but its XML and
    /// header.
    pub(crate) fn rebuild(old: &'a Locked, coding: Coding) -> Result<Self, Error> {
        let wim = &old.wim;
        let header = Header { layout: Layout::Normal, ..unmarked(wim.header()) };
        Ok(Self {
            place: Place::new(old.path())?,
            draft: Draft::new(coding),
            xml: wim.xml().clone(),
            header: if coding == wim.coding() { header } else { recoded(header, coding) },
            inputs: Vec::new(),
            old: Some(wim),
            behind: None,
        })
    }

    /// What the file is or will be called.
    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Compresses blobs behind what is laid out so far, and enters them. Returns the bytes written.
    pub(crate) fn pack(
        &mut self,
        packing: Packing,
        supply: &mut dyn Supply,
        context: Context<'_>,
    ) -> Result<u64, Error> {
        let Context { threads, progress, cancel } = context;
        let (file, name) = (self.place.file(), self.place.path());
        let run = pack::Run { file, name, threads, progress, cancel };
        pack::pack(&mut self.draft, packing, supply, run)
    }

    /// Compresses the metadata of the next image, and enters it.
    pub(crate) fn add_metadata(
        &mut self,
        packing: Packing,
        metadata: &[u8],
        threads: Threads,
    ) -> Result<(), Error> {
        let place = self.pack_metadata(packing, metadata, threads)?;
        self.draft.enter_metadata(place, sha1(metadata));
        Ok(())
    }

    /// Compresses new metadata of image `index`, and enters it in place of the old.
    pub(crate) fn replace_metadata(
        &mut self,
        packing: Packing,
        index: u32,
        metadata: &[u8],
        threads: Threads,
    ) -> Result<(), Error> {
        let place = self.pack_metadata(packing, metadata, threads)?;
        self.draft.replace_metadata(index, place, sha1(metadata));
        Ok(())
    }

    /// Compresses the metadata of image `index`, and enters it in front of those behind it.
    pub(crate) fn insert_metadata(
        &mut self,
        packing: Packing,
        index: u32,
        metadata: &[u8],
        threads: Threads,
    ) -> Result<(), Error> {
        let place = self.pack_metadata(packing, metadata, threads)?;
        self.draft.insert_metadata(index, place, sha1(metadata));
        Ok(())
    }

    fn pack_metadata(
        &mut self,
        packing: Packing,
        metadata: &[u8],
        threads: Threads,
    ) -> Result<ResourceHeader, Error> {
        let packed = pack::pack_bytes(packing, metadata, threads)?;
        Ok(packed.add_to(&mut self.draft, metadata.len() as u64))
    }

    /// Writes what is laid out, makes it durable, and makes the file what it is to be. Returns its
    /// length.
    pub(crate) fn finish(
        self,
        table: IntegrityTable,
        verification: Verification,
        context: Context<'_>,
    ) -> Result<u64, Error> {
        let Context { threads, progress, cancel } = context;
        let piece_size = match self.old {
            Some(old) => integrity::wanted_piece_size(&old.parts()[0], table)?,
            None => integrity::new_piece_size(table),
        };
        let Self { place, draft, xml, mut header, inputs, old, behind } = self;
        if draft.has_solid() {
            header.version = Version::Solid;
        }
        let mut drafted = draft.finish(header, xml, piece_size)?;
        if let (Some(old), Some(start)) = (old, behind) {
            drafted.keep(old, start)?;
        }
        place.require_space(drafted.len())?;
        place.reserve(drafted.to_reserve())?;
        let job = execute::Job { inputs, drafted: &drafted, threads, verification };
        execute::write(&job, place.file(), place.path(), progress, cancel)?;
        let len = drafted.len();
        place.commit(&drafted)?;
        Ok(len)
    }
}

/// The header of a new archive.
pub(crate) fn new_header(coding: Coding, guid: Option<[u8; 16]>) -> Header {
    let header = Header {
        layout: Layout::Normal,
        version: Version::Normal,
        flags: HeaderFlags::empty(),
        chunk_size: 0,
        guid: guid.unwrap_or_else(|| uuid::Uuid::new_v4().into_bytes()),
        part_number: 1,
        total_parts: 1,
        image_count: 0,
        blob_table: ResourceHeader::default(),
        xml: ResourceHeader::default(),
        boot_metadata: ResourceHeader::default(),
        integrity: ResourceHeader::default(),
        boot_index: 0,
    };
    recoded(header, coding)
}

/// The header of the same archive compressed in another way.
fn recoded(mut header: Header, coding: Coding) -> Header {
    header.flags -= HeaderFlags::METHODS;
    header.flags |= HeaderFlags::of_codec(coding.codec);
    header.chunk_size = coding.chunk_size;
    header.version =
        if coding.codec == Some(Codec::Lzms) { Version::Solid } else { Version::Normal };
    header
}

fn unmarked(header: &Header) -> Header {
    let flags = header.flags - HeaderFlags::WRITE_IN_PROGRESS;
    Header { flags, ..header.clone() }
}

/// Counts the references of an image to the blobs of `draft`. Returns what there is to say of the
/// image.
///
/// # Errors
/// The metadata is malformed, or refers to a blob that is neither in `draft` nor `elsewhere`.
pub(crate) fn count_references(
    draft: &mut Draft,
    metadata: &Bytes,
    index: u32,
    file: &Path,
    elsewhere: &dyn Fn(&Sha1Hash) -> Option<u64>,
) -> Result<ImageStats, Error> {
    let file = || file.display().to_string();
    let tree = Metadata::parse(metadata).map_err(|source| Error::Malformed {
        file: file(),
        of: Of::Image(index),
        source,
    })?;
    for id in tree.ids() {
        for stream in tree.dentry(id).streams() {
            let hash = stream.hash;
            if !hash.is_zero() && !draft.share(&hash, 1) && elsewhere(&hash).is_none() {
                let path = String::from_utf8_lossy(&tree.path(id)).into_owned();
                let path = Some(format!("image {index}: {path}"));
                return Err(Error::MissingBlob { file: file(), path, hash });
            }
        }
    }
    Ok(tree.stats(|hash| draft.size_of(hash).or_else(|| elsewhere(hash))))
}

/// Takes the references of an image to the blobs of `draft` back.
pub(crate) fn release_references(draft: &mut Draft, tree: &ImageTree) {
    for id in tree.ids() {
        tree.dentry(id).streams().for_each(|stream| draft.release(&stream.hash));
    }
}

/// The error of what XML cannot hold.
pub(crate) fn parameter(error: EditError) -> Error {
    Error::Parameter(error.to_string())
}

/// Enters what an image counts up to.
///
/// # Errors
/// There is no such image in the XML.
pub(crate) fn set_counts(
    xml: &mut WimXml,
    index: u32,
    stats: &ImageStats,
) -> Result<(), EditError> {
    for (property, count) in [
        ("DIRCOUNT", stats.dir_count),
        ("FILECOUNT", stats.file_count),
        ("TOTALBYTES", stats.total_bytes),
        ("HARDLINKBYTES", stats.hard_link_bytes),
    ] {
        let count = count.to_string();
        if xml.property(index, property)?.as_deref().map(str::trim) != Some(&count) {
            xml.set_property(index, property, &count)?;
        }
    }
    Ok(())
}
