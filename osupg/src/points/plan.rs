//! What publishing would take, before it is done.

use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::feed::Rules;
use super::model::{Kind, Point};
use super::target::{Plan, Signed};
use super::window::Priority;
use super::{POINTS_AT_ONCE, places, points_at, signed_anywhere, target};
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::reference::Reference;
use crate::progress::Watch;
use crate::time::Moment;

/// What is to be published where.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The revision.
    pub package: Reference,
    /// Points and groups by name; a name that is both as `point:NAME` or `group:NAME`.
    pub to: Vec<String>,
    /// How urgent it is; as urgent as the package when left out.
    #[serde(default)]
    pub priority: Option<Priority>,
}

/// What publishing a revision would take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// The package's id.
    pub package: String,
    /// The revision's number.
    pub revision: i64,
    /// Point by point.
    pub points: Vec<PlannedPoint>,
}

/// What it would take at one point.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PlannedPoint {
    /// The point's name.
    pub point: String,
    /// What would travel; none for a node, and where the point does not answer.
    pub plan: Option<Plan>,
    /// What stands in the way now, in plain words; empty when nothing does.
    pub note: String,
}

impl Operation for Request {
    type Outcome = Planned;
    const NAME: &'static str = "point.plan";
    const RIGHT: Right = Right::Read;
    const LENGTH: Length = Length::Quick;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Planned> {
        plan(home, self, watch).await
    }
}

async fn plan(home: &Home, request: &Request, watch: Watch<'_>) -> Result<Planned> {
    let package = home.db.package_at(&request.package).await?;
    // What may not be published has no plan.
    package.check_licence()?;
    let priority = request.priority.unwrap_or(package.priority.into());
    let (id, number) = (package.id, package.revision.number);
    let reference = Reference { package: id.clone(), revision: Some(number) };
    let signed = signed_anywhere(home, &reference).await?;
    let places = places(home, &request.to).await?;
    let points = points_at(home, &places).await?;
    let planned = stream::iter(&points)
        .map(|point| plan_point(home, point, &signed, package.revision.key, priority))
        .buffered(POINTS_AT_ONCE)
        .collect()
        .await;
    watch.check()?;
    Ok(Planned { package: id, revision: number, points: planned })
}

async fn plan_point(
    home: &Home,
    point: &Point,
    signed: &Signed,
    revision: i64,
    priority: Priority,
) -> PlannedPoint {
    let mut note = String::new();
    if point.maintenance {
        note = "the point is in maintenance".into();
    } else if let Some(pause) =
        Rules::of(point, priority).ok().and_then(|rules| rules.pause(Moment::now()))
    {
        note = pause.reason;
    }
    let looked = async {
        let target = target(home, point)?;
        target.check_mark(&point.mark).await?;
        target.plan(&signed.clone().near(home, point.key, revision).await?).await
    };
    let plan = match point.kind {
        Kind::Node => {
            note = "the node fetches what it lacks by itself".into();
            None
        }
        _ => match looked.await {
            Ok(plan) => Some(plan),
            Err(error) => {
                note = error.to_string();
                None
            }
        },
    };
    PlannedPoint { point: point.name.clone(), plan, note }
}
