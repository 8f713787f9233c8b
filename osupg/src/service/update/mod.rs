//! Updates: what servicing puts into images and media, imported once and kept in the library.
//!
//! | what is imported | what it becomes |
//! |---|---|
//! | a `.cab` with a package manifest | a cumulative update, servicing stack, .NET, Safe OS, language, … |
//! | a `.msu`, which is a cabinet or a WIM around such packages | the same; the packages inside are read |
//! | a `.cab` with files of Windows Setup and no manifest | a Setup Dynamic Update |
//! | a `.cab` or folder with `.inf` files | a driver |
//! | a folder with a package manifest or Setup files | as its `.cab` would |
//!
//! Nothing in it is run or installed here: only its manifests are read. What Windows can install only
//! while it runs (`.exe`, `.msi`, `.msp`, …) is refused with the reason.

pub(super) mod container;
pub mod import;
pub mod list;
mod read;
pub mod remove;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::identity::{Identity, Version};
use crate::time::Moment;

/// What an update is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The monthly update of Windows itself.
    Cumulative,
    /// The servicing stack alone.
    ServicingStack,
    /// The monthly update of .NET.
    Dotnet,
    /// For the recovery environment.
    SafeOs,
    /// Files of Windows Setup on the media.
    Setup,
    /// A driver.
    Driver,
    /// A feature on demand.
    Feature,
    /// A language pack or a feature of a language.
    Language,
    /// Another package of the servicing stack.
    Other,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Cumulative,
        Self::ServicingStack,
        Self::Dotnet,
        Self::SafeOs,
        Self::Setup,
        Self::Driver,
        Self::Feature,
        Self::Language,
        Self::Other,
    ];

    /// The word in the database and in output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cumulative => "cumulative",
            Self::ServicingStack => "servicing-stack",
            Self::Dotnet => "dotnet",
            Self::SafeOs => "safe-os",
            Self::Setup => "setup",
            Self::Driver => "driver",
            Self::Feature => "feature",
            Self::Language => "language",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            let all: Vec<_> = Self::ALL.map(Self::word).into();
            format!("an update is one of {}", all.join(", "))
        })
    }
}

/// What an update says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The article, such as `KB5044284`; empty when it names none.
    pub kb: String,
    /// A title for people.
    pub title: String,
    /// What it is for.
    pub kind: Kind,
    /// The architecture, such as `x64`; empty for any.
    pub architecture: String,
    /// The language; empty for any.
    pub language: String,
    /// The package that it is; `None` where it is none of the servicing stack's.
    pub identity: Option<Identity>,
    /// Other packages that come with it, such as the servicing stack it takes.
    pub contains: Vec<Identity>,
    /// The version of what it brings.
    pub version: Version,
    /// Builds of Windows that it is for; empty when it does not say.
    pub builds: Vec<u32>,
    /// Earlier updates of which one has to be in the image: checkpoints.
    pub checkpoints: Vec<Identity>,
    /// The oldest servicing stack that can install it.
    pub servicing_stack: Option<Version>,
    /// Why it cannot be installed into an image that is not running; empty when it can.
    pub online_only: String,
}

/// An update in the library.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Update {
    /// Such as `UPD00001`.
    pub id: String,
    /// What it says about itself.
    #[serde(flatten)]
    pub facts: Facts,
    /// The name of the file or folder it was imported from.
    pub file: String,
    /// Bytes of all its files.
    pub size: u64,
    /// Of the file; of a folder, of its list of files.
    pub sha256: String,
    /// Files; more than one for a folder.
    pub files: u64,
    /// When it was imported.
    pub imported_at: Moment,
}

impl Update {
    /// Whether it is a component of Windows PE, which no other Windows takes.
    pub(super) fn is_for_pe(&self) -> bool {
        let identity = self.facts.identity.as_ref();
        identity.is_some_and(|identity| identity.name.to_ascii_lowercase().starts_with("winpe-"))
    }

    /// What it is called in a sentence: `KB5044284 (cumulative, UPD00001)`.
    #[must_use]
    pub fn called(&self) -> String {
        let Self { id, facts, .. } = self;
        let name = if facts.kb.is_empty() { &facts.title } else { &facts.kb };
        format!("{name} ({}, {id})", facts.kind)
    }
}

/// The id of an update with this number.
pub(crate) fn id_of(number: i64) -> String {
    format!("UPD{number:05}")
}
