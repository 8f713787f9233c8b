//! The history of runs, and what can be done with a run: cancel it, do it again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::{self, Run, RunState};
use crate::error::{Error, Result};
use crate::home::Home;
use crate::jobs;
use crate::operation::{Length, Operation, Right};
use crate::progress::Watch;
use crate::time::Moment;

/// The runs, the newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Only of this package, by id or name.
    #[serde(default)]
    pub package: Option<String>,
    /// At most so many; 50 when left out, never more than 1000.
    #[serde(default)]
    pub limit: Option<u32>,
}

impl Operation for Request {
    type Outcome = Vec<Run>;
    const NAME: &'static str = "service.history";
    const RIGHT: Right = Right::Read;

    fn subject(&self) -> Option<&str> {
        self.package.as_deref()
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Vec<Run>> {
        let id = match &self.package {
            Some(package) => Some(home.db.package(package).await?.id),
            None => None,
        };
        let limit = self.limit.unwrap_or(50).min(1000);
        home.db.servicing_runs(id.as_deref(), limit).await
    }
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowRequest {
    /// Its id.
    pub run: String,
}

impl Operation for ShowRequest {
    type Outcome = Run;
    const NAME: &'static str = "service.show";
    const RIGHT: Right = Right::Read;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Run> {
        home.db.servicing_run(&self.run).await
    }
}

/// Cancels a run that waits for a worker. One that is under way is a job, and stopped as such.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Its id.
    pub run: String,
}

impl Operation for CancelRequest {
    type Outcome = Run;
    const NAME: &'static str = "service.cancel";
    const RIGHT: Right = Right::Operate;

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Run> {
        let mut run = home.db.servicing_run(&self.run).await?;
        match run.state {
            RunState::Waiting => {}
            RunState::Running => {
                return Err(Error::usage(format!("run {} is under way", run.id))
                    .advise("stop its job: osupg job cancel; or the command that runs it"));
            }
            other => {
                return Err(Error::usage(format!("run {} is over: {}", run.id, other.word())));
            }
        }
        home.db.drop_tasks(&run.id).await?;
        run.state = RunState::Cancelled;
        run.reason = match run.revision {
            Some(number) => format!("cancelled; revision {number}, which it made before, stays"),
            None => "cancelled; nothing was changed".into(),
        };
        run.ended_at = Some(Moment::now());
        home.db.run_stands(&run).await?;
        Ok(run)
    }
}

/// Does again what a run was asked for, from its base: as a new run, or, where it waited for a worker,
/// as the same.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Its id.
    pub run: String,
}

impl Operation for RetryRequest {
    type Outcome = Run;
    const NAME: &'static str = "service.retry";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Run> {
        let old = home.db.servicing_run(&self.run).await?;
        let run = (old.state == RunState::Waiting).then(|| old.id.clone());
        let request = run::Request { run, ..old.request };
        // As the job of its package, of which only one runs at a time.
        Box::pin(jobs::foreground(home, &request, watch)).await
    }
}
