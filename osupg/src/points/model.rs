//! What a point is, and how a package stands there.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::window::{Priority, Windows};
use crate::error::{Error, Result};
use crate::time::Moment;

/// Packages that are sent to a point at the same time, unless it says otherwise.
pub const PACKAGES_AT_ONCE: i64 = 3;
/// Files or pieces of a package that are under way at the same time.
pub const THREADS: i64 = 5;
/// Seconds without an answer after which a point counts as gone.
pub const TIMEOUT_SECONDS: i64 = 120;

/// What kind of place a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A folder or mounted share: ready media trees that setup.exe runs from.
    Folder,
    /// A prefix in an object store: pieces and signed documents.
    Objects,
    /// Another osupg, which fetches by itself.
    Node,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Objects => "objects",
            Self::Node => "node",
        }
    }

    /// The kind with this word.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_word(word: &str) -> Result<Self> {
        one_of([Self::Folder, Self::Objects, Self::Node], Self::word, word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A place that packages are sent to, or that fetches them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// The key in the database.
    #[serde(skip)]
    pub key: i64,
    /// The name; unique, whatever its capitals.
    pub name: String,
    /// What kind of place it is.
    pub kind: Kind,
    /// Where it is: a folder, `s3://bucket/prefix`, or what a node is known by.
    pub target: String,
    /// What the place was marked with when it became a point.
    #[serde(skip)]
    pub mark: String,
    /// The fields that can be edited.
    #[serde(flatten)]
    pub settings: Settings,
    /// Whether nothing is sent to it for now.
    pub maintenance: bool,
    /// When it last answered, or a node last asked.
    pub seen_at: Option<Moment>,
    /// When it was added.
    pub created_at: Moment,
    /// When a field last changed.
    pub changed_at: Moment,
}

/// The fields of a point that can be edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// A comment; empty when none was given.
    pub comment: String,
    /// The time zone of its windows, as IANA names it.
    pub time_zone: String,
    /// What may travel to it, by the hour of the week.
    pub windows: Windows,
    /// Bytes a second that may travel to it; 0 for any number.
    pub rate: i64,
    /// Packages that are sent to it at the same time: 1 to 50. With a rate it is one.
    pub packages_at_once: i64,
    /// Files or pieces of a package under way at the same time: 1 to 99.
    pub threads: i64,
    /// Seconds without an answer after which it counts as gone: 1 to 86,400.
    pub timeout_seconds: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            comment: String::new(),
            time_zone: "UTC".into(),
            windows: Windows::default(),
            rate: 0,
            packages_at_once: PACKAGES_AT_ONCE,
            threads: THREADS,
            timeout_seconds: TIMEOUT_SECONDS,
        }
    }
}

impl Settings {
    /// Checks every field against its limits.
    ///
    /// # Errors
    /// Names the first field that is beyond them, and the limits.
    pub fn check(&self) -> Result<()> {
        crate::package::fields::comment(&self.comment)?;
        self.zone()?;
        let within = |what: &str, value: i64, least: i64, most: i64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::usage(format!("{what} is {value}; it can be {least} to {most}")))
        };
        within("the rate", self.rate, 0, i64::MAX)?;
        within("the number of packages at once", self.packages_at_once, 1, 50)?;
        within("the number of threads", self.threads, 1, 99)?;
        within("the time-out in seconds", self.timeout_seconds, 1, 86_400)
    }

    /// The time zone of its windows.
    ///
    /// # Errors
    /// When the system knows none of that name.
    pub fn zone(&self) -> Result<jiff::tz::TimeZone> {
        if self.time_zone == "UTC" {
            return Ok(jiff::tz::TimeZone::UTC);
        }
        jiff::tz::TimeZone::get(&self.time_zone).map_err(|_| {
            let shown = crate::text::clean(&self.time_zone).into_owned();
            Error::usage(format!("this system knows no time zone {shown:?}"))
                .advise("write it as in Europe/Amsterdam; the package tzdata brings them")
        })
    }

    /// How many packages may be sent at a time. A rate can only be kept to by one sender.
    #[must_use]
    pub fn lanes(&self) -> i64 {
        if self.rate > 0 { 1 } else { self.packages_at_once }
    }
}

/// Several points under one name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The key in the database.
    #[serde(skip)]
    pub key: i64,
    /// The name; unique among groups, whatever its capitals.
    pub name: String,
    /// A comment; empty when none was given.
    pub comment: String,
    /// The names of its points.
    pub points: Vec<String>,
    /// When it was made.
    pub created_at: Moment,
}

/// How a package stands at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// To be sent or removed; nobody has begun.
    Pending,
    /// Begun or to begin, and something must happen first; the reason says what.
    Waiting,
    /// Bytes are travelling, or what is there is being checked.
    Transferring,
    /// The revision is whole there.
    Installed,
    /// Sending failed.
    Failed,
    /// Something at the point is not as it was sent.
    Damaged,
    /// It is being removed.
    Removing,
    /// Removing failed.
    RemoveFailed,
    /// Somebody stopped it.
    Cancelled,
    /// A node has not said anything yet.
    Unknown,
}

impl State {
    const ALL: [Self; 10] = [
        Self::Pending,
        Self::Waiting,
        Self::Transferring,
        Self::Installed,
        Self::Failed,
        Self::Damaged,
        Self::Removing,
        Self::RemoveFailed,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Transferring => "transferring",
            Self::Installed => "installed",
            Self::Failed => "failed",
            Self::Damaged => "damaged",
            Self::Removing => "removing",
            Self::RemoveFailed => "remove-failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// The state with this word.
    ///
    /// # Errors
    /// When there is none.
    pub fn from_word(word: &str) -> Result<Self> {
        one_of(Self::ALL, Self::word, word)
    }

    /// What it comes down to.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Installed => Standing::Success,
            Self::Pending | Self::Waiting | Self::Transferring | Self::Removing => {
                Standing::Progress
            }
            Self::Failed | Self::Damaged | Self::RemoveFailed | Self::Cancelled => Standing::Error,
            Self::Unknown => Standing::Unknown,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A state in one of four words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// As it is to be.
    Success,
    /// On its way there.
    Progress,
    /// Somebody has to act.
    Error,
    /// Nobody knows.
    Unknown,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Progress => "progress",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// How many there are of each standing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// As it is to be.
    pub success: i64,
    /// On the way.
    pub progress: i64,
    /// Somebody has to act.
    pub error: i64,
    /// Nobody knows.
    pub unknown: i64,
}

impl Tally {
    /// Adds `count` of the standing with this word; other words count for nothing.
    pub fn add(&mut self, word: &str, count: i64) {
        match word {
            "success" => self.success += count,
            "progress" => self.progress += count,
            "error" => self.error += count,
            "unknown" => self.unknown += count,
            _ => {}
        }
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.success + self.progress + self.error + self.unknown
    }
}

/// A package at a point.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Presence {
    /// The point's name.
    pub point: String,
    /// The package's id.
    pub package: String,
    /// The revision that is to be there; none when the package is to leave.
    pub wanted: Option<i64>,
    /// The revision that is whole there.
    pub held: Option<i64>,
    /// How urgent it is.
    pub priority: Priority,
    /// How it stands.
    pub state: State,
    /// Why, in plain words; empty where the state says it all.
    pub reason: String,
    /// Bytes sent by the transfer at hand, or the last one.
    pub sent: u64,
    /// Bytes that it had to send when it began.
    pub to_send: u64,
    /// When it will be tried again.
    pub retry_at: Option<Moment>,
    /// When every byte of it was last found right.
    pub validated_at: Option<Moment>,
    /// When this last changed.
    pub changed_at: Moment,
    /// The point's key in the database.
    #[serde(skip)]
    pub point_key: i64,
}

fn one_of<T: Copy, const N: usize>(
    all: [T; N],
    say: fn(T) -> &'static str,
    word: &str,
) -> Result<T> {
    all.into_iter().find(|one| say(*one) == word).ok_or_else(|| {
        Error::damaged(format!(
            "the database holds the unknown word {:?}",
            crate::text::clean(word)
        ))
    })
}

/// A priority that the database holds.
pub(crate) fn priority_of(word: &str) -> Result<Priority> {
    Priority::from_str(word).map_err(|error| Error::damaged(format!("the database: {error}")))
}
