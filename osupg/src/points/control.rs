//! Stops deliveries, has them tried again, and makes those that are due.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deliver::{self, Delivered};
use super::model::{Point, Presence, Standing, State};
use super::publish::{Assigned, Carrier, hand_on};
use super::target::Depth;
use super::window::Priority;
use super::{package_id, places, points_at};
use crate::db::points::Place;
use crate::error::{Kind as ErrorKind, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::progress::Watch;
use crate::time::Moment;

/// Which deliveries to stop.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// The package's id or name.
    pub package: String,
    /// Points and groups by name; all points when left out.
    #[serde(default)]
    pub at: Vec<String>,
}

/// Which deliveries to try again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// The package's id or name.
    pub package: String,
    /// Points and groups by name; all points when left out.
    #[serde(default)]
    pub at: Vec<String>,
    /// Who carries them.
    #[serde(default)]
    pub carrier: Carrier,
}

/// Deliveries that were stopped.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// The package's id.
    pub package: String,
    /// The points at which it was on its way.
    pub points: Vec<String>,
}

impl Operation for CancelRequest {
    type Outcome = Cancelled;
    const NAME: &'static str = "point.cancel";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Cancelled> {
        let id = package_id(home, &self.package).await?;
        let mut stopped = Vec::new();
        for (point, presence) in concerned(home, &id, &self.at).await? {
            // What is being removed is gone in a moment, and half of it is of no use.
            let stops = presence.state.standing() == Standing::Progress
                && presence.state != State::Removing;
            if stops {
                let reason = "stopped on request; `osupg point retry` goes on with it";
                home.db.set_state(point.key, &id, State::Cancelled, reason, None).await?;
                stopped.push(point.name);
            }
        }
        Ok(Cancelled { package: id, points: stopped })
    }
}

impl Operation for RetryRequest {
    type Outcome = Assigned;
    const NAME: &'static str = "point.retry";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Assigned> {
        let package = home.db.package(&self.package).await?;
        let mut again = Vec::new();
        for (point, presence) in concerned(home, &package.id, &self.at).await? {
            let state = match presence.wanted {
                Some(_) => State::Pending,
                None => State::Removing,
            };
            if presence.state == State::Installed {
                continue;
            }
            // One that is on its way may have been cut off; if not, the delivery finds out.
            if presence.state != State::Transferring {
                let now = Some(Moment::now());
                home.db.set_state(point.key, &package.id, state, "", now).await?;
            }
            again.push(Place::Point(point.key));
        }
        let deliveries = hand_on(home, &again, &package.id, Priority::Medium, self.carrier).await?;
        let mut notes = Vec::new();
        if deliveries.is_empty() {
            notes.push("there is nothing to try again".into());
        }
        Ok(Assigned { package: package.id, revision: None, deliveries, notes })
    }
}

/// Makes the deliveries that are due: a window has opened, a point was busy, or a removed package
/// has left something; and takes away what a killed process has left at object stores. Workers make
/// what is due by themselves.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatchUp {}

/// What became of the deliveries that were due.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct CaughtUp {
    /// What each came to.
    pub delivered: Vec<Delivered>,
    /// What went wrong, with the names of point and package.
    pub failed: Vec<String>,
}

impl Operation for CatchUp {
    type Outcome = CaughtUp;
    const NAME: &'static str = "point.catch-up";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<CaughtUp> {
        let mut caught_up = CaughtUp::default();
        for deliver::Request { point, package } in deliver::due(home, Moment::now()).await? {
            watch.check()?;
            match deliver::deliver(home, &point, &package, Depth::Usual, watch).await {
                Ok(done) => caught_up.delivered.push(done),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => caught_up.failed.push(format!("{package}: {error}")),
            }
        }
        // Whoever was killed after a package had left may not have come to this.
        for point in home.db.points().await?.iter().filter(|point| !point.maintenance) {
            watch.check()?;
            match deliver::tidy(home, point, watch).await {
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => caught_up.failed.push(format!("{}: {error}", point.name)),
                Ok(()) => {}
            }
        }
        Ok(caught_up)
    }
}

/// The points that have to do with a package, with how it stands there.
async fn concerned(home: &Home, package: &str, at: &[String]) -> Result<Vec<(Point, Presence)>> {
    let points = match at {
        [] => home.db.points().await?,
        names => points_at(home, &places(home, names).await?).await?,
    };
    let presences = home.db.presences_of(package).await?;
    let pair = |presence: Presence| {
        let point = points.iter().find(|point| point.key == presence.point_key)?;
        Some((point.clone(), presence))
    };
    Ok(presences.into_iter().filter_map(pair).collect())
}
