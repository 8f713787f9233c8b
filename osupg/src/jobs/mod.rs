//! Jobs: long operations that outlive the command or request that asked for them.
//!
//! ```text
//!              submit                 a worker takes it
//!   request ──────────► queued ────────────────────────► running ──► succeeded
//!                         ▲  ▲                             │ │ │
//!                         │  │   not before / next try     │ │ └───► failed     usage, damage,
//!                         │  └──────── waiting ◄───────────┘ │                  or tries used up
//!                         │            a disk or network     │
//!                         │            failed, handed back,  └─────► cancelled  somebody asked
//!                         │            its worker was lost
//!                         └── retry ◄── failed, cancelled
//! ```
//!
//! A job is a row of the database, and that row is all there is: what is to be done, who holds it,
//! how far it is, how it ended, and a timeline in plain words. One statement takes a job
//! (`Db::take_job`), and a number that grows with every start fences off whoever
//! held it before: what a worker that was thought dead says later changes nothing. A unique index
//! keeps two jobs of one package from running at the same time, whoever starts them. Whoever holds
//! a job says so every few seconds (`record`); one that falls silent is taken up by another
//! (`mend`), at once where its process is seen to have ended. Operations can be stopped and run again at any moment, so a job that is taken up
//! ends as if nothing had happened.
//!
//! Long operations that a command does itself ([`foreground()`]) are jobs too, with the same lock and
//! timeline; only that no worker takes them over.
//!
//! # Why this is no job library
//!
//! apalis 1.0 with its SQLite and PostgreSQL backends was the first choice. What its sources say
//! (`apalis-core` 1.0.0) does not go together with jobs of hours that must never run twice:
//!
//! - In `worker/call_all.rs`, a worker that stops, or whose backend has reported an error, does not
//!   poll its backend any more while a task is running. Heartbeats and acknowledgements are sent
//!   from that poll alone (`backend/persistence/mod.rs`), so after the heartbeat's time another
//!   worker gets the task, and it runs twice at every graceful stop that takes longer. So it did when
//!   tried (`apalis-sqlite` 1.0.0, two workers, one asked to stop while it had a task of 30 seconds: the
//!   other began the same task 0.8 seconds later).
//! - There, too, one failed statement, even a heartbeat's, makes the backend dead: the worker takes
//!   nothing more until its longest task has ended, and then leaves.
//! - A task that has failed may be fetched again at once (`fetch_next.sql`, `get_jobs`): a wait
//!   between tries can only be slept through in a slot. Nothing keeps two tasks of one package
//!   apart.
//! - Its pools are typed and ours speaks both databases, so a task cannot be added by the
//!   transaction that writes the row of its job, and each side would have to repair what the other
//!   lost. Its set-up turns SQLite's syncing off (`PRAGMA synchronous = OFF`). On PostgreSQL it takes
//!   the extensions `hstore` and `pgcrypto`, and rights to make them.
//!
//! A row with a fence, a lock for each package, signs of life and recovery are needed here in any
//! case. What a library would add is the delivery of a number, which is one statement.

pub mod figures;
mod foreground;
mod mend;
pub mod model;
mod process;
mod record;
pub mod requests;
mod run;
pub mod settings;
mod worker;

use serde_json::Value;

pub use foreground::foreground;
#[cfg(test)]
pub(crate) use worker::submit_due;
pub use worker::{take_and_put_back, work};

use crate::db::jobs::{NewJob, Wanted};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::operation;
use crate::package::reference::Reference;
use crate::time::Moment;
use model::{Census, Job, Place, Priority, State};

/// The largest request that a job may carry, in bytes of JSON.
const LARGEST_REQUEST: usize = 1 << 20;

/// The most jobs that one list answers.
pub const LONGEST_LIST: u32 = 1_000;

/// What is to become a job.
#[derive(Debug, Clone)]
pub struct Submission<'a> {
    /// The operation's name.
    pub operation: &'a str,
    /// Its request.
    pub request: &'a Value,
    /// Who asks.
    pub by: &'a str,
    /// What was submitted under this key before is not submitted again.
    pub key: Option<&'a str>,
    /// Whether it goes before others.
    pub priority: Priority,
    /// The moment before which it must not run; `None` for at once.
    pub not_before: Option<Moment>,
}

/// Puts an operation into the queue. A key that was submitted before answers the job that there is.
///
/// # Errors
/// When there is no such operation, the request is none of it, it is about a package that does not
/// exist, or the database cannot be written.
pub async fn submit(home: &Home, submission: &Submission<'_>) -> Result<Job> {
    let ids = submit_all(home, std::slice::from_ref(submission)).await?;
    let id = ids.first().ok_or_else(|| Error::io("internal: a job has no number"))?;
    get(home, *id).await
}

/// Puts operations into the queue, all or none; answers their numbers in the same order.
///
/// # Errors
/// As [`submit`].
pub async fn submit_all(home: &Home, submissions: &[Submission<'_>]) -> Result<Vec<i64>> {
    if submissions.is_empty() {
        return Ok(Vec::new());
    }
    let now = home.db.now().await?;
    let mut checked = Vec::with_capacity(submissions.len());
    for submission in submissions {
        checked.push((submission, check(home, submission).await?));
    }
    let new = checked.iter().map(|(submission, checked)| {
        let job = NewJob {
            key: submission.key,
            operation: checked.operation,
            request: &checked.request,
            subject: &checked.subject,
            by: submission.by,
            place: Place::Worker,
            priority: submission.priority,
            not_before: submission.not_before.unwrap_or(now),
        };
        let mut words = format!("submitted by {}", submission.by);
        if let Some(at) = submission.not_before.filter(|at| *at > now) {
            words.push_str(&format!(", not before {}", at.local()));
        }
        (job, words)
    });
    let new: Vec<_> = new.collect();
    home.db.add_jobs(&new, now).await
}

/// What a submission comes to.
struct Checked {
    operation: &'static str,
    request: String,
    subject: String,
}

async fn check(home: &Home, submission: &Submission<'_>) -> Result<Checked> {
    let known = operation::find(submission.operation).ok_or_else(|| {
        Error::usage(format!(
            "there is no operation {:?}",
            crate::text::clean(submission.operation)
        ))
    })?;
    let subject = match known.facts(submission.request)?.alone {
        Some(subject) => package_id(home, &subject).await?,
        None => String::new(),
    };
    let request = submission.request.to_string();
    if request.len() > LARGEST_REQUEST {
        return Err(Error::usage(format!(
            "a request for {} of {} bytes is too long: {LARGEST_REQUEST} bytes at most",
            known.name,
            request.len()
        )));
    }
    Ok(Checked { operation: known.name, request, subject })
}

/// The id of the package that a request names, in one spelling.
async fn package_id(home: &Home, named: &str) -> Result<String> {
    let package = match home.db.package(named).await {
        Ok(package) => package,
        Err(error) => match named.parse::<Reference>() {
            Ok(Reference { package, revision: Some(_) }) => home.db.package(&package).await?,
            _ => return Err(error),
        },
    };
    Ok(package.id)
}

/// A job with its timeline.
///
/// # Errors
/// When there is none with this number, or the database cannot be read.
pub async fn get(home: &Home, id: i64) -> Result<Job> {
    get_after(home, id, 0).await
}

/// A job with what its timeline holds after the note with this number: for those who follow it.
///
/// # Errors
/// As [`get`].
pub async fn get_after(home: &Home, id: i64, note: i64) -> Result<Job> {
    mend::mend(home).await?;
    let mut job = home.db.job(id, note).await?;
    if job.state == State::Queued
        && job.reason.is_empty()
        && home.db.count_workers(before(home.db.now().await?, worker::SEEN)).await? == 0
    {
        job.reason = "no worker is running: `osupg worker` starts one".into();
    }
    Ok(job)
}

/// Which jobs to list, the latest first.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those about the package with this id.
    pub subject: Option<String>,
    /// Only those before this number: where the list before ended.
    pub before: Option<i64>,
    /// No more than these; 0 for a hundred. At most [`LONGEST_LIST`].
    pub limit: u32,
}

/// Jobs without their timelines.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(home: &Home, selection: &Selection) -> Result<Vec<Job>> {
    mend::mend(home).await?;
    let limit = if selection.limit == 0 { 100 } else { selection.limit };
    home.db
        .jobs(&Wanted {
            state: selection.state,
            subject: selection.subject.as_deref(),
            before: selection.before,
            limit: i64::from(limit.min(LONGEST_LIST)),
        })
        .await
}

/// Cancels a job: at once when it is not running, else as soon as its worker looks.
///
/// # Errors
/// When there is no such job, it is over already, or the database cannot be written.
pub async fn cancel(home: &Home, id: i64, by: &str) -> Result<Job> {
    let now = home.db.now().await?;
    let reason = format!("cancelled by {by}");
    // It may be taken, or end, between one look and the next.
    for _ in 0..3 {
        if home.db.cancel_idle_job(id, &reason, now).await? {
            return get(home, id).await;
        }
        if home.db.cancel_running_job(id, by).await? {
            home.db.note_job(id, now, &[format!("{by} asked to cancel it")]).await?;
            return get(home, id).await;
        }
        let job = get(home, id).await?;
        if job.state.is_over() {
            let state = job.state;
            return Err(Error::of(Kind::Conflict, format!("job {id} is over: it is {state}")));
        }
    }
    Err(Error::io(format!("job {id} changes too fast to be cancelled")).advise("try again"))
}

/// Puts a job that has failed, was cancelled, or waits for its next try into the queue, as if it
/// had never been tried.
///
/// # Errors
/// When there is no such job, it is in another state, or the database cannot be written.
pub async fn retry(home: &Home, id: i64, by: &str) -> Result<Job> {
    let now = home.db.now().await?;
    if !home.db.requeue_job(id, &format!("retried by {by}"), now).await? {
        let job = get(home, id).await?;
        let words = format!("job {id} is {}: there is nothing to retry", job.state);
        return Err(Error::of(Kind::Conflict, words));
    }
    get(home, id).await
}

/// How many jobs there are in each state, and how many workers.
///
/// # Errors
/// When the database cannot be read.
pub async fn census(home: &Home) -> Result<Census> {
    let now = home.db.now().await?;
    home.db.census(before(now, worker::SEEN), now).await
}

/// A moment so long before another.
fn before(now: Moment, long: std::time::Duration) -> Moment {
    Moment(now.0.saturating_sub(i64::try_from(long.as_micros()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
pub(crate) mod tests;
