//! Hands out the work, each piece once.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use super::batch::{Giant, SolidRun};
use super::lock::Lock;
use super::plan::{BATCH, BATCH_BLOBS, Plan, SMALL, STORED_BATCH, Shape};
use super::{Order, Task};
use crate::archive::BlobId;
use crate::blob::Form;
use crate::error::Damage;

/// A piece of work.
pub(crate) enum Work<'r, 't> {
    /// Something that is not about blobs.
    Task(Task<'t>),
    /// Small blobs, by position.
    Small(Vec<BlobId>),
    /// Blobs that cannot be read, for this reason.
    Failed(Vec<BlobId>, Damage),
    /// Large blobs from [`Queue::next_large`], several in step, until there are none.
    Lanes,
    /// This range of a giant blob.
    Giant(Arc<Giant<'r>>, u64),
    /// This chunk of a solid resource.
    Solid(Arc<SolidRun<'r>>, u64),
}

/// What is still to be done.
pub(crate) struct Queue<'r, 't> {
    plan: &'r Plan<'r>,
    shape: Shape,
    state: Lock<State<'r, 't>>,
}

struct State<'r, 't> {
    tasks: VecDeque<Task<'t>>,
    /// Giants being read, with the next range of each.
    giants: VecDeque<(Arc<Giant<'r>>, u64)>,
    /// Giants not begun yet, largest first.
    waiting: VecDeque<BlobId>,
    /// Largest last.
    large: Vec<BlobId>,
    /// Small blobs by position; with [`Order::File`] all single blobs.
    single: Cow<'r, [BlobId]>,
    /// The next of them.
    next: usize,
    solid: SolidCursor<'r>,
    /// Number of the next piece of work, for [`Order::File`].
    number: u64,
}

#[derive(Default)]
struct SolidCursor<'r> {
    /// The next solid resource of the plan.
    next: usize,
    run: Option<Arc<SolidRun<'r>>>,
    /// Range of chunks in the run, and chunk in it.
    range: usize,
    chunk: u64,
}

impl<'r, 't> Queue<'r, 't> {
    pub(crate) fn new(plan: &'r Plan<'r>, shape: Shape, tasks: Vec<Task<'t>>) -> Self {
        let size = |id: BlobId| plan.wim.blob(id).size;
        let mut giants = Vec::new();
        let mut large = Vec::new();
        let mut single = Cow::Borrowed(&plan.single[..]);
        if shape.order == Order::Any {
            let mut small = Vec::with_capacity(plan.single.len());
            for &id in &plan.single {
                match size(id) {
                    giant if giant > shape.giant => giants.push(id),
                    some if some > SMALL => large.push(id),
                    _ => small.push(id),
                }
            }
            single = Cow::Owned(small);
        }
        giants.sort_by_key(|&id| Reverse(size(id)));
        large.sort_by_key(|&id| size(id));
        let state = State {
            tasks: tasks.into(),
            giants: VecDeque::new(),
            waiting: giants.into(),
            large,
            single,
            next: 0,
            solid: SolidCursor::default(),
            number: 0,
        };
        Self { plan, shape, state: Lock::new(state) }
    }

    /// The next piece of work and its number in the order of the file.
    pub(crate) fn next(&self) -> Option<(u64, Work<'r, 't>)> {
        let mut state = self.state.lock();
        let work = match self.shape.order {
            Order::Any => self.next_of_any(&mut state),
            Order::File => self.next_in_file(&mut state),
        }?;
        let number = state.number;
        // Tasks have no place in the order.
        state.number += u64::from(!matches!(work, Work::Task(_)));
        Some((number, work))
    }

    /// The largest blob that has not been handed out.
    pub(crate) fn next_large(&self) -> Option<BlobId> {
        self.state.lock().large.pop()
    }

    fn next_of_any(&self, state: &mut State<'r, 't>) -> Option<Work<'r, 't>> {
        if let Some(task) = state.tasks.pop_front() {
            return Some(Work::Task(task));
        }
        // Decoding runs ahead of the hash no further than this while there is other work.
        let ahead = (self.shape.buffers / 2) as u64;
        if let Some(work) = next_giant(state, ahead) {
            return Some(work);
        }
        if let Some(id) = state.waiting.pop_front() {
            return self.begin_giant(state, id);
        }
        if !state.large.is_empty() {
            return Some(Work::Lanes);
        }
        self.next_solid(state)
            .or_else(|| self.next_small(state))
            .or_else(|| next_giant(state, u64::MAX))
    }

    fn next_in_file(&self, state: &mut State<'r, 't>) -> Option<Work<'r, 't>> {
        if let Some(task) = state.tasks.pop_front() {
            return Some(Work::Task(task));
        }
        if let Some(work) = next_giant(state, u64::MAX) {
            return Some(work);
        }
        let single = state.single.get(state.next).copied();
        let solid_is_first = state.solid.run.is_some()
            || self.plan.solid.get(state.solid.next).is_some_and(|solid| {
                let at = (solid.part, self.plan.wim.solid_offset(solid.part, solid.index));
                single.is_none_or(|id| at < self.position(id))
            });
        if solid_is_first && let Some(work) = self.next_solid(state) {
            return Some(work);
        }
        let id = single?;
        if self.plan.wim.blob(id).size > SMALL {
            state.next += 1;
            return self.begin_giant(state, id);
        }
        self.next_small(state)
    }

    fn begin_giant(&self, state: &mut State<'r, 't>, id: BlobId) -> Option<Work<'r, 't>> {
        match Giant::new(self.plan.wim, id) {
            Ok(giant) => {
                state.giants.push_back((Arc::new(giant), 0));
                next_giant(state, u64::MAX)
            }
            Err(damage) => Some(Work::Failed(vec![id], damage)),
        }
    }

    fn position(&self, id: BlobId) -> (usize, u64) {
        (self.plan.wim.part_of(id), self.plan.wim.file_offset(id))
    }

    fn next_solid(&self, state: &mut State<'r, 't>) -> Option<Work<'r, 't>> {
        let cursor = &mut state.solid;
        loop {
            if let Some(run) = &cursor.run {
                if let Some(range) = run.plan.chunks.get(cursor.range) {
                    let chunk = cursor.chunk.max(range.start);
                    if chunk < range.end {
                        cursor.chunk = chunk + 1;
                        return Some(Work::Solid(Arc::clone(run), chunk));
                    }
                    cursor.range += 1;
                    continue;
                }
                cursor.run = None;
            }
            let plan = self.plan.solid.get(cursor.next)?;
            *cursor = SolidCursor { next: cursor.next + 1, ..SolidCursor::default() };
            match SolidRun::new(self.plan.wim, plan) {
                Ok(run) => cursor.run = Some(Arc::new(run)),
                Err(damage) => {
                    let ids = plan.blobs.iter().map(|blob| blob.id);
                    let ids = ids.chain(plan.overlapping.iter().copied()).collect();
                    return Some(Work::Failed(ids, damage));
                }
            }
            if !plan.overlapping.is_empty() {
                return Some(Work::Failed(plan.overlapping.clone(), Damage::Overlap));
            }
        }
    }

    /// The next small blobs that together make a batch.
    fn next_small(&self, state: &mut State<'r, 't>) -> Option<Work<'r, 't>> {
        let rest = &state.single[state.next..];
        let mut size = 0;
        let fits = rest.iter().take(BATCH_BLOBS).take_while(|&&id| {
            let blob = self.plan.wim.blob(id).size;
            let stored = self.plan.wim.resource(id).form == Form::Stored;
            // Stored blobs need no buffer.
            size += if stored { blob / (STORED_BATCH / BATCH) } else { blob };
            size <= BATCH && blob <= SMALL
        });
        let count = fits.count();
        let batch = rest[..count].to_vec();
        state.next += count;
        (count > 0).then_some(Work::Small(batch))
    }
}

/// The next range of the first giant being read of which fewer than `ahead` ranges wait to be hashed.
fn next_giant<'r, 't>(state: &mut State<'r, 't>, ahead: u64) -> Option<Work<'r, 't>> {
    let index = state
        .giants
        .iter()
        .position(|(giant, next)| next.saturating_sub(giant.ordered.passed()) < ahead)?;
    let (giant, next) = &mut state.giants[index];
    let work = Work::Giant(Arc::clone(giant), *next);
    *next += 1;
    if *next >= giant.parts() {
        state.giants.remove(index);
    }
    Some(work)
}
