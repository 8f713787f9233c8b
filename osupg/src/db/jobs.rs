//! Jobs, their timelines, and workers.
//!
//! A job is taken, kept alive and ended by statements that name what they expect to find: whoever
//! no longer holds a job changes nothing by trying to. Holding it means that it is running
//! and that its `attempts` are those it was taken with.

use std::collections::HashMap;

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::{Db, Dialect, signed, unsigned};
use crate::error::{Error, Kind, Result};
use crate::jobs::model::{self, Census, Failure, Job, Lane, Note, Place, Priority, State};
use crate::time::Moment;

/// Lines that a timeline keeps. A job that says more than that says it to a log.
const NOTES_KEPT: i64 = 2_000;
/// Characters that a line keeps.
const NOTE_LENGTH: usize = 1_000;

const COLUMNS: &str = "id, operation, request, subject, submitted_by, place, state, reason, \
     priority, not_before, attempts, worker, phase, done, total, created_at, started_at, \
     finished_at, outcome, error";

/// Takes the first job that may run. In PostgreSQL, rows that another worker is about to take are
/// passed over.
macro_rules! take {
    ($passing_over:literal) => {
        concat!(
            "UPDATE job SET state = 'running', worker = $1, attempts = attempts + 1, \
             beat_at = $2, started_at = COALESCE(started_at, $2), reason = '', phase = '', \
             done = 0, total = 0 \
             WHERE id = (SELECT due.id FROM job due WHERE due.state IN ('queued', 'waiting') \
             AND due.lane = $3 AND due.not_before <= $2 AND NOT EXISTS \
             (SELECT 1 FROM job busy WHERE busy.state = 'running' AND busy.subject <> '' \
             AND busy.subject = due.subject) \
             ORDER BY due.priority DESC, due.id LIMIT 1",
            $passing_over,
            ") AND state IN ('queued', 'waiting') \
             RETURNING id, operation, request, submitted_by, attempts, failures"
        )
    };
}

/// A job about to be put into the queue.
#[derive(Debug)]
pub(crate) struct NewJob<'a> {
    pub key: Option<&'a str>,
    pub operation: &'a str,
    pub request: &'a str,
    pub subject: &'a str,
    pub by: &'a str,
    pub place: Place,
    pub priority: Priority,
    pub not_before: Moment,
}

/// A job that this process holds.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub id: i64,
    pub operation: String,
    pub request: String,
    pub by: String,
    /// Which start this is, from 1.
    pub attempt: i64,
    /// Attempts that have failed so far.
    pub failures: i64,
}

/// How a job stands for whoever holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Go on.
    Ours,
    /// This person wants it cancelled.
    Unwanted(String),
    /// Somebody else has it, or it is over.
    Lost,
}

/// What a job that is no longer running becomes. The texts are reasons in plain words.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It has succeeded, with this outcome as JSON.
    Succeeded(String),
    /// It has failed for good.
    Failed(Failure, String),
    /// Somebody wanted it to end.
    Cancelled(String),
    /// It has failed, and is tried again from this moment on.
    Again(Failure, String, Moment),
    /// It goes on, here or elsewhere, from this moment on; that is no failure.
    Later(String, Moment),
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted<'a> {
    pub state: Option<State>,
    pub subject: Option<&'a str>,
    pub before: Option<i64>,
    pub limit: i64,
}

/// A job that is running, as far as the database knows.
#[derive(Debug)]
pub(crate) struct Running {
    pub held: Held,
    pub place: Place,
    pub worker: String,
    pub beat_at: Moment,
    pub cancel_by: String,
}

fn job_of(row: &AnyRow) -> Result<Job> {
    let unknown = |what: &str| Error::damaged(format!("the database holds a job with {what}"));
    let error: Option<String> = row.get("error");
    let outcome: Option<String> = row.get("outcome");
    Ok(Job {
        id: row.get("id"),
        operation: row.get("operation"),
        request: model::parse(row.get("request"))?,
        subject: row.get("subject"),
        by: row.get("submitted_by"),
        place: if row.get::<&str, _>("place") == Place::Command.word() {
            Place::Command
        } else {
            Place::Worker
        },
        state: State::from_word(row.get("state")).ok_or_else(|| unknown("an unknown state"))?,
        reason: row.get("reason"),
        priority: Priority::from_number(row.get("priority")),
        phase: row.get("phase"),
        done: unsigned(row.get("done"))?,
        total: unsigned(row.get("total"))?,
        attempts: row.get("attempts"),
        worker: row.get("worker"),
        created_at: Moment(row.get("created_at")),
        not_before: Moment(row.get("not_before")),
        started_at: row.get::<Option<i64>, _>("started_at").map(Moment),
        finished_at: row.get::<Option<i64>, _>("finished_at").map(Moment),
        outcome: outcome.as_deref().map(model::parse).transpose()?,
        error: error
            .map(|error| serde_json::from_str(&error).map_err(|_| unknown("an unknown error")))
            .transpose()?,
        timeline: Vec::new(),
    })
}

fn held_of(row: &AnyRow) -> Held {
    Held {
        id: row.get("id"),
        operation: row.get("operation"),
        request: row.get("request"),
        by: row.get("submitted_by"),
        attempt: row.get("attempts"),
        failures: row.get("failures"),
    }
}

impl Db {
    /// Puts jobs into the queue, all or none, each with the words that start its timeline; returns
    /// their numbers. A key that was submitted before names the job that there is.
    pub(crate) async fn add_jobs(
        &self,
        jobs: &[(NewJob<'_>, String)],
        now: Moment,
    ) -> Result<Vec<i64>> {
        let mut tx = self.begin_apart().await?;
        let mut added = Vec::with_capacity(jobs.len());
        for (job, words) in jobs {
            added.push(add_job(&mut tx, job, words, now).await?);
        }
        tx.commit().await?;
        Ok(added)
    }

    /// Adds lines to a job's timeline.
    pub(crate) async fn note_job(&self, id: i64, at: Moment, notes: &[String]) -> Result<()> {
        if notes.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin_apart().await?;
        for text in notes {
            note(&mut tx, id, at, text).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes the first job of this lane that may run now, for this worker.
    pub(crate) async fn take_job(
        &self,
        lane: Lane,
        worker: &str,
        now: Moment,
    ) -> Result<Option<Held>> {
        // Most of the time there is nothing, and looking takes no lock.
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM job WHERE state IN ('queued', 'waiting') AND lane = $1 \
             AND not_before <= $2 LIMIT 1",
        )
        .bind(lane.word())
        .bind(now.0)
        .fetch_optional(self.pool())
        .await?;
        if due.is_none() {
            return Ok(None);
        }
        let sql = match self.dialect() {
            Dialect::Sqlite => take!(""),
            Dialect::Postgres => take!(" FOR UPDATE SKIP LOCKED"),
        };
        let taken = sqlx::query(sql)
            .bind(worker)
            .bind(now.0)
            .bind(lane.word())
            .fetch_all(self.pool())
            .await;
        match taken {
            Ok(rows) => Ok(rows.first().map(held_of)),
            // Another worker took another job of the same package at the same moment.
            Err(error) if is_taken(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a job that the command which asks for it does itself; `None` while another job of its
    /// package is running.
    pub(crate) async fn add_running_job(
        &self,
        job: &NewJob<'_>,
        worker: &str,
        now: Moment,
    ) -> Result<Option<Held>> {
        let added = sqlx::query(
            "INSERT INTO job (operation, request, subject, submitted_by, place, lane, priority, \
             state, reason, not_before, attempts, failures, cancel_by, worker, beat_at, phase, \
             done, total, created_at, started_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', '', $8, 1, 0, '', $9, $10, '', 0, 0, \
             $10, $10) \
             RETURNING id, operation, request, submitted_by, attempts, failures",
        )
        .bind(job.operation)
        .bind(job.request)
        .bind(job.subject)
        .bind(job.by)
        .bind(job.place.word())
        .bind(Lane::of(job.operation).word())
        .bind(job.priority.number())
        .bind(job.not_before.0)
        .bind(worker)
        .bind(now.0)
        .fetch_all(self.pool())
        .await;
        match added {
            Ok(rows) => Ok(rows.first().map(held_of)),
            Err(error) if is_taken(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Number and operation of the job of this package that is running.
    pub(crate) async fn running_job_of(&self, subject: &str) -> Result<Option<(i64, String)>> {
        let row = sqlx::query(
            "SELECT id, operation FROM job \
             WHERE state = 'running' AND subject <> '' AND subject = $1",
        )
        .bind(subject)
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| (row.get("id"), row.get("operation"))))
    }

    /// Says that a job is alive and how far it is; answers how it stands.
    pub(crate) async fn keep_job(
        &self,
        held: &Held,
        (phase, done, total): (&str, u64, u64),
        now: Moment,
    ) -> Result<Standing> {
        let rows = sqlx::query(
            "UPDATE job SET beat_at = $3, phase = $4, done = $5, total = $6 \
             WHERE id = $1 AND attempts = $2 AND state = 'running' RETURNING cancel_by",
        )
        .bind(held.id)
        .bind(held.attempt)
        .bind(now.0)
        .bind(phase)
        .bind(signed(done)?)
        .bind(signed(total)?)
        .fetch_all(self.pool())
        .await?;
        Ok(standing(rows.first()))
    }

    /// How a job stands.
    pub(crate) async fn job_standing(&self, held: &Held) -> Result<Standing> {
        let row = sqlx::query(
            "SELECT cancel_by FROM job WHERE id = $1 AND attempts = $2 AND state = 'running'",
        )
        .bind(held.id)
        .bind(held.attempt)
        .fetch_optional(self.pool())
        .await?;
        Ok(standing(row.as_ref()))
    }

    /// Ends a job, or this attempt at it, and adds `words` to its timeline; `false` when it is not
    /// held any more, and nothing was changed.
    pub(crate) async fn end_job(
        &self,
        held: &Held,
        ending: &Ending,
        words: &str,
        now: Moment,
    ) -> Result<bool> {
        let (state, reason, not_before, outcome, error) = match ending {
            Ending::Succeeded(outcome) => (State::Succeeded, "", None, Some(outcome), None),
            Ending::Failed(error, reason) => (State::Failed, &**reason, None, None, Some(error)),
            Ending::Cancelled(reason) => (State::Cancelled, &**reason, None, None, None),
            Ending::Again(error, reason, at) => {
                (State::Waiting, &**reason, Some(at), None, Some(error))
            }
            Ending::Later(reason, at) => (State::Waiting, &**reason, Some(at), None, None),
        };
        let json = error
            .map(serde_json::to_string)
            .transpose()
            .map_err(|error| Error::io(format!("an error has no JSON: {error}")))?;
        let mut tx = self.begin_apart().await?;
        let done = sqlx::query(
            "UPDATE job SET state = $3, reason = $4, not_before = COALESCE($5, not_before), \
             failures = failures + $6, outcome = $7, error = $8, finished_at = $9 \
             WHERE id = $1 AND attempts = $2 AND state = 'running'",
        )
        .bind(held.id)
        .bind(held.attempt)
        .bind(state.word())
        .bind(reason)
        .bind(not_before.map(|at| at.0))
        .bind(i64::from(error.is_some()))
        .bind(outcome)
        .bind(json)
        .bind(state.is_over().then_some(now.0))
        .execute(&mut *tx)
        .await?;
        changed(tx, done.rows_affected(), held.id, words, now).await
    }

    /// Jobs that are running: as many as all workers together have slots, and some commands.
    pub(crate) async fn running_jobs(&self) -> Result<Vec<Running>> {
        let rows = sqlx::query(
            "SELECT id, operation, request, submitted_by, attempts, failures, place, worker, \
             beat_at, cancel_by FROM job WHERE state = 'running' ORDER BY beat_at LIMIT 10000",
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows
            .iter()
            .map(|row| Running {
                held: held_of(row),
                place: if row.get::<&str, _>("place") == Place::Command.word() {
                    Place::Command
                } else {
                    Place::Worker
                },
                worker: row.get("worker"),
                beat_at: Moment(row.get("beat_at")),
                cancel_by: row.get("cancel_by"),
            })
            .collect())
    }

    /// Whether an orphan has still not been heard of; it then beats at `now` for whoever asked, so
    /// that only one of those who found it goes on.
    pub(crate) async fn adopt(&self, orphan: &Running, now: Moment) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE job SET beat_at = $4 \
             WHERE id = $1 AND attempts = $2 AND state = 'running' AND beat_at = $3",
        )
        .bind(orphan.held.id)
        .bind(orphan.held.attempt)
        .bind(orphan.beat_at.0)
        .bind(now.0)
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Cancels a job that is not running; `false` for any other.
    pub(crate) async fn cancel_idle_job(&self, id: i64, reason: &str, now: Moment) -> Result<bool> {
        let mut tx = self.begin_apart().await?;
        let done = sqlx::query(
            "UPDATE job SET state = 'cancelled', reason = $2, finished_at = $3 \
             WHERE id = $1 AND state IN ('queued', 'waiting')",
        )
        .bind(id)
        .bind(reason)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        changed(tx, done.rows_affected(), id, reason, now).await
    }

    /// Tells whoever runs a job to cancel it; `false` when nobody does.
    pub(crate) async fn cancel_running_job(&self, id: i64, by: &str) -> Result<bool> {
        let done = sqlx::query("UPDATE job SET cancel_by = $2 WHERE id = $1 AND state = 'running'")
            .bind(id)
            .bind(by)
            .execute(self.pool())
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Puts a job that is over without success, or that waits for another try, into the queue
    /// again; `false` for any other.
    pub(crate) async fn requeue_job(&self, id: i64, words: &str, now: Moment) -> Result<bool> {
        let mut tx = self.begin_apart().await?;
        let done = sqlx::query(
            "UPDATE job SET state = 'queued', reason = '', not_before = $2, failures = 0, \
             cancel_by = '', place = 'worker', finished_at = NULL \
             WHERE id = $1 AND state IN ('failed', 'cancelled', 'waiting')",
        )
        .bind(id)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        changed(tx, done.rows_affected(), id, words, now).await
    }

    /// A job with its timeline after the note with this number.
    pub(crate) async fn job(&self, id: i64, after: i64) -> Result<Job> {
        let sql = format!("SELECT {COLUMNS} FROM job WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(self.pool())
            .await?
            .ok_or_else(|| {
                Error::of(Kind::NotFound, format!("there is no job {id}"))
                    .advise("`osupg job list` shows the jobs there are")
            })?;
        let mut job = job_of(&row)?;
        let notes = sqlx::query(
            "SELECT id, noted_at, text FROM job_note WHERE job_id = $1 AND id > $2 ORDER BY id",
        )
        .bind(id)
        .bind(after)
        .fetch_all(self.pool())
        .await?;
        job.timeline = notes
            .iter()
            .map(|row| Note {
                id: row.get("id"),
                at: Moment(row.get("noted_at")),
                text: row.get("text"),
            })
            .collect();
        self.explain(std::slice::from_mut(&mut job)).await?;
        Ok(job)
    }

    /// Jobs, the latest first, without their timelines.
    pub(crate) async fn jobs(&self, wanted: &Wanted<'_>) -> Result<Vec<Job>> {
        let mut conditions = vec!["id < $1"];
        // A condition that is always true would keep the database from using an index.
        conditions.push(if wanted.state.is_some() { "state = $2" } else { "$2 = ''" });
        conditions.push(if wanted.subject.is_some() { "subject = $3" } else { "$3 = ''" });
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE {} ORDER BY id DESC LIMIT $4",
            conditions.join(" AND ")
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(wanted.before.unwrap_or(i64::MAX))
            .bind(wanted.state.map_or("", State::word))
            .bind(wanted.subject.unwrap_or(""))
            .bind(wanted.limit)
            .fetch_all(self.pool())
            .await?;
        let mut jobs = rows.iter().map(job_of).collect::<Result<Vec<_>>>()?;
        self.explain(&mut jobs).await?;
        Ok(jobs)
    }

    /// Says of jobs that could run what keeps them: another job of their package.
    async fn explain(&self, jobs: &mut [Job]) -> Result<()> {
        let stuck = |job: &Job| {
            matches!(job.state, State::Queued | State::Waiting) && !job.subject.is_empty()
        };
        if !jobs.iter().any(stuck) {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT subject, id, operation FROM job WHERE state = 'running' AND subject <> ''",
        )
        .fetch_all(self.pool())
        .await?;
        let busy: HashMap<&str, (i64, &str)> = rows
            .iter()
            .map(|row| (row.get("subject"), (row.get("id"), row.get("operation"))))
            .collect();
        for job in jobs.iter_mut().filter(|job| stuck(job)) {
            if let Some((id, operation)) = busy.get(job.subject.as_str())
                && job.reason.is_empty()
            {
                job.state = State::Waiting;
                job.reason = format!("for job {id}, {operation} of the same package, to end");
            }
        }
        Ok(())
    }

    /// Counts jobs and workers; a worker not seen since `since` is none.
    pub(crate) async fn census(&self, since: Moment, now: Moment) -> Result<Census> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS jobs FROM job GROUP BY state")
            .fetch_all(self.pool())
            .await?;
        let mut states: Vec<(State, u64)> = Vec::new();
        for row in &rows {
            if let Some(state) = State::from_word(row.get("state")) {
                states.push((state, unsigned(row.get("jobs"))?));
            }
        }
        states.sort_unstable();
        let workers = self.count_workers(since).await?;
        let oldest: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(not_before) FROM job WHERE state IN ('queued', 'waiting') \
             AND not_before <= $1",
        )
        .bind(now.0)
        .fetch_one(self.pool())
        .await?;
        Ok(Census { states, workers, oldest_due: oldest.map(Moment) })
    }

    /// Counts workers; one not seen since `since` is none.
    pub(crate) async fn count_workers(&self, since: Moment) -> Result<u64> {
        let workers: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM worker WHERE seen_at >= $1")
            .bind(since.0)
            .fetch_one(self.pool())
            .await?;
        unsigned(workers)
    }

    /// Says that a worker is there.
    pub(crate) async fn see_worker(&self, name: &str, now: Moment) -> Result<()> {
        sqlx::query(
            "INSERT INTO worker (name, started_at, seen_at) VALUES ($1, $2, $2) \
             ON CONFLICT (name) DO UPDATE SET seen_at = $2",
        )
        .bind(name)
        .bind(now.0)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Forgets a worker that has ended, and those that have not been seen since `since`.
    pub(crate) async fn forget_workers(&self, name: &str, since: Moment) -> Result<()> {
        sqlx::query("DELETE FROM worker WHERE name = $1 OR seen_at < $2")
            .bind(name)
            .bind(since.0)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Forgets up to a thousand jobs that were over before this moment; says how many.
    pub(crate) async fn forget_jobs(&self, before: Moment) -> Result<u64> {
        let done = sqlx::query(
            "DELETE FROM job WHERE id IN \
             (SELECT id FROM job WHERE finished_at < $1 ORDER BY finished_at LIMIT 1000)",
        )
        .bind(before.0)
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected())
    }
}

async fn add_job(
    tx: &mut Transaction<'static, Any>,
    job: &NewJob<'_>,
    words: &str,
    now: Moment,
) -> Result<i64> {
    let rows = sqlx::query(
        "INSERT INTO job (operation, request, subject, submitted_by, place, lane, priority, \
         state, reason, not_before, attempts, failures, cancel_by, worker, beat_at, phase, \
         done, total, created_at, submit_key) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', '', $8, 0, 0, '', '', 0, '', 0, 0, $9, \
         $10) \
         ON CONFLICT (submit_key) DO NOTHING RETURNING id",
    )
    .bind(job.operation)
    .bind(job.request)
    .bind(job.subject)
    .bind(job.by)
    .bind(job.place.word())
    .bind(Lane::of(job.operation).word())
    .bind(job.priority.number())
    .bind(job.not_before.0)
    .bind(now.0)
    .bind(job.key)
    .fetch_all(&mut **tx)
    .await?;
    if let Some(row) = rows.first() {
        let id = row.get("id");
        note(tx, id, now, words).await?;
        return Ok(id);
    }
    Ok(sqlx::query_scalar("SELECT id FROM job WHERE submit_key = $1")
        .bind(job.key)
        .fetch_one(&mut **tx)
        .await?)
}

/// Commits a change of a job with its line in the timeline; says whether there was a change.
async fn changed(
    mut tx: Transaction<'static, Any>,
    rows: u64,
    id: i64,
    words: &str,
    now: Moment,
) -> Result<bool> {
    if rows > 0 {
        note(&mut tx, id, now, words).await?;
    }
    tx.commit().await?;
    Ok(rows > 0)
}

async fn note(tx: &mut Transaction<'static, Any>, id: i64, at: Moment, text: &str) -> Result<()> {
    let text: String = text.chars().take(NOTE_LENGTH).collect();
    sqlx::query(
        "INSERT INTO job_note (job_id, noted_at, text) \
         SELECT id, CAST($2 AS BIGINT), CAST($3 AS TEXT) FROM job WHERE id = $1 \
         AND (SELECT COUNT(*) FROM job_note WHERE job_id = $1) < $4",
    )
    .bind(id)
    .bind(at.0)
    .bind(text)
    .bind(NOTES_KEPT)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn standing(row: Option<&AnyRow>) -> Standing {
    match row.map(|row| row.get::<String, _>("cancel_by")) {
        None => Standing::Lost,
        Some(by) if by.is_empty() => Standing::Ours,
        Some(by) => Standing::Unwanted(by),
    }
}

/// Whether a statement failed because another job of the package is running.
fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}
