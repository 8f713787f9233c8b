//! The manifest of a package.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::Entry;
use super::reference::Reference;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;

/// Whose files to list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name, with or without a revision.
    pub package: Reference,
}

impl Operation for Request {
    type Outcome = Vec<Entry>;
    const NAME: &'static str = "package.files";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Entry>> {
        let package = home.db.package_at(&self.package).await?;
        home.db.entries(package.revision.key).await
    }
}
