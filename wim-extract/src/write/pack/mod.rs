//! Compressing blobs into an archive, in parallel, in a fixed order.
//!
//! ```text
//!   Supply ── fills a batch: whole blobs, pieces of large ones ──┐
//!             batch n + 1    on all threads                      │ at the same time,
//!   encode ── each chunk of batch n, on all threads              │ three batches in memory
//!   write  ── batch n − 1, one piece after the other ────────────┘
//! ```
//!
//! What is written where depends on the order of the blobs alone, not on the threads.
//!
//! Where data comes from an archive, filling a batch is decoding, by the same threads
//! ([`chunkwise`]) where chunks keep their length, else by others ([`decoded`]).
//!
//! Chunks that are larger than such a batch ([`is_large`]) are read, encoded and written in turn: what
//! could be done at the same time would save little, and cost memory for two batches more.

mod chunkwise;
pub(crate) mod decoded;
mod encode;
pub(crate) mod order;
mod resource;
pub(crate) mod solid;

use std::ops::Range;

use wim_format::header::Layout;
use wim_format::{Hints, Level, Sha1Hash};

use self::encode::{Encoded, Encoders};
use self::resource::{Frame, ResourceWriter};
use self::solid::SolidPacking;
use super::layout::{Draft, Item};
use super::place::Output;
use crate::archive::Wim;
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::map::Area;
use crate::memory;
use crate::pipeline::Threads;
use crate::pipeline::team::share_among;
use crate::progress::Progress;

/// How resources are to be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Of resources that hold one blob.
    pub(crate) coding: Coding,
    pub(crate) level: Level,
    /// Of file data, where that goes into solid resources.
    pub(crate) solid: Option<SolidPacking>,
}

impl Packing {
    /// Each blob gets a resource of its own.
    pub(crate) fn single(coding: Coding, level: Level) -> Self {
        Self { coding, level, solid: None }
    }

    /// As what `wim` has: where that has solid resources, further data goes into another one.
    pub(crate) fn like(wim: &Wim, level: Level) -> Self {
        Self { coding: wim.coding(), level, solid: SolidPacking::like(wim, level) }
    }
}

/// Gives the blobs to be packed.
pub(crate) trait Supply: Send {
    /// Fills an empty batch with what comes next; leaves it empty when nothing is left.
    ///
    /// # Errors
    /// The first thing that cannot be read ends the packing.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error>;
}

/// Data to be packed together.
#[derive(Debug)]
pub(crate) struct Batch {
    /// As long as a batch may be; what lies outside the pieces means nothing.
    pub(crate) data: Area,
    /// In the order in which they are written.
    pub(crate) pieces: Vec<Piece>,
    /// Of the chunks of all pieces, one after the other; or none. They take half of what the data takes, in the
    /// worst case one and a half times as much, until they are used.
    pub(crate) hints: Vec<Hints>,
    /// Pieces of blobs that are read side by side. Only data that is stored as it is, in a file of the
    /// normal layout, can be: there the place of each is known before it is all there.
    pub(crate) woven: Vec<Woven>,
    /// The blobs that are all there with these pieces, in the order of their places.
    pub(crate) ended: Vec<(Begin, Sha1Hash)>,
}

/// A piece of a blob that is read beside others.
#[derive(Debug, Clone)]
pub(crate) struct Woven {
    /// Where it is in the data of the batch.
    pub(crate) range: Range<usize>,
    /// How far it is from the first of these blobs that has not ended before this batch.
    pub(crate) ahead: u64,
}

/// A blob, or a piece of one.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Where it is in the data of the batch. If it does not end the blob, it is a multiple of the
    /// batch's `grain` long.
    pub(crate) range: Range<usize>,
    /// Set if the blob begins here.
    pub(crate) begins: Option<Begin>,
    /// Set if the blob ends here.
    pub(crate) ends: Option<Sha1Hash>,
}

/// What is known when a blob begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begin {
    /// Its length in bytes.
    pub(crate) size: u64,
    /// How often the images refer to it.
    pub(crate) references: u32,
    /// Its hash, where that is known: a pipable layout needs it.
    pub(crate) hash: Option<Sha1Hash>,
}

/// Bytes that a batch holds with so many threads. Of large chunks it holds one for each thread that there
/// is memory for.
pub(crate) fn batch_len(threads: Threads, chunk_size: u32) -> usize {
    match is_large(threads, chunk_size) {
        false => share_len(threads, chunk_size),
        true => chunk_size as usize * encoders_at_once(threads, chunk_size),
    }
}

/// Enough that all threads are busy to the end. Of small chunks, that is little: the five batches of a run
/// and what becomes of two of them stay under 28 MB for two threads and 16 MB for each thread of many.
fn share_len(threads: Threads, chunk_size: u32) -> usize {
    const SMALL: u32 = 64 << 10;
    let (least, each) = match chunk_size {
        1..=SMALL => (4 << 20, 2 << 20),
        _ => (8 << 20, 3 << 20),
    };
    (threads.get() * each).clamp(least, 192 << 20)
}

/// Whether a batch would not hold a chunk for each thread.
fn is_large(threads: Threads, chunk_size: u32) -> bool {
    chunk_size as usize > share_len(threads, chunk_size) / threads.get()
}

/// How many encoders of large chunks can be at work without the machine running out of memory. Each
/// needs some nine bytes for each byte of its chunk, and the chunk before and after.
fn encoders_at_once(threads: Threads, chunk_size: u32) -> usize {
    const EACH: u64 = 18 << 20;
    let needed = 11 * u64::from(chunk_size) + EACH;
    let possible = memory::available().map_or(1, |available| available / 4 * 3 / needed);
    possible.clamp(1, threads.get() as u64) as usize
}

/// What packing needs to know of its surroundings.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) out: Output<'a>,
    pub(crate) threads: Threads,
    /// Advanced by the uncompressed bytes and the number of the blobs written.
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

/// Packs everything that `supply` has, from where `draft` ends. Returns the bytes written.
///
/// # Errors
/// Those of the supply, those of writing, [`Error::Cancelled`].
pub(crate) fn pack(
    draft: &mut Draft,
    packing: Packing,
    supply: &mut dyn Supply,
    run: Run<'_>,
) -> Result<u64, Error> {
    pack_framed(draft, packing, Frame::Single, supply, run)
}

fn pack_framed(
    draft: &mut Draft,
    packing: Packing,
    frame: Frame,
    supply: &mut dyn Supply,
    run: Run<'_>,
) -> Result<u64, Error> {
    let start = draft.at();
    let encoders = Encoders::new(packing)?;
    let writer = ResourceWriter::new(draft, packing.coding, frame, run);
    let chunk_size = packing.coding.chunk_size;
    let len = batch_len(run.threads, chunk_size);
    share_among(run.threads, || match is_large(run.threads, chunk_size) {
        false => pack_at_once(&encoders, writer, len, supply, run),
        true => pack_in_turn(&encoders, writer, len, supply, run),
    })?;
    Ok(draft.at() - start)
}

/// Reads, encodes and writes at the same time, on the threads of the pool that this runs in.
fn pack_at_once(
    encoders: &Encoders,
    mut writer: ResourceWriter<'_, '_>,
    len: usize,
    supply: &mut dyn Supply,
    run: Run<'_>,
) -> Result<(), Error> {
    let mut stock: Vec<Batch> = Vec::new();
    let mut filled = Batch::new(len)?;
    supply.fill(&mut filled)?;
    let mut encoded: Option<Encoded> = None;
    while !filled.is_empty() || encoded.is_some() {
        run.cancel.check()?;
        let mut next = stock.pop().map_or_else(|| Batch::new(len), Ok)?;
        let was_last = filled.is_empty();
        let (written, (now_encoded, supplied)) = rayon::join(
            || encoded.take().map(|encoded| writer.write(&encoded).map(|()| encoded)).transpose(),
            || {
                rayon::join(
                    || if was_last { Ok(None) } else { encoders.encode(filled).map(Some) },
                    || if was_last { Ok(()) } else { supply.fill(&mut next) },
                )
            },
        );
        if let Some(written) = written? {
            stock.push(encoders.take_back(written).emptied());
        }
        supplied?;
        encoded = now_encoded?;
        filled = next;
    }
    writer.finish()
}

/// Reads, encodes and writes one batch after the other, on the threads of the pool that this runs in.
fn pack_in_turn(
    encoders: &Encoders,
    mut writer: ResourceWriter<'_, '_>,
    len: usize,
    supply: &mut dyn Supply,
    run: Run<'_>,
) -> Result<(), Error> {
    let mut batch = Batch::new(len)?;
    loop {
        run.cancel.check()?;
        supply.fill(&mut batch)?;
        if batch.is_empty() {
            return writer.finish();
        }
        let encoded = encoders.encode(batch)?;
        writer.write(&encoded)?;
        batch = encoders.take_back(encoded).emptied();
    }
}

impl Batch {
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn new(len: usize) -> Result<Self, Error> {
        Ok(Self::over(area(len)?))
    }

    fn over(data: Area) -> Self {
        Self { data, pieces: Vec::new(), hints: Vec::new(), woven: Vec::new(), ended: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.woven.is_empty()
    }

    /// One that holds nothing, where another is to come.
    fn none() -> Self {
        Self::over(Area::Allocated(Vec::new()))
    }

    fn emptied(mut self) -> Self {
        self.pieces.clear();
        self.hints.clear();
        self.woven.clear();
        self.ended.clear();
        self
    }
}

/// # Errors
/// [`Error::Memory`].
fn area(len: usize) -> Result<Area, Error> {
    Area::new(len).map_err(|_| {
        let file = "what is to be compressed".to_owned();
        Error::Memory { file, bytes: len as u64 }
    })
}

/// Compresses `data` by itself: the metadata of an image.
///
/// # Errors
/// [`Error::Unsupported`] for a compression that no encoder can be made for.
pub(crate) fn pack_bytes(
    packing: Packing,
    data: &[u8],
    hash: Sha1Hash,
    layout: Layout,
    threads: Threads,
) -> Result<Item, Error> {
    let encoders = Encoders::new(packing)?;
    let stored = share_among(threads, || encoders.encode_bytes(data))?;
    let chunks = stored.as_ref().map(|stored| stored.whole(data.len()));
    resource::whole(data, hash, layout, chunks)
}
