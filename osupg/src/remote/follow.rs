//! Follows a job of a service to its end.

use std::time::Duration;

use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Client;
use super::events::{Event, Reader};
use crate::api::jobs::Progress;
use crate::error::{Error, Kind, Result};
use crate::jobs::model::{Job, Note, State};
use crate::progress::{Phase, Watch};

/// How often it is looked whether the command was stopped.
const LOOK: Duration = Duration::from_millis(100);
/// Waits between attempts to reach the service again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// After so many attempts in vain the service counts as gone: some ten minutes.
const ATTEMPTS: u32 = 64;
/// How long a job that was cancelled is given to end.
const CANCEL_WITHIN: Duration = Duration::from_secs(30);

/// Follows the job, tells `watch` how it gets on, and returns its outcome.
///
/// # Errors
/// The error of the job; that it was cancelled; or that the service cannot be reached any more. In
/// that case the job goes on.
pub(super) async fn to_the_end(client: &Client, job: &Job, watch: Watch<'_>) -> Result<Value> {
    let mut follower = Follower { watch, note: 0, phase: None, done: 0 };
    let mut failures = 0;
    let mut wait = FIRST_WAIT;
    loop {
        let before = follower.note;
        let lost = match follower.once(client, job.id).await {
            Ok(Step::Over(job)) => return ended(job),
            Ok(Step::Stopped) => return cancelled(client, job.id).await,
            Ok(Step::Broken(error)) => error,
            Err(error) => return Err(error),
        };
        if follower.note > before {
            (failures, wait) = (0, FIRST_WAIT);
        }
        failures += 1;
        if failures > ATTEMPTS {
            return Err(lost.context(format_args!("job {} goes on, but nobody follows it", job.id)));
        }
        if stopped_within(wait, watch).await {
            return cancelled(client, job.id).await;
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// How following ended for now.
enum Step {
    /// The job is over.
    Over(Box<Job>),
    /// The command was stopped.
    Stopped,
    /// The connection has ended.
    Broken(Error),
}

struct Follower<'a> {
    watch: Watch<'a>,
    /// The last note that was told.
    note: i64,
    phase: Option<String>,
    done: u64,
}

impl Follower<'_> {
    /// Follows until the connection ends, one way or another.
    async fn once(&mut self, client: &Client, id: i64) -> Result<Step> {
        let request = client
            .request(Method::GET, &["api", "v1", "jobs", &id.to_string(), "events"])?
            .header("last-event-id", self.note.to_string());
        let sent = tokio::select! {
            sent = request.send() => sent,
            () = stopped(self.watch) => return Ok(Step::Stopped),
        };
        let mut response = match sent {
            Ok(response) => client.arrived(Ok(response)).await?,
            Err(error) => return Ok(Step::Broken(client.unreachable(&error))),
        };
        let mut reader = Reader::default();
        loop {
            let chunk = tokio::select! {
                chunk = response.chunk() => chunk,
                () = stopped(self.watch) => return Ok(Step::Stopped),
            };
            match chunk {
                Ok(Some(chunk)) => {
                    for event in reader.take(&chunk)? {
                        if let Some(job) = self.event(client, &event)? {
                            return Ok(Step::Over(job));
                        }
                    }
                }
                Ok(None) => {
                    let closed = format!("{} ends the connection", client.url());
                    return Ok(Step::Broken(Error::io(closed)));
                }
                Err(error) => return Ok(Step::Broken(client.unreachable(&error))),
            }
        }
    }

    /// Passes an event on; the job, when it is over.
    fn event(&mut self, client: &Client, event: &Event) -> Result<Option<Box<Job>>> {
        match event.name.as_str() {
            "note" => {
                let note: Note = parse(client, event)?;
                if note.id > self.note {
                    self.note = note.id;
                    self.watch.progress.note(&note.text);
                }
            }
            "progress" => self.progress(&parse(client, event)?),
            "end" => {
                if self.phase.take().is_some() {
                    self.watch.progress.end();
                }
                return Ok(Some(Box::new(parse(client, event)?)));
            }
            _ => {}
        }
        Ok(None)
    }

    fn progress(&mut self, now: &Progress) {
        // A job that is tried again begins anew, with fewer bytes done than before.
        if self.phase.as_deref() != Some(&now.phase) || now.done < self.done {
            if self.phase.take().is_some() {
                self.watch.progress.end();
            }
            self.done = 0;
            if !now.phase.is_empty() {
                let phase = Phase::from_words(&now.phase).unwrap_or(Phase::Other);
                self.watch.progress.begin(phase, now.total);
                self.phase = Some(now.phase.clone());
            }
        }
        self.watch.progress.advance(now.done.saturating_sub(self.done));
        self.done = now.done;
    }
}

fn parse<T: DeserializeOwned>(client: &Client, event: &Event) -> Result<T> {
    serde_json::from_str(&event.data).map_err(|error| client.unreadable(&error))
}

fn ended(job: Box<Job>) -> Result<Value> {
    match (job.state, job.error) {
        (State::Succeeded, _) => Ok(job.outcome.unwrap_or(Value::Null)),
        (State::Cancelled, _) => {
            Err(Error::of(Kind::Cancelled, format!("job {}: {}", job.id, job.reason)))
        }
        (_, Some(failure)) => Err(failure.to_error()),
        (state, None) => Err(Error::io(format!("job {} is {state}: {}", job.id, job.reason))),
    }
}

/// Returns when the command was stopped.
pub(super) async fn stopped(watch: Watch<'_>) {
    while !watch.cancel.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
}

async fn stopped_within(wait: Duration, watch: Watch<'_>) -> bool {
    tokio::time::timeout(wait, stopped(watch)).await.is_ok()
}

/// Cancels the job as stopping a command stops what it does, and waits until it has ended.
async fn cancelled(client: &Client, id: i64) -> Result<Value> {
    let number = id.to_string();
    let goes_on =
        |error: Error| error.context(format_args!("job {id} could not be cancelled and goes on"));
    let sent = client.request(Method::POST, &["api", "v1", "jobs", &number, "cancel"])?.send();
    let response: Result<Response> = client.arrived(sent.await).await;
    if let Err(error) = response {
        // It may have ended by itself in this moment.
        let job = look(client, &number).await.map_err(goes_on)?;
        return if job.state.is_over() { ended(Box::new(job)) } else { Err(goes_on(error)) };
    }
    let within = tokio::time::timeout(CANCEL_WITHIN, async {
        loop {
            let job = look(client, &number).await?;
            if job.state.is_over() {
                return ended(Box::new(job));
            }
            tokio::time::sleep(LOOK * 3).await;
        }
    });
    within.await.unwrap_or_else(|_| {
        Err(Error::of(Kind::Cancelled, format!("job {id} was told to stop and has not ended yet"))
            .advise(format!("`osupg job show {id}` says how it gets on")))
    })
}

async fn look(client: &Client, number: &str) -> Result<Job> {
    let sent = client.request(Method::GET, &["api", "v1", "jobs", number])?.send();
    let response = client.arrived(sent.await).await?;
    client.json(response).await
}
