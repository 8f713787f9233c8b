//! Removes a package with all its revisions, and the bytes that only it used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;

/// What a removal did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// The package.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Objects that nothing refers to any more.
    pub freed_objects: u64,
    /// Their bytes.
    pub freed_size: u64,
    /// Whether the bytes are gone already. They are not while an import is running, or for as long
    /// as the configuration has it; a later command takes them away then.
    pub collected: bool,
}

/// What to remove.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name.
    pub package: String,
}

impl Operation for Request {
    type Outcome = Removed;
    const NAME: &'static str = "package.remove";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Removed> {
        remove(home, &self.package).await
    }
}

/// Removes the package.
///
/// # Errors
/// When there is no such package, or the database cannot be written.
pub async fn remove(home: &Home, id_or_name: &str) -> Result<Removed> {
    let package = home.db.package(id_or_name).await?;
    let (freed_objects, freed_size) = home.db.remove_package(&package.id).await?;
    // The package is gone from here on, whatever happens to its bytes: the next command that
    // changes the store collects what this one could not.
    let collected = matches!(home.collect().await, Ok(Some(swept)) if swept.young == 0);
    Ok(Removed { id: package.id, name: package.name, freed_objects, freed_size, collected })
}
