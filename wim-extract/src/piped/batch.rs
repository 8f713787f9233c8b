//! Chunks that are decoded together.

use std::io::Read;
use std::ops::Range;

use wim_format::resource::BlobHeader;

use super::PipedBlobs;
use super::records::{Chunk, Open, Record, Records};
use crate::archive::BlobId;
use crate::error::Error;

/// Bytes of blobs that a batch holds for each thread, more where one chunk is larger.
const SHARE: u64 = 2 << 20;

/// Pieces of blobs, not yet decoded.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What was read.
    pub(super) bytes: Vec<u8>,
    /// In the order of the stream; each of another blob.
    pub(super) pieces: Vec<Piece>,
    /// Bytes of all of them when they are decoded.
    pub(super) len: u64,
}

/// Chunks of a blob that follow each other.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) blob: BlobId,
    /// Where they are in the blob.
    pub(super) range: Range<u64>,
    /// Whether the blob ends with them.
    pub(super) is_last: bool,
    /// The chunks, each with where its bytes begin in the batch.
    pub(super) chunks: Vec<(usize, Chunk)>,
}

/// Reads what is wanted, in batches.
pub(super) struct Filler<'a, R> {
    records: &'a mut Records<R>,
    chunk_size: u32,
    blobs: &'a PipedBlobs,
    /// For each of them, whether it has yet to come.
    needed: Vec<bool>,
    /// The blob that is being read.
    open: Option<(BlobId, Open)>,
    /// Bytes of a batch.
    room: u64,
    /// How many have yet to come.
    missing: usize,
}

impl<'a, R: Read> Filler<'a, R> {
    pub(super) fn new(
        records: &'a mut Records<R>,
        chunk_size: u32,
        blobs: &'a PipedBlobs,
        wanted: impl Iterator<Item = BlobId>,
        threads: usize,
    ) -> Self {
        let room = SHARE * threads.clamp(2, 32) as u64;
        let mut needed = vec![false; blobs.len()];
        wanted.for_each(|id| needed[id.index()] = true);
        let missing = needed.iter().filter(|&&needed| needed).count();
        Self { records, chunk_size, blobs, needed, open: None, room, missing }
    }

    /// Fills an empty batch; leaves it empty when all has come that is needed.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        while batch.len < self.room {
            let Some((blob, open)) = &mut self.open else {
                if self.missing == 0 {
                    break;
                }
                self.next()?;
                continue;
            };
            let start = open.position();
            let (blob, size) = (*blob, open.header.uncompressed_size);
            let mut piece = Piece { blob, range: start..start, is_last: false, chunks: Vec::new() };
            while batch.len < self.room && piece.range.end < size {
                let at = batch.bytes.len();
                let Some(chunk) = self.records.chunk(open, &mut batch.bytes)? else { break };
                piece.chunks.push((at, chunk));
                piece.range.end += chunk.uncompressed as u64;
                batch.len += chunk.uncompressed as u64;
            }
            piece.is_last = piece.range.end >= size;
            if piece.is_last {
                self.open = None;
            }
            batch.pieces.push(piece);
        }
        Ok(())
    }

    /// Goes on to the next resource.
    fn next(&mut self) -> Result<(), Error> {
        match self.records.next()? {
            None => Err(self.records.ends("the image: not all of its data has come")),
            // The end of a part of a split set, or the beginning of the next one.
            Some(Record::Header) => Ok(()),
            Some(Record::Resource(header)) => {
                let open = self.records.open(header, self.chunk_size)?;
                match self.take(&header) {
                    None => self.records.skip_resource(open),
                    Some(blob) => {
                        self.open = Some((blob, open));
                        Ok(())
                    }
                }
            }
        }
    }

    /// The blob under this header, if it is needed and has not come before.
    fn take(&mut self, header: &BlobHeader) -> Option<BlobId> {
        let id = self.blobs.find(&header.hash).filter(|id| self.needed[id.index()])?;
        if header.uncompressed_size == 0 || !self.blobs.begins(id, header.uncompressed_size) {
            return None;
        }
        self.needed[id.index()] = false;
        self.missing -= 1;
        Some(id)
    }
}
