//! Takes a package back from points and groups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::State;
use super::publish::{Assigned, Carrier, hand_on};
use super::window::Priority;
use super::{package_id, places, points_at};
use crate::db::points::Place;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::operation::{Operation, Right};
use crate::progress::Watch;

/// What is to leave where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package's id or name.
    pub package: String,
    /// Points and groups by name.
    pub from: Vec<String>,
    /// Who carries it out.
    #[serde(default)]
    pub carrier: Carrier,
}

impl Operation for Request {
    type Outcome = Assigned;
    const NAME: &'static str = "point.withdraw";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Assigned> {
        let id = package_id(home, &self.package).await?;
        if self.from.is_empty() {
            return Err(Error::usage("no point or group is named").advise("name one with --from"));
        }
        let places = places(home, &self.from).await?;
        for place in &places {
            refuse_what_a_group_gives(home, &places, *place, &id).await?;
        }
        let leaving = home.db.withdraw(&places, &id).await?;
        let mut notes = Vec::new();
        let points = points_at(home, &places).await?;
        for point in points.iter().filter(|point| !leaving.contains(&point.key)) {
            notes.push(format!(
                "{} keeps it: it is assigned there by itself or through another group",
                point.name
            ));
        }
        let mut going = Vec::new();
        for key in leaving {
            // Where it never was there is nothing to do.
            let there = home.db.presence(key, &id).await?;
            if there.is_some_and(|there| there.state == State::Removing) {
                going.push(Place::Point(key));
            }
        }
        let deliveries = hand_on(home, &going, &id, Priority::Medium, self.carrier).await?;
        Ok(Assigned { package: id, revision: None, deliveries, notes })
    }
}

/// A point that has a package through a group keeps it, whatever is said about the point alone.
async fn refuse_what_a_group_gives(
    home: &Home,
    places: &[Place],
    place: Place,
    package: &str,
) -> Result<()> {
    let Place::Point(key) = place else { return Ok(()) };
    let mut giving = Vec::new();
    for name in home.db.groups_giving(key, package).await? {
        let group = home.db.group(&name).await?;
        if !places.contains(&Place::Group(group.key)) {
            giving.push(name);
        }
    }
    if giving.is_empty() {
        return Ok(());
    }
    let point = home.db.point_by_key(key).await?.name;
    Err(Error::usage(format!(
        "{point} has {package} as a point of the group {}",
        giving.join(" and ")
    ))
    .advise(format!("withdraw it from the group, or take {point} out of the group first")))
}
