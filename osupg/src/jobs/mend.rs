//! Takes up jobs whose holder is gone: its process has ended, as those on its machine can see, or it
//! has fallen silent, since its machine is gone or it cannot reach the database any more.

use super::figures::FIGURES;
use super::model::{Failure, Place};
use super::run::try_again;
use super::settings::Settings;
use super::{before, process};
use crate::db::jobs::{Ending, Running};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::time::Moment;

/// Gives every job that nobody has kept alive for too long to whoever is free, or ends it.
pub(super) async fn mend(home: &Home) -> Result<()> {
    let now = home.db.now().await?;
    let since = before(now, home.config().jobs.lost_after());
    let running = home.db.running_jobs().await?;
    let lost = |job: &Running| job.beat_at < since || process::has_ended(&job.worker);
    for orphan in running.into_iter().filter(lost) {
        // Whoever comes first goes on; the others find it changed.
        if home.db.adopt(&orphan, now).await? {
            take_up(home, &orphan, now).await?;
        }
    }
    Ok(())
}

async fn take_up(home: &Home, orphan: &Running, now: Moment) -> Result<()> {
    let (ending, words) = decide(&home.config().jobs, orphan, now);
    tracing::warn!(job = orphan.held.id, worker = orphan.worker, "{words}");
    if home.db.end_job(&orphan.held, &ending, &words, now).await? {
        FIGURES.recovered();
    }
    Ok(())
}

fn decide(settings: &Settings, orphan: &Running, now: Moment) -> (Ending, String) {
    if !orphan.cancel_by.is_empty() {
        let reason = format!("cancelled by {}", orphan.cancel_by);
        return (Ending::Cancelled(reason.clone()), reason);
    }
    if orphan.place == Place::Command {
        let reason = "the command that did it was killed".to_string();
        let words = format!("failed: {reason}");
        return (Ending::Failed(Failure::of(&Error::cancelled()), reason), words);
    }
    let silent = now.0.saturating_sub(orphan.beat_at.0) / 1_000_000;
    let what = match process::has_ended(&orphan.worker) {
        true => format!("{} was killed", orphan.worker),
        false => format!("{} has not been heard of for {silent} s", orphan.worker),
    };
    let failure = Failure::of(&Error::io(what.clone()));
    if settings.tries_again(orphan.held.failures + 1) {
        let words = format!("{what}; the next free worker goes on");
        return (Ending::Again(failure, words.clone(), now), words);
    }
    // It may be what kills them.
    try_again(settings, &orphan.held, failure, now)
}
