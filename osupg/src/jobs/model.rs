//! What a job is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::time::Moment;

/// Where a job is in its life.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Runs as soon as a worker has a hand free.
    Queued,
    /// May not run yet; the reason says what it waits for.
    Waiting,
    /// Is being done.
    Running,
    /// Done.
    Succeeded,
    /// Not done, and not tried again by itself.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Waiting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word for it, here and in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more will come of it by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Which of several jobs that could run goes first; those of one priority go in order.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After all others.
    Low,
    /// What nobody said anything about.
    #[default]
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// The number in the database.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Low => 0,
            Self::Normal => 1,
            Self::High => 2,
        }
    }

    /// The priority of such a number.
    pub(crate) const fn from_number(number: i64) -> Self {
        match number {
            ..=0 => Self::Low,
            1 => Self::Normal,
            2.. => Self::High,
        }
    }
}

/// Who does a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Any worker.
    Worker,
    /// The command that was started for it; nobody takes its place.
    Command,
}

impl Place {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Command => "command",
        }
    }
}

/// Which of a worker's slots a job takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Waits for networks and other machines: several at once do no harm.
    Transfer,
    /// Uses every core by itself.
    Work,
}

impl Lane {
    /// The lane of an operation.
    #[must_use]
    pub fn of(operation: &str) -> Self {
        match operation.split_once('.') {
            Some(("point", _)) => Self::Transfer,
            _ => Self::Work,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Work => "work",
        }
    }
}

/// A job, as lists show it and with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// Its number; later jobs have larger ones.
    pub id: i64,
    /// The operation's name, such as `package.verify`.
    pub operation: String,
    /// What was asked for.
    pub request: Value,
    /// The id of the package it is about, of which no other job runs beside it; empty for none.
    pub subject: String,
    /// Who asked for it.
    pub by: String,
    /// Who does it.
    pub place: Place,
    /// Where it is in its life.
    pub state: State,
    /// Why it is there, in plain words; empty where the state says it all.
    pub reason: String,
    /// Whether it goes before others.
    pub priority: Priority,
    /// The part of the work at hand; empty before the first.
    pub phase: String,
    /// Bytes of this part that are done.
    pub done: u64,
    /// Bytes of this part; 0 when it is not known.
    pub total: u64,
    /// How often it was started.
    pub attempts: i64,
    /// Who is doing it, or did it last; empty when it was never started.
    pub worker: String,
    /// When it was asked for.
    pub created_at: Moment,
    /// The moment before which it does not run.
    pub not_before: Moment,
    /// When it was first started.
    pub started_at: Option<Moment>,
    /// When it was over.
    pub finished_at: Option<Moment>,
    /// What it answered, when it has succeeded.
    pub outcome: Option<Value>,
    /// Why the last attempt failed.
    pub error: Option<Failure>,
    /// What happened to it, in order; left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Note>,
}

/// A line of a job's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// Its number; later notes have larger ones.
    pub id: i64,
    /// When it happened.
    pub at: Moment,
    /// What, in plain words.
    pub text: String,
}

/// An error that travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The word of its kind.
    pub kind: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Failure {
    /// An error as it travels.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        Self {
            kind: error.kind().word().to_string(),
            message: error.to_string(),
            advice: error.advice().map(str::to_string),
        }
    }

    /// The error that it was.
    #[must_use]
    pub fn to_error(&self) -> Error {
        let kind = Kind::from_word(&self.kind).unwrap_or(Kind::Usage);
        let error = Error::of(kind, self.message.clone());
        match &self.advice {
            Some(advice) => error.advise(advice.clone()),
            None => error,
        }
    }
}

/// Whether an error may go away by itself: a disk, a network or another machine failed. What was
/// asked wrongly, and bytes that are not what they must be, stay so.
pub(crate) fn is_transient(error: &Error) -> bool {
    error.kind() == Kind::Io
}

/// How much of the queue there is, for lists and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Jobs in each state.
    pub states: Vec<(State, u64)>,
    /// Workers that are there.
    pub workers: u64,
    /// When the job that could have run for the longest time became able to; `None` when none
    /// is waiting for a worker.
    pub oldest_due: Option<Moment>,
}

impl Census {
    /// Jobs in this state.
    #[must_use]
    pub fn in_state(&self, state: State) -> u64 {
        self.states.iter().find(|(other, _)| *other == state).map_or(0, |(_, count)| *count)
    }
}

/// A JSON text of the database.
pub(crate) fn parse(json: &str) -> Result<Value> {
    serde_json::from_str(json)
        .map_err(|error| Error::damaged(format!("the database holds JSON that is none: {error}")))
}
