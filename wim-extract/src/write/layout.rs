//! Where everything goes in an archive to be written.
//!
//! ```text
//! normal    header' | data            | images | blob table | XML | integrity
//! pipable   header  | [XML] [images]  | [data] | [blob table] [XML] | integrity | header'
//! ```
//!
//! `header'` is the one that knows where the tables are; `[ ]` is a resource with a blob header in
//! front, so that a reader that cannot seek knows what comes. Both layouts are made of the same
//! [`Item`]s; they differ in what stands around an item, and in when the images are placed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wim_format::blob_table::{Blob, BlobPlace, BlobTable, MetadataEntry, SolidResource};
use wim_format::header::{HEADER_LEN, Header, Layout};
use wim_format::integrity::covered_ranges;
use wim_format::resource::{BLOB_HEADER_LEN, BlobHeader, ResourceFlags, ResourceHeader};
use wim_format::xml::WimXml;
use wim_format::{FormatError, Sha1Hash, Structure};

use super::ahead::InPlace;
use super::parts;
use crate::archive::{BlobId, Index, Wim};
use crate::blob::Coding;
use crate::error::{Error, Of};
use crate::hash::sha1;
use crate::integrity;
use crate::source::Source;

/// No file is longer; it leaves room for sums.
const MAX_LEN: u64 = 1 << 60;

/// A piece of the output.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// A range of a source.
    Copy {
        /// Index among [`Drafted::sources`].
        source: usize,
        offset: u64,
        len: u64,
    },
    /// These bytes.
    Literal(Bytes),
    /// The decoded bytes of a blob.
    Decoded {
        /// Index among the inputs, and the blob.
        input: usize,
        blob: BlobId,
        len: u64,
    },
    /// Bytes that are in the file already.
    Written { len: u64 },
    /// The integrity table, which is computed while the rest is written.
    Integrity { len: u64 },
}

impl Segment {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Copy { len, .. }
            | Self::Decoded { len, .. }
            | Self::Written { len }
            | Self::Integrity { len } => *len,
            Self::Literal(bytes) => bytes.len() as u64,
        }
    }
}

/// A resource that is ready, but has no place yet.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Of the bytes after decompression.
    pub(crate) hash: Sha1Hash,
    pub(crate) flags: ResourceFlags,
    pub(crate) uncompressed_size: u64,
    /// Its bytes as they are stored.
    pub(crate) segments: Vec<Segment>,
}

impl Item {
    /// These bytes as they are.
    pub(crate) fn stored(bytes: Bytes, hash: Sha1Hash, flags: ResourceFlags) -> Self {
        let uncompressed_size = bytes.len() as u64;
        Self { hash, flags, uncompressed_size, segments: vec![Segment::Literal(bytes)] }
    }

    /// Bytes in the file.
    pub(crate) fn len(&self) -> u64 {
        self.segments.iter().map(Segment::len).fold(0, u64::saturating_add)
    }
}

/// The metadata of an image.
#[derive(Debug)]
enum Image {
    Placed(MetadataEntry),
    /// It is placed with the others: behind the data, or in front of it.
    Pending(Item),
}

/// A finished layout.
#[derive(Debug)]
pub(crate) struct Drafted {
    /// The files that segments are copied from.
    pub(crate) sources: Vec<Arc<dyn Source>>,
    /// In the order of the output, without gaps from `start` on; each with its offset.
    pub(crate) segments: Vec<(u64, Segment)>,
    /// The final header.
    pub(crate) header: Header,
    /// Bytes of each piece that the integrity table covers.
    pub(crate) piece_size: Option<u32>,
    /// What is in the file already, between the header and the first segment.
    pub(crate) before: Option<Segment>,
    /// Hashes of pieces that are known already.
    pub(crate) known_pieces: HashMap<Range<u64>, Sha1Hash>,
    /// The blobs that are written, each with its input.
    pub(crate) blobs: Vec<(usize, BlobId)>,
    /// What need not be copied any more.
    pub(crate) in_place: InPlace,
    len: u64,
}

impl Drafted {
    /// The blobs that have to be decoded: place in the output, input, blob.
    pub(crate) fn decoded(&self) -> impl Iterator<Item = (u64, usize, BlobId)> {
        self.segments.iter().filter_map(|(at, segment)| match segment {
            Segment::Decoded { input, blob, .. } => Some((*at, *input, *blob)),
            _ => None,
        })
    }

    /// Whether all that the integrity table covers can be read before it is written.
    pub(crate) fn is_known(&self) -> bool {
        let unknown = |(_, segment): &(u64, Segment)| {
            matches!(segment, Segment::Decoded { .. } | Segment::Written { .. })
        };
        !self.segments.iter().any(unknown)
    }

    /// Bytes to set aside on the disk before the first is written. None where all is copied: the
    /// file system may share those blocks, and btrfs would keep the ones set aside beside them.
    pub(crate) fn to_reserve(&self) -> u64 {
        if self.is_known() { 0 } else { self.len() }
    }

    /// Makes use of what is there already of the file that this is added to: what is hashed of its
    /// old part, and what has to be read to hash the rest.
    pub(crate) fn keep(&mut self, old: &Wim, start: u64) -> Result<(), Error> {
        let Some(piece_size) = self.piece_size else { return Ok(()) };
        let part = &old.parts()[0];
        let pieces = integrity::pieces(part).unwrap_or_default().unwrap_or_default();
        let whole = |range: &Range<u64>| range.end - range.start == u64::from(piece_size);
        self.known_pieces = pieces.into_iter().filter(|(range, _)| whole(range)).collect();
        let source = self.sources.len();
        self.sources.push(Arc::clone(&part.source));
        let offset = HEADER_LEN as u64;
        let before = Segment::Copy { source, offset, len: start - offset };
        self.before = Some(before);
        Ok(())
    }

    /// Whether `source` is this file already, byte for byte. What is known only when it is written counts as
    /// different.
    pub(crate) fn is(&self, source: &Arc<dyn Source>) -> bool {
        let has = |at: u64, bytes: &[u8]| {
            source.bytes(at, bytes.len()).is_ok_and(|found| found[..] == *bytes)
        };
        source.len() == self.len
            && self.before.is_none()
            && self.head().is_some_and(|head| has(0, &head))
            && self.segments.iter().all(|&(at, ref segment)| match segment {
                Segment::Copy { source: from, offset, .. } => {
                    *offset == at && Arc::ptr_eq(&self.sources[*from], source)
                }
                Segment::Literal(bytes) => has(at, bytes),
                Segment::Decoded { .. } | Segment::Written { .. } | Segment::Integrity { .. } => {
                    false
                }
            })
    }

    /// Length of the whole file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// What goes to the start of the file when all the rest is written: the final header, unless it
    /// is at the end, among the segments.
    pub(crate) fn head(&self) -> Option<[u8; HEADER_LEN]> {
        (self.header.layout == Layout::Normal).then(|| self.header.to_bytes())
    }

    /// End of what the integrity table covers.
    pub(crate) fn covered_end(&self) -> u64 {
        self.header.blob_table.offset + self.header.blob_table.size
    }
}

/// What is being laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An archive of its own.
    Archive,
    /// This part of a split set.
    Part(u16),
    /// The data of all parts of a split set, in the space of addresses of [`parts`]: resources of up to
    /// so many bytes in each, or one that is longer; in the first no more than `first` bytes.
    Parts { most: u64, first: u64 },
}

/// A layout in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    coding: Coding,
    layout: Layout,
    kind: Kind,
    /// Whether the part at hand, where there are parts, holds something.
    is_begun: bool,
    sources: Vec<Arc<dyn Source>>,
    segments: Vec<(u64, Segment)>,
    at: u64,
    inputs: usize,
    blobs: Vec<(usize, BlobId)>,
    images: Vec<Image>,
    /// Without the metadata, which is in `images`.
    table: BlobTable,
    /// Where in `table` a blob is. Its ids count the blobs there.
    known: Index,
}

impl Draft {
    /// A layout of a new file. A pipable one begins with [`open`](Self::open).
    pub(crate) fn new(coding: Coding, layout: Layout) -> Self {
        let start = match layout {
            Layout::Normal => HEADER_LEN as u64,
            Layout::Pipable => 0,
        };
        Self { layout, ..Self::behind(start, coding, BlobTable::default()) }
    }

    /// A layout of one part of a split set; the first is number 1. It takes no solid resources.
    pub(crate) fn of_part(number: u16, coding: Coding, layout: Layout) -> Self {
        Self { kind: Kind::Part(number), ..Self::new(coding, layout) }
    }

    /// A layout of the data of all parts of a split set, whose resources take up to `most` bytes in each;
    /// the metadata takes `metadata` of those of the first.
    pub(crate) fn of_parts(most: u64, metadata: u64, coding: Coding) -> Self {
        let first = most.saturating_sub(metadata);
        let at = HEADER_LEN as u64;
        let kind = Kind::Parts { most, first };
        Self { kind, at, is_begun: metadata > 0, ..Self::new(coding, Layout::Normal) }
    }

    /// A layout of what is added at `at` to a file of the normal layout with these blobs.
    pub(crate) fn behind(at: u64, coding: Coding, mut table: BlobTable) -> Self {
        let known = Index::of(&table.blobs);
        let images = std::mem::take(&mut table.metadata).into_iter().map(Image::Placed);
        Self {
            images: images.collect(),
            coding,
            layout: Layout::Normal,
            kind: Kind::Archive,
            is_begun: false,
            sources: Vec::new(),
            segments: Vec::new(),
            at,
            inputs: 0,
            blobs: Vec::new(),
            table,
            known,
        }
    }

    /// What resources look like, unless they are solid.
    pub(crate) fn coding(&self) -> Coding {
        self.coding
    }

    /// What stands where.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether solid resources may be copied; else what is in them has to be decoded.
    pub(crate) fn takes_solid(&self) -> bool {
        self.coding.codec.is_some() && self.kind == Kind::Archive && self.layout == Layout::Normal
    }

    /// Where the next segment goes.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Sees to it that a resource of `len` bytes may come next: where there are parts and it does not
    /// fit the one at hand, the next one begins. Gives where, if so.
    pub(crate) fn make_room(&mut self, len: u64) -> Option<u64> {
        let Kind::Parts { most, first } = self.kind else { return None };
        let (part, offset) = parts::split(self.at);
        let room = if part == 0 { first } else { most };
        let is_full = self.is_begun && (offset - HEADER_LEN as u64).saturating_add(len) > room;
        self.is_begun = true;
        if !is_full {
            return None;
        }
        self.at = parts::start(part + 1).saturating_add(HEADER_LEN as u64);
        Some(self.at)
    }

    /// The blobs of each part, placed in it, and where its data ends.
    pub(crate) fn into_parts(self) -> Vec<(Vec<Blob>, u64)> {
        let (last, _) = parts::split(self.at);
        let mut all = vec![(Vec::new(), HEADER_LEN as u64); last + 1];
        for blob in self.table.blobs {
            let BlobPlace::Resource(resource) = blob.place else { continue };
            let (part, offset) = parts::split(resource.offset);
            let Some((blobs, end)) = all.get_mut(part) else { continue };
            let resource = ResourceHeader { offset, ..resource };
            *end = resource.end().max(*end);
            blobs.push(Blob { place: BlobPlace::Resource(resource), ..blob });
        }
        all
    }

    /// Bytes of the metadata that has no place yet.
    pub(crate) fn pending_len(&self) -> u64 {
        let pending = self.images.iter().map(|image| match image {
            Image::Placed(_) => 0,
            Image::Pending(item) => item.len(),
        });
        pending.fold(0, u64::saturating_add)
    }

    /// Whether there are solid resources.
    pub(crate) fn has_solid(&self) -> bool {
        !self.table.solid.is_empty()
    }

    /// How many solid resources there are.
    pub(crate) fn solid_count(&self) -> usize {
        self.table.solid.len()
    }

    /// Adds an input with these files. Gives its number, and the index of its first file for
    /// [`Segment::Copy`].
    pub(crate) fn add_input(
        &mut self,
        sources: impl IntoIterator<Item = Arc<dyn Source>>,
    ) -> (usize, usize) {
        let first_source = self.sources.len();
        self.sources.extend(sources);
        self.inputs += 1;
        (self.inputs - 1, first_source)
    }

    /// Where in the table a blob is.
    fn find(&self, hash: &Sha1Hash) -> Option<usize> {
        let found = self.known.find(hash, |id| self.table.blobs[id.index()].hash);
        found.map(BlobId::index)
    }

    /// Counts `references` more to a blob that is there already; `false` when it is not.
    pub(crate) fn share(&mut self, hash: &Sha1Hash, references: u32) -> bool {
        let Some(known) = self.find(hash) else { return false };
        let blob = &mut self.table.blobs[known];
        blob.refcount = blob.refcount.saturating_add(references);
        true
    }

    /// Hash and size of every blob that is there already.
    pub(crate) fn known(&self) -> impl Iterator<Item = (Sha1Hash, u64)> {
        self.table.blobs.iter().map(|blob| (blob.hash, blob.size))
    }

    /// Size of a blob that is there already.
    pub(crate) fn size_of(&self, hash: &Sha1Hash) -> Option<u64> {
        self.find(hash).map(|known| self.table.blobs[known].size)
    }

    /// Says that a blob will be there: images that refer to it may come first.
    pub(crate) fn announce(&mut self, hash: Sha1Hash, size: u64, refcount: u32) {
        let place = BlobPlace::Resource(ResourceHeader::default());
        self.enter(Blob { hash, size, refcount, part_number: 1, place }, None);
    }

    /// Whether a blob was announced, and neither placed nor dropped since.
    pub(crate) fn awaits(&self, hash: &Sha1Hash) -> bool {
        let nowhere = BlobPlace::Resource(ResourceHeader::default());
        self.find(hash).is_some_and(|known| self.table.blobs[known].place == nowhere)
    }

    /// Enters a blob in the blob table. If it comes from an input, `origin` says which one it is
    /// there.
    pub(crate) fn enter(&mut self, blob: Blob, origin: Option<(usize, BlobId)>) {
        self.blobs.extend(origin);
        if let Some(announced) = self.find(&blob.hash) {
            self.table.blobs[announced].place = blob.place;
            return;
        }
        let part_number = match self.kind {
            Kind::Archive | Kind::Parts { .. } => 1,
            Kind::Part(number) => number,
        };
        self.table.blobs.push(Blob { part_number, ..blob });
        let Self { known, table, .. } = self;
        // There is no memory for 2^32 blobs.
        let id = BlobId::at((table.blobs.len() - 1) as u32);
        known.insert(&blob.hash, id, |id| table.blobs[id.index()].hash);
    }

    /// Enters a solid resource in the blob table; gives its index for [`BlobPlace::Solid`].
    pub(crate) fn enter_solid(&mut self, solid: SolidResource) -> usize {
        self.table.solid.push(solid);
        self.table.solid.len() - 1
    }

    /// Adds the metadata of the next image.
    pub(crate) fn add_image(&mut self, metadata: Item) {
        self.images.push(Image::Pending(metadata));
    }

    /// Replaces the metadata of image `index`, which counts from 1.
    pub(crate) fn replace_image(&mut self, index: u32, metadata: Item) {
        self.images[index as usize - 1] = Image::Pending(metadata);
    }

    /// Adds the metadata of image `index`, which counts from 1; the images behind it move up.
    pub(crate) fn insert_image(&mut self, index: u32, metadata: Item) {
        self.images.insert(index as usize - 1, Image::Pending(metadata));
    }

    /// Puts the images into another order: `order` has the index of each, counted from 1.
    pub(crate) fn reorder_images(&mut self, order: &[u32]) {
        let mut images: Vec<_> = self.images.drain(..).map(Some).collect();
        let taken = order.iter().filter_map(|&index| images[index as usize - 1].take());
        self.images = taken.collect();
    }

    /// Removes the metadata of image `index`, which counts from 1.
    pub(crate) fn remove_image(&mut self, index: u32) {
        self.images.remove(index as usize - 1);
    }

    /// Counts one reference less to a blob.
    pub(crate) fn release(&mut self, hash: &Sha1Hash) {
        if let Some(known) = self.find(hash) {
            let blob = &mut self.table.blobs[known];
            blob.refcount = blob.refcount.saturating_sub(1);
        }
    }

    /// Takes blobs out of the table that nothing refers to any more, as the last thing before
    /// [`finish`](Self::finish).
    pub(crate) fn drop_unreferenced(&mut self) {
        self.table.blobs.retain(|blob| blob.refcount > 0);
        self.known = Index::of(&self.table.blobs);
    }

    /// Begins a pipable file, now that all is known of its images: a header that does not know where
    /// the tables are, the XML, the images. All parts of a split set speak of all images.
    pub(crate) fn open(&mut self, header: &Header, xml: &WimXml) {
        let image_count = match self.kind {
            Kind::Archive => self.images.len() as u32,
            Kind::Part(_) | Kind::Parts { .. } => header.image_count,
        };
        let header = Header {
            image_count,
            blob_table: ResourceHeader::default(),
            xml: ResourceHeader::default(),
            boot_metadata: ResourceHeader::default(),
            integrity: ResourceHeader::default(),
            ..header.clone()
        };
        self.literal(Bytes::copy_from_slice(&header.to_bytes()));
        let mut xml = xml.clone();
        xml.remove_total_bytes();
        self.place_table(xml.to_bytes().into());
        self.place_images();
    }

    /// Places the metadata of the images that have none yet.
    fn place_images(&mut self) {
        let images = std::mem::take(&mut self.images).into_iter().map(|image| match image {
            Image::Placed(entry) => Image::Placed(entry),
            Image::Pending(mut item) => {
                item.flags |= ResourceFlags::METADATA;
                let hash = item.hash;
                Image::Placed(MetadataEntry { resource: self.place(item), hash })
            }
        });
        self.images = images.collect();
    }

    /// Adds the tables, and fills in `header`. With `piece_size` there is an integrity table.
    pub(crate) fn finish(
        self,
        mut header: Header,
        mut xml: WimXml,
        piece_size: Option<u32>,
    ) -> Result<Drafted, Error> {
        header.image_count = self.images.len() as u32;
        let xml = |at| {
            xml.set_total_bytes(at);
            xml.to_bytes().into()
        };
        self.close(header, xml, piece_size)
    }

    /// Like [`finish`](Self::finish), for a part of a split set: all parts have the same XML
    /// document, and the number of images that `header` has already.
    pub(crate) fn finish_part(
        self,
        header: Header,
        xml: Bytes,
        piece_size: Option<u32>,
    ) -> Result<Drafted, Error> {
        self.close(header, |_| xml, piece_size)
    }

    /// Adds the tables; `xml` gives the document for the place where it begins.
    fn close(
        mut self,
        mut header: Header,
        xml: impl FnOnce(u64) -> Bytes,
        piece_size: Option<u32>,
    ) -> Result<Drafted, Error> {
        let too_large =
            |source| Error::Malformed { file: "the destination".to_owned(), of: Of::File, source };
        self.place_images();
        // Sizes that a malicious source claims for its blobs may add up to anything.
        if self.at > MAX_LEN {
            return Err(too_large(FormatError::TooLarge {
                structure: Structure::BlobTable,
                found: self.at,
                expected: "less than 2^60 bytes in all",
            }));
        }
        let metadata = self.images.iter().filter_map(|image| match image {
            Image::Placed(entry) => Some(*entry),
            Image::Pending(_) => None,
        });
        self.table.metadata = metadata.collect();
        let boot = header.boot_image().and_then(|boot| self.table.metadata.get(boot as usize - 1));
        header.boot_metadata = boot.map(|entry| entry.resource).unwrap_or_default();
        let table = self.table.to_bytes().map_err(too_large)?;
        header.blob_table = self.place_table(table.into());
        let xml = xml(self.at + self.blob_header_len());
        header.xml = self.place_table(xml);
        header.integrity = ResourceHeader::default();
        let covered_end = header.blob_table.offset + header.blob_table.size;
        // A file without a blob table has no integrity table either.
        let piece_size = piece_size.filter(|_| header.blob_table.size > 0);
        if let Some(piece_size) = piece_size {
            let len = 12 + 20 * covered_ranges(covered_end, piece_size).count() as u64;
            header.integrity = self.stored(len, ResourceFlags::empty());
            self.push(Segment::Integrity { len });
        }
        if self.layout == Layout::Pipable {
            self.literal(Bytes::copy_from_slice(&header.to_bytes()));
        }
        let Self { sources, segments, blobs, at: len, .. } = self;
        Ok(Drafted {
            sources,
            segments,
            header,
            piece_size,
            before: None,
            known_pieces: HashMap::new(),
            blobs,
            in_place: InPlace::default(),
            len,
        })
    }

    /// Places a resource behind what there is so far.
    pub(crate) fn place(&mut self, item: Item) -> ResourceHeader {
        let Item { hash, flags, uncompressed_size, segments } = item;
        self.literal(self.blob_header(hash, flags, uncompressed_size));
        let offset = self.at;
        segments.into_iter().for_each(|segment| self.push(segment));
        ResourceHeader { size: self.at - offset, flags, offset, uncompressed_size }
    }

    fn place_table(&mut self, table: Bytes) -> ResourceHeader {
        let hash = sha1(&table);
        self.place(Item::stored(table, hash, ResourceFlags::METADATA))
    }

    /// What stands before a resource: nothing, unless the layout is the pipable one.
    pub(crate) fn blob_header(
        &self,
        hash: Sha1Hash,
        flags: ResourceFlags,
        uncompressed_size: u64,
    ) -> Bytes {
        match self.layout {
            Layout::Normal => Bytes::new(),
            Layout::Pipable => {
                let header = BlobHeader { uncompressed_size, hash, flags };
                Bytes::copy_from_slice(&header.to_bytes())
            }
        }
    }

    fn blob_header_len(&self) -> u64 {
        match self.layout {
            Layout::Normal => 0,
            Layout::Pipable => BLOB_HEADER_LEN as u64,
        }
    }

    /// The segments so far, each with its offset.
    pub(crate) fn segments(&self) -> &[(u64, Segment)] {
        &self.segments
    }

    /// The files that segments are copied from.
    pub(crate) fn sources(&self) -> &[Arc<dyn Source>] {
        &self.sources
    }

    /// The resource header of `size` stored bytes that come next.
    pub(crate) fn stored(&self, size: u64, flags: ResourceFlags) -> ResourceHeader {
        ResourceHeader { size, flags, offset: self.at, uncompressed_size: size }
    }

    /// Adds a segment; a copy that continues the one before becomes one with it.
    pub(crate) fn push(&mut self, segment: Segment) {
        let len = segment.len();
        if len == 0 {
            return;
        }
        let last = self.segments.last_mut().map(|(_, last)| last);
        match (last, &segment) {
            (
                Some(Segment::Copy { source, offset, len: so_far }),
                Segment::Copy { source: next_source, offset: next, .. },
            ) if source == next_source && *offset + *so_far == *next => {
                *so_far += len;
            }
            _ => self.segments.push((self.at, segment)),
        }
        self.at = self.at.saturating_add(len);
    }

    /// Adds these bytes.
    pub(crate) fn literal(&mut self, bytes: Bytes) {
        self.push(Segment::Literal(bytes));
    }
}
