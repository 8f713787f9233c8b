//! The data of an image, from the stream to a sink.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;
use std::sync::OnceLock;

use rayon::prelude::*;
use wim_format::{Codec, Decoder, Sha1Hash};

use super::PipedWim;
use super::batch::{Batch, Filler, Piece};
use crate::archive::{BlobId, ImageTree};
use crate::cancel::Cancel;
use crate::error::{Damage, Error};
use crate::hash::Sha1;
use crate::pipeline::buffers::zeroed;
use crate::pipeline::decode::decode_one;
use crate::pipeline::lock::Lock;
use crate::pipeline::team::share_among;
use crate::pipeline::{DamagedData, Options, Sink};
use crate::progress::{Amount, Progress};

/// Uncompressed bytes that a thread decodes at a time.
const SHARE: usize = 256 << 10;

/// The blobs that an image refers to. How long they are is known when they come.
#[derive(Debug, Default)]
pub struct PipedBlobs {
    blobs: Vec<PipedBlob>,
    by_hash: HashMap<Sha1Hash, BlobId>,
}

#[derive(Debug)]
struct PipedBlob {
    hash: Sha1Hash,
    size: OnceLock<u64>,
}

impl PipedBlobs {
    /// All that an image refers to.
    #[must_use]
    pub fn of(tree: &ImageTree) -> Self {
        let mut blobs = Self::default();
        for id in tree.ids() {
            tree.dentry(id).streams().for_each(|stream| blobs.add(stream.hash));
        }
        blobs
    }

    fn add(&mut self, hash: Sha1Hash) {
        // An image has less than 2^32 streams.
        let id = BlobId::at(self.blobs.len() as u32);
        if hash.is_zero() {
            return;
        }
        if let Entry::Vacant(new) = self.by_hash.entry(hash) {
            new.insert(id);
            self.blobs.push(PipedBlob { hash, size: OnceLock::new() });
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// The blob of that hash, if it is wanted.
    #[must_use]
    pub fn find(&self, hash: &Sha1Hash) -> Option<BlobId> {
        self.by_hash.get(hash).copied()
    }

    /// The hash of a blob.
    ///
    /// # Panics
    /// When `id` is not one of these, as does [`size`](Self::size).
    #[must_use]
    pub fn hash(&self, id: BlobId) -> Sha1Hash {
        self.blobs[id.index()].hash
    }

    /// The length of a blob in bytes, once it has begun to come.
    #[must_use]
    pub fn size(&self, id: BlobId) -> Option<u64> {
        self.blobs[id.index()].size.get().copied()
    }

    /// Takes note of the length of a blob that begins to come; `false` when it has come before.
    pub(super) fn begins(&self, id: BlobId, size: u64) -> bool {
        self.blobs[id.index()].size.set(size).is_ok()
    }
}

impl<R: Read + Send> PipedWim<R> {
    /// Reads the data behind the metadata, to the end of the stream, and hands those of `blobs` that
    /// are `needed` to `sink`, as the [pipeline](crate::pipeline) does for an archive that can be searched.
    ///
    /// # Errors
    /// The stream makes no sense any more, or ends before all that is needed has come; what the sink
    /// says; [`Error::Cancelled`].
    pub fn data(
        mut self,
        blobs: &PipedBlobs,
        needed: impl IntoIterator<Item = BlobId>,
        sink: &dyn Sink,
        options: &Options,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), Error> {
        let threads = options.threads;
        let coder = self.codec.map(|codec| (codec, self.header.chunk_size));
        let worker = Worker {
            coder,
            blobs,
            sink,
            damaged: options.damaged,
            progress,
            idle: Lock::default(),
            running: Lock::default(),
        };
        let chunk_size = self.header.chunk_size;
        let needed = needed.into_iter();
        let mut filler = Filler::new(&mut self.records, chunk_size, blobs, needed, threads.get());
        share_among(threads, || {
            let (mut batch, mut next, mut out) = (Batch::default(), Batch::default(), Vec::new());
            filler.fill(&mut batch)?;
            while !batch.pieces.is_empty() {
                cancel.check()?;
                let (done, filled) =
                    rayon::join(|| worker.work(&batch, &mut out), || filler.fill(&mut next));
                done?;
                filled?;
                std::mem::swap(&mut batch, &mut next);
                next.clear();
            }
            Ok::<(), Error>(())
        })?;
        self.records.drain()
    }
}

impl Batch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        self.len = 0;
    }
}

/// Decodes batches, hashes what is in them and hands it on.
struct Worker<'a> {
    coder: Option<(Codec, u32)>,
    blobs: &'a PipedBlobs,
    sink: &'a dyn Sink,
    damaged: DamagedData,
    progress: &'a dyn Progress,
    idle: Lock<Vec<Decoder>>,
    /// Blobs that reach into the next batch.
    running: Lock<HashMap<BlobId, Running>>,
}

/// What is known of a blob of which some pieces have come.
#[derive(Default)]
struct Running {
    sha1: Sha1,
    damage: Option<Damage>,
}

/// A chunk and where its contents go.
struct Job<'b> {
    piece: usize,
    chunk: u64,
    offset: u64,
    src: &'b [u8],
    dst: &'b mut [u8],
}

impl Worker<'_> {
    fn work(&self, batch: &Batch, out: &mut Vec<u8>) -> Result<(), Error> {
        let len = usize::try_from(batch.len).unwrap_or(usize::MAX);
        if out.len() < len {
            let no_memory = |_| Error::Memory { file: "the stream".to_owned(), bytes: batch.len };
            *out = zeroed(len).map_err(no_memory)?;
        }
        let mut damages: Vec<Option<Damage>> = batch.pieces.iter().map(|_| None).collect();
        let failed: Vec<(usize, Damage)> = groups(jobs(batch, out))
            .into_par_iter()
            .flat_map_iter(|group| self.decode(group))
            .collect();
        for (piece, damage) in failed {
            damages[piece].get_or_insert(damage);
        }
        let mut rest = &out[..len];
        let mut pieces = Vec::with_capacity(batch.pieces.len());
        for (piece, damage) in batch.pieces.iter().zip(damages) {
            let (data, behind) = rest.split_at((piece.range.end - piece.range.start) as usize);
            pieces.push((piece, data, damage));
            rest = behind;
        }
        pieces
            .into_par_iter()
            .try_for_each(|(piece, data, damage)| self.hand_on(piece, data, damage))
    }

    /// Decodes some chunks with one decoder; gives those that failed, by their pieces.
    fn decode(&self, group: Vec<Job<'_>>) -> Vec<(usize, Damage)> {
        let mut decoder = self.idle.lock().pop();
        let mut failed = Vec::new();
        for Job { piece, chunk, offset, src, dst } in group {
            if let Err(source) = decode_one(&mut decoder, self.coder, src, dst) {
                dst.fill(0);
                failed.push((piece, Damage::Decode { chunk, offset, source }));
            }
        }
        self.idle.lock().extend(decoder);
        failed
    }

    /// Gives a piece to the sink, and the result where the blob ends.
    fn hand_on(&self, piece: &Piece, data: &[u8], damage: Option<Damage>) -> Result<(), Error> {
        let Piece { blob, range, is_last, .. } = piece;
        let mut running = self.running.lock().remove(blob).unwrap_or_default();
        running.sha1.update(data);
        running.damage = running.damage.or(damage);
        if *is_last && running.damage.is_none() {
            let (expected, found) = (self.blobs.hash(*blob), running.sha1.clone().finish());
            running.damage = (found != expected).then_some(Damage::Hash { expected, found });
        }
        if running.damage.is_none() || self.damaged == DamagedData::Deliver {
            self.sink.piece(*blob, range.start, data)?;
        }
        self.progress.advance(Amount::new(data.len() as u64, u64::from(*is_last)));
        if *is_last {
            return self.sink.done(*blob, running.damage.map_or(Ok(()), Err));
        }
        self.running.lock().insert(*blob, running);
        Ok(())
    }
}

/// The chunks of a batch, each with its place in `out`.
fn jobs<'b>(batch: &'b Batch, out: &'b mut [u8]) -> Vec<Job<'b>> {
    let mut rest = out;
    let mut jobs = Vec::new();
    for (piece, chunks) in batch.pieces.iter().map(|piece| &piece.chunks).enumerate() {
        for (at, chunk) in chunks {
            let (dst, behind) = rest.split_at_mut(chunk.uncompressed);
            let src = &batch.bytes[*at..at + chunk.compressed];
            jobs.push(Job { piece, chunk: chunk.number, offset: chunk.offset, src, dst });
            rest = behind;
        }
    }
    jobs
}

/// Neighbours together until they have a share's length.
fn groups(jobs: Vec<Job<'_>>) -> Vec<Vec<Job<'_>>> {
    let mut groups: Vec<Vec<Job<'_>>> = Vec::new();
    let mut len = 0;
    for job in jobs {
        match groups.last_mut() {
            Some(group) if len + job.dst.len() <= SHARE => {
                len += job.dst.len();
                group.push(job);
            }
            _ => {
                len = job.dst.len();
                groups.push(vec![job]);
            }
        }
    }
    groups
}
