//! Goes back to an older revision, as a new one with its manifest. Nothing is stored or removed, so
//! that going back can itself be undone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::Package;
use super::reference::Reference;
use super::{add, select};
use crate::db::revisions;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;
use crate::time::Moment;

/// What to go back to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package with the older revision, as `OSU00001@2`.
    pub package: Reference,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolledBack {
    /// The package with its current revision.
    pub package: Package,
    /// The number of the revision whose manifest it has.
    pub target: i64,
    /// Whether there is a new revision; there is none if the current one had that manifest already.
    pub changed: bool,
}

impl Operation for Request {
    type Outcome = RolledBack;
    const NAME: &'static str = "package.rollback";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<RolledBack> {
        let Some(target) = self.package.revision else {
            return Err(Error::usage("a rollback needs a revision to go back to").advise(format!(
                "name it as {}@N; `osupg package revisions {}` lists them",
                self.package.package, self.package.package
            )));
        };
        let current = home.db.package(&self.package.package).await?;
        let older = home.db.package_at(&self.package).await?;
        if older.revision.digest == current.revision.digest {
            return Ok(RolledBack { package: current, target, changed: false });
        }
        let images = add::install_images(home, &older).await?;
        let statement = select::restate(&current, &images)?;
        let mut tx = home.db.begin().await?;
        revisions::copy(&mut tx, &current, &older, &statement, home.by(), Moment::now()).await?;
        tx.commit().await?;
        let package = home.db.package(&current.id).await?;
        Ok(RolledBack { package, target, changed: true })
    }
}
