//! Blobs whose chunks become chunks of the same length, or that have none.
//!
//! The threads that encode decode them, too: a batch while the one before is encoded. With each chunk goes
//! what its decoder has learnt of it and the encoder can use, its matches.

use std::ops::Range;

use rayon::prelude::*;
use wim_format::Hints;
use wim_format::resource::ChunkTable;

use super::{Batch, Begin, Packing, Piece, Supply, is_large};
use crate::archive::{BlobId, Wim};
use crate::blob::{Form, Resource};
use crate::cancel::Cancel;
use crate::error::{Damage, Error};
use crate::hash::{Sha1, sha1_many, update_many};
use crate::pipeline::batch::{Place, chunks_of, fetch, place};
use crate::pipeline::decode::{Decoders, Jobs};
use crate::pipeline::lock::Lock;
use crate::pipeline::ordered::check;
use crate::pipeline::plan::BATCH_BLOBS;
use crate::pipeline::{Plan, Threads};

/// Bytes that a thread decodes at a time, and hashes if they are all there is of a blob.
const SHARE: usize = 256 << 10;
/// So many larger blobs are hashed together.
const FEW: usize = 4;

/// Decodes and checks blobs in their order.
pub(super) struct Chunkwise<'a> {
    reader: Reader<'a>,
    references: &'a (dyn Fn(BlobId) -> u32 + Sync),
    blobs: std::iter::Peekable<std::vec::IntoIter<BlobId>>,
    /// The blob that has begun and not ended.
    open: Option<Large<'a>>,
    takes_hints: bool,
}

/// What all threads decode with.
struct Reader<'a> {
    wim: &'a Wim,
    cancel: &'a Cancel,
    /// A thread takes some, and puts them back.
    idle: Lock<Vec<Decoders>>,
    chunk_size: usize,
}

/// A blob that is decoded in several shares.
struct Large<'a> {
    blob: BlobId,
    resource: Resource<'a>,
    /// `None` for a stored resource.
    table: Option<ChunkTable<'static>>,
    /// Bytes in the batches so far.
    done: u64,
    sha1: Sha1,
}

/// What comes into a batch.
struct Chosen<'a> {
    blob: BlobId,
    piece: Piece,
    large: Option<Large<'a>>,
}

/// What a thread decodes at a time.
struct Share<'b, 'a> {
    what: What<'b, 'a>,
    out: &'b mut [u8],
    /// One for each chunk, if the encoder takes any.
    hints: &'b mut [Hints],
}

enum What<'b, 'a> {
    /// Small blobs.
    Whole(Vec<BlobId>),
    /// A range of a larger one.
    Part(&'b Large<'a>, Range<u64>),
}

/// Why something was not read.
enum Failure {
    Damaged(BlobId, Damage),
    Cancelled(Error),
}

impl<'a> Chunkwise<'a> {
    /// `None` where chunks change their length, or are too large to be decoded while others are encoded.
    pub(super) fn new(
        wim: &'a Wim,
        plans: &[Plan<'_>],
        references: &'a (dyn Fn(BlobId) -> u32 + Sync),
        packing: Packing,
        threads: Threads,
        cancel: &'a Cancel,
    ) -> Option<Self> {
        let (codec, chunk_size) = (packing.coding.codec?, packing.coding.chunk_size);
        let stays = |&id: &BlobId| {
            let resource = wim.resource(id);
            let has_form = match resource.form {
                Form::Stored => resource.place.size == resource.uncompressed_size(),
                Form::Chunks(coding, _) => coding.chunk_size == chunk_size,
                Form::Solid(_) => false,
            };
            has_form && resource.uncompressed_size() == wim.blob(id).size
        };
        let is_solid = packing.solid.is_some() || plans.iter().any(|plan| !plan.solid.is_empty());
        if is_solid || is_large(threads, chunk_size) {
            return None;
        }
        let blobs: Vec<BlobId> =
            plans.iter().flat_map(|plan| plan.single.iter().copied()).collect();
        blobs.iter().all(stays).then(|| Self {
            reader: Reader {
                wim,
                cancel,
                idle: Lock::new(Vec::new()),
                chunk_size: chunk_size as usize,
            },
            references,
            blobs: blobs.into_iter().peekable(),
            open: None,
            takes_hints: packing.level.takes_hints(codec),
        })
    }

    /// Chooses what comes into a batch with so much room, up to a blob that cannot be read at all.
    fn choose(&mut self, room: usize) -> (Vec<Chosen<'a>>, Result<(), Failure>) {
        let wim = self.reader.wim;
        let (mut chosen, mut at) = (Vec::new(), 0);
        loop {
            let begun = self.open.as_ref().map(|open| (open.blob, open.done));
            let next = || self.blobs.peek().map(|&blob| (blob, 0));
            let Some((blob, done)) = begun.or_else(next) else { break };
            let (size, hash) = (wim.blob(blob).size, wim.blob(blob).hash);
            let is_small = size <= SHARE as u64;
            let chunks = (room - at) / self.reader.chunk_size * self.reader.chunk_size;
            let len = match usize::try_from(size - done) {
                Ok(rest) if rest <= room - at => rest,
                _ if is_small || chunks == 0 => break,
                _ => chunks,
            };
            let mut large = self.open.take();
            let mut begins = None;
            if begun.is_none() {
                self.blobs.next();
                let references = (self.references)(blob);
                begins = Some(Begin { size, references, hash: Some(hash) });
                if !is_small {
                    match Large::open(wim, blob) {
                        Ok(opened) => large = Some(opened),
                        Err(damage) => return (chosen, Err(Failure::Damaged(blob, damage))),
                    }
                }
            }
            if let Some(large) = &mut large {
                large.done += len as u64;
            }
            let is_last = done + len as u64 == size;
            let piece = Piece { range: at..at + len, begins, ends: is_last.then_some(hash) };
            chosen.push(Chosen { blob, piece, large });
            at += len;
            if !is_last {
                break;
            }
        }
        (chosen, Ok(()))
    }

    /// Shares `data` and `hints` out, which are for all that was chosen.
    fn shares<'b>(
        &self,
        chosen: &'b [Chosen<'a>],
        mut data: &'b mut [u8],
        mut hints: &'b mut [Hints],
    ) -> Vec<Share<'b, 'a>> {
        let share_len = SHARE.max(2 * self.reader.chunk_size);
        let mut shares = Vec::new();
        let mut give = |what, len: usize, chunks: usize| {
            let (out, rest) = std::mem::take(&mut data).split_at_mut(len);
            data = rest;
            let chunks = chunks.min(hints.len());
            let (own, rest) = std::mem::take(&mut hints).split_at_mut(chunks);
            hints = rest;
            shares.push(Share { what, out, hints: own });
        };
        let mut rest = chosen;
        while let Some((first, others)) = rest.split_first() {
            rest = others;
            let (mut len, mut chunks) =
                (first.piece.range.len(), first.chunks(self.reader.chunk_size));
            if let Some(large) = &first.large {
                let mut from = large.done - len as u64;
                while from < large.done {
                    let end = large.done.min(from + share_len as u64);
                    let len = (end - from) as usize;
                    give(What::Part(large, from..end), len, len.div_ceil(self.reader.chunk_size));
                    from = end;
                }
                continue;
            }
            let mut blobs = vec![first.blob];
            while let Some((next, others)) = rest.split_first()
                && next.large.is_none()
                && len + next.piece.range.len() <= share_len
                && blobs.len() < BATCH_BLOBS
            {
                blobs.push(next.blob);
                len += next.piece.range.len();
                chunks += next.chunks(self.reader.chunk_size);
                rest = others;
            }
            give(What::Whole(blobs), len, chunks);
        }
        shares
    }
}

impl Supply for Chunkwise<'_> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let (mut chosen, opened) = self.choose(batch.data.len());
        if self.takes_hints {
            let chunks = chosen.iter().map(|chosen| chosen.chunks(self.reader.chunk_size)).sum();
            batch.hints.resize_with(chunks, Hints::default);
        }
        let shares = self.shares(&chosen, &mut batch.data, &mut batch.hints);
        let read = shares.into_par_iter().with_max_len(1).map(|share| self.reader.read(share));
        let read =
            read.collect::<Vec<_>>().into_iter().collect::<Result<(), Failure>>().and(opened);
        let data = &batch.data;
        let open = chosen.iter_mut().filter_map(|Chosen { piece, large, .. }| {
            Some((&mut large.as_mut()?.sha1, &data[piece.range.clone()]))
        });
        open.collect::<Vec<_>>().par_chunks_mut(FEW).for_each(update_many);
        let wim = self.reader.wim;
        let damaged = match read {
            Ok(()) => None,
            Err(Failure::Damaged(blob, damage)) => Some((blob, damage)),
            Err(Failure::Cancelled(error)) => return Err(error),
        };
        for Chosen { blob, piece, large } in chosen {
            // Of damaged blobs the first is named, whoever comes first and however much is read at a time.
            if damaged.as_ref().is_some_and(|damaged| damaged.0 == blob) {
                break;
            }
            match (large, piece.ends) {
                (Some(large), Some(hash)) => {
                    check(hash, large.sha1.finish()).map_err(|damage| wim.damaged(blob, damage))?
                }
                (large, _) => self.open = large,
            }
            batch.pieces.push(piece);
        }
        damaged.map_or(Ok(()), |(blob, damage)| Err(wim.damaged(blob, damage)))
    }
}

impl Chosen<'_> {
    fn chunks(&self, chunk_size: usize) -> usize {
        self.piece.range.len().div_ceil(chunk_size)
    }
}

impl<'a> Large<'a> {
    fn open(wim: &'a Wim, blob: BlobId) -> Result<Self, Damage> {
        let resource = wim.resource(blob);
        resource.check_range(0, resource.place.size)?;
        let table = resource.table()?;
        resource.expect_soon();
        Ok(Self { blob, resource, table, done: 0, sha1: Sha1::new() })
    }
}

impl Reader<'_> {
    /// Decodes a share, and checks blobs that are all there.
    fn read(&self, share: Share<'_, '_>) -> Result<(), Failure> {
        self.cancel.check().map_err(Failure::Cancelled)?;
        let mut decoders = self.idle.lock().pop().unwrap_or_default();
        let Share { what, out, hints } = share;
        let read = match what {
            What::Whole(blobs) => self.read_whole(&blobs, out, hints, &mut decoders),
            What::Part(large, range) => read_part(large, range, out, hints, &mut decoders)
                .map_err(|damage| Failure::Damaged(large.blob, damage)),
        };
        self.idle.lock().push(decoders);
        read
    }

    fn read_whole(
        &self,
        blobs: &[BlobId],
        out: &mut [u8],
        hints: &mut [Hints],
        decoders: &mut Decoders,
    ) -> Result<(), Failure> {
        let wim = self.wim;
        let mut jobs = Jobs::default();
        let (mut of_jobs, mut hints) = (Vec::new(), hints.iter_mut());
        let mut damaged: Vec<Option<Damage>> = vec![None; blobs.len()];
        let mut end = 0;
        for (tag, (&blob, bytes)) in blobs.iter().zip(fetch(wim, blobs)).enumerate() {
            let (start, len) = (end, wim.blob(blob).size as usize);
            end += len;
            let resource = wim.resource(blob);
            let mut at = start;
            let place = bytes.and_then(|bytes| place(&resource, bytes, &mut at, tag, &mut jobs));
            let own = hints.by_ref().take(len.div_ceil(self.chunk_size));
            match place {
                Ok(Place::Decoded(_)) => of_jobs.extend(own),
                Ok(Place::Stored(bytes)) => {
                    own.for_each(drop);
                    out[start..end].copy_from_slice(&bytes);
                }
                Err(damage) => {
                    own.for_each(drop);
                    damaged[tag] = Some(damage);
                }
            }
        }
        jobs.decode_with_hints(decoders, out, &mut of_jobs, |tag, damage| {
            damaged[tag].get_or_insert(damage);
        });
        let mut rest = &*out;
        let messages = blobs.iter().map(|&blob| {
            let (message, others) = rest.split_at(wim.blob(blob).size as usize);
            rest = others;
            message
        });
        let mut hashes = Vec::new();
        sha1_many(&messages.collect::<Vec<_>>(), &mut hashes);
        blobs.iter().zip(hashes).zip(damaged).try_for_each(|((&blob, hash), damage)| {
            let checked = damage.map_or_else(|| check(wim.blob(blob).hash, hash), Err);
            checked.map_err(|damage| Failure::Damaged(blob, damage))
        })
    }
}

fn read_part(
    large: &Large<'_>,
    range: Range<u64>,
    out: &mut [u8],
    hints: &mut [Hints],
    decoders: &mut Decoders,
) -> Result<(), Damage> {
    let resource = &large.resource;
    let Some(table) = &large.table else {
        out.copy_from_slice(&resource.bytes(range.start, range.end - range.start)?);
        return Ok(());
    };
    let mut jobs = Jobs::default();
    jobs.add_from(resource, table, chunks_of(table, range), 0, 0)?;
    let mut first = None;
    let mut hints: Vec<&mut Hints> = hints.iter_mut().collect();
    jobs.decode_with_hints(decoders, out, &mut hints, |_, damage| {
        first.get_or_insert(damage);
    });
    first.map_or(Ok(()), Err)
}
