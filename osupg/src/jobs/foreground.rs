//! Does an operation here and now, for a person who watches, and records it as a job.

use std::sync::Arc;
use std::time::Duration;

use super::model::{Failure, Place, Priority};
use super::record::{Both, Keeper, Recorder};
use super::run::{Then, conclude};
use super::{mend, package_id, process};
use crate::db::jobs::{Held, NewJob, Standing};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Length, Operation};
use crate::progress::Watch;

/// How often a command looks whether another job of its package has ended.
const LOOK: Duration = Duration::from_millis(300);

/// Does `request` in this process. A long one is recorded as a job, waits until no other job of
/// its package is running, and can be cancelled like any other.
///
/// # Errors
/// As the operation; and when the database cannot be written.
pub async fn foreground<O: Operation>(
    home: &Home,
    request: &O,
    watch: Watch<'_>,
) -> Result<O::Outcome> {
    if O::LENGTH == Length::Quick {
        return request.run(home, watch).await;
    }
    let held = begin(home, request, watch).await?;
    let recorder = Arc::new(Recorder::default());
    let cancel = watch.cancel.child();
    let keeper = Keeper::start(home, &held, &recorder, &cancel);
    let both = Both { person: watch.progress, recorder: &recorder };
    let result = request.run(home, Watch { progress: &both, cancel: &cancel }).await;
    let json = match &result {
        Ok(outcome) => serde_json::to_value(outcome)
            .map_err(|error| Error::io(format!("{} has no JSON: {error}", O::NAME))),
        Err(error) => Err(Failure::of(error).to_error()),
    };
    match keeper.end().await {
        // It was thought dead, and somebody has written that down.
        Standing::Lost => {}
        standing => conclude(home, &held, &standing, &json, Then::Nothing).await,
    }
    result
}

/// Makes the job, once no other of its package is running.
async fn begin<O: Operation>(home: &Home, request: &O, watch: Watch<'_>) -> Result<Held> {
    let subject = match request.alone() {
        Some(subject) => package_id(home, subject).await?,
        None => String::new(),
    };
    let json = serde_json::to_string(request)
        .map_err(|error| Error::usage(format!("{} cannot be written down: {error}", O::NAME)))?;
    let worker = process::name();
    let mut said = false;
    loop {
        let now = home.db.now().await?;
        let job = NewJob {
            key: None,
            operation: O::NAME,
            request: &json,
            subject: &subject,
            by: home.by(),
            place: Place::Command,
            priority: Priority::Normal,
            not_before: now,
        };
        if let Some(held) = home.db.add_running_job(&job, &worker, now).await? {
            home.db
                .note_job(held.id, now, &[format!("started by {} in {worker}", home.by())])
                .await?;
            return Ok(held);
        }
        mend::mend(home).await?;
        if !said && let Some((id, operation)) = home.db.running_job_of(&subject).await? {
            let words = format!("waiting for job {id}, {operation} of {subject}, to end");
            watch.progress.note(&words);
            said = true;
        }
        watch.check()?;
        tokio::time::sleep(LOOK).await;
    }
}
