//! What a schedule is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Moment;

/// What becomes of moments that pass while no worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// One run stands for all of them.
    #[default]
    Once,
    /// They are left out.
    Skip,
}

impl Missed {
    /// The word in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Skip => "skip",
        }
    }

    /// The value of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Once, Self::Skip].into_iter().find(|one| one.word() == word)
    }
}

/// Whether a schedule is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is.
    Active,
    /// Somebody stopped it for now.
    Paused,
    /// Its last moment has passed.
    Done,
}

impl State {
    /// The word in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Done => "done",
        }
    }

    /// The value of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Done].into_iter().find(|one| one.word() == word)
    }
}

/// What became of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// A worker has taken it up.
    Claimed,
    /// Its job is in the queue, or was.
    Submitted,
    /// It was missed, and missed ones are left out.
    Skipped,
    /// No job could be made of it.
    Failed,
}

impl RunState {
    /// The word in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Submitted => "submitted",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// The value of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Claimed, Self::Submitted, Self::Skipped, Self::Failed]
            .into_iter()
            .find(|one| one.word() == word)
    }
}

/// An operation that is asked for again and again, or once at a time that is set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    /// The key in the database.
    #[serde(skip)]
    pub key: i64,
    /// What people call it; unique, whatever its capitals.
    pub name: String,
    /// When, with the time zone.
    pub timing: String,
    /// The operation, such as `point.validate`.
    pub operation: String,
    /// Its request.
    pub request: Value,
    /// The id of the package that it is about; the schedule is removed with it.
    pub package: Option<String>,
    /// What becomes of moments that pass while no worker runs.
    pub missed: Missed,
    /// Whether it is at work.
    pub state: State,
    /// When it is due next; `None` when it is not.
    pub next_at: Option<Moment>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Moment,
}

/// A schedule about to be kept.
#[derive(Debug)]
pub(crate) struct NewSchedule<'a> {
    pub name: &'a str,
    pub timing: &'a str,
    pub operation: &'a str,
    pub request: &'a Value,
    pub package: Option<&'a str>,
    pub missed: Missed,
    pub next_at: Moment,
    pub created_by: &'a str,
    pub created_at: Moment,
}

/// What became of a schedule when it was due.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its key.
    pub id: String,
    /// When it was due.
    pub due_at: Moment,
    /// What became of it.
    pub state: RunState,
    /// The id of its job; empty when there is none.
    pub job: String,
    /// Why there is no job; empty when there is one.
    pub reason: String,
}
