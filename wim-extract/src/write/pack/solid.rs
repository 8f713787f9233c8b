//! Many blobs in one resource: their data is compressed together, as if it were that of one.

use wim_format::blob_table::{Blob, BlobPlace};
use wim_format::resource::SolidHeader;
use wim_format::{Codec, Level, Sha1Hash};

use super::order::SolidOrder;
use super::resource::Frame;
use super::{Batch, Begin, Packing, Piece, Run, Supply, batch_len, pack_framed};
use crate::archive::Wim;
use crate::blob::Coding;
use crate::error::Error;
use crate::progress::{Amount, Progress};
use crate::write::layout::Draft;

/// How solid resources are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SolidPacking {
    pub(crate) codec: Codec,
    /// Uncompressed bytes of a chunk.
    pub(crate) chunk_size: u32,
    pub(crate) level: Level,
    pub(crate) order: SolidOrder,
}

impl SolidPacking {
    /// As the last solid resource that `wim` has and that an encoder could make.
    pub(super) fn like(wim: &Wim, level: Level) -> Option<Self> {
        let solid = wim.parts().iter().flat_map(|part| &part.blobs.solid);
        let headers = solid.map(|solid| solid.header);
        let mut made = headers.filter_map(|SolidHeader { codec, chunk_size, .. }| {
            let chunk_size = codec.map(|codec| chunk_size.min(largest_chunk(codec)))?;
            Some(Self { codec: codec?, chunk_size, level, order: SolidOrder::default() })
        });
        made.next_back()
    }

    /// Of the chunks.
    pub(crate) fn coding(self) -> Coding {
        Coding { codec: Some(self.codec), chunk_size: self.chunk_size }
    }
}

/// The largest chunk that can be encoded.
fn largest_chunk(codec: Codec) -> u32 {
    match codec {
        Codec::Lzms => wim_format::LZMS_LIMIT,
        codec => *codec.chunk_size_range().end(),
    }
}

/// Packs everything that `supply` has into one solid resource, from where `draft` ends; all of it
/// together is `size` bytes. Returns the bytes written.
///
/// # Errors
/// Those of the supply, those of writing, [`Error::Cancelled`].
pub(crate) fn pack_solid(
    draft: &mut Draft,
    packing: SolidPacking,
    size: u64,
    supply: &mut dyn Supply,
    run: Run<'_>,
) -> Result<u64, Error> {
    if size == 0 {
        return Ok(0);
    }
    let SolidPacking { codec, chunk_size, level, .. } = packing;
    let header = SolidHeader { uncompressed_size: size, chunk_size, codec: Some(codec) };
    let chunks = Packing::single(packing.coding(), level);
    let resource = draft.solid_count();
    let input = Batch::new(batch_len(run.threads, 0))?;
    let mut joined = Joined {
        supply,
        progress: run.progress,
        size,
        done: 0,
        input,
        next: 0,
        taken: 0,
        begun: None,
        members: Vec::new(),
    };
    let written = pack_framed(draft, chunks, Frame::Solid(header), &mut joined, run)?;
    for Member { begin: Begin { size, references: refcount, .. }, hash, offset } in joined.members {
        let place = BlobPlace::Solid { resource, offset };
        draft.enter(Blob { hash, size, refcount, part_number: 1, place }, None);
    }
    Ok(written)
}

/// A blob of the resource.
struct Member {
    begin: Begin,
    hash: Sha1Hash,
    offset: u64,
}

/// The data of many blobs as that of one: whole batches of it.
struct Joined<'s> {
    supply: &'s mut dyn Supply,
    progress: &'s dyn Progress,
    /// Length of all data, and of what was handed on.
    size: u64,
    done: u64,
    /// What came from the supply last, which of its pieces is next, and what of that was taken.
    input: Batch,
    next: usize,
    taken: usize,
    /// The blob that has begun and not ended, and its place.
    begun: Option<(Begin, u64)>,
    members: Vec<Member>,
}

impl Joined<'_> {
    /// Puts what comes next to the start of `out`, as much as there is of the piece at hand. Gives the
    /// number of bytes; 0 at the end of everything.
    fn take(&mut self, at: u64, out: &mut [u8]) -> Result<usize, Error> {
        while self.next == self.input.pieces.len() {
            self.input.pieces.clear();
            (self.next, self.taken) = (0, 0);
            self.supply.fill(&mut self.input)?;
            if self.input.pieces.is_empty() {
                return Ok(0);
            }
        }
        let Piece { range, begins, ends } = &self.input.pieces[self.next];
        if let (Some(begin), 0) = (begins, self.taken) {
            self.begun = Some((*begin, at));
        }
        let data = &self.input.data[range.clone()][self.taken..];
        let len = data.len().min(out.len());
        out[..len].copy_from_slice(&data[..len]);
        self.taken += len;
        if len == data.len() {
            if let (Some(hash), Some((begin, offset))) =
                (*ends, self.begun.take_if(|_| ends.is_some()))
            {
                self.members.push(Member { begin, hash, offset });
                self.progress.advance(Amount::new(0, 1));
            }
            (self.next, self.taken) = (self.next + 1, 0);
        }
        Ok(len)
    }
}

impl Supply for Joined<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let room = (self.size - self.done).min(batch.data.len() as u64) as usize;
        let mut used = 0;
        while used < room {
            let len = self.take(self.done + used as u64, &mut batch.data[used..room])?;
            if len == 0 && self.input.pieces.is_empty() {
                break;
            }
            used += len;
        }
        if used > 0 {
            let begin = Begin { size: self.size, references: 0, hash: None };
            let begins = (self.done == 0).then_some(begin);
            self.done += used as u64;
            let ends = (self.done == self.size).then_some(Sha1Hash::ZERO);
            batch.pieces.push(Piece { range: 0..used, begins, ends });
        }
        Ok(())
    }
}
