//! The blobs of an archive, decoded, to be packed anew.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use wim_format::blob_table::Blob;

use super::{Batch, Begin, Packing, Piece, Supply, batch_len};
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
    // Where data is joined it is cut into chunks only then.
    let (grain, chunk_size) = match packing.solid {
        Some(_) => (1, 0),
        None => (packing.coding.chunk_size.max(1) as usize, packing.coding.chunk_size),
    };
    let stop = context.cancel.child();
    let options =
        pipeline::Options { threads: context.threads, order: Order::File, ..Default::default() };
    // One batch waits while another is filled.
    let (full, filled) = sync_channel(1);
    let (back, empty) = sync_channel(4);
    thread::scope(|scope| {
        let stop = &stop;
        let decoding = scope.spawn(move || {
            let len = batch_len(context.threads, chunk_size);
            let feeder = Feeder::new(wim, references, grain, len, full, empty);
            for plan in plans {
                // What is packed counts as progress, not what is decoded.
                pipeline::run(plan, &feeder, &options, &Silent, stop)?;
            }
            feeder.finish()
        });
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
            // Not waited for: a batch more or less is no matter.
            let _ = self.back.try_send(empty);
        }
        Ok(())
    }
}

/// Fills batches with what the pipeline decodes.
struct Feeder<'a> {
    wim: &'a Wim,
    references: &'a (dyn Fn(BlobId) -> u32 + Sync),
    grain: usize,
    batch_len: usize,
    full: SyncSender<Batch>,
    state: Lock<State>,
}

struct State {
    batch: Batch,
    used: usize,
    empty: Receiver<Batch>,
}

impl<'a> Feeder<'a> {
    fn new(
        wim: &'a Wim,
        references: &'a (dyn Fn(BlobId) -> u32 + Sync),
        grain: usize,
        batch_len: usize,
        full: SyncSender<Batch>,
        empty: Receiver<Batch>,
    ) -> Self {
        let batch = Batch::new(batch_len);
        let state = State { batch, used: 0, empty };
        Self { wim, references, grain, batch_len, full, state: Lock::new(state) }
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
        let next = state.empty.try_recv().ok();
        let mut next = next.map_or_else(|| Batch::new(self.batch_len), Batch::emptied);
        let mut carried = 0;
        if let Some(last) = state.batch.pieces.last_mut().filter(|last| last.ends.is_none()) {
            carried = last.range.len() % self.grain;
            let rest = last.range.end - carried..last.range.end;
            next.data[..carried].copy_from_slice(&state.batch.data[rest.clone()]);
            last.range.end = rest.start;
            let begins = last.begins;
            let is_empty = last.range.is_empty();
            let begins = if is_empty { begins } else { None };
            next.pieces.push(Piece { range: 0..carried, begins, ends: None });
            if is_empty {
                state.batch.pieces.pop();
            }
        }
        let full = std::mem::replace(&mut state.batch, next);
        state.used = carried;
        self.full.send(full).map_err(|_| Error::Cancelled)
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
