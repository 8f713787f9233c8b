//! Reads many blobs fast: decode, hash and hand on, on all cores, with bounded memory.
//!
//! ```text
//!            ┌ small blobs, a batch at a time ── decode, hash together ───────────┐
//! Plan ─ Queue ┤ large blobs, several per worker ─ decode and hash in step ─────────┤─ Sink
//!            ├ giant blobs, a range at a time ── decode ─┐                         │
//!            └ solid chunks ─────────────────── decode ─┴ hash in order (Turnstile) ┘
//! ```
//!
//! A worker is a thread with its own decoders. What it takes from the queue depends on what the
//! blobs are like, so that nobody waits and every SHA-1 runs beside others:
//!
//! * **Small** blobs (up to 128 KiB) are decoded a batch at a time and hashed together while they
//!   are in the cache.
//! * **Large** blobs are taken several at a time by one worker, which decodes a chunk of each and
//!   hashes all of them in step: SHA-1 of one message is slow because each step waits for the one
//!   before, and of four messages nearly four times as fast.
//! * **Giant** blobs, of which one alone would keep a worker busy after everything else is done,
//!   are cut into ranges that all workers decode. The hash goes through a [turnstile].
//! * Chunks of **solid** resources are decoded once each; blobs that lie within one are hashed
//!   together, those that reach over its end go through a turnstile.
//!
//! Memory in flight is a fixed stock of buffers ([`buffers`]), however large the blobs are. Which
//! thread does what changes from run to run; what the [`Sink`] is told for each blob does not.

pub(crate) mod batch;
pub(crate) mod buffers;
pub(crate) mod decode;
mod lanes;
pub(crate) mod lock;
pub(crate) mod ordered;
pub(crate) mod plan;
mod queue;
mod tasks;
pub(crate) mod team;
mod turnstile;
mod worker;

use std::num::NonZeroUsize;
use std::thread;

pub use self::plan::Plan;
pub(crate) use self::plan::SolidPlan;
pub use self::tasks::run_tasks;
use self::team::work_together;
use self::worker::Run;
use crate::archive::BlobId;
use crate::cancel::Cancel;
use crate::error::{Damage, Error};
use crate::progress::Progress;

/// Number of worker threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads(NonZeroUsize);

impl Threads {
    /// One thread, the caller's own.
    pub const ONE: Self = Self(NonZeroUsize::MIN);

    /// The most for each processor: more only wait, and take memory.
    const MOST: usize = 8;

    /// `count` threads, though no more than eight for each processor; one for each when `count` is 0.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let Self(processors) = Self::default();
        let most = processors.get().saturating_mul(Self::MOST);
        Self(NonZeroUsize::new(count.min(most)).unwrap_or(processors))
    }

    /// How many.
    #[must_use]
    pub fn get(self) -> usize {
        self.0.get()
    }
}

impl Default for Threads {
    /// As many as this process may use: affinity masks and cgroup quotas count.
    fn default() -> Self {
        Self(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}

/// In which order a [`Sink`] is given the blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In any order, several at a time, pieces of one blob in any order: the fastest.
    #[default]
    Any,
    /// In the order of the plan, one piece after the other: that of the file, unless the plan has its
    /// own ([`Plan::in_order`]).
    File,
}

/// What happens to the data of damaged blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DamagedData {
    /// Pieces known to be damaged are withheld. (Pieces of a big blob before the damage, and all
    /// pieces of one of which only the hash is wrong, have been handed on by then.)
    #[default]
    Withhold,
    /// Everything that can be had is handed on; chunks that cannot be decoded are zeros.
    Deliver,
}

/// How to run the pipeline.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Number of worker threads. The results do not depend on it.
    pub threads: Threads,
    /// Order of the calls to the sink.
    pub order: Order,
    /// Whether data known to be damaged is handed on.
    pub damaged: DamagedData,
}

/// Takes what the pipeline reads.
///
/// With [`Order::Any`] the methods are called by several threads at once. The pieces of a blob
/// cover it without overlap, and [`done`](Self::done) is called once for each blob, after the last
/// of its pieces has been taken.
pub trait Sink: Sync {
    /// Whether [`piece`](Self::piece) does anything; if not, stored blobs are hashed where they
    /// are and `piece` is not called.
    fn wants_data(&self) -> bool {
        true
    }

    /// Takes `data`, the bytes of `blob` from `offset` on.
    ///
    /// # Errors
    /// Any error ends the run.
    fn piece(&self, blob: BlobId, offset: u64, data: &[u8]) -> Result<(), Error>;

    /// All of `blob` has been read, with this result.
    ///
    /// # Errors
    /// Any error ends the run; to go on after damage, return `Ok`.
    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error>;
}

/// Work of another kind that the workers do before they turn to blobs.
pub type Task<'t> = Box<dyn FnOnce() -> Result<(), Error> + Send + 't>;

/// Reads all blobs of `plan` into `sink`.
///
/// `progress` is advanced by the uncompressed bytes and the number of blobs finished; beginning
/// and ending the phase is the caller's.
///
/// # Errors
/// The first error of the sink, or [`Error::Cancelled`]. Damaged data is no error here: the sink
/// is told and decides.
pub fn run(
    plan: &Plan<'_>,
    sink: &dyn Sink,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), Error> {
    run_with(plan, Vec::new(), sink, options, progress, cancel)
}

/// Like [`run`], and does `tasks` beside it, earliest first.
///
/// # Errors
/// Those of `run`, and the first error of a task.
pub fn run_with(
    plan: &Plan<'_>,
    tasks: Vec<Task<'_>>,
    sink: &dyn Sink,
    options: &Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), Error> {
    let shape = plan.shape(options, sink.wants_data());
    let work = shape.pieces_of_work.saturating_add(tasks.len() as u64);
    let workers = (options.threads.get() as u64).min(work).max(1);
    let pool = buffers::Pool::new(shape.buffers);
    let run = Run::new(plan, shape, tasks, &pool, sink, options, progress, cancel);
    work_together(workers as usize, || run.work());
    run.finish()
}
