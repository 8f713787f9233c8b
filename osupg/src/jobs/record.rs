//! Writes down how far a job is, while it is being done.
//!
//! The operation tells a [`Recorder`], which costs it next to nothing; a [`Keeper`] beside it
//! writes what was told into the database now and then, and looks there whether the job is still
//! wanted and still ours.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use wim_extract::Cancel;

use crate::db::jobs::{Held, Standing};
use crate::home::Home;
use crate::progress::{Phase, Progress};
use crate::text;

/// How often there is something to write at most, and to look at least.
const PACE: Duration = Duration::from_millis(500);

/// Notes that wait to be written; an operation that says more within one pace is cut short.
const WAITING_NOTES: usize = 500;

/// Takes in what an operation tells.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    phase: String,
    done: u64,
    total: u64,
    notes: Vec<String>,
    unwritten: bool,
}

impl Recorder {
    fn with<T>(&self, act: impl FnOnce(&mut Told) -> T) -> T {
        act(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Told {
    fn note(&mut self, words: String) {
        if self.notes.len() < WAITING_NOTES {
            self.notes.push(words);
        }
    }
}

impl Progress for Recorder {
    fn begin(&self, phase: Phase, bytes: u64) {
        self.with(|told| {
            let phase = phase.to_string();
            // A part that begins again and again, as for each of many files, is one line.
            if told.phase != phase {
                told.note(match bytes {
                    0 => phase.clone(),
                    bytes => format!("{phase}: {}", text::size(bytes)),
                });
            }
            (told.phase, told.done, told.total) = (phase, 0, bytes);
            told.unwritten = true;
        });
    }

    fn advance(&self, bytes: u64) {
        self.with(|told| {
            told.done = told.done.saturating_add(bytes).min(i64::MAX as u64);
            told.unwritten = true;
        });
    }

    fn note(&self, words: &str) {
        self.with(|told| told.note(words.to_string()));
    }
}

/// Tells two.
pub(super) struct Both<'a> {
    pub person: &'a dyn Progress,
    pub recorder: &'a Recorder,
}

impl Progress for Both<'_> {
    fn begin(&self, phase: Phase, bytes: u64) {
        self.person.begin(phase, bytes);
        self.recorder.begin(phase, bytes);
    }

    fn advance(&self, bytes: u64) {
        self.person.advance(bytes);
        self.recorder.advance(bytes);
    }

    fn end(&self) {
        self.person.end();
        self.recorder.end();
    }

    fn note(&self, words: &str) {
        self.person.note(words);
        self.recorder.note(words);
    }
}

/// Keeps a job alive until [`Keeper::end`].
pub(super) struct Keeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Standing>,
}

impl Keeper {
    /// Starts keeping `held`. When the job is not wanted or not ours any more, `cancel` is set.
    pub(super) fn start(
        home: &Home,
        held: &Held,
        recorder: &Arc<Recorder>,
        cancel: &Cancel,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let keeping = Keeping {
            home: home.clone(),
            held: held.clone(),
            recorder: Arc::clone(recorder),
            cancel: cancel.clone(),
            notes: Vec::new(),
            heard: Instant::now(),
            beaten: Instant::now(),
            standing: Standing::Ours,
        };
        Self { stop, task: tokio::spawn(keeping.until(stopped)) }
    }

    /// Writes what is left to write, and says how the job stands.
    pub(super) async fn end(self) -> Standing {
        let _ = self.stop.send(());
        // A keeper that has died has kept nothing.
        self.task.await.unwrap_or(Standing::Lost)
    }
}

struct Keeping {
    home: Home,
    held: Held,
    recorder: Arc<Recorder>,
    cancel: Cancel,
    /// Lines that are not written yet.
    notes: Vec<String>,
    /// When the database last answered that the job is ours.
    heard: Instant,
    /// When it was last told that the job is alive.
    beaten: Instant,
    standing: Standing,
}

impl Keeping {
    async fn until(mut self, mut stopped: oneshot::Receiver<()>) -> Standing {
        let mut pace = tokio::time::interval(PACE.min(self.home.config().jobs.lost_after() / 6));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                _ = &mut stopped => true,
                _ = pace.tick() => false,
            };
            if let Err(error) = self.write(last).await {
                tracing::warn!(job = self.held.id, %error, "cannot write how far a job is");
            }
            // Unheard for this long, others are about to take the job up: stop before they start.
            let lost_after = self.home.config().jobs.lost_after();
            if self.standing == Standing::Ours && self.heard.elapsed() > lost_after * 3 / 4 {
                self.standing = Standing::Lost;
            }
            if self.standing != Standing::Ours {
                self.cancel.cancel();
            }
            if last || self.standing == Standing::Lost {
                return self.standing;
            }
        }
    }

    async fn write(&mut self, last: bool) -> crate::error::Result<()> {
        let db = &self.home.db;
        let (phase, done, total, unwritten) = self.recorder.with(|told| {
            self.notes.append(&mut told.notes);
            let unwritten = std::mem::take(&mut told.unwritten);
            (told.phase.clone(), told.done, told.total, unwritten)
        });
        let beat_due = self.beaten.elapsed() >= self.home.config().jobs.lost_after() / 5;
        if self.notes.is_empty() && !unwritten && !beat_due && !last {
            self.stand(db.job_standing(&self.held).await?);
            return Ok(());
        }
        let now = db.now().await?;
        let standing = db.keep_job(&self.held, (&phase, done, total), now).await?;
        self.beaten = Instant::now();
        // The timeline of a job belongs to whoever holds it.
        if standing != Standing::Lost {
            db.note_job(self.held.id, now, &self.notes).await?;
        }
        self.notes.clear();
        self.stand(standing);
        Ok(())
    }

    fn stand(&mut self, found: Standing) {
        self.heard = Instant::now();
        if found != Standing::Ours {
            self.standing = found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_begins_again_is_one_note_and_a_flood_is_bounded() {
        let recorder = Recorder::default();
        recorder.begin(Phase::Store, 2048);
        recorder.advance(100);
        recorder.begin(Phase::Store, 1024);
        recorder.begin(Phase::Check, 0);
        for _ in 0..2 * WAITING_NOTES {
            recorder.note("again");
        }
        recorder.with(|told| {
            assert_eq!(told.notes[..2], ["storing: 2.0 KiB", "checking"]);
            assert_eq!(told.notes.len(), WAITING_NOTES);
            assert_eq!((told.phase.as_str(), told.done, told.total), ("checking", 0, 0));
        });
    }
}
