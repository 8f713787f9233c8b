//! The revisions of a package.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::Revision;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;

/// Whose revisions to list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name.
    pub package: String,
}

/// All revisions of a package.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Revisions {
    /// The package.
    pub id: String,
    /// The number of the revision in use.
    pub current: i64,
    /// The revisions, the newest first.
    pub revisions: Vec<Listed>,
}

/// A revision, and what removing it would give back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The revision.
    #[serde(flatten)]
    pub revision: Revision,
    /// Bytes in the library that no other revision of any package uses.
    pub frees: u64,
}

impl Operation for Request {
    type Outcome = Revisions;
    const NAME: &'static str = "package.revisions";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Revisions> {
        let package = home.db.package(&self.package).await?;
        let mut revisions = Vec::new();
        for revision in home.db.revisions(&package.id).await? {
            let frees = home.db.only_in(revision.key).await?;
            revisions.push(Listed { revision, frees });
        }
        Ok(Revisions { id: package.id, current: package.revision.number, revisions })
    }
}
