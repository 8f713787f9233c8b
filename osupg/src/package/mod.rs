//! What can be done with packages: one module each.

pub mod add;
pub mod adopt;
pub(crate) mod commit;
pub mod compare;
pub mod diff;
pub mod document;
pub mod drift;
pub mod edit;
pub mod export;
pub mod fields;
pub mod files;
pub(crate) mod images;
pub mod inspect;
pub(crate) mod items;
pub mod list;
pub mod manifest;
pub mod model;
pub mod prune;
pub mod reference;
pub mod refresh;
pub mod remove;
pub mod revisions;
pub mod rollback;
pub mod select;
pub mod show;
pub mod snapshot;
pub mod verify;

use crate::error::{Error, Result};
use model::{Entry, Package};

/// Checks that the manifest in the database is the one that was committed.
pub(crate) fn check_digest(package: &Package, entries: &[Entry]) -> Result<()> {
    if manifest::digest(package.revision.root_modified, entries) == package.revision.digest {
        return Ok(());
    }
    Err(Error::damaged(format!(
        "the manifest of {} revision {} in the database is not the one that was stored",
        package.id, package.revision.number
    ))
    .advise("restore the database from a backup, or remove the package and add its source again"))
}

#[cfg(test)]
mod tests;
