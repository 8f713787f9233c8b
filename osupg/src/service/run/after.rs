//! What is asked for once a run has succeeded: its revision is published, now or some days later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::task::Wait;
use super::Run;
use crate::error::{Error, Result};
use crate::home::Home;
use crate::jobs::model::Priority;
use crate::jobs::{self, Submission};
use crate::operation;
use crate::time::Moment;

/// The operation that publishes a revision.
const PUBLISH: &str = "point.publish";
/// Days after which something can be published.
const MAX_DAYS: u32 = 366;
const DAY: i64 = 24 * 3_600 * 1_000_000;

/// Where a revision is published, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Points and groups, as for publishing by hand.
    pub to: Vec<String>,
    /// Days after the run: 0 for at once.
    #[serde(default)]
    pub after_days: u32,
}

/// Checks what can be checked before the run.
///
/// # Errors
/// When nothing publishes here, or a wait is too long.
pub(super) fn check(publish: &[Publish]) -> Result<()> {
    if publish.iter().any(|publish| publish.after_days > MAX_DAYS) {
        return Err(Error::usage(format!("a revision is published within {MAX_DAYS} days")));
    }
    if !publish.is_empty() && operation::find(PUBLISH).is_none() {
        return Err(Error::usage("this osupg has no distribution points to publish to"));
    }
    Ok(())
}

/// Makes a job of each. The same run asks once, however often it comes here.
pub(super) async fn publish(home: &Home, run: &Run) -> Result<()> {
    let Some(revision) = run.revision else { return Ok(()) };
    for (number, publish) in run.request.publish.iter().enumerate() {
        let request = json!({ "package": format!("{}@{revision}", run.package), "to": publish.to });
        let wait = i64::from(publish.after_days) * DAY;
        let submission = Submission {
            operation: PUBLISH,
            request: &request,
            by: home.by(),
            key: Some(&format!("servicing {} publish {number}", run.id)),
            priority: Priority::Normal,
            not_before: (wait > 0).then(|| Moment(Moment::now().0.saturating_add(wait))),
        };
        jobs::submit(home, &submission).await?;
    }
    Ok(())
}

/// Has a run that waited for a worker go on, as a job of whoever began it.
pub(in crate::service) async fn go_on(home: &Home, run: &Run, wait: &Wait) -> Result<()> {
    let request = super::Request { run: Some(run.id.clone()), ..run.request.clone() };
    let request = serde_json::to_value(&request)
        .map_err(|error| Error::io(format!("the request of a run has no JSON: {error}")))?;
    let submission = Submission {
        operation: <super::Request as operation::Operation>::NAME,
        request: &request,
        by: if run.made_by.is_empty() { home.by() } else { &run.made_by },
        key: Some(&format!("servicing {} after {} since {}", run.id, wait.task, wait.since.0)),
        priority: Priority::Normal,
        not_before: None,
    };
    jobs::submit(home, &submission).await.map(drop)
}
