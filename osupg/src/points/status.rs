//! How packages stand at points.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Presence, Tally};
use crate::accounts::Sight;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Reach, Right};
use crate::page::{self, LONGEST, Page, Paged, paged};
use crate::progress::Watch;

/// How the packages of a point stand, by id. The answer is a page.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointRequest {
    /// The point's name.
    pub point: String,
    /// Only packages after this id: where the page before ended.
    #[serde(default)]
    pub after: Option<String>,
    /// No more than so many, 1 to 1,000; 100 when left out.
    #[serde(default)]
    pub limit: Option<u32>,
}

impl Operation for PointRequest {
    type Outcome = Page<Presence>;
    const NAME: &'static str = "point.status";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn limit(outcome: &mut Page<Presence>, sight: &Sight) {
        outcome.keep_seen(sight, |presence| &presence.package);
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Page<Presence>> {
        let limit = page::limit(self.limit)?;
        let point = home.db.point(&self.point).await?;
        let after = self.after.as_deref().unwrap_or_default();
        let found = home.db.presences_at_after(point.key, after, i64::from(limit) + 1).await?;
        Ok(Page::cut(found, limit, |presence| presence.package.clone()))
    }
}

paged!(PointRequest);

/// How a package stands at its points, by name. The answer is a page of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageRequest {
    /// The package's id or name.
    pub package: String,
    /// Only points after this name: where the page before ended.
    #[serde(default)]
    pub after: Option<String>,
    /// No more than so many, 1 to 1,000; 100 when left out.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// How a package stands everywhere.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PackageStatus {
    /// The package's id.
    pub package: String,
    /// Its current revision; points may be at another.
    pub current: i64,
    /// At how many points it stands how.
    pub tally: Tally,
    /// Point by point.
    pub points: Vec<Presence>,
    /// What to ask for points after; none when this is the last page.
    pub next: Option<String>,
}

impl Operation for PackageRequest {
    type Outcome = PackageStatus;
    const NAME: &'static str = "package.status";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<PackageStatus> {
        let limit = page::limit(self.limit)?;
        let package = home.db.package(&self.package).await?;
        let after = self.after.as_deref().unwrap_or_default();
        let found = home.db.presences_of_after(&package.id, after, i64::from(limit) + 1).await?;
        let Page { items, next } = Page::cut(found, limit, |presence| presence.point.clone());
        Ok(PackageStatus {
            tally: home.db.package_tally(&package.id).await?,
            current: package.revision.number,
            package: package.id,
            points: items,
            next,
        })
    }
}

impl Paged for PackageRequest {
    fn following(&self, answer: &PackageStatus) -> Option<Self> {
        let after = Some(answer.next.clone()?);
        Some(Self { after, limit: Some(LONGEST), ..self.clone() })
    }

    fn append(answers: &mut PackageStatus, later: PackageStatus) {
        answers.points.extend(later.points);
        answers.next = later.next;
    }
}

/// How all packages that are at points stand, each in four numbers, by id. The answer is a page.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OverviewRequest {
    /// Only packages after this id: where the page before ended.
    pub after: Option<String>,
    /// No more than so many, 1 to 1,000; 100 when left out.
    pub limit: Option<u32>,
}

/// A package and how it stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// The package's id.
    pub package: String,
    /// At how many points it stands how.
    pub tally: Tally,
}

impl Operation for OverviewRequest {
    type Outcome = Page<Overview>;
    const NAME: &'static str = "point.overview";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn limit(outcome: &mut Page<Overview>, sight: &Sight) {
        outcome.keep_seen(sight, |one| &one.package);
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Page<Overview>> {
        let limit = page::limit(self.limit)?;
        let after = self.after.as_deref().unwrap_or_default();
        let found = home.db.package_tallies(after, i64::from(limit) + 1).await?.into_iter();
        let found = found.map(|(package, tally)| Overview { package, tally }).collect();
        Ok(Page::cut(found, limit, |one: &Overview| one.package.clone()))
    }
}

paged!(OverviewRequest);
