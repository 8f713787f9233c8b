//! Writing compressed chunks as resources.
//!
//! ```text
//!   normal    chunk table   chunk 0   chunk 1   …
//!   pipable   blob header   length   chunk 0   length   chunk 1   …   chunk table
//!   solid     solid header   lengths   chunk 0   chunk 1   …
//! ```
//!
//! In the normal layout the table comes first though it is known last, so room is left for it: how
//! long it is follows from the length of the blob. In the pipable one everything is known when its
//! turn comes, the hash too, so that nothing is written but at the end. A solid resource is written as
//! if all that is in it were one blob; which blobs those are says the blob table alone.

use std::io;

use bytes::Bytes;
use wim_format::Sha1Hash;
use wim_format::blob_table::{Blob, BlobPlace, SolidResource};
use wim_format::header::Layout;
use wim_format::resource::{
    ChunkTable, ResourceFlags, ResourceHeader, SOLID_HEADER_LEN, SolidHeader, write_chunk_table,
};

use super::encode::{Chunks, Encoded};
use super::{Batch, Begin, Piece, Run, Woven};
use crate::blob::Coding;
use crate::error::{Action, Error};
use crate::pipeline::decode::decode_one;
use crate::progress::Amount;
use crate::write::execute::too_large;
use crate::write::layout::{Draft, Item, Segment};

/// Bytes gathered before they are written: few enough to stay in the cache of a core until then.
const GATHER: usize = 128 << 10;

/// What stands around chunks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Frame {
    /// A resource for each blob.
    Single,
    /// One solid resource for everything, which comes as one blob.
    Solid(SolidHeader),
}

/// Writes pieces of blobs one after the other, and enters them in the draft.
pub(super) struct ResourceWriter<'d, 'r> {
    draft: &'d mut Draft,
    coding: Coding,
    frame: Frame,
    run: Run<'r>,
    gathered: Vec<u8>,
    /// Where the gathered bytes go.
    gathered_at: u64,
    /// The blob that has begun and not ended.
    open: Option<Open>,
}

/// A blob that is being written.
struct Open {
    begin: Begin,
    /// Where its resource begins, and its chunks.
    start: u64,
    chunks_start: u64,
    /// The stored size of every chunk so far.
    sizes: Vec<u32>,
    /// Bytes of chunks so far.
    len: u64,
}

impl<'d, 'r> ResourceWriter<'d, 'r> {
    pub(super) fn new(draft: &'d mut Draft, coding: Coding, frame: Frame, run: Run<'r>) -> Self {
        let gathered_at = draft.at();
        let gathered = Vec::with_capacity(GATHER);
        Self { draft, coding, frame, run, gathered, gathered_at, open: None }
    }

    /// Writes a batch.
    pub(super) fn write(&mut self, encoded: &Encoded) -> Result<(), Error> {
        for (piece, chunks) in encoded.batch.pieces.iter().zip(encoded.chunks()) {
            let data = &encoded.batch.data[piece.range.clone()];
            match (piece, self.frame) {
                (Piece { begins: Some(begin), ends: Some(hash), .. }, Frame::Single) => {
                    self.whole(data, chunks, *begin, *hash)?;
                }
                _ => self.piece(data, chunks, piece)?,
            }
            let ended = match self.frame {
                Frame::Single => u64::from(piece.ends.is_some()),
                // Its blobs are counted where they are put together.
                Frame::Solid(_) => 0,
            };
            self.run.progress.advance(Amount::new(data.len() as u64, ended));
        }
        self.woven(&encoded.batch)
    }

    /// Pieces of several blobs, and the blobs that end with them.
    fn woven(&mut self, batch: &Batch) -> Result<(), Error> {
        if batch.woven.is_empty() {
            return Ok(());
        }
        self.flush()?;
        for Woven { range, ahead } in &batch.woven {
            let data = &batch.data[range.clone()];
            self.write_at(data, self.gathered_at + ahead)?;
            self.run.progress.advance(Amount::new(data.len() as u64, 0));
        }
        for &(begin, hash) in &batch.ended {
            let (size, flags) = (begin.size, ResourceFlags::empty());
            let offset = self.gathered_at;
            self.gathered_at += size;
            let place = ResourceHeader { size, flags, offset, uncompressed_size: size };
            self.enter(place, hash, begin);
            self.run.progress.advance(Amount::new(0, 1));
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.flush()
    }

    /// A blob that is all there.
    fn whole(
        &mut self,
        data: &[u8],
        chunks: Option<Chunks<'_>>,
        begin: Begin,
        hash: Sha1Hash,
    ) -> Result<(), Error> {
        let (layout, size) = (self.draft.layout(), begin.size);
        let framed = chunks.map(|chunks| Framed::new(chunks, size, layout)).transpose()?;
        let framed = framed.filter(|framed| framed.is_worth_it(size));
        let flags = match framed {
            Some(_) => ResourceFlags::COMPRESSED,
            None => ResourceFlags::empty(),
        };
        self.make_room(framed.as_ref().map_or(size, Framed::len))?;
        self.put(&self.draft.blob_header(hash, flags, size))?;
        let start = self.at();
        match framed {
            Some(framed) => framed.for_each(|part| self.put(part))?,
            None => self.put(data)?,
        }
        let place = ResourceHeader {
            size: self.at() - start,
            flags,
            offset: start,
            uncompressed_size: size,
        };
        self.enter(place, hash, begin);
        Ok(())
    }

    /// A piece of a blob.
    fn piece(
        &mut self,
        data: &[u8],
        chunks: Option<Chunks<'_>>,
        piece: &Piece,
    ) -> Result<(), Error> {
        let layout = self.draft.layout();
        if let Some(begin) = piece.begins {
            let flags = match chunks {
                Some(_) => ResourceFlags::COMPRESSED,
                None => ResourceFlags::empty(),
            };
            debug_assert!(layout == Layout::Normal || begin.hash.is_some(), "it was announced");
            let hash = begin.hash.unwrap_or_default();
            self.put(&self.draft.blob_header(hash, flags, begin.size))?;
            let start = self.at();
            let table_len = match (&chunks, layout, self.frame) {
                (_, _, Frame::Solid(header)) => SOLID_HEADER_LEN as u64 + header.table_len(),
                (Some(_), Layout::Normal, _) => {
                    ChunkTable::table_len(begin.size, self.coding.chunk_size)
                }
                _ => 0,
            };
            self.leave_room(table_len)?;
            let chunks_start = start + table_len;
            self.open = Some(Open { begin, start, chunks_start, sizes: Vec::new(), len: 0 });
        }
        let from = self.at();
        match chunks {
            Some(chunks) => each(chunks, layout, |part| self.put(part))?,
            None => self.put(data)?,
        }
        let len = self.at() - from;
        let Some(open) = &mut self.open else { return Ok(()) };
        open.len += len;
        open.sizes.extend(chunks.iter().flat_map(|chunks| chunks.sizes));
        match (piece.ends, self.open.take_if(|_| piece.ends.is_some())) {
            (Some(hash), Some(open)) => self.close(open, hash),
            _ => Ok(()),
        }
    }

    /// The end of a blob that came in pieces: now the table is known.
    fn close(&mut self, open: Open, hash: Sha1Hash) -> Result<(), Error> {
        let Open { begin, start, chunks_start, sizes, len } = open;
        let uncompressed_size = begin.size;
        if let Frame::Solid(header) = self.frame {
            self.flush()?;
            let mut head = header.to_bytes().to_vec();
            head.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
            self.write_at(&head, start)?;
            let (size, flags) = (chunks_start - start + len, ResourceFlags::SOLID);
            let resource = ResourceHeader { size, flags, offset: start, uncompressed_size };
            self.draft.push(Segment::Written { len: size });
            self.draft.enter_solid(SolidResource { resource, header });
            return Ok(());
        }
        if let (Layout::Pipable, Some(_)) = (self.draft.layout(), self.coding.codec) {
            self.put(&write_chunk_table(&sizes, uncompressed_size).map_err(too_large)?)?;
            let (size, flags) = (self.at() - start, ResourceFlags::COMPRESSED);
            let place = ResourceHeader { size, flags, offset: start, uncompressed_size };
            self.enter(place, hash, begin);
            return Ok(());
        }
        self.flush()?;
        let size = chunks_start - start + len;
        let (size, flags) = if self.coding.codec.is_none() {
            (size, ResourceFlags::empty())
        } else if size >= uncompressed_size {
            self.unpack(chunks_start, &sizes, start, uncompressed_size)?;
            self.gathered_at = start + uncompressed_size;
            (uncompressed_size, ResourceFlags::empty())
        } else {
            let table = write_chunk_table(&sizes, uncompressed_size).map_err(too_large)?;
            self.write_at(&table, start)?;
            (size, ResourceFlags::COMPRESSED)
        };
        let place =
            self.settle(ResourceHeader { size, flags, offset: start, uncompressed_size })?;
        self.enter(place, hash, begin);
        Ok(())
    }

    /// Goes to where a resource of `len` bytes may be.
    fn make_room(&mut self, len: u64) -> Result<(), Error> {
        if let Some(at) = self.draft.make_room(len) {
            self.flush()?;
            self.gathered_at = at;
        }
        Ok(())
    }

    /// Moves a resource, which is in the file, to where there is room for it, now that its length is
    /// known.
    fn settle(&mut self, place: ResourceHeader) -> Result<ResourceHeader, Error> {
        let Some(offset) = self.draft.make_room(place.size) else { return Ok(place) };
        self.copy_within(place.offset, place.size, offset)?;
        self.gathered_at = offset + place.size;
        Ok(ResourceHeader { offset, ..place })
    }

    fn enter(&mut self, place: ResourceHeader, hash: Sha1Hash, begin: Begin) {
        self.draft.push(Segment::Written { len: place.end() - self.draft.at() });
        let Begin { size, references: refcount, .. } = begin;
        let place = BlobPlace::Resource(place);
        self.draft.enter(Blob { hash, size, refcount, part_number: 1, place }, None);
    }

    /// Where the next byte goes.
    fn at(&self) -> u64 {
        self.gathered_at + self.gathered.len() as u64
    }

    /// Leaves room for what is written later. It takes no memory: how much it is follows from sizes that
    /// an archive only claims.
    fn leave_room(&mut self, len: u64) -> Result<(), Error> {
        if len < GATHER as u64 {
            return self.put(&vec![0; len as usize]);
        }
        self.flush()?;
        self.gathered_at = self.gathered_at.saturating_add(len);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let is_large = bytes.len() >= GATHER;
        if is_large || self.gathered.len() + bytes.len() > GATHER {
            self.flush()?;
        }
        if is_large {
            self.write_at(bytes, self.gathered_at)?;
            self.gathered_at += bytes.len() as u64;
        } else {
            self.gathered.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.run.cancel.check()?;
        self.write_at(&self.gathered, self.gathered_at)?;
        self.gathered_at += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        self.run.out.write_at(bytes, at)
    }

    /// Stores chunks that were written from `from` on as what they hold, `size` bytes, from `to` on. With the
    /// table between them they are no shorter, so that no chunk is overwritten before it is read.
    fn unpack(&self, mut from: u64, sizes: &[u32], mut to: u64, size: u64) -> Result<(), Error> {
        let Coding { codec, chunk_size } = self.coding;
        let coder = codec.map(|codec| (codec, chunk_size));
        let (mut decoder, mut rest) = (None, size);
        let (mut chunk, mut data) = (vec![0; chunk_size as usize], vec![0; chunk_size as usize]);
        for &len in sizes {
            self.run.cancel.check()?;
            let chunk = &mut chunk[..len as usize];
            let data = &mut data[..rest.min(chunk_size.into()) as usize];
            self.run.out.read_at(chunk, from)?;
            decode_one(&mut decoder, coder, chunk, data).map_err(|error| {
                let error = io::Error::new(io::ErrorKind::InvalidData, error);
                Error::io(Action::Read, self.run.out.name())(error)
            })?;
            self.write_at(data, to)?;
            from += u64::from(len);
            to += data.len() as u64;
            rest -= data.len() as u64;
        }
        Ok(())
    }

    /// Copies bytes of the file to another place, which is in front of them or far away.
    fn copy_within(&self, from: u64, len: u64, to: u64) -> Result<(), Error> {
        let mut buffer = vec![0; GATHER];
        let mut done = 0;
        while done < len {
            self.run.cancel.check()?;
            let step = (len - done).min(GATHER as u64);
            let bytes = &mut buffer[..step as usize];
            self.run.out.read_at(bytes, from + done)?;
            self.write_at(bytes, to + done)?;
            done += step;
        }
        Ok(())
    }
}

/// A resource whose chunks are all there.
struct Framed<'e> {
    layout: Layout,
    table: Vec<u8>,
    chunks: Chunks<'e>,
}

impl<'e> Framed<'e> {
    fn new(chunks: Chunks<'e>, uncompressed_size: u64, layout: Layout) -> Result<Self, Error> {
        let table = write_chunk_table(chunks.sizes, uncompressed_size).map_err(too_large)?;
        Ok(Self { layout, table, chunks })
    }

    fn len(&self) -> u64 {
        let prefixes = match self.layout {
            Layout::Normal => 0,
            Layout::Pipable => size_of_val(self.chunks.sizes),
        };
        self.table.len() as u64 + prefixes as u64 + self.chunks.len()
    }

    /// Whether a resource is stored in chunks. In the pipable layout it always is: of one that comes in
    /// pieces nobody knows in time whether it gets smaller, and pieces must not make a difference.
    fn is_worth_it(&self, uncompressed_size: u64) -> bool {
        self.layout == Layout::Pipable || self.len() < uncompressed_size
    }

    /// Gives its bytes in order.
    fn for_each(&self, mut put: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        if self.layout == Layout::Normal {
            put(&self.table)?;
        }
        each(self.chunks, self.layout, &mut put)?;
        if self.layout == Layout::Pipable {
            put(&self.table)?;
        }
        Ok(())
    }
}

/// Gives chunks in order, in the pipable layout with the length of each before it.
fn each(
    chunks: Chunks<'_>,
    layout: Layout,
    mut put: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    for chunk in chunks.iter() {
        if layout == Layout::Pipable {
            put(&(chunk.len() as u32).to_le_bytes())?;
        }
        put(chunk)?;
    }
    Ok(())
}

/// A resource that is all there.
pub(super) fn whole(
    data: &[u8],
    hash: Sha1Hash,
    layout: Layout,
    chunks: Option<Chunks<'_>>,
) -> Result<Item, Error> {
    let uncompressed_size = data.len() as u64;
    let framed = chunks.map(|chunks| Framed::new(chunks, uncompressed_size, layout)).transpose()?;
    let Some(framed) = framed.filter(|framed| framed.is_worth_it(uncompressed_size)) else {
        return Ok(Item::stored(Bytes::copy_from_slice(data), hash, ResourceFlags::empty()));
    };
    let mut bytes = Vec::with_capacity(framed.len() as usize);
    framed.for_each(|part| {
        bytes.extend_from_slice(part);
        Ok(())
    })?;
    Ok(Item {
        flags: ResourceFlags::COMPRESSED,
        uncompressed_size,
        ..Item::stored(bytes.into(), hash, ResourceFlags::empty())
    })
}
