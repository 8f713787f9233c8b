//! Which blobs are wanted, and how the work is cut.

use std::ops::Range;

use wim_format::blob_table::BlobPlace;

use super::{Options, Order};
use crate::archive::{BlobId, Wim};
use crate::blob::Resource;
use crate::progress::Amount;

/// Uncompressed bytes that are decoded at a time where the chunk size leaves a choice: enough to
/// make handing out work cheap, and little enough to be hashed while still in the L2 cache.
pub(crate) const BATCH: u64 = 512 << 10;

/// Most blobs in a batch, so that tiny ones are shared out among threads too.
pub(crate) const BATCH_BLOBS: usize = 1024;

/// Larger blobs are not decoded several to a batch.
pub(crate) const SMALL: u64 = 128 << 10;

/// Stored bytes that are taken at a time: they need no buffer.
pub(crate) const STORED_BATCH: u64 = 2 << 20;

/// Stored bytes of a giant that are taken at a time.
const STORED_RANGE: u64 = 1 << 20;

/// Larger chunks are decoded one at a time: two would need too much memory.
const PAIRED: u64 = 2 << 20;

/// Memory for buffers, where the chunk size leaves a choice.
const MEMORY: u64 = 32 << 20;

/// Bytes of each large blob that are decoded before all are hashed in step.
pub(crate) const LANE: u64 = 32 << 10;

/// Memory that the lanes of one worker may take; decides how many there are.
const LANES_MEMORY: u64 = 8 << 20;

/// Uncompressed bytes of a range of a giant: whole chunks, and two where they are decoded together.
pub(crate) fn unit(resource: &Resource<'_>) -> u64 {
    match resource.coding() {
        None => STORED_RANGE,
        Some(coding) => {
            let chunk = u64::from(coding.chunk_size).max(1);
            if chunk > PAIRED { chunk } else { (BATCH / chunk).max(2) * chunk }
        }
    }
}

/// Blobs to be read, in the order of the file or one of their own.
#[derive(Debug)]
pub struct Plan<'w> {
    pub(crate) wim: &'w Wim,
    /// Blobs with a resource of their own, by position.
    pub(crate) single: Vec<BlobId>,
    /// Solid resources, by position.
    pub(crate) solid: Vec<SolidPlan>,
    amount: Amount,
}

/// A solid resource of which something is wanted.
#[derive(Debug)]
pub(crate) struct SolidPlan {
    pub(crate) part: usize,
    /// Index among the solid resources of the part.
    pub(crate) index: usize,
    /// Wanted blobs by offset. Each begins where the one before ends, or later.
    pub(crate) blobs: Vec<SolidBlob>,
    /// Blobs that overlap an earlier one, which no writer produces.
    pub(crate) overlapping: Vec<BlobId>,
    /// The chunks that hold something wanted.
    pub(crate) chunks: Vec<Range<u64>>,
}

/// A wanted blob of a solid resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SolidBlob {
    pub(crate) id: BlobId,
    pub(crate) offset: u64,
    pub(crate) end: u64,
}

impl<'w> Plan<'w> {
    /// A plan for `blobs` of `wim`; it does not matter in what order they come and how often.
    pub fn new(wim: &'w Wim, blobs: impl IntoIterator<Item = BlobId>) -> Self {
        let mut single = Vec::new();
        let mut in_solid: Vec<(usize, usize, SolidBlob)> = Vec::new();
        let mut bytes = 0u64;
        for id in blobs {
            let blob = wim.blob(id);
            match blob.place {
                BlobPlace::Resource(_) => single.push(id),
                BlobPlace::Solid { resource, offset } => {
                    let end = offset.saturating_add(blob.size);
                    in_solid.push((wim.part_of(id), resource, SolidBlob { id, offset, end }));
                }
            }
        }
        single.sort_unstable_by_key(|&id| (wim.part_of(id), wim.file_offset(id), id));
        single.dedup();
        in_solid.sort_unstable_by_key(|&(part, index, blob)| {
            (part, wim.solid_offset(part, index), index, blob.offset, blob.id)
        });
        in_solid.dedup_by_key(|&mut (_, _, blob)| blob.id);
        for id in single.iter().chain(in_solid.iter().map(|(_, _, blob)| &blob.id)) {
            bytes = bytes.saturating_add(wim.blob(*id).size);
        }
        let items = (single.len() + in_solid.len()) as u64;
        let solid = in_solid
            .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
            .map(|group| SolidPlan::new(wim, group))
            .collect();
        Self { wim, single, solid, amount: Amount { bytes, items } }
    }

    /// A plan for blobs that have resources of their own, in this order, each once.
    pub(crate) fn in_order(wim: &'w Wim, blobs: Vec<BlobId>) -> Self {
        let sizes = blobs.iter().map(|&id| wim.blob(id).size);
        let bytes = sizes.fold(0, u64::saturating_add);
        let amount = Amount { bytes, items: blobs.len() as u64 };
        Self { wim, single: blobs, solid: Vec::new(), amount }
    }

    /// Uncompressed bytes and number of the blobs.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// How to run this plan.
    pub(crate) fn shape(&self, options: &Options, wants_data: bool) -> Shape {
        let threads = options.threads.get() as u64;
        let chunk_size = self.largest_chunk();
        let lane = chunk_size.max(LANE);
        let in_lanes = options.order == Order::Any && lane <= LANES_MEMORY;
        let lanes = self.lanes(threads, LANES_MEMORY / lane);
        let giant = if in_lanes { self.giant(threads, lanes) } else { SMALL };
        let pair = if chunk_size > PAIRED { chunk_size } else { 2 * chunk_size };
        let batch = BATCH.max(pair).max(lane * lanes * u64::from(in_lanes));
        let buffers = (MEMORY / batch).clamp(threads + 1, 4 * threads + 4) as usize;
        let pieces_of_work = (self.amount.bytes / BATCH).saturating_add(1);
        Shape {
            order: options.order,
            wants_data,
            lanes: lanes as usize,
            giant,
            buffers,
            pieces_of_work,
        }
    }

    /// Size from which a blob is a giant: as one of `lanes` of a worker, it would still run when a
    /// fair share of everything is done. One worker alone has no use for giants.
    fn giant(&self, threads: u64, lanes: u64) -> u64 {
        let share = match (threads, self.wim.codec()) {
            (1, _) => return u64::MAX,
            // Stored data is only hashed. One lane that is left over at the end does that about as
            // fast as a giant's ranges, which are hashed one after the other too.
            (_, None) => self.amount.bytes / (2 * threads),
            (_, Some(_)) => self.amount.bytes / (lanes * threads),
        };
        share.max(4 * BATCH)
    }

    /// How many large blobs a worker takes at once. Many lanes hash more bytes in all, fewer get a
    /// single one done sooner: giants, which run in no lane, have to be the exception.
    fn lanes(&self, threads: u64, most: u64) -> u64 {
        const FEW: u64 = 4;
        let most = most.clamp(1, crate::hash::lanes() as u64);
        let giant = self.giant(threads, most);
        let sizes = self.single.iter().map(|&id| self.wim.blob(id).size);
        let giants = sizes.filter(|&size| size > giant).fold(0, u64::saturating_add);
        if giants <= self.amount.bytes / 8 { most } else { most.min(FEW) }
    }

    /// The largest chunk size among the resources of the plan.
    fn largest_chunk(&self) -> u64 {
        let parts = self.wim.parts();
        let single = match self.single.first() {
            None => 0,
            Some(_) => parts.iter().map(|part| part.header.chunk_size).max().unwrap_or(0),
        };
        let solid = self.solid.iter().map(|solid| {
            let header = self.wim.solid_resource(solid.part, solid.index).header;
            u64::from(header.chunk_size).min(header.uncompressed_size)
        });
        solid.max().unwrap_or(0).max(single.into())
    }
}

impl SolidPlan {
    fn new(wim: &Wim, group: &[(usize, usize, SolidBlob)]) -> Self {
        let (part, index, _) = group[0];
        let mut plan =
            Self { part, index, blobs: Vec::new(), overlapping: Vec::new(), chunks: Vec::new() };
        let chunk_size = u64::from(wim.solid_resource(part, index).header.chunk_size.max(1));
        let mut reached = 0;
        for &(_, _, blob) in group {
            if blob.offset < reached {
                plan.overlapping.push(blob.id);
                continue;
            }
            reached = blob.end;
            plan.blobs.push(blob);
            let chunks = blob.offset / chunk_size..blob.end.div_ceil(chunk_size);
            match plan.chunks.last_mut() {
                Some(last) if last.end >= chunks.start => last.end = chunks.end.max(last.end),
                _ => plan.chunks.push(chunks),
            }
        }
        plan
    }
}

/// The measures by which a plan is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) order: Order,
    pub(crate) wants_data: bool,
    /// Large blobs that one worker handles at once.
    pub(crate) lanes: usize,
    /// Blobs above this size are cut into ranges.
    pub(crate) giant: u64,
    /// Number of buffers.
    pub(crate) buffers: usize,
    /// About how much there is to share among threads.
    pub(crate) pieces_of_work: u64,
}
