//! Takes old revisions away, by rules that never touch what is in use.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Package, Revision};
use crate::db::revisions;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;
use crate::time::Moment;

/// So many hours.
#[must_use]
pub(crate) fn hours(hours: u32) -> Duration {
    Duration::from_secs(u64::from(hours) * 60 * 60)
}

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// How long revisions are kept: a section of the configuration.
///
/// A revision goes when no rule keeps it. The current one and those that are published are always
/// kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// So many of the newest revisions of each package are kept.
    pub keep_last: u32,
    /// Revisions are kept for so many days.
    pub keep_days: u32,
    /// Objects that no revision uses any more are kept for so many hours.
    pub grace_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep_last: 3, keep_days: 90, grace_hours: 0 }
    }
}

/// What to prune. Rules that are left out are those of the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name; all packages when left out.
    #[serde(default)]
    pub package: Option<String>,
    /// So many of the newest revisions of each package are kept.
    #[serde(default)]
    pub keep_last: Option<u32>,
    /// Revisions are kept for so many days.
    #[serde(default)]
    pub keep_days: Option<u32>,
    /// Whether only to say what would go.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a pruning did, or would do.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Pruned {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The revisions that went, by package and number.
    pub revisions: Vec<Gone>,
    /// Revisions that stayed.
    pub kept: u64,
    /// Objects that nothing refers to any more.
    pub freed_objects: u64,
    /// Their bytes.
    pub freed_size: u64,
    /// Whether the bytes are gone already. They are not while an import is running; a later
    /// command takes them away then.
    pub collected: bool,
}

/// A revision that went.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Gone {
    /// The package.
    pub id: String,
    /// The revision's number.
    pub number: i64,
    /// What had made it.
    pub cause: String,
    /// When it was made.
    pub created_at: Moment,
    /// Bytes that no other revision used. Those that only several pruned ones shared are in the
    /// total alone.
    pub frees: u64,
}

impl Operation for Request {
    type Outcome = Pruned;
    const NAME: &'static str = "package.prune";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        self.package.as_deref()
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Pruned> {
        let usual = home.config().retention;
        let rules = Settings {
            keep_last: self.keep_last.unwrap_or(usual.keep_last),
            keep_days: self.keep_days.unwrap_or(usual.keep_days),
            ..usual
        };
        let packages = match &self.package {
            Some(package) => vec![home.db.package(package).await?],
            None => home.db.packages().await?,
        };
        let now = Moment::now();
        let mut pruned = Pruned {
            dry_run: self.dry_run,
            revisions: Vec::new(),
            kept: 0,
            freed_objects: 0,
            freed_size: 0,
            collected: false,
        };
        let mut keys = Vec::new();
        for package in &packages {
            watch.check()?;
            let revisions = home.db.revisions(&package.id).await?;
            let published = home.db.published(&package.id).await?;
            for (age, revision) in revisions.into_iter().enumerate() {
                if rules.keep(package, &revision, age, &published, now) {
                    pruned.kept += 1;
                    continue;
                }
                keys.push(revision.key);
                pruned.revisions.push(Gone {
                    id: package.id.clone(),
                    number: revision.number,
                    frees: home.db.only_in(revision.key).await?,
                    cause: revision.cause,
                    created_at: revision.created_at,
                });
            }
        }
        pruned.revisions.sort_by(|a, b| (&a.id, a.number).cmp(&(&b.id, b.number)));
        if keys.is_empty() {
            return Ok(pruned);
        }
        let mut tx = home.db.begin().await?;
        (pruned.freed_objects, pruned.freed_size) = revisions::remove(&mut tx, &keys, now).await?;
        if self.dry_run {
            // Nothing tells as surely what would happen as doing it, and taking it back.
            tx.rollback().await?;
        } else {
            tx.commit().await?;
            pruned.collected = matches!(home.collect().await, Ok(Some(swept)) if swept.young == 0);
        }
        Ok(pruned)
    }
}

impl Settings {
    /// How long objects stay that no revision uses.
    #[must_use]
    pub fn grace(&self) -> Duration {
        hours(self.grace_hours)
    }

    /// Whether a revision stays; `age` counts those of its package that are newer.
    fn keep(
        &self,
        package: &Package,
        revision: &Revision,
        age: usize,
        published: &[i64],
        now: Moment,
    ) -> bool {
        let days = i64::from(self.keep_days);
        revision.number == package.revision.number
            || published.contains(&revision.number)
            || age < self.keep_last as usize
            || now.0.saturating_sub(revision.created_at.0) < days.saturating_mul(DAY)
    }
}
