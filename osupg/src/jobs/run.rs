//! Does one job: from being held to what comes of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tracing::Instrument;
use wim_extract::Cancel;

use super::figures::FIGURES;
use super::model::{self, Failure};
use super::record::{Keeper, Recorder};
use super::settings::Settings;
use crate::db::jobs::{Ending, Held, Standing};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::operation;
use crate::time::Moment;

/// What becomes of a job whose attempt did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is tried again, if that may help.
    TryAgain,
    /// The same; and when it was stopped, that was to have it go on elsewhere.
    HandBack,
    /// Nothing: nobody else does it.
    Nothing,
}

/// Does a job that this worker holds and writes down what came of it. `handback` asks for it to be
/// put back, to go on later or elsewhere.
pub(super) async fn run(home: Home, held: Held, worker: String, handback: Cancel) {
    let span = tracing::info_span!(
        "job",
        id = held.id,
        operation = held.operation.as_str(),
        attempt = held.attempt
    );
    async {
        tracing::info!("started");
        FIGURES.started();
        let words = match held.attempt {
            1 => format!("started by {worker}"),
            attempt => format!("started by {worker}, for the {} time", nth(attempt)),
        };
        note(&home, held.id, words).await;
        let (standing, result) = attempt(&home, &held, &handback).await;
        if standing == Standing::Lost {
            // Whoever has it now says how it ends.
            tracing::warn!("lost: another worker has taken it up");
            return;
        }
        let then = if handback.is_cancelled() { Then::HandBack } else { Then::TryAgain };
        conclude(&home, &held, &standing, &result, then).await;
    }
    .instrument(span)
    .await;
}

async fn attempt(home: &Home, held: &Held, handback: &Cancel) -> (Standing, Result<Value>) {
    let recorder = Arc::new(Recorder::default());
    let cancel = handback.child();
    let keeper = Keeper::start(home, held, &recorder, &cancel);
    let result = match (operation::find(&held.operation), model::parse(&held.request)) {
        (Some(known), Ok(request)) => {
            known.run(request, home.acting_for(&held.by), recorder, cancel).await
        }
        (_, Err(error)) => Err(error),
        (None, _) => Err(Error::usage(format!("osupg knows no operation {:?}", held.operation))
            .advise("a job of a newer osupg needs a worker of that version")),
    };
    (keeper.end().await, result)
}

/// Writes down what came of an attempt. A database that is away for a moment is waited for.
pub(super) async fn conclude(
    home: &Home,
    held: &Held,
    standing: &Standing,
    result: &Result<Value>,
    then: Then,
) {
    let settings = &home.config().jobs;
    let mut wait = Duration::from_millis(100);
    loop {
        let written = async {
            let now = home.db.now().await?;
            let (ending, words) = decide(settings, held, standing, result, then, now);
            let ended = home.db.end_job(held, &ending, &words, now).await?;
            Ok::<_, Error>((ended, ending, words))
        };
        match written.await {
            Ok((true, ending, words)) => {
                FIGURES.count(&ending);
                tracing::info!("{words}");
                return;
            }
            Ok((false, ..)) => {
                tracing::warn!("another worker has taken it up");
                return;
            }
            Err(error) if wait > settings.lost_after() => {
                // By now another worker takes the job up and finds it done, or does it again.
                tracing::error!(%error, "cannot write down what came of a job");
                return;
            }
            Err(error) => tracing::warn!(%error, "cannot write down what came of a job yet"),
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
}

/// What becomes of a job after an attempt, and the line for its timeline.
fn decide(
    settings: &Settings,
    held: &Held,
    standing: &Standing,
    result: &Result<Value>,
    then: Then,
    now: Moment,
) -> (Ending, String) {
    let error = match result {
        // Even when somebody wanted it cancelled at the last moment: it is done.
        Ok(outcome) => return (Ending::Succeeded(outcome.to_string()), "succeeded".into()),
        Err(error) => error,
    };
    if let Standing::Unwanted(by) = standing {
        let reason = format!("cancelled by {by}");
        return (Ending::Cancelled(reason.clone()), reason);
    }
    if error.kind() == Kind::Cancelled {
        return match then {
            Then::HandBack => {
                let reason = "its worker was stopped; the next free one goes on";
                (Ending::Later(reason.into(), now), "handed back: the worker was stopped".into())
            }
            _ => (Ending::Cancelled("stopped".into()), "stopped".into()),
        };
    }
    let failure = Failure::of(error);
    if then == Then::Nothing {
        return failed(failure);
    }
    match error.not_before() {
        Some(at) => {
            let words = format!("waits until {}: {}", at.local(), failure.message);
            (Ending::Later(failure.message, at), words)
        }
        None if model::is_transient(error) => try_again(settings, held, failure, now),
        None => failed(failure),
    }
}

/// Another try after a while, or failure when there have been enough.
pub(super) fn try_again(
    settings: &Settings,
    held: &Held,
    failure: Failure,
    now: Moment,
) -> (Ending, String) {
    let failures = held.failures + 1;
    if !settings.tries_again(failures) {
        return failed(failure);
    }
    let wait = settings.wait_after(failures);
    let at = Moment(now.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(0)));
    let (tries, what, seconds) = (settings.tries, &failure.message, wait.as_secs());
    let reason = format!("try {failures} of {tries} failed, next try {}: {what}", at.local());
    let words = format!("try {failures} of {tries} failed, the next is in {seconds} s: {what}");
    (Ending::Again(failure, reason, at), words)
}

fn failed(failure: Failure) -> (Ending, String) {
    let reason = failure.message.clone();
    let words = format!("failed: {reason}");
    (Ending::Failed(failure, reason), words)
}

/// A line for the timeline. That it cannot be written stops nothing.
pub(super) async fn note(home: &Home, id: i64, words: String) {
    let written = async {
        let now = home.db.now().await?;
        home.db.note_job(id, now, &[words]).await
    };
    if let Err(error) = written.await {
        tracing::warn!(job = id, %error, "cannot write a note");
    }
}

fn nth(attempt: i64) -> String {
    match attempt {
        2 => "second".into(),
        3 => "third".into(),
        more => format!("{more}th"),
    }
}
