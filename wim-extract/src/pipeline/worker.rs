//! One run of the pipeline and what each of its threads does.

use super::batch::{Data, Fate, Piece, read_small};
use super::buffers::{Buffer, Pool};
use super::decode::{Decoders, Jobs};
use super::lock::Lock;
use super::ordered::Part;
use super::plan::{Plan, Shape};
use super::queue::{Queue, Work};
use super::turnstile::Turnstile;
use super::{DamagedData, Options, Order, Sink, Task, lanes};
use crate::archive::{BlobId, Wim};
use crate::cancel::Cancel;
use crate::error::{Damage, Error};
use crate::progress::{Amount, Progress};

/// What the workers of one run share.
pub(crate) struct Run<'r, 't> {
    plan: &'r Plan<'r>,
    pub(crate) shape: Shape,
    queue: Queue<'r, 't>,
    pool: &'r Pool,
    /// Brings pieces into the order of the file, where that is asked for.
    in_file: Turnstile<Vec<Piece<'r>>>,
    sink: &'r dyn Sink,
    damaged: DamagedData,
    progress: &'r dyn Progress,
    pub(crate) cancel: &'r Cancel,
    failure: Lock<Option<Error>>,
}

impl<'r, 't> Run<'r, 't> {
    #[expect(clippy::too_many_arguments, reason = "called once, each is a thing of its own")]
    pub(crate) fn new(
        plan: &'r Plan<'r>,
        shape: Shape,
        tasks: Vec<Task<'t>>,
        pool: &'r Pool,
        sink: &'r dyn Sink,
        options: &Options,
        progress: &'r dyn Progress,
        cancel: &'r Cancel,
    ) -> Self {
        Self {
            plan,
            shape,
            queue: Queue::new(plan, shape, tasks),
            pool,
            in_file: Turnstile::new(),
            sink,
            damaged: options.damaged,
            progress,
            cancel,
            failure: Lock::new(None),
        }
    }

    /// Works until nothing is left. Every thread of the run calls this once.
    pub(crate) fn work(&self) {
        let _guard = CloseOnPanic(self.pool);
        let mut worker = Worker { run: self, decoders: Decoders::default(), jobs: Jobs::default() };
        loop {
            match worker.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.failure.lock().get_or_insert(error);
                    self.pool.close();
                    break;
                }
            }
        }
    }

    /// How it went.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.failure.into_inner().map_or(Ok(()), Err)
    }

    pub(crate) fn wim(&self) -> &'r Wim {
        self.plan.wim
    }

    pub(crate) fn size(&self, blob: BlobId) -> u64 {
        self.wim().blob(blob).size
    }

    pub(crate) fn next_large(&self) -> Option<BlobId> {
        self.queue.next_large()
    }

    /// Whether another worker has failed.
    pub(crate) fn is_over(&self) -> bool {
        self.pool.is_closed()
    }

    pub(crate) fn advance(&self, bytes: u64) {
        self.progress.advance(Amount::new(bytes, 0));
    }

    /// Gives data to the sink, if it is to have it.
    pub(crate) fn give(
        &self,
        blob: BlobId,
        offset: u64,
        data: &[u8],
        damaged: bool,
    ) -> Result<(), Error> {
        let withhold = damaged && self.damaged == DamagedData::Withhold;
        if withhold || !self.shape.wants_data || data.is_empty() {
            return Ok(());
        }
        self.sink.piece(blob, offset, data)
    }

    /// Tells the sink how a blob fared, of which the last `bytes` have just been read.
    pub(crate) fn finish_blob(
        &self,
        blob: BlobId,
        bytes: u64,
        result: Result<(), Damage>,
    ) -> Result<(), Error> {
        self.progress.advance(Amount::new(bytes, 1));
        self.sink.done(blob, result)
    }

    fn deliver(&self, piece: Piece<'r>) -> Result<(), Error> {
        let Piece { blob, offset, len, data, fate } = piece;
        match fate {
            Fate::Whole(result) => {
                self.give(blob, offset, data.as_ref(), result.is_err())?;
                drop(data);
                self.finish_blob(blob, len, result)
            }
            Fate::Part { of, number, damage } => {
                self.give(blob, offset, data.as_ref(), damage.is_some())?;
                self.advance(len);
                let part = Part { data, damage };
                of.ordered().bring(number, part, |result| self.finish_blob(blob, 0, result))
            }
        }
    }
}

/// One thread's own things.
struct Worker<'a, 'r, 't> {
    run: &'a Run<'r, 't>,
    decoders: Decoders,
    jobs: Jobs,
}

impl<'r> Worker<'_, 'r, '_> {
    /// Does one piece of work; `false` when there is none left or the run is over.
    fn step(&mut self) -> Result<bool, Error> {
        let run = self.run;
        run.cancel.check()?;
        let Some(buffer) = run.pool.take() else { return Ok(false) };
        let Some((number, work)) = run.queue.next() else { return Ok(false) };
        let pieces = match work {
            Work::Task(task) => {
                drop(buffer);
                task()?;
                return Ok(true);
            }
            Work::Lanes => {
                self.lanes(buffer)?;
                return Ok(true);
            }
            Work::Small(ids) => {
                read_small(run.wim(), &ids, buffer, &mut self.decoders, &mut self.jobs)
            }
            Work::Giant(giant, part) => {
                vec![giant.read(part, buffer, &mut self.decoders, &mut self.jobs)]
            }
            Work::Solid(solid, chunk) => {
                solid.read(chunk, buffer, &mut self.decoders, &mut self.jobs)
            }
            Work::Failed(ids, damage) => ids
                .into_iter()
                .map(|blob| Piece {
                    blob,
                    offset: 0,
                    len: run.size(blob),
                    data: Data::none(),
                    fate: Fate::Whole(Err(damage.clone())),
                })
                .collect(),
        };
        self.jobs.clear();
        match run.shape.order {
            Order::Any => pieces.into_iter().try_for_each(|piece| run.deliver(piece))?,
            Order::File => run.in_file.pass(number, pieces, |pieces| {
                pieces.into_iter().try_for_each(|piece| run.deliver(piece))
            })?,
        }
        Ok(true)
    }

    fn lanes(&mut self, mut buffer: Buffer<'r>) -> Result<(), Error> {
        lanes::run(self.run, &mut buffer, &mut self.decoders, &mut self.jobs)
    }
}

/// Wakes the other workers when one panics, so that the panic ends the run and nobody waits for
/// what will not come.
struct CloseOnPanic<'p>(&'p Pool);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}
