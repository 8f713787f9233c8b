//! What can be asked about jobs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{Job, Priority, State};
use super::{Selection, Submission, cancel, get_after, list, retry, submit};
use crate::accounts::Sight;
use crate::error::Result;
use crate::home::Home;
use crate::operation::{Operation, Reach, Right};
use crate::package::reference;
use crate::progress::Watch;
use crate::time::Moment;

/// Puts an operation into the queue, for later or with another priority than usual. Since the
/// operation may be any, it takes the highest right.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// The operation's name, such as `package.verify`.
    pub operation: String,
    /// Its request.
    pub request: Value,
    /// Whether it goes before others.
    #[serde(default)]
    pub priority: Priority,
    /// The moment before which it must not run; at once when left out.
    #[serde(default)]
    pub not_before: Option<Moment>,
}

impl Operation for Submit {
    type Outcome = Job;
    const NAME: &'static str = "job.submit";
    const RIGHT: Right = Right::Administer;

    fn subject(&self) -> Option<&str> {
        self.request.get("package")?.as_str().map(reference::package_of)
    }

    fn later(&self) -> Option<(&str, &Value)> {
        Some((&self.operation, &self.request))
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Job> {
        let submission = Submission {
            operation: &self.operation,
            request: &self.request,
            by: home.by(),
            key: None,
            priority: self.priority,
            not_before: self.not_before,
        };
        submit(home, &submission).await
    }
}

/// Jobs, the latest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct List {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those about this package, by id or name.
    pub package: Option<String>,
    /// Only those before this number: where the list before ended.
    pub before: Option<i64>,
    /// No more than these, 1,000 at most; 0 for a hundred.
    pub limit: u32,
}

impl Operation for List {
    type Outcome = Vec<Job>;
    const NAME: &'static str = "job.list";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn limit(jobs: &mut Vec<Job>, sight: &Sight) {
        jobs.retain(|job| sight.sees_job(job));
    }

    fn subject(&self) -> Option<&str> {
        self.package.as_deref()
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Job>> {
        let subject = match &self.package {
            Some(named) => Some(super::package_id(home, named).await?),
            None => None,
        };
        let (state, before, limit) = (self.state, self.before, self.limit);
        list(home, &Selection { state, subject, before, limit }).await
    }
}

/// A job with its timeline.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Its number.
    pub id: i64,
    /// Only what its timeline holds after the note with this number.
    #[serde(default)]
    pub after: i64,
}

impl Operation for Show {
    type Outcome = Job;
    const NAME: &'static str = "job.show";
    const RIGHT: Right = Right::Read;

    fn job(&self) -> Option<i64> {
        Some(self.id)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Job> {
        get_after(home, self.id, self.after).await
    }
}

/// Ends a job.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelJob {
    /// Its number.
    pub id: i64,
}

impl Operation for CancelJob {
    type Outcome = Job;
    const NAME: &'static str = "job.cancel";
    const RIGHT: Right = Right::Operate;

    fn job(&self) -> Option<i64> {
        Some(self.id)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Job> {
        cancel(home, self.id, home.by()).await
    }
}

/// Puts a job that is over without success, or that waits for its next try, into the queue again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Its number.
    pub id: i64,
}

impl Operation for Retry {
    type Outcome = Job;
    const NAME: &'static str = "job.retry";
    const RIGHT: Right = Right::Operate;

    fn job(&self) -> Option<i64> {
        Some(self.id)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Job> {
        retry(home, self.id, home.by()).await
    }
}
