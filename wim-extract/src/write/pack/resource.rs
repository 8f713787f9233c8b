//! Writing compressed chunks as resources.
//!
//! ```text
//!   chunk table   chunk 0   chunk 1   …
//! ```
//!
//! The table comes first though it is known last, so room is left for it: how long it is follows
//! from the length of the blob.

use std::io;

use wim_format::Sha1Hash;
use wim_format::blob_table::{Blob, BlobPlace};
use wim_format::resource::{ChunkTable, ResourceFlags, ResourceHeader, write_chunk_table};

use super::encode::{Chunks, Encoded};
use super::{Batch, Begin, PackedBytes, Piece, Run};
use crate::blob::Coding;
use crate::error::{Action, Error};
use crate::output::write_all_at;
use crate::progress::Amount;
use crate::source::read_exact_at;
use crate::write::execute::too_large;
use crate::write::layout::{Draft, Segment};

/// Bytes gathered before they are written.
const GATHER: usize = 1 << 20;

/// Writes pieces of blobs one after the other, and enters them in the draft.
pub(super) struct ResourceWriter<'d, 'r> {
    draft: &'d mut Draft,
    coding: Coding,
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
    pub(super) fn new(draft: &'d mut Draft, coding: Coding, run: Run<'r>) -> Self {
        let gathered_at = draft.at();
        let gathered = Vec::with_capacity(GATHER);
        Self { draft, coding, run, gathered, gathered_at, open: None }
    }

    /// Writes a batch, and gives it back to be used again.
    pub(super) fn write(&mut self, encoded: Encoded) -> Result<Batch, Error> {
        let Encoded { batch, mut chunks } = encoded;
        for (index, piece) in batch.pieces.iter().enumerate() {
            let data = &batch.data[piece.range.clone()];
            let chunks = chunks.get_mut(index).map(std::mem::take);
            match (piece, chunks) {
                (Piece { begins: Some(begin), ends: Some(hash), .. }, chunks) => {
                    self.whole(data, chunks, *begin, *hash)?;
                }
                (piece, chunks) => self.piece(data, chunks, piece)?,
            }
            let ended = u64::from(piece.ends.is_some());
            self.run.progress.advance(Amount::new(data.len() as u64, ended));
        }
        Ok(batch)
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.flush()
    }

    /// A blob that is all there.
    fn whole(
        &mut self,
        data: &[u8],
        chunks: Option<Chunks>,
        begin: Begin,
        hash: Sha1Hash,
    ) -> Result<(), Error> {
        let start = self.draft.at();
        let chunks = match chunks {
            Some(chunks) => Some((table(&chunks, begin.size)?, chunks)),
            None => None,
        };
        let flags = match chunks {
            Some((table, chunks)) if table.len() + chunks.bytes.len() < data.len() => {
                self.put(&table)?;
                self.put(&chunks.bytes)?;
                ResourceFlags::COMPRESSED
            }
            _ => {
                self.put(data)?;
                ResourceFlags::empty()
            }
        };
        let size = self.at() - start;
        self.enter(
            ResourceHeader { size, flags, offset: start, uncompressed_size: begin.size },
            hash,
            begin,
        );
        Ok(())
    }

    /// A piece of a blob.
    fn piece(&mut self, data: &[u8], chunks: Option<Chunks>, piece: &Piece) -> Result<(), Error> {
        if let Some(begin) = piece.begins {
            let start = self.draft.at();
            let table_len = match chunks {
                Some(_) => ChunkTable::table_len(begin.size, self.coding.chunk_size),
                None => 0,
            };
            let table_len = usize::try_from(table_len).map_err(|_| self.no_memory())?;
            self.put(&vec![0; table_len])?;
            let chunks_start = start + table_len as u64;
            self.open = Some(Open { begin, start, chunks_start, sizes: Vec::new(), len: 0 });
        }
        let stored = match &chunks {
            Some(chunks) => &chunks.bytes,
            None => data,
        };
        self.put(stored)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        open.len += stored.len() as u64;
        open.sizes.extend(chunks.iter().flat_map(|chunks| &chunks.sizes));
        match (piece.ends, self.open.take_if(|_| piece.ends.is_some())) {
            (Some(hash), Some(open)) => self.close(open, hash),
            _ => Ok(()),
        }
    }

    /// The end of a blob that came in pieces: now the table is known.
    fn close(&mut self, open: Open, hash: Sha1Hash) -> Result<(), Error> {
        let Open { begin, start, chunks_start, sizes, len } = open;
        let uncompressed_size = begin.size;
        self.flush()?;
        let size = chunks_start - start + len;
        let place = if self.coding.codec.is_none() {
            ResourceHeader { size, flags: ResourceFlags::empty(), offset: start, uncompressed_size }
        } else if len == uncompressed_size {
            // Nothing got smaller. What is stored raw has no table.
            self.move_back(chunks_start, len, start)?;
            self.gathered_at = start + len;
            ResourceHeader {
                size: len,
                flags: ResourceFlags::empty(),
                offset: start,
                uncompressed_size,
            }
        } else {
            let table = write_chunk_table(&sizes, uncompressed_size).map_err(too_large)?;
            self.write_at(&table, start)?;
            ResourceHeader {
                size,
                flags: ResourceFlags::COMPRESSED,
                offset: start,
                uncompressed_size,
            }
        };
        self.enter(place, hash, begin);
        Ok(())
    }

    fn enter(&mut self, place: ResourceHeader, hash: Sha1Hash, begin: Begin) {
        self.draft.push(Segment::Written { len: place.size });
        let Begin { size, references: refcount } = begin;
        let place = BlobPlace::Resource(place);
        self.draft.enter(Blob { hash, size, refcount, part_number: 1, place }, None);
    }

    /// Where the next byte goes.
    fn at(&self) -> u64 {
        self.gathered_at + self.gathered.len() as u64
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
        write_all_at(self.run.file, bytes, at).map_err(Error::io(Action::Write, self.run.name))
    }

    /// Moves bytes of the file towards its start.
    fn move_back(&self, from: u64, len: u64, to: u64) -> Result<(), Error> {
        let mut buffer = vec![0; GATHER];
        let mut done = 0;
        while done < len {
            self.run.cancel.check()?;
            let step = (len - done).min(GATHER as u64);
            let bytes = &mut buffer[..step as usize];
            let read: io::Result<()> = read_exact_at(self.run.file, bytes, from + done);
            read.map_err(Error::io(Action::Read, self.run.name))?;
            self.write_at(bytes, to + done)?;
            done += step;
        }
        Ok(())
    }

    fn no_memory(&self) -> Error {
        Error::Memory { file: self.run.name.display().to_string(), bytes: u64::MAX }
    }
}

/// The chunk table of a blob that is all there.
fn table(chunks: &Chunks, uncompressed_size: u64) -> Result<Vec<u8>, Error> {
    write_chunk_table(&chunks.sizes, uncompressed_size).map_err(too_large)
}

/// A resource that is all there, as bytes.
pub(super) fn whole(data: &[u8], coding: Coding, chunks: &Chunks) -> Result<PackedBytes, Error> {
    let stored = || PackedBytes { bytes: data.to_vec(), flags: ResourceFlags::empty() };
    if coding.codec.is_none() {
        return Ok(stored());
    }
    let mut bytes = table(chunks, data.len() as u64)?;
    bytes.extend_from_slice(&chunks.bytes);
    if bytes.len() >= data.len() {
        return Ok(stored());
    }
    Ok(PackedBytes { bytes, flags: ResourceFlags::COMPRESSED })
}
