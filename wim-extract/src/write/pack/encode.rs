//! Chunks are compressed, each by itself, on all threads.

use rayon::prelude::*;
use wim_format::Encoder;

use super::{Batch, Packing};
use crate::error::Error;
use crate::pipeline::lock::Lock;

/// Uncompressed bytes that a thread takes at a time; a whole chunk where chunks are larger.
const SHARE: usize = 64 << 10;

/// Encoders of one kind; a thread takes one, and puts it back.
pub(super) struct Encoders {
    packing: Packing,
    idle: Lock<Vec<Desk>>,
}

/// An encoder, and room for what it makes of a chunk: only so much is kept of it as there is in the end.
struct Desk {
    encoder: Encoder,
    out: Vec<u8>,
}

/// A batch and its chunks, compressed.
pub(super) struct Encoded {
    pub(super) batch: Batch,
    /// For each piece of the batch.
    pub(super) chunks: Vec<Chunks>,
}

/// Chunks of one blob that follow each other, as they are stored. One that is as long as its contents is
/// stored raw. They are not copied together, only to be copied once more into what is written.
pub(super) type Chunks = Vec<Vec<u8>>;

impl Encoders {
    /// # Errors
    /// [`Error::Unsupported`] for a compression that no encoder can be made for.
    pub(super) fn new(packing: Packing) -> Result<Self, Error> {
        let encoders = Self { packing, idle: Lock::new(Vec::new()) };
        let first = encoders.make()?;
        encoders.idle.lock().extend(first);
        Ok(encoders)
    }

    /// One more encoder; `None` where nothing is compressed.
    fn make(&self) -> Result<Option<Desk>, Error> {
        let Packing { coding, level, .. } = self.packing;
        let make = |codec| {
            let encoder = Encoder::new(codec, coding.chunk_size, level);
            encoder.map(|encoder| Desk { encoder, out: Vec::new() })
        };
        let unsupported = |error| Error::Unsupported(format!("{coding}: {error}"));
        coding.codec.map(make).transpose().map_err(unsupported)
    }

    /// Compresses all pieces of a batch. Without compression nothing is done: the data of the batch
    /// is what is stored.
    pub(super) fn encode(&self, batch: Batch) -> Encoded {
        if self.packing.coding.codec.is_none() {
            return Encoded { chunks: Vec::new(), batch };
        }
        let share = SHARE.max(self.packing.coding.chunk_size as usize);
        let shares = batch.pieces.iter().map(|piece| piece.range.len().div_ceil(share));
        let shares: Vec<(usize, usize)> = (0..)
            .zip(shares)
            .flat_map(|(piece, shares)| (0..shares).map(move |share| (piece, share)))
            .collect();
        let groups = grouped(&shares, |&(piece, index)| {
            share.min(batch.pieces[piece].range.len() - index * share)
        });
        let encoded: Vec<Chunks> = groups
            .into_par_iter()
            // While the other thread waits for data, this one would keep a quarter of the batch to itself.
            .with_max_len(1)
            .flat_map_iter(|group| {
                let slices = group.iter().map(|&(piece, index)| {
                    let data = &batch.data[batch.pieces[piece].range.clone()];
                    &data[index * share..data.len().min((index + 1) * share)]
                });
                self.encode_slices(slices)
            })
            .collect();
        let mut chunks: Vec<Chunks> = batch.pieces.iter().map(|_| Chunks::new()).collect();
        for ((piece, _), encoded) in shares.into_iter().zip(encoded) {
            chunks[piece].extend(encoded);
        }
        Encoded { chunks, batch }
    }

    /// Compresses the whole of a resource.
    pub(super) fn encode_bytes(&self, data: &[u8]) -> Chunks {
        let share = SHARE.max(self.packing.coding.chunk_size as usize);
        data.par_chunks(share)
            .flat_map_iter(|data| self.encode_slices([data]))
            .flatten_iter()
            .collect()
    }

    /// Compresses some stretches of blobs with one encoder.
    fn encode_slices<'d>(&self, slices: impl IntoIterator<Item = &'d [u8]>) -> Vec<Chunks> {
        let idle = self.idle.lock().pop();
        // The first one could be made, so can the others.
        let mut desk = idle.or_else(|| self.make().ok().flatten());
        let chunk_size = self.packing.coding.chunk_size as usize;
        let encoded = slices.into_iter().map(|data| match &mut desk {
            Some(desk) => data.chunks(chunk_size).map(|chunk| desk.encode(chunk)).collect(),
            None => Chunks::new(),
        });
        let encoded = encoded.collect();
        self.idle.lock().extend(desk);
        encoded
    }
}

impl Desk {
    /// A chunk as it is stored.
    fn encode(&mut self, chunk: &[u8]) -> Vec<u8> {
        let Self { encoder, out } = self;
        out.resize(out.len().max(chunk.len()), 0);
        match encoder.encode(chunk, &mut out[..chunk.len()]) {
            Some(len) => out[..len].to_vec(),
            None => chunk.to_vec(),
        }
    }
}

/// Neighbours together until they have a share's length: many small files are one piece of work.
fn grouped<T>(items: &[T], len_of: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut groups = Vec::new();
    let (mut start, mut len) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        let item = len_of(item);
        if len + item > SHARE && index > start {
            groups.push(&items[start..index]);
            (start, len) = (index, 0);
        }
        len += item;
    }
    if start < items.len() {
        groups.push(&items[start..]);
    }
    groups
}
