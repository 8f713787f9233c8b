//! Writing an archive: beginning one or adding to one, then blobs, images, tables, header.
//!
//! In the pipable layout the images come before the data that they refer to. There
//! [`Session::write_data`] only takes note of what is to be written, and [`Session::finish`] does it
//! when the images are in their place.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use wim_format::Sha1Hash;
use wim_format::header::{Header, HeaderFlags, Layout, Version};
use wim_format::metadata::ImageStats;
use wim_format::resource::ResourceHeader;
use wim_format::xml::{EditError, WimXml};
use wim_format::{Codec, metadata::Metadata};

use super::ahead::{Ahead, InPlace};
use super::execute::{self, Verification};
use super::layout::{Draft, Item};
use super::pack::solid::SolidPacking;
use super::pack::{self, Packing, Supply};
use super::place::{Locked, Output, Place, logical_end};
use super::{Pipable, stream};
use crate::archive::{ImageTree, Wim};
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::{Error, Of};
use crate::export::IntegrityTable;
use crate::hash::sha1;
use crate::integrity;
use crate::pipeline::Threads;
use crate::progress::{Amount, Phase, Progress, Silent};

/// An archive that is being written. Dropped before [`finish`](Self::finish), it leaves the file as
/// it was, or none.
pub(crate) struct Session<'a> {
    /// What copies already. It comes before the file, which cannot be removed everywhere while
    /// somebody writes to it.
    ahead: Option<Ahead>,
    /// What it had copied when it was stopped.
    in_place: InPlace,
    place: Place<'a>,
    pub(crate) draft: Draft,
    pub(crate) xml: WimXml,
    /// Of the finished archive; its tables are filled in at the end.
    pub(crate) header: Header,
    /// What segments are decoded or copied from.
    pub(crate) inputs: Vec<&'a Wim>,
    /// What has been done so far.
    pub(crate) done: Done,
    /// Data that is written behind the images.
    later: Vec<DataJob<'a>>,
    /// What there was before.
    old: Option<&'a Wim>,
    /// Where the new part begins in an archive that something is added to in place.
    behind: Option<u64>,
}

/// Writes some data of an archive.
type DataJob<'a> = Box<dyn FnOnce(&mut Session<'a>, Context<'_>) -> Result<(), Error> + 'a>;

/// What a session has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Done {
    /// Length of the archive in bytes.
    pub(crate) len: u64,
    /// Bytes copied as they were.
    pub(crate) copied: u64,
    /// Bytes decoded.
    pub(crate) decoded: u64,
    /// Uncompressed bytes in copied solid chunks that no image refers to.
    pub(crate) carried: u64,
    /// Bytes of new file data, as they are stored.
    pub(crate) stored: u64,
    /// Whether the file was what it was to be, and so was left alone.
    pub(crate) is_unchanged: bool,
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
        layout: Layout,
        guid: Option<[u8; 16]>,
    ) -> Result<Self, Error> {
        Ok(Self::new(Place::new(path)?, coding, layout, guid))
    }

    /// Begins a new archive that is written to a pipe. It can only be a pipable one, and has no
    /// integrity table.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is to be something else.
    pub(crate) fn stream(
        out: File,
        coding: Coding,
        pipable: Pipable,
        table: IntegrityTable,
        guid: Option<[u8; 16]>,
    ) -> Result<Self, Error> {
        let refuse = |what: &str| {
            let reason = format!("an archive that is written to a pipe {what}; write it to a file");
            Err(Error::Parameter(reason))
        };
        match (pipable, table) {
            (Pipable::No, _) => refuse("cannot have the normal layout"),
            (_, IntegrityTable::Write) => refuse("cannot have an integrity table"),
            _ => Ok(Self::new(Place::pipe(out), coding, Layout::Pipable, guid)),
        }
    }

    fn new(place: Place<'a>, coding: Coding, layout: Layout, guid: Option<[u8; 16]>) -> Self {
        Self {
            ahead: None,
            in_place: InPlace::default(),
            place,
            draft: Draft::new(coding, layout),
            xml: WimXml::new(),
            header: new_header(coding, layout, guid),
            inputs: Vec::new(),
            done: Done::default(),
            later: Vec::new(),
            old: None,
            behind: None,
        }
    }

    /// Begins to add to an archive of the normal layout in place. From now on it is marked as being
    /// written to.
    pub(crate) fn append(old: &'a Locked) -> Result<Self, Error> {
        let wim = &old.wim;
        let start = logical_end(wim)?;
        let place = Place::behind(old)?;
        Ok(Self {
            draft: Draft::behind(start, wim.coding(), wim.parts()[0].blobs.clone()),
            xml: wim.xml().clone(),
            header: unmarked(wim.header()),
            old: Some(wim),
            behind: Some(start),
            ..Self::new(place, wim.coding(), Layout::Normal, None)
        })
    }

    /// Begins a new file that takes the place of an archive. Nothing is taken over but its XML and
    /// header.
    pub(crate) fn rebuild(old: &'a Locked, coding: Coding, layout: Layout) -> Result<Self, Error> {
        let wim = &old.wim;
        let header = Header { layout, ..unmarked(wim.header()) };
        Ok(Self {
            xml: wim.xml().clone(),
            header: if coding == wim.coding() { header } else { recoded(header, coding) },
            old: Some(wim),
            ..Self::new(Place::new(old.path())?, coding, layout, None)
        })
    }

    /// Begins to copy the data of the archive that is written anew, before it is known how much of it
    /// stays: for who will keep most of it as it is. Gives the threads that are left: on two cores, one
    /// that copies and two that decode would only take turns.
    pub(crate) fn copy_ahead(&mut self, context: Context<'_>) -> Threads {
        let Context { threads, cancel, .. } = context;
        let layouts = self.old.map(|old| (old.header().layout, self.draft.layout()));
        if threads == Threads::ONE || layouts != Some((Layout::Normal, Layout::Normal)) {
            return threads;
        }
        if let (Place::New(file), Some(old)) = (&self.place, self.old) {
            self.ahead = Ahead::begin(old, file, cancel);
        }
        if self.ahead.is_some() { Threads::new(threads.get() - 1) } else { threads }
    }

    /// What the file is or will be called.
    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Writes data that was announced: now, or where the layout has it behind the images.
    pub(crate) fn write_data(
        &mut self,
        context: Context<'_>,
        job: impl FnOnce(&mut Self, Context<'_>) -> Result<(), Error> + 'a,
    ) -> Result<(), Error> {
        match self.draft.layout() {
            Layout::Normal => job(self, context),
            Layout::Pipable => {
                self.later.push(Box::new(job));
                Ok(())
            }
        }
    }

    /// Compresses blobs behind what is laid out so far, and enters them. Returns the bytes written.
    pub(crate) fn pack(
        &mut self,
        packing: Packing,
        supply: &mut dyn Supply,
        context: Context<'_>,
    ) -> Result<u64, Error> {
        let Context { threads, progress, cancel } = context;
        self.stop_copying();
        let out = self.place.output();
        if let Output::Pipe(pipe) = out {
            let (segments, sources) = (self.draft.segments(), self.draft.sources());
            stream::write(segments, sources, pipe.at(), out, &Silent, cancel)?;
        }
        pack::pack(&mut self.draft, packing, supply, pack::Run { out, threads, progress, cancel })
    }

    /// Compresses blobs, `size` bytes together, into one solid resource behind what is laid out so far,
    /// and enters them. Returns the bytes written.
    pub(crate) fn pack_solid(
        &mut self,
        packing: SolidPacking,
        size: u64,
        supply: &mut dyn Supply,
        context: Context<'_>,
    ) -> Result<u64, Error> {
        let Context { threads, progress, cancel } = context;
        self.stop_copying();
        let out = self.place.output();
        let run = pack::Run { out, threads, progress, cancel };
        pack::solid::pack_solid(&mut self.draft, packing, size, supply, run)
    }

    /// Before anything else writes to the file.
    fn stop_copying(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            self.in_place = ahead.stop();
        }
    }

    /// Compresses the metadata of an image, which is then entered in the draft.
    pub(crate) fn pack_metadata(
        &self,
        packing: Packing,
        metadata: &[u8],
        threads: Threads,
    ) -> Result<Item, Error> {
        pack::pack_bytes(packing, metadata, sha1(metadata), self.draft.layout(), threads)
    }

    /// Writes what is laid out, makes it durable, and makes the file what it is to be. An archive that is that
    /// already is left alone, unless its data is to be checked.
    pub(crate) fn finish(
        mut self,
        table: IntegrityTable,
        verification: Verification,
        context: Context<'_>,
    ) -> Result<Done, Error> {
        let Context { threads, progress, cancel } = context;
        let piece_size = match self.old {
            Some(old) => integrity::wanted_piece_size(&old.parts()[0], table, progress),
            None => integrity::new_piece_size(table),
        };
        if self.draft.layout() == Layout::Pipable {
            self.draft.open(&self.header, &self.xml);
        }
        for job in std::mem::take(&mut self.later) {
            job(&mut self, context)?;
        }
        self.stop_copying();
        let Self { in_place, place, draft, xml, mut header, inputs, done, old, behind, .. } = self;
        if draft.has_solid() {
            header.version = Version::Solid;
        }
        let mut drafted = draft.finish(header, xml, piece_size)?;
        if let (Some(old), Some(start)) = (old, behind) {
            drafted.keep(old, start)?;
        }
        let len = drafted.len();
        let is_same = |old: &Wim| behind.is_none() && drafted.is(&old.parts()[0].source);
        if verification == Verification::Trust && old.is_some_and(is_same) {
            return Ok(Done { len, is_unchanged: true, ..Done::default() });
        }
        place.require_space(len.saturating_sub(in_place.len()))?;
        place.cut(len)?;
        drafted.in_place = in_place;
        place.reserve(drafted.to_reserve())?;
        let job = execute::Job { inputs, drafted: &drafted, threads, verification };
        match place.output() {
            Output::File(file, name) => execute::write(&job, file, name, progress, cancel)?,
            // A session writes one file.
            Output::Parts(_) => {}
            out @ Output::Pipe(pipe) => {
                execute::check(&job, progress, cancel)?;
                progress.begin(Phase::Write, Amount::new(len - pipe.at(), 0));
                let (segments, sources) = (&drafted.segments, &drafted.sources);
                stream::write(segments, sources, pipe.at(), out, progress, cancel)?;
                progress.end(Phase::Write);
            }
        }
        place.commit(&drafted)?;
        Ok(Done { len, ..done })
    }
}

/// The header of a new archive.
pub(crate) fn new_header(coding: Coding, layout: Layout, guid: Option<[u8; 16]>) -> Header {
    let header = Header {
        layout,
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
pub(crate) fn recoded(mut header: Header, coding: Coding) -> Header {
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
