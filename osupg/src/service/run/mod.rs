//! A run: from a base revision to the next one, or nothing.
//!
//! ```text
//! survey ─► plan ─► tasks for workers ─► WIM files ─► media ─► library ─► checks ─► commit
//!                     │ done: their WIM is what goes on
//!                     └ waiting: the rest goes on without; the run comes again when they are done
//! ```
//!
//! Everything happens in a scratch folder and in objects of the library that no revision refers to; the
//! one transaction at the end makes the revision. Stopped at any moment, a run leaves the package as it
//! was, and its next start begins with an empty scratch. What it did and why it failed stays in the
//! history.

pub mod after;
mod answer;
mod check;
mod commit;
mod made_of;
mod media;
mod tasks;
mod wims;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wim_extract::source::Source;

use super::plan::{self, Plan};
use super::recipe::Recipe;
use super::scratch::Scratch;
use super::stack::{Became, Excerpt, UpdateResult};
use super::survey::{CAUSE, Survey};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::operation::{Length, Operation, Right};
use crate::package::model::Content;
use crate::package::reference::Reference;
use crate::progress::Watch;
use crate::space;
use crate::text;
use crate::time::Moment;
use after::Publish;
use media::Changes;

/// How long the results of workers are kept: five weeks, for a month's run that comes again.
const KEPT: i64 = 35 * 24 * 3_600 * 1_000_000;
/// Bytes that are copied at a time.
const COPIED: u64 = 8 << 20;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The package. With a revision, that is the base; without, the newest that servicing has not made.
    pub package: Reference,
    /// What to do.
    pub recipe: Recipe,
    /// Where the new revision is published when nothing waits any more.
    #[serde(default)]
    pub publish: Vec<Publish>,
    /// The run to go on with, which waited for a worker; a new one when left out.
    #[serde(default)]
    pub run: Option<String>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It is under way.
    Running,
    /// Updates wait for a worker; the rest is done.
    Waiting,
    /// Everything is done.
    Succeeded,
    /// It made nothing; the reason says why.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl RunState {
    /// The word in the database and in output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "waiting" => Self::Waiting,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            _ => Self::Running,
        }
    }
}

/// A run, under way or in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// The package.
    pub package: String,
    /// The revision it starts from.
    pub base: i64,
    /// What was asked for.
    pub request: Request,
    /// Who began it, in whose name it goes on.
    #[serde(default)]
    pub made_by: String,
    /// How it stands.
    pub state: RunState,
    /// Why, in one sentence.
    pub reason: String,
    /// The revision that it made.
    pub revision: Option<i64>,
    /// What it did.
    pub report: RunReport,
    /// When it began.
    pub started_at: Moment,
    /// When it ended; never, while it is under way or waits.
    pub ended_at: Option<Moment>,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunReport {
    /// What it was to do.
    pub plan: Option<Plan>,
    /// Each update in each image.
    pub updates: Vec<UpdateResult>,
    /// Files of the media that a Setup update was compared with.
    pub files: Vec<FileDecision>,
    /// The checks of what was made.
    pub checks: Vec<Check>,
    /// Excerpts of workers' logs.
    pub excerpts: Vec<Excerpt>,
    /// Bytes that the library did not have.
    pub new_size: u64,
    /// A hash of all that its revision is made of.
    pub made_of: String,
}

/// A file of a Setup update or of boot.wim, and that of the media.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDecision {
    /// Its path on the media.
    pub path: String,
    /// The update's id; `boot.wim` where the file comes from there.
    pub update: String,
    /// What was done.
    pub decision: Decision,
    /// The version on the media; empty when it has none.
    pub before: String,
    /// The version in the update; empty when it has none.
    pub after: String,
}

/// What was done with a file of a Setup update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The media did not have it.
    Added,
    /// It took the place of the one on the media.
    Replaced,
    /// The media have the same.
    Same,
    /// The media have a newer one, which stays.
    KeptNewer,
}

/// A check of what was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What was checked.
    pub what: String,
    /// Whether it is as it must be.
    pub passed: bool,
    /// What was found.
    pub found: String,
}

impl Operation for Request {
    type Outcome = Run;
    const NAME: &'static str = "service.run";
    const RIGHT: Right = Right::Operate;
    const LENGTH: Length = Length::Long;

    fn subject(&self) -> Option<&str> {
        Some(&self.package.package)
    }

    fn places(&self) -> Vec<&Path> {
        self.recipe.places()
    }

    async fn run(&self, home: &Home, watch: Watch<'_>) -> Result<Run> {
        let recipe = self.recipe.checked()?;
        after::check(&self.publish)?;
        let package = home.db.package(&self.package.package).await?;
        if let Some(id) = &self.run {
            let run = home.db.servicing_run(id).await?;
            if !matches!(run.state, RunState::Waiting | RunState::Running) {
                // Workers that ended at the same moment have it go on twice.
                return Ok(run);
            }
        }
        let mut run = begin(home, self, &package.id).await?;
        let done = work(home, &mut run, &recipe, watch).await;
        run.ended_at = Some(Moment::now());
        match &done {
            Ok(()) if run.state == RunState::Waiting => run.ended_at = None,
            Ok(()) => {
                run.state = RunState::Succeeded;
                if failures(&run) > 0 && !run.request.publish.is_empty() {
                    run.reason.push_str("; it is not published, for updates have failed");
                } else if let Err(error) = after::publish(home, &run).await {
                    // The revision is there; publishing can be asked for by hand.
                    run.reason = format!("{}; it is not published: {error}", run.reason);
                }
            }
            Err(error) => {
                let stopped = error.kind() == Kind::Cancelled;
                run.state = if stopped { RunState::Cancelled } else { RunState::Failed };
                run.reason = error.to_string();
            }
        }
        home.db.run_stands(&run).await?;
        watch.progress.note(&format!("{}: {}", run.state.word(), run.reason));
        match done {
            Ok(()) => Ok(run),
            Err(error) => {
                // Nobody wants any more what workers have not done yet.
                home.db.drop_tasks(&run.id).await?;
                // Give the disk back at once; should that fail, the next run does it.
                let _ = home.collect().await;
                Err(error)
            }
        }
    }
}

/// Notes the run. It is the job of its package that is running, of which there is one whatever the
/// machine: so runs which still count as under way were cut off.
async fn begin(home: &Home, request: &Request, package: &str) -> Result<Run> {
    for mut dead in home.db.servicing_runs(Some(package), 1000).await? {
        if dead.state == RunState::Running && request.run.as_ref() != Some(&dead.id) {
            if dead.revision.is_some() && dead.request == *request {
                // It was cut off after it had committed: the same request goes on there.
                home.db.run_begins(&dead).await?;
                return Ok(dead);
            }
            dead.state = RunState::Failed;
            dead.reason = "it was cut off: the process ended or the machine stopped".into();
            dead.ended_at = Some(Moment::now());
            home.db.run_stands(&dead).await?;
        }
    }
    let mut run = match &request.run {
        Some(id) => {
            let run = home.db.servicing_run(id).await?;
            if run.package != package {
                return Err(Error::usage(format!("run {id} is about {}", run.package)));
            }
            run
        }
        None => Run {
            id: uuid::Uuid::now_v7().to_string(),
            package: package.to_string(),
            base: 0,
            request: Request { run: None, ..request.clone() },
            made_by: home.by().to_string(),
            state: RunState::Running,
            reason: String::new(),
            revision: None,
            report: RunReport::default(),
            started_at: Moment::now(),
            ended_at: None,
        },
    };
    run.state = RunState::Running;
    run.reason = "under way".into();
    home.db.run_begins(&run).await?;
    Ok(run)
}

/// Does it all; what is worth knowing goes into `run` on the way.
async fn work(home: &Home, run: &mut Run, recipe: &Recipe, watch: Watch<'_>) -> Result<()> {
    // Their WIM files are in no revision, and take room.
    home.db.forget_tasks_before(Moment(Moment::now().0.saturating_sub(KEPT))).await?;
    home.collect().await?;
    let lease = home.lease().await?;
    let reference = match run.base {
        0 => run.request.package.clone(),
        // A run that goes on goes on from where it began.
        base => Reference { package: run.package.clone(), revision: Some(base) },
    };
    let survey = Survey::take(home, &reference, recipe, watch).await?;
    run.base = survey.base.revision.number;
    if run.revision.is_some() && run.report.updates.iter().all(|u| u.became != Became::Waiting) {
        run.reason = "everything was done before".into();
        run.state = RunState::Succeeded;
        return Ok(());
    }
    let plan = plan::make(&survey, recipe);
    let problems = plan.problems.join("; ");
    let needed = plan.scratch;
    run.report = RunReport { plan: Some(plan), ..RunReport::default() };
    home.db.run_begins(run).await?;
    if !problems.is_empty() {
        return Err(Error::usage(problems).advise("nothing was changed"));
    }
    let scratch = tokio::task::block_in_place(|| Scratch::begin(home))?;
    space::require(scratch.place(), scratch.place(), needed)?;
    require_base(home, &survey).await?;

    let import = home.db.import_begins(std::path::Path::new(&run.id)).await?;
    let mut files = BTreeMap::new();
    let placed = survey.placed.iter().chain(&survey.unattended);
    for update in survey.setup_updates().into_iter().chain(placed) {
        files.insert(update.id.clone(), home.db.update_files(&update.id).await?);
    }
    let (scratch, import) = (&scratch, import.as_str());
    let work = Work { home, survey: &survey, recipe, scratch, import, watch, files };
    let mut done = tasks::settle(&work, run).await?;
    if !done.waiting.is_empty() {
        // What workers make comes in together, or a revision would depend on who is faster.
        done.outputs.clear();
    }
    let current = survey.package.revision.number;
    if !done.waiting.is_empty() && (run.revision.is_some() || current != run.base) {
        // What could go on without workers has gone on before; or it would make a revision without
        // the updates that the current one has.
        home.db.import_ends(work.import).await?;
        (run.state, run.reason) = stand(run, &done);
        if run.revision.is_none() {
            run.reason = format!("revision {current} stays for now; {}", done.waiting.join("; "));
        }
        return Ok(());
    }
    run.report.made_of = tokio::task::block_in_place(|| made_of::hash(&work, &done))?;
    let before = home.db.run_that_made(&run.package, current).await?;
    if before.is_some_and(|before| before.report.made_of == run.report.made_of) {
        home.db.import_ends(work.import).await?;
        (run.state, run.reason) = stand(run, &done);
        if run.revision.is_none() && run.state == RunState::Succeeded {
            run.reason.push_str(&format!(": revision {current} was made of the same"));
        }
        return Ok(());
    }
    let mut changes = Changes::default();
    tokio::task::block_in_place(|| {
        wims::build(&work, &done, &mut changes)?;
        media::change(&work, &done, &mut changes, &mut run.report.files)
    })?;
    watch.check()?;
    let made = commit::store(&work, &changes).await?;
    run.report.new_size = made.ingested.new_size();
    run.report.checks = check::all(&work, &made, &done).await?;
    if let Some(failed) = run.report.checks.iter().find(|check| !check.passed) {
        // What workers made does not pass, so it is not taken again.
        for output in done.outputs.values() {
            home.db.forget_task(&output.task).await?;
        }
        return Err(Error::damaged(format!("a check failed: {}: {}", failed.what, failed.found))
            .advise("nothing was published; the history holds the report of this run"));
    }
    let updates: Vec<String> = {
        let mut called: Vec<_> = run
            .report
            .updates
            .iter()
            .filter(|result| result.became == Became::Installed)
            .map(|result| result.called.clone())
            .chain(survey.setup_updates().into_iter().map(super::update::Update::called))
            .collect();
        called.sort();
        called.dedup();
        called
    };
    let cause = format!("{CAUSE}{}", recipe.summary(&updates));
    if let Some(revision) = commit::commit(&work, &made, &cause, &run.id, lease).await? {
        run.revision = Some(revision);
    }
    (run.state, run.reason) = stand(run, &done);
    Ok(())
}

/// How many updates could not be put in, in a run that goes on then.
fn failures(run: &Run) -> u64 {
    run.report.updates.iter().filter(|result| result.became == Became::Failed).count() as u64
}

/// How the run stands now that its revision is there.
fn stand(run: &Run, done: &tasks::Done) -> (RunState, String) {
    let mut made = match run.revision {
        Some(number) => format!("revision {number} made"),
        None => "nothing to change".to_string(),
    };
    let failed = failures(run);
    if failed > 0 {
        made.push_str(&format!("; {} failed", super::counted(failed, "update")));
    }
    if done.waiting.is_empty() {
        return (RunState::Succeeded, made);
    }
    (RunState::Waiting, format!("{made}; {}", done.waiting.join("; ")))
}

/// Checks that the library has every object of the base.
async fn require_base(home: &Home, survey: &Survey) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for entry in &survey.entries {
        for piece in entry.content.iter().flat_map(|content| &content.pieces) {
            if seen.insert(piece.id) && !home.library.has(piece).await? {
                return Err(Error::damaged(format!(
                    "{} of the base revision {} has lost object {}",
                    entry.path, survey.base.revision.number, piece.id
                ))
                .advise(
                    "`osupg package verify` lists what is lost; add the source again with --rehash",
                ));
            }
        }
    }
    Ok(())
}

/// What all parts of a run work with.
pub(super) struct Work<'w> {
    pub(super) home: &'w Home,
    pub(super) survey: &'w Survey,
    pub(super) recipe: &'w Recipe,
    pub(super) scratch: &'w Scratch,
    pub(super) import: &'w str,
    pub(super) watch: Watch<'w>,
    /// The files of the updates that go onto the media, by the update's id.
    pub(super) files: BTreeMap<String, Vec<(String, Content)>>,
}

/// Writes all bytes of a source to a new file.
pub(super) fn write_file(source: &dyn Source, place: &Path, watch: Watch<'_>) -> Result<()> {
    let mut file = File::create_new(place).map_err(|error| Error::file("make", place, &error))?;
    let mut at = 0;
    while at < source.len() {
        watch.check()?;
        let len = (source.len() - at).min(COPIED) as usize;
        let bytes = source.bytes(at, len).map_err(|error| {
            Error::damaged(format!("cannot read {}: {error}", text::clean(&source.name())))
        })?;
        file.write_all(&bytes).map_err(|error| Error::file("write", place, &error))?;
        at += len as u64;
    }
    Ok(())
}
