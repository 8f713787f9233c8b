//! The blobs of an archive, decoded, to be packed anew.
//!
//! Where chunks keep their length, [`Chunkwise`] does that. All else comes from threads of its own, which
//! decode solid resources and chunks of any length, ahead of those that encode.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use wim_format::blob_table::Blob;

use super::chunkwise::Chunkwise;
use super::{Batch, Begin, Packing, Piece, Supply, batch_len, is_large};
use crate::archive::{BlobId, Wim};
use crate::error::{Damage, Error};
use crate::pipeline::lock::Lock;
use crate::pipeline::{self, Order, Plan, Sink};
use crate::progress::Silent;
use crate::write::session::{Context, Session};

/// Decodes the blobs of `plans`, all of them of `wim`, checks them, and packs them, plan after plan and
/// each in its order. `references` says how often the images refer to each. Returns the bytes written.
///
/// # Errors
/// Damaged data; those of reading and writing; [`Error::Cancelled`].
pub(crate) fn repack(
    session: &mut Session<'_>,
    wim: &Wim,
    plans: &[Plan<'_>],
    references: &(dyn Fn(BlobId) -> u32 + Sync),
    packing: Packing,
    context: Context<'_>,
) -> Result<u64, Error> {
    repack_by(wim, plans, references, packing, context, |supply| match packing.solid {
        None => session.pack(packing, supply, context),
        Some(solid) => {
            let sizes = plans.iter().map(|plan| plan.amount().bytes);
            let size = sizes.fold(0, u64::saturating_add);
            session.pack_solid(solid, size, supply, context)
        }
    })
}

/// As [`repack`], by `pack`, which packs all that it is given.
///
/// # Errors
/// As of `repack`.
pub(crate) fn repack_by(
    wim: &Wim,
    plans: &[Plan<'_>],
    references: &(dyn Fn(BlobId) -> u32 + Sync),
    packing: Packing,
    context: Context<'_>,
    pack: impl FnOnce(&mut dyn Supply) -> Result<u64, Error>,
) -> Result<u64, Error> {
    let Context { threads, cancel, .. } = context;
    if let Some(mut supply) = Chunkwise::new(wim, plans, references, packing, threads, cancel) {
        return pack(&mut supply);
    }
    // Where data is joined it is cut into chunks only then.
    let (grain, chunk_size) = match packing.solid {
        Some(_) => (1, 0),
        None => (packing.coding.chunk_size.max(1) as usize, packing.coding.chunk_size),
    };
    let stop = context.cancel.child();
    let options =
        pipeline::Options { threads: context.threads, order: Order::File, ..Default::default() };
    // A full batch is changed for an empty one, so that there is one here and as many as `pack` has there.
    // Where they are small there is one more: some batches take longer to decode than others to encode.
    let (full, filled) = sync_channel(1);
    let (back, empty) = sync_channel(2);
    if packing.solid.is_none() && !is_large(context.threads, chunk_size) {
        // Never full, and the other end is there.
        let _ = back.send(Batch::new(batch_len(context.threads, chunk_size))?);
    }
    thread::scope(|scope| {
        let stop = &stop;
        let decode = move || {
            let len = batch_len(context.threads, chunk_size);
            let feeder = Feeder::new(wim, references, grain, Batch::new(len)?, full, empty);
            for plan in plans {
                // What is packed counts as progress, not what is decoded.
                pipeline::run(plan, &feeder, &options, &Silent, stop)?;
            }
            feeder.finish()
        };
        let decoding = thread::Builder::new().spawn_scoped(scope, decode).map_err(Error::Thread)?;
        let mut supply = Decoded { filled, back };
        let packed = pack(&mut supply);
        if packed.is_err() {
            stop.cancel();
        }
        // Wakes the other side if it waits.
        drop(supply);
        match decoding.join() {
            Ok(decoded) => match (decoded, packed) {
                (Err(Error::Cancelled), Err(cause)) => Err(cause),
                (Err(cause), _) => Err(cause),
                (Ok(()), packed) => packed,
            },
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Takes batches that have been filled elsewhere.
struct Decoded {
    filled: Receiver<Batch>,
    back: SyncSender<Batch>,
}

impl Supply for Decoded {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        // The other side hangs up after its last batch, or after an error that it reports itself.
        if let Ok(filled) = self.filled.recv() {
            let empty = std::mem::replace(batch, filled);
            // Not taken any more where that was the last one.
            let _ = self.back.send(empty);
        }
        Ok(())
    }
}

/// Fills batches with what the pipeline decodes.
struct Feeder<'a> {
    wim: &'a Wim,
    references: &'a (dyn Fn(BlobId) -> u32 + Sync),
    grain: usize,
    full: SyncSender<Batch>,
    state: Lock<State>,
}

struct State {
    batch: Batch,
    used: usize,
    /// What of an open blob did not fill a grain, while batches are changed.
    carried: Vec<u8>,
    empty: Receiver<Batch>,
}

impl<'a> Feeder<'a> {
    fn new(
        wim: &'a Wim,
        references: &'a (dyn Fn(BlobId) -> u32 + Sync),
        grain: usize,
        batch: Batch,
        full: SyncSender<Batch>,
        empty: Receiver<Batch>,
    ) -> Self {
        let state = State { batch, used: 0, carried: Vec::new(), empty };
        Self { wim, references, grain, full, state: Lock::new(state) }
    }

    /// Hands on what is left.
    fn finish(self) -> Result<(), Error> {
        let state = self.state.into_inner();
        match state.batch.pieces.is_empty() {
            true => Ok(()),
            false => self.full.send(state.batch).map_err(|_| Error::Cancelled),
        }
    }

    /// Hands on the full batch and begins another with what of the open blob does not fill a grain.
    fn hand_on(&self, state: &mut State) -> Result<(), Error> {
        let State { batch, used, carried, empty } = state;
        let mut open = batch.pieces.pop_if(|last| last.ends.is_none());
        carried.clear();
        if let Some(open) = &mut open {
            let (start, end) = (open.range.start, open.range.end);
            let whole = end - (end - start) % self.grain;
            carried.extend_from_slice(&batch.data[whole..end]);
            if whole > start {
                let begins = open.begins.take();
                batch.pieces.push(Piece { range: start..whole, begins, ends: None });
            }
        }
        let full = std::mem::replace(batch, Batch::none());
        self.full.send(full).map_err(|_| Error::Cancelled)?;
        *batch = empty.recv().map_err(|_| Error::Cancelled)?.emptied();
        *used = carried.len();
        batch.data[..*used].copy_from_slice(carried);
        batch.pieces.extend(open.map(|open| Piece { range: 0..*used, ..open }));
        Ok(())
    }
}

impl Sink for Feeder<'_> {
    fn piece(&self, blob: BlobId, offset: u64, mut data: &[u8]) -> Result<(), Error> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if offset == 0 {
            let Blob { size, hash, .. } = *self.wim.blob(blob);
            let begin = Begin { size, references: (self.references)(blob), hash: Some(hash) };
            let range = state.used..state.used;
            state.batch.pieces.push(Piece { range, begins: Some(begin), ends: None });
        }
        while !data.is_empty() {
            let room = state.batch.data.len() - state.used;
            if room == 0 {
                self.hand_on(state)?;
                continue;
            }
            let (now, later) = data.split_at(room.min(data.len()));
            state.batch.data[state.used..state.used + now.len()].copy_from_slice(now);
            state.used += now.len();
            if let Some(last) = state.batch.pieces.last_mut() {
                last.range.end = state.used;
            }
            data = later;
        }
        Ok(())
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
        result.map_err(|damage| self.wim.damaged(blob, damage))?;
        let mut state = self.state.lock();
        if let Some(last) = state.batch.pieces.last_mut() {
            last.ends = Some(self.wim.blob(blob).hash);
        }
        Ok(())
    }
}
