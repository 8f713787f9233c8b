//! Where everything goes in the output.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wim_format::Sha1Hash;
use wim_format::blob_table::{Blob, BlobPlace, BlobTable, MetadataEntry, SolidResource};
use wim_format::header::{HEADER_LEN, Header, Layout};
use wim_format::integrity::covered_ranges;
use wim_format::resource::{ResourceFlags, ResourceHeader};
use wim_format::xml::WimXml;

use super::select::Selection;
use super::{Compression, Outcome, recast};
use crate::archive::{BlobId, Wim};
use crate::blob::{Coding, Form, Resource};
use crate::error::{Damage, Error, Of};
use crate::integrity;
use crate::pipeline::{Plan, SolidPlan};
use crate::source::Source;

/// A piece of the output.
#[derive(Debug, Clone)]
pub(super) enum Segment {
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
    /// The integrity table, which is computed while the rest is written.
    Integrity { len: u64 },
}

impl Segment {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Copy { len, .. } | Self::Decoded { len, .. } | Self::Integrity { len } => *len,
            Self::Literal(bytes) => bytes.len() as u64,
        }
    }
}

/// A finished layout.
#[derive(Debug)]
pub(super) struct Drafted {
    /// The files that segments are copied from.
    pub(super) sources: Vec<Arc<dyn Source>>,
    /// In the order of the output, without gaps from `start` on; each with its offset.
    pub(super) segments: Vec<(u64, Segment)>,
    /// The final header, which goes to the start of the file.
    pub(super) header: Header,
    /// Bytes of each piece that the integrity table covers.
    pub(super) piece_size: Option<u32>,
    /// What is in the file already, between the header and the first segment.
    pub(super) before: Option<Segment>,
    /// Hashes of pieces that are known already.
    pub(super) known_pieces: HashMap<Range<u64>, Sha1Hash>,
    /// The blobs that are written, each with its input.
    pub(super) blobs: Vec<(usize, BlobId)>,
    len: u64,
}

impl Drafted {
    /// The blobs that have to be decoded: place in the output, input, blob.
    pub(super) fn decoded(&self) -> impl Iterator<Item = (u64, usize, BlobId)> {
        self.segments.iter().filter_map(|(at, segment)| match segment {
            Segment::Decoded { input, blob, .. } => Some((*at, *input, *blob)),
            _ => None,
        })
    }

    /// Makes use of what is there already of the file that this is added to: what is hashed of its
    /// old part, and what has to be read to hash the rest.
    pub(super) fn keep(&mut self, old: &Wim, start: u64) -> Result<(), Error> {
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
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// End of what the integrity table covers.
    pub(super) fn covered_end(&self) -> u64 {
        self.header.blob_table.offset + self.header.blob_table.size
    }
}

/// What resources of the destination look like, unless they are solid.
pub(super) fn coding(wim: &Wim, compression: Compression) -> Result<Coding, Error> {
    let source = wim.coding();
    let wanted = match compression {
        Compression::AsSource => source,
        Compression::Stored => Coding { codec: None, chunk_size: 0 },
        Compression::Chunks { codec, chunk_size } => Coding { codec: Some(codec), chunk_size },
    };
    if wanted.codec.is_some() && wanted != source {
        return Err(needs_compression(&wim.name(), source, wanted));
    }
    Ok(wanted)
}

/// The error of data that would have to be compressed anew.
pub(super) fn needs_compression(file: &str, from: Coding, to: Coding) -> Error {
    Error::Unsupported(format!(
        "{file}: is compressed with {from}; to make {to} of it, it would have to be compressed \
         anew, which this version cannot do yet. Leave out --compress and --chunk-size to keep its \
         compression, or use --compress=none"
    ))
}

/// A layout in the making.
#[derive(Debug)]
pub(super) struct Draft {
    coding: Coding,
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
    pub(super) fn new(coding: Coding) -> Self {
        Self::behind(HEADER_LEN as u64, coding, BlobTable::default())
    }

    /// A layout of what is added at `at` to a file with these blobs.
    pub(super) fn behind(at: u64, coding: Coding, table: BlobTable) -> Self {
        let known = table.blobs.iter().map(|blob| blob.hash).zip(0..).collect();
        Self {
            coding,
            sources: Vec::new(),
            segments: Vec::new(),
            at,
            inputs: 0,
            blobs: Vec::new(),
            table,
            known,
        }
    }

    pub(super) fn coding(&self) -> Coding {
        self.coding
    }

    /// Whether there are solid resources.
    pub(super) fn has_solid(&self) -> bool {
        !self.table.solid.is_empty()
    }

    /// Adds the blobs and metadata of a selection.
    pub(super) fn add(&mut self, selection: &Selection<'_>) -> Result<Outcome, Error> {
        let wim = selection.wim;
        let mut outcome = Outcome::default();
        let first_source = self.sources.len();
        self.sources.extend(wim.parts().iter().map(|part| Arc::clone(&part.source)));
        let mut new = Vec::new();
        for id in selection.blobs() {
            match self.known.get(&wim.blob(id).hash) {
                None => new.push(id),
                Some(&known) => {
                    let blob = &mut self.table.blobs[known];
                    blob.refcount = blob.refcount.saturating_add(selection.count(id));
                    outcome.shared += 1;
                }
            }
        }
        let plan = Plan::new(wim, new);
        outcome.blobs = plan.amount().items;
        let adder = Adder { selection, input: self.inputs, first_source };
        let mut solid = plan.solid.iter().peekable();
        for &id in &plan.single {
            let at = (wim.part_of(id), wim.file_offset(id));
            let before =
                |solid: &&SolidPlan| (solid.part, wim.solid_offset(solid.part, solid.index)) < at;
            while let Some(solid) = solid.next_if(before) {
                adder.solid(self, solid, &mut outcome)?;
            }
            let place = adder.blob(self, id, &mut outcome)?;
            adder.enter(self, id, BlobPlace::Resource(place));
        }
        for solid in solid {
            adder.solid(self, solid, &mut outcome)?;
        }
        for image in &selection.images {
            adder.metadata(self, image.metadata, &mut outcome)?;
        }
        self.inputs += 1;
        Ok(outcome)
    }

    /// Adds the tables, and fills in `header`. With `piece_size` there is an integrity table.
    pub(super) fn finish(
        mut self,
        mut header: Header,
        mut xml: WimXml,
        piece_size: Option<u32>,
    ) -> Result<Drafted, Error> {
        let too_large =
            |source| Error::Malformed { file: "the destination".to_owned(), of: Of::File, source };
        header.image_count = self.table.metadata.len() as u32;
        header.boot_metadata = match header.boot_image() {
            Some(boot) => self.table.metadata[boot as usize - 1].resource,
            None => ResourceHeader::default(),
        };
        let table = self.table.to_bytes().map_err(too_large)?;
        header.blob_table = self.table_place(table.len() as u64, ResourceFlags::METADATA);
        self.literal(table.into());
        xml.set_total_bytes(self.at);
        let xml = xml.to_bytes();
        header.xml = self.table_place(xml.len() as u64, ResourceFlags::METADATA);
        self.literal(xml.into());
        header.integrity = ResourceHeader::default();
        let covered_end = header.blob_table.offset + header.blob_table.size;
        // A file without a blob table has no integrity table either.
        let piece_size = piece_size.filter(|_| header.blob_table.size > 0);
        if let Some(piece_size) = piece_size {
            let len = 12 + 20 * covered_ranges(covered_end, piece_size).count() as u64;
            header.integrity = self.table_place(len, ResourceFlags::empty());
            self.push(Segment::Integrity { len });
        }
        let Self { sources, segments, blobs, at: len, .. } = self;
        let (before, known_pieces) = (None, HashMap::new());
        Ok(Drafted { sources, segments, header, piece_size, before, known_pieces, blobs, len })
    }

    fn table_place(&self, size: u64, flags: ResourceFlags) -> ResourceHeader {
        ResourceHeader { size, flags, offset: self.at, uncompressed_size: size }
    }

    /// Adds a segment; a copy that continues the one before becomes one with it.
    pub(super) fn push(&mut self, segment: Segment) {
        let len = segment.len();
        if len == 0 {
            return;
        }
        let last = self.segments.last_mut().map(|(_, last)| last);
        match (last, &segment) {
            (
                Some(Segment::Copy { source, offset, len: so_far }),
                Segment::Copy { source: next_source, offset: next, .. },
            ) if source == next_source && *offset + *so_far == *next => *so_far += len,
            _ => self.segments.push((self.at, segment)),
        }
        self.at += len;
    }

    fn literal(&mut self, bytes: Bytes) {
        self.push(Segment::Literal(bytes));
    }
}

/// Adds the resources of one input to a draft.
pub(super) struct Adder<'a> {
    selection: &'a Selection<'a>,
    input: usize,
    /// Index of the input's first part among the draft's sources.
    first_source: usize,
}

impl Adder<'_> {
    fn wim(&self) -> &Wim {
        self.selection.wim
    }

    /// Adds a blob that has a resource of its own.
    fn blob(
        &self,
        draft: &mut Draft,
        id: BlobId,
        outcome: &mut Outcome,
    ) -> Result<ResourceHeader, Error> {
        let resource = self.wim().resource(id);
        let part = self.wim().part_of(id);
        match self.resource(draft, part, &resource, outcome) {
            Ok(Some(place)) => Ok(place),
            Ok(None) => Ok(self.decoded(draft, id, outcome)),
            Err(Refusal::Damaged(damage)) => Err(self.wim().damaged(id, damage)),
            Err(Refusal::Coding(coding)) => {
                Err(needs_compression(&self.part_name(part), coding, draft.coding))
            }
        }
    }

    /// Adds a blob that has to be decoded.
    fn decoded(&self, draft: &mut Draft, blob: BlobId, outcome: &mut Outcome) -> ResourceHeader {
        let len = self.wim().blob(blob).size;
        let flags = ResourceFlags::empty();
        let place = ResourceHeader { size: len, flags, offset: draft.at, uncompressed_size: len };
        draft.push(Segment::Decoded { input: self.input, blob, len });
        outcome.decoded += len;
        place
    }

    /// Adds the metadata of an image.
    fn metadata(
        &self,
        draft: &mut Draft,
        entry: MetadataEntry,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let resource = self.wim().parts()[0].resource(entry.resource);
        let damaged = |damage| Error::Damaged {
            file: self.wim().name(),
            path: Some("the metadata of an image".to_owned()),
            hash: entry.hash,
            damage,
        };
        let mut place = match self.resource(draft, 0, &resource, outcome) {
            Ok(Some(place)) => place,
            Ok(None) => {
                let bytes = crate::blob::read_whole(&resource).map_err(damaged)?;
                let place = draft.table_place(bytes.len() as u64, ResourceFlags::empty());
                outcome.decoded += place.size;
                draft.literal(bytes);
                place
            }
            Err(Refusal::Damaged(damage)) => return Err(damaged(damage)),
            Err(Refusal::Coding(coding)) => {
                return Err(needs_compression(&self.part_name(0), coding, draft.coding));
            }
        };
        place.flags |= ResourceFlags::METADATA;
        draft.table.metadata.push(MetadataEntry { resource: place, hash: entry.hash });
        Ok(())
    }

    /// Adds a resource that is not solid as it is; `None` when it has to be decoded.
    fn resource(
        &self,
        draft: &mut Draft,
        part: usize,
        resource: &Resource<'_>,
        outcome: &mut Outcome,
    ) -> Result<Option<ResourceHeader>, Refusal> {
        let start = draft.at;
        let source = self.first_source + part;
        // Whatever follows, what is copied has to be there.
        resource.check_range(0, resource.place.size).map_err(Refusal::Damaged)?;
        let flags = match resource.form {
            Form::Stored => {
                let ResourceHeader { offset, size: len, .. } = resource.place;
                draft.push(Segment::Copy { source, offset, len });
                ResourceFlags::empty()
            }
            _ if draft.coding.codec.is_none() => return Ok(None),
            Form::Chunks(coding, _) if coding != draft.coding => {
                return Err(Refusal::Coding(coding));
            }
            Form::Chunks(_, Layout::Normal) => {
                let ResourceHeader { offset, size: len, .. } = resource.place;
                draft.push(Segment::Copy { source, offset, len });
                ResourceFlags::COMPRESSED
            }
            Form::Chunks(_, Layout::Pipable) => {
                recast::from_pipable(resource, source, draft).map_err(Refusal::Damaged)?
            }
            Form::Solid(_) => return Ok(None),
        };
        let size = draft.at - start;
        outcome.copied += size;
        let uncompressed_size = resource.uncompressed_size();
        Ok(Some(ResourceHeader { size, flags, offset: start, uncompressed_size }))
    }

    /// Adds what is wanted of a solid resource.
    fn solid(
        &self,
        draft: &mut Draft,
        plan: &SolidPlan,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        if let Some(&id) = plan.overlapping.first() {
            return Err(self.wim().damaged(id, Damage::Overlap));
        }
        if draft.coding.codec.is_none() {
            for blob in &plan.blobs {
                let place = self.decoded(draft, blob.id, outcome);
                self.enter(draft, blob.id, BlobPlace::Resource(place));
            }
            return Ok(());
        }
        let start = draft.at;
        let resource = self.wim().parts()[plan.part].solid(plan.index);
        let source = self.first_source + plan.part;
        let taken = recast::solid_chunks(&resource, plan, source, draft);
        let (header, offsets) = taken.map_err(|damage| match plan.blobs.first() {
            Some(blob) => self.wim().damaged(blob.id, damage),
            None => Error::Cancelled,
        })?;
        let index = draft.table.solid.len();
        let place = ResourceHeader {
            size: draft.at - start,
            flags: ResourceFlags::SOLID,
            offset: start,
            uncompressed_size: header.uncompressed_size,
        };
        draft.table.solid.push(SolidResource { resource: place, header });
        outcome.copied += place.size;
        outcome.carried += header.uncompressed_size;
        for (blob, offset) in plan.blobs.iter().zip(offsets) {
            outcome.carried -= blob.end - blob.offset;
            self.enter(draft, blob.id, BlobPlace::Solid { resource: index, offset });
        }
        Ok(())
    }

    /// Enters a blob in the blob table.
    fn enter(&self, draft: &mut Draft, id: BlobId, place: BlobPlace) {
        let &Blob { hash, size, .. } = self.wim().blob(id);
        let refcount = self.selection.count(id);
        draft.blobs.push((self.input, id));
        draft.known.insert(hash, draft.table.blobs.len());
        draft.table.blobs.push(Blob { hash, size, refcount, part_number: 1, place });
    }

    fn part_name(&self, part: usize) -> String {
        self.wim().parts()[part].source.name()
    }
}

/// Why a resource cannot be taken as it is.
enum Refusal {
    Damaged(Damage),
    /// It has another coding than the destination.
    Coding(Coding),
}
