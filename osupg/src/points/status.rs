//! How packages stand at points.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Presence, Tally};
use crate::accounts::Sight;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Reach, Right};
use crate::progress::Watch;

/// How the packages of a point stand.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointRequest {
    /// The point's name.
    pub point: String,
}

impl Operation for PointRequest {
    type Outcome = Vec<Presence>;
    const NAME: &'static str = "point.status";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn limit(outcome: &mut Vec<Presence>, sight: &Sight) {
        outcome.retain(|presence| sight.sees(&presence.package));
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Presence>> {
        let point = home.db.point(&self.point).await?;
        home.db.presences_at(point.key).await
    }
}

/// How a package stands at its points.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageRequest {
    /// The package's id or name.
    pub package: String,
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
}

impl Operation for PackageRequest {
    type Outcome = PackageStatus;
    const NAME: &'static str = "package.status";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<PackageStatus> {
        let package = home.db.package(&self.package).await?;
        Ok(PackageStatus {
            tally: home.db.package_tally(&package.id).await?,
            points: home.db.presences_of(&package.id).await?,
            current: package.revision.number,
            package: package.id,
        })
    }
}

/// How all packages stand, each in four numbers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverviewRequest {}

/// A package and how it stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// The package's id.
    pub package: String,
    /// At how many points it stands how.
    pub tally: Tally,
}

impl Operation for OverviewRequest {
    type Outcome = Vec<Overview>;
    const NAME: &'static str = "point.overview";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn limit(outcome: &mut Vec<Overview>, sight: &Sight) {
        outcome.retain(|one| sight.sees(&one.package));
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Overview>> {
        let tallies = home.db.package_tallies().await?;
        let mut all: Vec<Overview> =
            tallies.into_iter().map(|(package, tally)| Overview { package, tally }).collect();
        all.retain(|one| one.tally.total() > 0);
        all.sort_by(|a, b| a.package.cmp(&b.package));
        Ok(all)
    }
}
