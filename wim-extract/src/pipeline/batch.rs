//! What is worked on at a time: a batch of small blobs, a range of a giant, a chunk of a solid
//! resource.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wim_format::resource::ChunkTable;

use super::buffers::Buffer;
use super::decode::{Decoders, Jobs};
use super::ordered::{Ordered, check};
use super::plan::{SolidPlan, unit};
use crate::archive::{BlobId, Wim};
use crate::blob::{Form, Resource};
use crate::error::Damage;
use crate::hash::{Sha1Hash, sha1_many};

/// Resources that lie no further apart than this are read at once.
const GAP: u64 = 4096;

/// Decoded or stored bytes, wherever they are.
#[derive(Debug, Clone)]
pub(crate) struct Data<'r> {
    store: Store<'r>,
    range: Range<usize>,
}

#[derive(Debug, Clone)]
enum Store<'r> {
    Decoded(Arc<Buffer<'r>>),
    Stored(Bytes),
}

impl<'r> Data<'r> {
    pub(crate) fn decoded(buffer: &Arc<Buffer<'r>>, range: Range<usize>) -> Self {
        Self { store: Store::Decoded(Arc::clone(buffer)), range }
    }

    pub(crate) fn stored(bytes: Bytes) -> Self {
        let range = 0..bytes.len();
        Self { store: Store::Stored(bytes), range }
    }

    pub(crate) fn none() -> Self {
        Self::stored(Bytes::new())
    }
}

impl AsRef<[u8]> for Data<'_> {
    fn as_ref(&self) -> &[u8] {
        match &self.store {
            Store::Decoded(buffer) => &buffer[self.range.clone()],
            Store::Stored(bytes) => bytes,
        }
    }
}

/// A piece of a blob on its way to the sink.
#[derive(Debug)]
pub(crate) struct Piece<'r> {
    pub(crate) blob: BlobId,
    pub(crate) offset: u64,
    /// Length of the piece, also when its data could not be had.
    pub(crate) len: u64,
    pub(crate) data: Data<'r>,
    pub(crate) fate: Fate<'r>,
}

/// What remains to be done with a piece.
#[derive(Debug)]
pub(crate) enum Fate<'r> {
    /// It is the whole blob, and this is how it fared.
    Whole(Result<(), Damage>),
    /// It is a part, still to be hashed.
    Part { of: PartOf<'r>, number: u64, damage: Option<Damage> },
}

/// Whose part a piece is.
#[derive(Debug)]
pub(crate) enum PartOf<'r> {
    Giant(Arc<Giant<'r>>),
    Straddler(Arc<SolidRun<'r>>, usize),
}

impl<'r> PartOf<'r> {
    pub(crate) fn ordered(&self) -> &Ordered<Data<'r>> {
        match self {
            Self::Giant(giant) => &giant.ordered,
            Self::Straddler(run, index) => &run.straddlers[*index].1,
        }
    }
}

/// A blob so big that it is cut into ranges.
#[derive(Debug)]
pub(crate) struct Giant<'r> {
    resource: Resource<'r>,
    /// Bytes of a range.
    unit: u64,
    /// `None` for a stored resource.
    table: Option<ChunkTable<'static>>,
    pub(crate) ordered: Ordered<Data<'r>>,
}

impl<'r> Giant<'r> {
    /// Gets ready to read a blob. Whoever has a giant can trust its size: for every chunk of it
    /// there is at least a byte in the file.
    pub(crate) fn new(wim: &'r Wim, id: BlobId) -> Result<Self, Damage> {
        let resource = wim.resource(id);
        resource.check_range(0, resource.place.size)?;
        let table = resource.table()?;
        let unit = unit(&resource);
        let parts = resource.uncompressed_size().div_ceil(unit);
        let ordered = Ordered::new(id, wim.blob(id).hash, parts);
        Ok(Self { resource, unit, table, ordered })
    }

    fn size(&self) -> u64 {
        self.resource.uncompressed_size()
    }

    /// Number of ranges.
    pub(crate) fn parts(&self) -> u64 {
        self.size().div_ceil(self.unit)
    }

    /// Reads range `number`.
    pub(crate) fn read(
        self: &Arc<Self>,
        number: u64,
        buffer: Buffer<'r>,
        decoders: &mut Decoders,
        jobs: &mut Jobs,
    ) -> Piece<'r> {
        let start = number * self.unit;
        let end = start.saturating_add(self.unit).min(self.size());
        let (data, damage) = self.read_range(start..end, buffer, decoders, jobs);
        let fate = Fate::Part { of: PartOf::Giant(Arc::clone(self)), number, damage };
        Piece { blob: self.ordered.blob, offset: start, len: end - start, data, fate }
    }

    fn read_range(
        &self,
        range: Range<u64>,
        mut buffer: Buffer<'r>,
        decoders: &mut Decoders,
        jobs: &mut Jobs,
    ) -> (Data<'r>, Option<Damage>) {
        let Some(table) = &self.table else {
            return match self.resource.bytes(range.start, range.end - range.start) {
                Ok(bytes) => (Data::stored(bytes), None),
                Err(damage) => (Data::none(), Some(damage)),
            };
        };
        let len = (range.end - range.start) as usize;
        let chunks = chunks_of(table, range);
        match decode_chunks(&self.resource, table, chunks, &mut buffer, decoders, jobs) {
            Ok(damage) => (Data::decoded(&Arc::new(buffer), 0..len), damage),
            Err(damage) => (Data::none(), Some(damage)),
        }
    }
}

/// The chunks that hold the uncompressed bytes `range`, which begins at the start of a chunk.
pub(crate) fn chunks_of(table: &ChunkTable<'_>, range: Range<u64>) -> Range<u64> {
    let chunk_size = u64::from(table.chunk_size());
    range.start / chunk_size..range.end.div_ceil(chunk_size)
}

/// Decodes `chunks` to the start of `buffer`. The damage of an `Ok` is in some of the chunks, which
/// are zeros then; after an `Err` nothing is there.
fn decode_chunks(
    resource: &Resource<'_>,
    table: &ChunkTable<'_>,
    chunks: Range<u64>,
    buffer: &mut Buffer<'_>,
    decoders: &mut Decoders,
    jobs: &mut Jobs,
) -> Result<Option<Damage>, Damage> {
    jobs.clear();
    let len = jobs.add_from(resource, table, chunks, 0, 0)?;
    let mut damage = None;
    jobs.decode(decoders, buffer.first(len)?, |_, found| {
        damage.get_or_insert(found);
    });
    Ok(damage)
}

/// A solid resource being read.
#[derive(Debug)]
pub(crate) struct SolidRun<'r> {
    pub(crate) plan: &'r SolidPlan,
    resource: Resource<'r>,
    chunk_size: u64,
    table: ChunkTable<'static>,
    /// Blobs in more than one chunk, by their index in the plan.
    straddlers: Vec<(usize, Ordered<Data<'r>>)>,
    hashes: Vec<Sha1Hash>,
}

impl<'r> SolidRun<'r> {
    /// Gets ready to read what is wanted of a solid resource; as with a [`Giant`], its size can be
    /// trusted then.
    pub(crate) fn new(wim: &'r Wim, plan: &'r SolidPlan) -> Result<Self, Damage> {
        let resource = wim.parts()[plan.part].solid(plan.index);
        resource.check_range(0, resource.place.size)?;
        let Some(table) = resource.table()? else { return Err(Damage::Overlap) };
        let chunk_size = u64::from(table.chunk_size());
        let mut straddlers = Vec::new();
        for (index, blob) in plan.blobs.iter().enumerate() {
            let parts = blob.end.div_ceil(chunk_size) - blob.offset / chunk_size;
            if parts > 1 {
                straddlers.push((index, Ordered::new(blob.id, wim.blob(blob.id).hash, parts)));
            }
        }
        let hashes = plan.blobs.iter().map(|blob| wim.blob(blob.id).hash).collect();
        Ok(Self { plan, resource, chunk_size, table, straddlers, hashes })
    }

    /// Reads `chunk` and all that is wanted of it.
    pub(crate) fn read(
        self: &Arc<Self>,
        chunk: u64,
        mut buffer: Buffer<'r>,
        decoders: &mut Decoders,
        jobs: &mut Jobs,
    ) -> Vec<Piece<'r>> {
        let chunks = chunk..chunk + 1;
        let decoded =
            decode_chunks(&self.resource, &self.table, chunks, &mut buffer, decoders, jobs);
        let there = decoded.is_ok();
        let damage = decoded.unwrap_or_else(Some);
        let buffer = Arc::new(buffer);
        let start = chunk * self.chunk_size;
        let end = start.saturating_add(self.chunk_size);
        let blobs = &self.plan.blobs;
        let first = blobs.partition_point(|blob| blob.end <= start);
        let mut pieces = Vec::new();
        for (index, blob) in blobs.iter().enumerate().skip(first) {
            if blob.offset >= end {
                break;
            }
            let from = blob.offset.max(start);
            let to = blob.end.min(end);
            let data = match there {
                true => Data::decoded(&buffer, (from - start) as usize..(to - start) as usize),
                false => Data::none(),
            };
            let fate = self.fate(index, chunk, damage.clone());
            let offset = from - blob.offset;
            pieces.push(Piece { blob: blob.id, offset, len: to - from, data, fate });
        }
        let wanted = |piece: &Piece<'_>| matches!(piece.fate, Fate::Whole(Ok(())));
        let whole: Vec<&[u8]> =
            pieces.iter().filter(|p| wanted(p)).map(|p| p.data.as_ref()).collect();
        let mut found = Vec::new();
        sha1_many(&whole, &mut found);
        let mut found = found.into_iter();
        for (piece, expected) in pieces.iter_mut().zip(&self.hashes[first..]) {
            if wanted(piece)
                && let Some(found) = found.next()
            {
                piece.fate = Fate::Whole(check(*expected, found));
            }
        }
        pieces
    }

    fn fate(self: &Arc<Self>, index: usize, chunk: u64, damage: Option<Damage>) -> Fate<'r> {
        match self.straddlers.binary_search_by_key(&index, |&(blob, _)| blob) {
            Ok(straddler) => {
                let number = chunk - self.plan.blobs[index].offset / self.chunk_size;
                Fate::Part { of: PartOf::Straddler(Arc::clone(self), straddler), number, damage }
            }
            Err(_) => Fate::Whole(damage.map_or(Ok(()), Err)),
        }
    }
}

/// Reads small blobs, which are in the order of the file, and hashes them together.
pub(crate) fn read_small<'r>(
    wim: &'r Wim,
    ids: &[BlobId],
    mut buffer: Buffer<'r>,
    decoders: &mut Decoders,
    jobs: &mut Jobs,
) -> Vec<Piece<'r>> {
    let mut places: Vec<Result<Place, Damage>> = Vec::with_capacity(ids.len());
    let mut len = 0;
    jobs.clear();
    for (id, bytes) in ids.iter().zip(fetch(wim, ids)) {
        let resource = wim.resource(*id);
        places.push(bytes.and_then(|bytes| place(&resource, bytes, &mut len, places.len(), jobs)));
    }
    // Damage of single chunks, which are zeros then; what is around them can still be had.
    let mut damaged: Vec<Option<Damage>> = vec![None; ids.len()];
    match buffer.first(len) {
        Ok(out) => jobs.decode(decoders, out, |tag, damage| {
            damaged[tag].get_or_insert(damage);
        }),
        Err(damage) => places.iter_mut().for_each(|place| *place = Err(damage.clone())),
    }
    let sound = places.iter().filter_map(|place| place.as_ref().ok());
    let messages: Vec<&[u8]> = sound
        .map(|place| match place {
            Place::Decoded(range) => &buffer[range.clone()],
            Place::Stored(bytes) => bytes.as_ref(),
        })
        .collect();
    let mut hashes = Vec::new();
    sha1_many(&messages, &mut hashes);
    let mut hashes = hashes.into_iter();
    let buffer = Arc::new(buffer);
    ids.iter()
        .zip(places)
        .zip(damaged)
        .map(|((&id, place), damage)| {
            let blob = wim.blob(id);
            let (data, fate) = match place {
                Err(damage) => (Data::none(), Err(damage)),
                Ok(place) => {
                    let data = match place {
                        Place::Decoded(range) => Data::decoded(&buffer, range),
                        Place::Stored(bytes) => Data::stored(bytes),
                    };
                    let checked = check(blob.hash, hashes.next().unwrap_or_default());
                    (data, damage.map_or(checked, Err))
                }
            };
            Piece { blob: id, offset: 0, len: blob.size, data, fate: Fate::Whole(fate) }
        })
        .collect()
}

/// Where the bytes of a small blob are or will be.
pub(crate) enum Place {
    Decoded(Range<usize>),
    Stored(Bytes),
}

/// Adds the chunks of a small blob, of which `bytes` is the resource.
pub(crate) fn place(
    resource: &Resource<'_>,
    bytes: Bytes,
    len: &mut usize,
    tag: usize,
    jobs: &mut Jobs,
) -> Result<Place, Damage> {
    if resource.form == Form::Stored {
        return Ok(Place::Stored(bytes));
    }
    let range = resource.table_range()?;
    let raw = bytes.slice(range.start as usize..range.end as usize);
    let Some(table) = resource.parse_table(&raw)? else { return Ok(Place::Stored(bytes)) };
    let start = *len;
    match jobs.add(resource, &table, 0..table.len(), (bytes, 0), start, tag) {
        Ok(end) => *len = end,
        Err(damage) => {
            jobs.retract(tag);
            return Err(damage);
        }
    }
    Ok(Place::Decoded(start..*len))
}

/// The resources of small blobs, neighbours read together.
pub(crate) fn fetch(wim: &Wim, ids: &[BlobId]) -> Vec<Result<Bytes, Damage>> {
    let mut fetched = Vec::with_capacity(ids.len());
    let mut rest = ids;
    while let Some(&first) = rest.first() {
        let resource = wim.resource(first);
        let start = resource.place.offset;
        let mut end = start.saturating_add(resource.place.size);
        let together = rest[1..].iter().take_while(|&&id| {
            let next = wim.resource(id).place;
            let near = wim.part_of(id) == wim.part_of(first)
                && (end..=end.saturating_add(GAP)).contains(&next.offset);
            if near {
                end = next.offset.saturating_add(next.size);
            }
            near
        });
        let count = 1 + together.count();
        match resource.bytes(0, end.saturating_sub(start)) {
            Ok(bytes) => fetched.extend(rest[..count].iter().map(|&id| {
                let place = wim.resource(id).place;
                let from = (place.offset - start) as usize;
                Ok(bytes.slice(from..from + place.size as usize))
            })),
            // One of them is the reason: find out which.
            Err(_) => fetched.extend(rest[..count].iter().map(|&id| {
                let resource = wim.resource(id);
                resource.bytes(0, resource.place.size)
            })),
        }
        rest = &rest[count..];
    }
    fetched
}
