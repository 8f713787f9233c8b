//! A worker: takes jobs and does them, until it is stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wim_extract::Cancel;

use super::model::{Lane, Priority};
use super::{Submission, before, mend, process, run, submit};
use crate::db::jobs::Ending;
use crate::error::Result;
use crate::home::Home;
use crate::schedule::model::Schedule;
use crate::{points, schedule};

/// How often a worker with a hand free looks for a job.
const LOOK: Duration = Duration::from_millis(400);
/// How often it says that it is there.
const SHOW: Duration = Duration::from_secs(5);
/// After how long a silence a worker counts as gone.
pub(super) const SEEN: Duration = Duration::from_secs(20);
/// How often it looks whether a schedule is due.
const TICK: Duration = Duration::from_secs(5);
/// How often it forgets jobs that were over long ago, and old lines of the audit log.
const FORGET: Duration = Duration::from_secs(600);
/// How long it waits when the database does not answer.
const DATABASE_AWAY: Duration = Duration::from_secs(2);

/// Does jobs until `stop` is set. Then it takes none any more, gives those that are running some
/// time to end ([`Settings::stop_seconds`](super::settings::Settings::stop_seconds)), and hands
/// back the rest.
///
/// A database that goes away is waited for.
///
/// # Errors
/// When the database cannot be reached at the start.
pub async fn work(home: &Home, stop: &Cancel) -> Result<()> {
    let mut worker = Worker::new(home);
    home.db.see_worker(&worker.name, home.db.now().await?).await?;
    tracing::info!(worker = worker.name.as_str(), "worker started");
    while !stop.is_cancelled() {
        let took = match worker.round().await {
            Ok(took) => took,
            Err(error) => {
                tracing::warn!(%error, "the database does not answer");
                tokio::time::sleep(DATABASE_AWAY).await;
                continue;
            }
        };
        if !took {
            tokio::select! {
                _ = tokio::time::sleep(LOOK) => {}
                Some(_) = worker.running.join_next() => {}
            }
        }
    }
    worker.stop().await;
    Ok(())
}

/// Takes the next job that may run and puts it back: what a look at the queue costs, for those who
/// measure it. The job's number; `None` when none may run.
///
/// # Errors
/// When the database cannot be reached.
pub async fn take_and_put_back(home: &Home) -> Result<Option<i64>> {
    let now = home.db.now().await?;
    let Some(held) = home.db.take_job(Lane::Work, &process::name(), now).await? else {
        return Ok(None);
    };
    let ending = Ending::Later("put back".into(), now);
    home.db.end_job(&held, &ending, "looked at and put back", now).await?;
    Ok(Some(held.id))
}

/// Makes a job of a schedule that is due.
pub(crate) async fn submit_due(home: Home, key: String, due: Schedule) -> Result<String> {
    let submission = Submission {
        operation: &due.operation,
        request: &due.request,
        by: &due.created_by,
        key: Some(&key),
        priority: Priority::Normal,
        not_before: None,
    };
    Ok(submit(&home, &submission).await?.id.to_string())
}

struct Worker {
    home: Home,
    name: String,
    lanes: [(Lane, Arc<Semaphore>); 2],
    running: JoinSet<()>,
    /// Asks all running jobs to be put back.
    handback: Cancel,
    chores: [Chore; 4],
}

/// Something that is due now and then.
struct Chore {
    every: Duration,
    last: Option<Instant>,
}

impl Chore {
    const fn new(every: Duration) -> Self {
        Self { every, last: None }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= self.every);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}

impl Worker {
    fn new(home: &Home) -> Self {
        let settings = &home.config().jobs;
        let slots = |count: u32| Arc::new(Semaphore::new(count.clamp(1, 1_000) as usize));
        Self {
            home: home.clone(),
            name: process::name(),
            lanes: [(Lane::Transfer, slots(settings.packages)), (Lane::Work, slots(settings.work))],
            running: JoinSet::new(),
            handback: Cancel::new(),
            chores: [SHOW, settings.lost_after() / 4, TICK, FORGET].map(Chore::new),
        }
    }

    /// Does what is due and starts what can be started; says whether anything was started.
    async fn round(&mut self) -> Result<bool> {
        while self.running.try_join_next().is_some() {}
        self.do_chores().await?;
        let mut took = false;
        for (lane, slots) in &self.lanes {
            while let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
                let now = self.home.db.now().await?;
                let Some(held) = self.home.db.take_job(*lane, &self.name, now).await? else {
                    break;
                };
                took = true;
                let job =
                    run::run(self.home.clone(), held, self.name.clone(), self.handback.clone());
                self.running.spawn(async move {
                    job.await;
                    drop(slot);
                });
            }
        }
        Ok(took)
    }

    async fn do_chores(&mut self) -> Result<()> {
        let [show, mend, tick, forget] = &mut self.chores;
        let (home, db) = (&self.home, &self.home.db);
        if show.is_due() {
            db.see_worker(&self.name, db.now().await?).await?;
        }
        if mend.is_due() {
            mend::mend(home).await?;
        }
        if tick.is_due() {
            let now = db.now().await?;
            schedule::tick_with(home, now, |key, due| submit_due(home.clone(), key, due)).await?;
            points::publish::tick(home).await?;
        }
        if forget.is_due() {
            let now = db.now().await?;
            let days = u64::from(home.config().jobs.keep_days);
            let kept = Duration::from_secs(days * 24 * 3600);
            while db.forget_jobs(before(now, kept)).await? == 1_000 {}
            db.forget_workers("", before(now, SEEN * 3)).await?;
            crate::audit::forget(home, now).await?;
        }
        Ok(())
    }

    async fn stop(mut self) {
        let grace = Duration::from_secs(u64::from(self.home.config().jobs.stop_seconds));
        tracing::info!(running = self.running.len(), "worker stops");
        let all_end = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_end).await.is_err() {
            tracing::info!(running = self.running.len(), "handing back what has not ended");
            self.handback.cancel();
            while self.running.join_next().await.is_some() {}
        }
        let gone = async {
            let now = self.home.db.now().await?;
            self.home.db.forget_workers(&self.name, before(now, SEEN * 3)).await
        };
        if let Err(error) = gone.await {
            tracing::warn!(%error, "cannot say that this worker has ended");
        }
    }
}
