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

pub(crate) mod decoded;
mod encode;
mod resource;

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use wim_format::resource::{ResourceFlags, ResourceHeader};
use wim_format::{Level, Sha1Hash};

use self::encode::{Encoded, Encoders};
use self::resource::ResourceWriter;
use super::layout::Draft;
use crate::blob::Coding;
use crate::cancel::Cancel;
use crate::error::Error;
use crate::pipeline::Threads;
use crate::pipeline::team::share_among;
use crate::progress::Progress;

/// How resources are to be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packing {
    pub(crate) coding: Coding,
    pub(crate) level: Level,
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
    pub(crate) data: Vec<u8>,
    /// In the order in which they are written.
    pub(crate) pieces: Vec<Piece>,
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
}

/// Bytes that a batch holds with so many threads: enough that all are busy to the end, and that the
/// five buffers of a run stay under 40 MB for two threads and 16 MB for each thread of many. A batch
/// holds a chunk in any case; with chunks of 64 MiB it holds no more, and one encoder is at work.
pub(crate) fn batch_len(threads: Threads, chunk_size: u32) -> usize {
    const SHARE: usize = 3 << 20;
    (threads.get() * SHARE).clamp(8 << 20, 192 << 20).max(chunk_size as usize)
}

/// What packing needs to know of its surroundings.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) file: &'a File,
    /// What the file is called in messages.
    pub(crate) name: &'a Path,
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
    let start = draft.at();
    share_among(run.threads, || pack_here(draft, packing, supply, run))?;
    Ok(draft.at() - start)
}

/// As [`pack`], on the threads of the pool that this runs in.
fn pack_here(
    draft: &mut Draft,
    packing: Packing,
    supply: &mut dyn Supply,
    run: Run<'_>,
) -> Result<(), Error> {
    let encoders = Encoders::new(packing)?;
    let len = batch_len(run.threads, packing.coding.chunk_size);
    let mut stock: Vec<Batch> = Vec::new();
    let mut writer = ResourceWriter::new(draft, packing.coding, run);
    let mut filled = Batch::new(len);
    supply.fill(&mut filled)?;
    let mut encoded: Option<Encoded> = None;
    while !filled.pieces.is_empty() || encoded.is_some() {
        run.cancel.check()?;
        let mut next = stock.pop().unwrap_or_else(|| Batch::new(len));
        let was_last = filled.pieces.is_empty();
        let (written, (now_encoded, supplied)) = rayon::join(
            || encoded.take().map(|encoded| writer.write(encoded)).transpose(),
            || {
                rayon::join(
                    || if was_last { None } else { Some(encoders.encode(filled)) },
                    || if was_last { Ok(()) } else { supply.fill(&mut next) },
                )
            },
        );
        if let Some(batch) = written? {
            stock.push(batch.emptied());
        }
        supplied?;
        encoded = now_encoded;
        filled = next;
    }
    writer.finish()
}

impl Batch {
    fn new(len: usize) -> Self {
        Self { data: vec![0; len], pieces: Vec::new() }
    }

    fn emptied(mut self) -> Self {
        self.pieces.clear();
        self
    }
}

/// Bytes to be written as a resource that is not solid, and what the resource header says of them.
#[derive(Debug)]
pub(crate) struct PackedBytes {
    pub(crate) bytes: Vec<u8>,
    pub(crate) flags: ResourceFlags,
}

/// Compresses `data` by itself: the metadata of an image.
///
/// # Errors
/// [`Error::Unsupported`] for a compression that no encoder can be made for.
pub(crate) fn pack_bytes(
    packing: Packing,
    data: &[u8],
    threads: Threads,
) -> Result<PackedBytes, Error> {
    let encoders = Encoders::new(packing)?;
    let sizes_and_bytes = share_among(threads, || encoders.encode_bytes(data));
    resource::whole(data, packing.coding, &sizes_and_bytes)
}

impl PackedBytes {
    /// Adds them to a draft; gives their resource header.
    pub(crate) fn add_to(self, draft: &mut Draft, uncompressed_size: u64) -> ResourceHeader {
        let place = draft.stored(self.bytes.len() as u64, self.flags);
        draft.literal(self.bytes.into());
        ResourceHeader { uncompressed_size, ..place }
    }
}
