//! Chunks are compressed, each by itself, on all threads.

use std::ops::Range;

use rayon::prelude::*;
use wim_format::{Encoder, Hints};

use super::{Batch, Packing, area};
use crate::error::Error;
use crate::map::Area;
use crate::pipeline::lock::Lock;

/// Uncompressed bytes that a thread takes at a time; a whole chunk where chunks are larger.
const SHARE: usize = 64 << 10;

/// Encoders of one kind; a thread takes one, and puts it back.
pub(super) struct Encoders {
    packing: Packing,
    idle: Lock<Vec<Encoder>>,
    /// Where no chunks are now.
    rooms: Lock<Vec<Area>>,
}

/// A batch and its chunks, compressed.
pub(super) struct Encoded {
    pub(super) batch: Batch,
    /// `None` if nothing is compressed.
    stored: Option<Stored>,
}

/// The chunks of some pieces, one piece after the other.
pub(super) struct Stored {
    /// Each chunk lies where its contents would, if the pieces had no gaps between them.
    room: Area,
    sizes: Vec<u32>,
    /// Length of the contents of a chunk.
    chunk_size: usize,
}

/// Chunks of one blob that follow each other, as they are stored. One that is as long as its contents is
/// stored raw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks<'e> {
    /// As long as the contents: each chunk lies where its contents would.
    room: &'e [u8],
    pub(super) sizes: &'e [u32],
    chunk_size: usize,
}

/// A stretch of a blob, whole chunks but for its end.
struct Share<'b> {
    data: &'b [u8],
    /// Of its chunks; or none.
    hints: &'b [Hints],
    room: &'b mut [u8],
    sizes: &'b mut [u32],
}

impl Encoders {
    /// # Errors
    /// [`Error::Unsupported`] for a compression that no encoder can be made for.
    pub(super) fn new(packing: Packing) -> Result<Self, Error> {
        let (idle, rooms) = (Lock::new(Vec::new()), Lock::new(Vec::new()));
        let encoders = Self { packing, idle, rooms };
        let first = encoders.make()?;
        encoders.idle.lock().extend(first);
        Ok(encoders)
    }

    /// One more encoder; `None` where nothing is compressed.
    fn make(&self) -> Result<Option<Encoder>, Error> {
        let Packing { coding, level, .. } = self.packing;
        let make = |codec| Encoder::new(codec, coding.chunk_size, level);
        let unsupported = |error| Error::Unsupported(format!("{coding}: {error}"));
        coding.codec.map(make).transpose().map_err(unsupported)
    }

    /// Compresses all pieces of a batch. Without compression nothing is done: the data of the batch
    /// is what is stored.
    ///
    /// # Errors
    /// [`Error::Memory`], [`Error::Unsupported`].
    pub(super) fn encode(&self, mut batch: Batch) -> Result<Encoded, Error> {
        if self.packing.coding.codec.is_none() {
            return Ok(Encoded { batch, stored: None });
        }
        let room = self.rooms.lock().pop();
        let room = room.map_or_else(|| area(batch.data.len()), Ok)?;
        let pieces = batch.pieces.iter().map(|piece| &batch.data[piece.range.clone()]);
        let stored = self.compress(&pieces.collect::<Vec<_>>(), &batch.hints, room)?;
        batch.hints = Vec::new();
        Ok(Encoded { batch, stored: Some(stored) })
    }

    /// Takes back the room of chunks that have been written, and gives the batch.
    pub(super) fn take_back(&self, encoded: Encoded) -> Batch {
        let Encoded { batch, stored } = encoded;
        self.rooms.lock().extend(stored.map(|stored| stored.room));
        batch
    }

    /// Compresses the whole of a resource; `None` where nothing is compressed.
    ///
    /// # Errors
    /// As of [`encode`](Self::encode).
    pub(super) fn encode_bytes(&self, data: &[u8]) -> Result<Option<Stored>, Error> {
        if self.packing.coding.codec.is_none() {
            return Ok(None);
        }
        self.compress(&[data], &[], area(data.len())?).map(Some)
    }

    /// Compresses pieces into `room`, which is at least as long, with hints of all their chunks or of none.
    fn compress(&self, pieces: &[&[u8]], hints: &[Hints], mut room: Area) -> Result<Stored, Error> {
        let chunk_size = self.packing.coding.chunk_size as usize;
        let mut sizes = vec![0; pieces.iter().map(|data| data.len().div_ceil(chunk_size)).sum()];
        let shares = self.shares(pieces, hints, &mut room, &mut sizes);
        // While the other thread waits for data, this one would keep a quarter of the batch to itself.
        let groups = grouped(shares).into_par_iter().with_max_len(1);
        groups.try_for_each(|group| self.encode_shares(group))?;
        Ok(Stored { room, sizes, chunk_size })
    }

    /// Cuts pieces into what a thread takes at a time.
    fn shares<'b>(
        &self,
        pieces: &[&'b [u8]],
        mut hints: &'b [Hints],
        mut room: &'b mut [u8],
        mut sizes: &'b mut [u32],
    ) -> Vec<Share<'b>> {
        let chunk_size = self.packing.coding.chunk_size as usize;
        let shares = pieces.iter().flat_map(|data| data.chunks(SHARE.max(chunk_size)));
        let shares = shares.map(|data| {
            let (own_room, more_room) = std::mem::take(&mut room).split_at_mut(data.len());
            let count = data.len().div_ceil(chunk_size);
            let (own_sizes, more_sizes) = std::mem::take(&mut sizes).split_at_mut(count);
            let (own_hints, more_hints) = hints.split_at(count.min(hints.len()));
            (room, sizes, hints) = (more_room, more_sizes, more_hints);
            Share { data, hints: own_hints, room: own_room, sizes: own_sizes }
        });
        shares.collect()
    }

    /// Compresses some stretches of blobs with one encoder.
    fn encode_shares(&self, shares: Vec<Share<'_>>) -> Result<(), Error> {
        let idle = self.idle.lock().pop();
        let Some(mut encoder) = idle.map_or_else(|| self.make(), |idle| Ok(Some(idle)))? else {
            return Ok(());
        };
        let chunk_size = self.packing.coding.chunk_size as usize;
        for Share { data, hints, room, sizes } in shares {
            let chunks = data.chunks(chunk_size).zip(room.chunks_mut(chunk_size)).zip(sizes);
            for (number, ((chunk, room), size)) in chunks.enumerate() {
                let hints = hints.get(number).unwrap_or(Hints::NONE);
                let len = encoder.encode_with_hints(chunk, hints, room).unwrap_or_else(|| {
                    room.copy_from_slice(chunk);
                    chunk.len()
                });
                *size = len as u32;
            }
        }
        self.idle.lock().push(encoder);
        Ok(())
    }
}

impl Encoded {
    /// The chunks of each piece; `None` if nothing is compressed.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Option<Chunks<'_>>> {
        let (mut room_at, mut size_at) = (0, 0);
        self.batch.pieces.iter().map(move |piece| {
            let stored = self.stored.as_ref()?;
            let (len, count) = (piece.range.len(), piece.range.len().div_ceil(stored.chunk_size));
            let chunks = stored.chunks(room_at..room_at + len, size_at..size_at + count);
            (room_at, size_at) = (room_at + len, size_at + count);
            Some(chunks)
        })
    }
}

impl Stored {
    fn chunks(&self, room: Range<usize>, sizes: Range<usize>) -> Chunks<'_> {
        let (room, sizes) = (&self.room[room], &self.sizes[sizes]);
        Chunks { room, sizes, chunk_size: self.chunk_size }
    }

    /// Those of one piece of `len` bytes.
    pub(super) fn whole(&self, len: usize) -> Chunks<'_> {
        self.chunks(0..len, 0..self.sizes.len())
    }
}

impl<'e> Chunks<'e> {
    pub(super) fn iter(self) -> impl Iterator<Item = &'e [u8]> {
        let rooms = self.room.chunks(self.chunk_size).zip(self.sizes);
        rooms.map(|(room, &size)| &room[..size as usize])
    }

    /// Their length together.
    pub(super) fn len(self) -> u64 {
        self.sizes.iter().map(|&size| u64::from(size)).sum()
    }
}

/// Neighbours together until they have a share's length: many small files are one piece of work.
fn grouped(shares: Vec<Share<'_>>) -> Vec<Vec<Share<'_>>> {
    let mut groups: Vec<Vec<Share<'_>>> = Vec::new();
    let mut len = 0;
    for share in shares {
        let own = share.data.len();
        match groups.last_mut() {
            Some(group) if len + own <= SHARE => {
                group.push(share);
                len += own;
            }
            _ => {
                groups.push(vec![share]);
                len = own;
            }
        }
    }
    groups
}
