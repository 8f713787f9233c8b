//! Tasks for workers: made once for the same work, claimed by one worker at a time, and done for good.
//!
//! The id of a task is a hash of everything that its result depends on. A run that is cut off, or comes
//! again after a worker has reported, finds the same tasks, and their results where they are done.
//!
//! ```text
//! waiting ─► claimed ─► reported ─► done
//!    ▲          ├───────────┴─────► failed
//!    └──────────┘ the worker's time has run out
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stack::{Report, Task};
use crate::error::{Error, Result};
use crate::package::model::Content;
use crate::time::Moment;

/// How long a worker may be silent before another gets its task, in microseconds: a quarter of an hour.
pub(super) const LEASE: i64 = 15 * 60 * 1_000_000;
/// Workers that may be lost with a task before it counts as failed.
pub(super) const MAX_ATTEMPTS: i64 = 3;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// No worker has it.
    Waiting,
    /// A worker has it.
    Claimed,
    /// A worker has brought a new WIM, which has yet to be read.
    Reported,
    /// Its result is in the library.
    Done,
    /// It has no result; the report says why.
    Failed,
}

impl TaskState {
    /// The word in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Claimed => "claimed",
            Self::Reported => "reported",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// The state of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "claimed" => Self::Claimed,
            "reported" => Self::Reported,
            "done" => Self::Done,
            "failed" => Self::Failed,
            _ => Self::Waiting,
        }
    }
}

/// A task that a worker may have.
#[derive(Debug, Clone)]
pub struct OpenTask {
    /// Its id.
    pub id: String,
    /// What is to be done.
    pub task: Task,
    /// The worker that has it, or had it last.
    pub worker: String,
    /// How often it was claimed since a worker got anywhere with it.
    pub attempts: i64,
}

/// A task as it is kept.
#[derive(Debug, Clone)]
pub struct KeptTask {
    /// Its id.
    pub id: String,
    /// The run that it was made for, or that waits for it yet.
    pub run: String,
    /// How far it is.
    pub state: TaskState,
    /// What is to be done.
    pub task: Task,
    /// The WIM that comes in.
    pub input: Content,
    /// The worker that has it, or had it last.
    pub worker: String,
    /// Until when the worker has it.
    pub lease_until: Moment,
    /// What came of it.
    pub report: Report,
    /// Size and SHA-256 of the new WIM, as the worker says.
    pub reported: Option<(u64, [u8; 32])>,
    /// The new WIM.
    pub output: Option<Content>,
}

/// A worker's hold on a task.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'c> {
    /// The worker's name.
    pub worker: &'c str,
    /// The account or token in whose name it asks.
    pub by: &'c str,
    /// What it proves itself by.
    pub word: &'c str,
    /// Until when the worker has the task.
    pub until: Moment,
}

/// What a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The run.
    pub run: String,
    /// The task; empty where nobody knows.
    pub task: String,
    /// Since when: the run may wait for the same task another time.
    pub since: Moment,
}

/// The id of a task.
///
/// # Errors
/// Never, unless it has no JSON.
pub(super) fn id_of(task: &Task) -> Result<String> {
    let json = serde_json::to_vec(task)
        .map_err(|error| Error::io(format!("a task has no JSON: {error}")))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"osupg servicing task 1\n").update(&json);
    Ok(hasher.finalize().to_hex()[..32].to_string())
}
