//! Publishes a revision to points and groups.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Kind, Point};
use super::window::Priority;
use super::{deliver, places, points_at};
use crate::db::points::{Place, Wanted};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::jobs;
use crate::operation::{Operation, Right};
use crate::package::reference::Reference;
use crate::progress::Watch;
use crate::time::Moment;

/// Who carries what has been assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// Workers: each delivery becomes a job.
    #[default]
    Worker,
    /// Whoever asks, by `point.deliver`.
    Caller,
}

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
    /// Who carries it.
    #[serde(default)]
    pub carrier: Carrier,
}

/// What has been assigned.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Assigned {
    /// The package's id.
    pub package: String,
    /// The revision's number; none when it is to leave.
    pub revision: Option<i64>,
    /// Point by point.
    pub deliveries: Vec<Delivery>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// A delivery that is to be made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// The point's name.
    pub point: String,
    /// The job that makes it; none where the caller does, or a node by itself.
    pub job: Option<i64>,
}

impl Operation for Request {
    type Outcome = Assigned;
    const NAME: &'static str = "point.publish";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Assigned> {
        let package = home.db.package_at(&self.package).await?;
        package.check_licence()?;
        let priority = self.priority.unwrap_or(package.priority.into());
        let (id, number) = (package.id, package.revision.number);
        if self.to.is_empty() {
            return Err(Error::usage("no point or group is named")
                .advise("name one with --to; `osupg point list` shows the points there are"));
        }
        let places = places(home, &self.to).await?;
        let wanted = Wanted { number, priority };
        home.db.assign(&places, &id, wanted).await?;
        let deliveries = hand_on(home, &places, &id, priority, self.carrier).await?;
        let mut notes = Vec::new();
        if deliveries.is_empty() {
            notes.push("the group has no points yet; those that join it will get it".into());
        }
        Ok(Assigned { package: id, revision: Some(number), deliveries, notes })
    }
}

/// Has the deliveries of a package to places made.
pub(super) async fn hand_on(
    home: &Home,
    places: &[Place],
    package: &str,
    priority: Priority,
    carrier: Carrier,
) -> Result<Vec<Delivery>> {
    let points = points_at(home, places).await?;
    let carried: Vec<&Point> = match carrier {
        Carrier::Worker => points.iter().filter(|point| point.kind != Kind::Node).collect(),
        Carrier::Caller => Vec::new(),
    };
    let request =
        |point: &Point| deliver::Request { point: point.name.clone(), package: package.into() };
    let requests: Vec<_> = carried.iter().map(|point| request(point)).collect();
    let ids = submit(home, &requests, priority).await?;
    let keys: Vec<i64> = carried.iter().map(|point| point.key).collect();
    home.db.handed_on(&keys, package).await?;
    let jobs: HashMap<i64, i64> = keys.into_iter().zip(ids).collect();
    let delivery =
        |point: Point| Delivery { job: jobs.get(&point.key).copied(), point: point.name };
    Ok(points.into_iter().map(delivery).collect())
}

/// Makes deliveries jobs; gives their numbers.
async fn submit(
    home: &Home,
    requests: &[deliver::Request],
    priority: Priority,
) -> Result<Vec<i64>> {
    let requests = requests
        .iter()
        .map(serde_json::to_value)
        .collect::<serde_json::Result<Vec<_>>>()
        .map_err(|error| Error::io(format!("a delivery cannot be written: {error}")))?;
    let submission = |request| jobs::Submission {
        operation: deliver::Request::NAME,
        request,
        by: home.by(),
        key: None,
        priority: match priority {
            Priority::Low => jobs::model::Priority::Low,
            Priority::Medium => jobs::model::Priority::Normal,
            Priority::High => jobs::model::Priority::High,
        },
        not_before: None,
    };
    let submissions: Vec<_> = requests.iter().map(submission).collect();
    jobs::submit_all(home, &submissions).await
}

/// Makes jobs of the deliveries that are due: a window has opened, a point was busy, a transfer was
/// cut off, or a removed package has left something. Workers call it now and then.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn tick(home: &Home) -> Result<u64> {
    let mut submitted = 0;
    for request in deliver::due(home, Moment::now()).await? {
        let Some(point) = home.db.point_if_any(&request.point).await? else { continue };
        // Several workers look; the one that takes the row off the list makes the job.
        let Some(priority) = home.db.claim_due(point.key, &request.package).await? else {
            continue;
        };
        submit(home, &[request], priority).await?;
        submitted += 1;
    }
    Ok(submitted)
}
