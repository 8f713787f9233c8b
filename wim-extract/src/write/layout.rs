//! Where everything goes in an archive to be written.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wim_format::blob_table::{Blob, BlobTable, MetadataEntry, SolidResource};
use wim_format::header::{HEADER_LEN, Header};
use wim_format::integrity::covered_ranges;
use wim_format::resource::{ResourceFlags, ResourceHeader};
use wim_format::xml::WimXml;
use wim_format::{FormatError, Sha1Hash, Structure};

use crate::archive::{BlobId, Wim};
use crate::blob::Coding;
use crate::error::{Error, Of};
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

/// A finished layout.
#[derive(Debug)]
pub(crate) struct Drafted {
    /// The files that segments are copied from.
    pub(crate) sources: Vec<Arc<dyn Source>>,
    /// In the order of the output, without gaps from `start` on; each with its offset.
    pub(crate) segments: Vec<(u64, Segment)>,
    /// The final header, which goes to the start of the file.
    pub(crate) header: Header,
    /// Bytes of each piece that the integrity table covers.
    pub(crate) piece_size: Option<u32>,
    /// What is in the file already, between the header and the first segment.
    pub(crate) before: Option<Segment>,
    /// Hashes of pieces that are known already.
    pub(crate) known_pieces: HashMap<Range<u64>, Sha1Hash>,
    /// The blobs that are written, each with its input.
    pub(crate) blobs: Vec<(usize, BlobId)>,
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

    /// Length of the whole file.
    pub(crate) fn len(&self) -> u64 {
        self.len
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
}

/// A layout in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    coding: Coding,
    kind: Kind,
    sources: Vec<Arc<dyn Source>>,
    segments: Vec<(u64, Segment)>,
    at: u64,
    inputs: usize,
    blobs: Vec<(usize, BlobId)>,
    table: BlobTable,
    /// Where in `table` a blob is.
    known: HashMap<Sha1Hash, usize>,
}

impl Draft {
    /// A layout of a new file, which begins behind the header.
    pub(crate) fn new(coding: Coding) -> Self {
        Self::behind(HEADER_LEN as u64, coding, BlobTable::default())
    }

    /// A layout of one part of a split set; the first is number 1. It takes no solid resources.
    pub(crate) fn of_part(number: u16, coding: Coding) -> Self {
        Self { kind: Kind::Part(number), ..Self::new(coding) }
    }

    /// A layout of what is added at `at` to a file with these blobs.
    pub(crate) fn behind(at: u64, coding: Coding, table: BlobTable) -> Self {
        let known = table.blobs.iter().map(|blob| blob.hash).zip(0..).collect();
        Self {
            coding,
            kind: Kind::Archive,
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

    /// Whether solid resources may be copied; else what is in them has to be decoded.
    pub(crate) fn takes_solid(&self) -> bool {
        self.coding.codec.is_some() && self.kind == Kind::Archive
    }

    /// Where the next segment goes.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Whether there are solid resources.
    pub(crate) fn has_solid(&self) -> bool {
        !self.table.solid.is_empty()
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

    /// Counts `references` more to a blob that is there already; `false` when it is not.
    pub(crate) fn share(&mut self, hash: &Sha1Hash, references: u32) -> bool {
        let Some(&known) = self.known.get(hash) else { return false };
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
        self.known.get(hash).map(|&known| self.table.blobs[known].size)
    }

    /// Enters a blob in the blob table. If it comes from an input, `origin` says which one it is
    /// there.
    pub(crate) fn enter(&mut self, blob: Blob, origin: Option<(usize, BlobId)>) {
        self.blobs.extend(origin);
        self.known.insert(blob.hash, self.table.blobs.len());
        let part_number = match self.kind {
            Kind::Archive => 1,
            Kind::Part(number) => number,
        };
        self.table.blobs.push(Blob { part_number, ..blob });
    }

    /// Enters a solid resource in the blob table; gives its index for [`BlobPlace::Solid`].
    pub(crate) fn enter_solid(&mut self, solid: SolidResource) -> usize {
        self.table.solid.push(solid);
        self.table.solid.len() - 1
    }

    /// Enters the metadata of the next image in the blob table.
    pub(crate) fn enter_metadata(&mut self, mut resource: ResourceHeader, hash: Sha1Hash) {
        resource.flags |= ResourceFlags::METADATA;
        self.table.metadata.push(MetadataEntry { resource, hash });
    }

    /// Replaces the metadata of image `index`, which counts from 1.
    pub(crate) fn replace_metadata(
        &mut self,
        index: u32,
        mut resource: ResourceHeader,
        hash: Sha1Hash,
    ) {
        resource.flags |= ResourceFlags::METADATA;
        self.table.metadata[index as usize - 1] = MetadataEntry { resource, hash };
    }

    /// Enters the metadata of image `index`, which counts from 1; the images behind it move up.
    pub(crate) fn insert_metadata(
        &mut self,
        index: u32,
        mut resource: ResourceHeader,
        hash: Sha1Hash,
    ) {
        resource.flags |= ResourceFlags::METADATA;
        self.table.metadata.insert(index as usize - 1, MetadataEntry { resource, hash });
    }

    /// Removes the metadata of image `index`, which counts from 1.
    pub(crate) fn remove_metadata(&mut self, index: u32) {
        self.table.metadata.remove(index as usize - 1);
    }

    /// Counts one reference less to a blob.
    pub(crate) fn release(&mut self, hash: &Sha1Hash) {
        if let Some(&known) = self.known.get(hash) {
            let blob = &mut self.table.blobs[known];
            blob.refcount = blob.refcount.saturating_sub(1);
        }
    }

    /// Takes blobs out of the table that nothing refers to any more, as the last thing before
    /// [`finish`](Self::finish).
    pub(crate) fn drop_unreferenced(&mut self) {
        self.table.blobs.retain(|blob| blob.refcount > 0);
        self.known = self.table.blobs.iter().map(|blob| blob.hash).zip(0..).collect();
    }

    /// Adds the tables, and fills in `header`. With `piece_size` there is an integrity table.
    pub(crate) fn finish(
        self,
        mut header: Header,
        mut xml: WimXml,
        piece_size: Option<u32>,
    ) -> Result<Drafted, Error> {
        header.image_count = self.table.metadata.len() as u32;
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
        // Sizes that a malicious source claims for its blobs may add up to anything.
        if self.at > MAX_LEN {
            return Err(too_large(FormatError::TooLarge {
                structure: Structure::BlobTable,
                found: self.at,
                expected: "less than 2^60 bytes in all",
            }));
        }
        let boot = header.boot_image().and_then(|boot| self.table.metadata.get(boot as usize - 1));
        header.boot_metadata = boot.map(|entry| entry.resource).unwrap_or_default();
        let table = self.table.to_bytes().map_err(too_large)?;
        header.blob_table = self.stored(table.len() as u64, ResourceFlags::METADATA);
        self.literal(table.into());
        let xml = xml(self.at);
        header.xml = self.stored(xml.len() as u64, ResourceFlags::METADATA);
        self.literal(xml);
        header.integrity = ResourceHeader::default();
        let covered_end = header.blob_table.offset + header.blob_table.size;
        // A file without a blob table has no integrity table either.
        let piece_size = piece_size.filter(|_| header.blob_table.size > 0);
        if let Some(piece_size) = piece_size {
            let len = 12 + 20 * covered_ranges(covered_end, piece_size).count() as u64;
            header.integrity = self.stored(len, ResourceFlags::empty());
            self.push(Segment::Integrity { len });
        }
        let Self { sources, segments, blobs, at: len, .. } = self;
        let (before, known_pieces) = (None, HashMap::new());
        Ok(Drafted { sources, segments, header, piece_size, before, known_pieces, blobs, len })
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
