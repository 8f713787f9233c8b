//! What a package is: its fields, revisions, manifest and images.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::select::Selection;
use crate::error::{Error, Result};
use crate::media::path::MediaPath;
use crate::store::layout::Piece;
use crate::text;
use crate::time::{FileTime, Moment};

/// Who said so: the image itself, or the person who added the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Read from the images of the media.
    Image,
    /// Given by hand.
    Hand,
}

impl Origin {
    /// The word in the database.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Hand => "hand",
        }
    }

    /// The value of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        if word == "hand" { Self::Hand } else { Self::Image }
    }
}

/// A value with who said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stated {
    /// The value; empty when nobody knows.
    pub value: String,
    /// Where it comes from.
    pub by: Origin,
}

/// The order in which packages are sent.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After all others.
    Low,
    /// As most.
    #[default]
    Medium,
    /// Before all others.
    High,
}

impl Priority {
    /// The word in the database and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The value of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        word.parse().unwrap_or_default()
    }
}

impl FromStr for Priority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|priority| priority.word().eq_ignore_ascii_case(text))
            .ok_or_else(|| "a priority is high, medium or low".to_string())
    }
}

/// Whether somebody has to accept the licence terms of a package, and who did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Licence {
    /// Whether they have to be accepted before the package is used.
    pub required: bool,
    /// Who accepted them, and when.
    pub accepted: Option<Acceptance>,
}

impl Licence {
    /// Whether the package may be used as far as its licence goes.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.required || self.accepted.is_some()
    }
}

/// The acceptance of licence terms on behalf of the organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acceptance {
    /// The account.
    pub by: String,
    /// When.
    pub at: Moment,
}

/// A package, as lists show it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Package {
    /// Site code and number, such as `OSU00001`.
    pub id: String,
    /// The name; unique, whatever its capitals.
    pub name: String,
    /// The organisation's own version; empty when none was given.
    pub version: String,
    /// A comment; empty when none was given.
    pub comment: String,
    /// The processor architecture, such as `x64`.
    pub architecture: Stated,
    /// The language, such as `en-US`; several are separated by blanks.
    pub language: Stated,
    /// What kind of source it was added from: `folder`, `iso` or `image`.
    pub source_kind: String,
    /// The source's absolute path.
    pub source_path: String,
    /// Which images of the source are kept.
    pub selection: Selection,
    /// The manufacturer; empty when none was given.
    pub manufacturer: String,
    /// The order in which packages are sent.
    pub priority: Priority,
    /// Whether clients keep it in their cache.
    pub persist_in_cache: bool,
    /// The folder it is listed in, such as `/Windows 11/Pro`; `/` for none.
    pub folder: String,
    /// The security scopes it belongs to.
    pub scopes: Vec<String>,
    /// The device models it is for; empty for all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Whether its licence terms have to be accepted, and by whom they were.
    pub licence: Licence,
    /// Grows with every change of a field; an edit may name the value it has seen.
    pub edit_count: i64,
    /// When it was added.
    pub created_at: Moment,
    /// When a field or the current revision last changed.
    pub changed_at: Moment,
    /// The revision in use.
    pub revision: Revision,
}

impl Package {
    /// Checks that its licence terms are accepted, or need not be.
    ///
    /// # Errors
    /// When somebody has to accept them first.
    pub fn check_licence(&self) -> Result<()> {
        if self.licence.is_settled() {
            return Ok(());
        }
        Err(Error::conflict(format!("nobody has accepted the licence terms of {} yet", self.id))
            .advise(format!(
                "`osupg package accept-licence {}` accepts them on behalf of the organisation",
                self.id
            )))
    }
}

/// One immutable state of a package's media.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// The key in the database.
    #[serde(skip)]
    pub key: i64,
    /// 1 for the first.
    pub number: i64,
    /// The number of the revision it was made from.
    pub parent: Option<i64>,
    /// What made it: `add`, `refresh`, `rollback to 2`.
    pub cause: String,
    /// Who made it; empty when nobody wrote it down.
    #[serde(default)]
    pub made_by: String,
    /// Which images of the source were kept, in words; empty for all.
    pub selection: String,
    /// The editions in its install WIM, separated by commas.
    pub editions: String,
    /// Their builds, such as `26100.1742`; mostly just one.
    pub builds: String,
    /// SHA-256 of the canonical manifest, in hexadecimal.
    #[serde(with = "text::as_hex")]
    #[schemars(with = "String")]
    pub digest: [u8; 32],
    /// When the top folder of the media was last modified.
    pub root_modified: FileTime,
    /// Files in it.
    pub file_count: u64,
    /// The sum of their sizes.
    pub total_size: u64,
    /// Bytes that the library did not have before.
    pub new_size: u64,
    /// When it was made.
    pub created_at: Moment,
}

/// A line of a manifest: a folder or a file with its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Where it is in the media.
    pub path: MediaPath,
    /// When it was last modified.
    pub modified: FileTime,
    /// The content; `None` for a folder.
    #[serde(flatten)]
    pub content: Option<Content>,
}

/// The bytes of a file: their hash and the pieces that make them up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// Of all bytes.
    #[serde(with = "text::as_hex")]
    #[schemars(with = "String")]
    pub sha256: [u8; 32],
    /// In order; their sizes add up to `size`.
    #[serde(skip)]
    pub pieces: Vec<Piece>,
}

/// What a WIM's XML says about one of its images. Texts are empty when it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageFacts {
    /// 1 for the first.
    pub index: u32,
    /// Name of the image.
    pub name: String,
    /// Description of the image.
    pub description: String,
    /// Name for people.
    pub display_name: String,
    /// Edition id, such as `Professional`.
    pub edition: String,
    /// Architecture, such as `x64`.
    pub architecture: String,
    /// Version with build, such as `10.0.26100.1742`.
    pub version: String,
    /// Build with revision, such as `26100.1742`.
    pub build: String,
    /// Kind of installation, such as `Client`.
    pub installation_type: String,
    /// Languages in it.
    pub languages: Vec<String>,
    /// The language it starts with.
    pub default_language: String,
    /// Folders in it.
    pub folders: u64,
    /// Files in it.
    pub files: u64,
    /// The sum of their sizes.
    pub size: u64,
    /// When it was captured, as in RFC 3339.
    pub created: String,
    /// When it was last changed, as in RFC 3339.
    pub modified: String,
}

/// An image in a file of a revision.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StoredImage {
    /// The WIM that holds it.
    pub path: MediaPath,
    /// What its XML says.
    #[serde(flatten)]
    pub facts: ImageFacts,
    /// The image's element of the WIM's XML.
    #[serde(skip)]
    pub xml: String,
}
