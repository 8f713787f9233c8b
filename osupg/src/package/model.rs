//! What a package is: its fields, revisions, manifest and images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// The source's absolute path when it was added.
    pub source_path: String,
    /// When it was added.
    pub created_at: Moment,
    /// When a field or the current revision last changed.
    pub changed_at: Moment,
    /// The revision in use.
    pub revision: Revision,
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
    /// What made it: `add`.
    pub cause: String,
    /// Which images of the source were kept; empty for all.
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
