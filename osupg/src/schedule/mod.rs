//! Schedules: operations that are asked for again and again, or once at a time that is set.
//!
//! A schedule is a name, a time ([`when`]) and a request. Whenever it is due, [`tick`] makes a job of
//! the request. Every worker calls it every few seconds; whoever moves the schedule on to its next
//! moment has taken up the run, so that several workers make one job. A worker that dies between
//! that and the job is followed by another, under the same key.
//!
//! A moment that passed while no worker ran is made up for by one run, however many passed, or left
//! out if the schedule says so.
//!
//! A package may have any number of schedules. (Configuration Manager allows 15 refresh schedules a
//! package; here one schedule can list up to 24 times a day, and there is no such limit.)

pub mod model;
pub mod when;

use std::future::Future;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::accounts::Sight;
use crate::db::schedules::Claim;
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::operation::{self, Known, Operation, Reach, Right};
use crate::package::reference;
use crate::page::{self, Page, paged};
use crate::progress::Watch;
use crate::text;
use crate::time::Moment;
use model::{Missed, NewSchedule, Run, RunState, Schedule, State};
use when::When;

/// Characters in the name of a schedule.
pub const MAX_NAME: usize = 64;
/// Moments that a preview shows at most.
pub const MAX_PREVIEW: usize = 100;
/// Schedules that one call of [`tick`] serves; the next call goes on.
const AT_ONCE: i64 = 100;
/// A moment is missed when it is served later than this.
const MISSED_AFTER: i64 = 10 * 60 * 1_000_000;
/// A run that has waited so long for its job was taken up by a worker that died.
const ORPHANED_AFTER: i64 = 2 * 60 * 1_000_000;

/// How the names of those begin who work on the machine itself.
const LOCAL: &str = "local:";

/// Makes a schedule.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// What to call it: 1 to 64 characters, unique.
    pub name: String,
    /// When, in cron text or words; see [`when`].
    pub when: String,
    /// The operation, such as `package.verify`.
    pub operation: String,
    /// Its request.
    pub request: Value,
    /// What becomes of moments that pass while no worker runs.
    #[serde(default)]
    pub missed: Missed,
}

/// A schedule with what comes next and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// The schedule.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// The next moments.
    pub upcoming: Vec<Moment>,
    /// The last runs, the newest first.
    pub runs: Vec<Run>,
}

impl Operation for Add {
    type Outcome = Shown;
    const NAME: &'static str = "schedule.add";
    const RIGHT: Right = Right::Operate;

    fn subject(&self) -> Option<&str> {
        package_of(&self.request)
    }

    fn later(&self) -> Option<(&str, &Value)> {
        Some((&self.operation, &self.request))
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Shown> {
        let name = name(&self.name)?;
        let known = known(&self.operation)?;
        let facts = known.facts(&self.request)?;
        if !facts.places.is_empty() && !home.by().starts_with(LOCAL) {
            return Err(Error::forbidden(format!(
                "{} names files of the machine, which only those who work on it may have done on a \
                 schedule",
                known.name
            ))
            .advise("make this schedule with osupg on the machine itself"));
        }
        let subject = facts.subject;
        // The right to this schedule was judged by what `subject` says above.
        if subject.as_deref().map(reference::package_of) != self.subject() {
            return Err(Error::usage(format!("{} cannot be scheduled", known.name)));
        }
        let package = match reference_of(&self.request) {
            Some(reference) => {
                let reference = reference.parse().map_err(Error::usage)?;
                Some(home.db.package_at(&reference).await?.id)
            }
            None => None,
        };
        let now = Moment::now();
        let when = When::parse(&self.when, now)?;
        // "now" is over by the time anybody looks.
        let next_at = when.next(Moment(now.0 - 1)).ok_or_else(|| past(&self.when))?;
        let new = NewSchedule {
            name: &name,
            timing: when.text(),
            operation: known.name,
            request: &self.request,
            package: package.as_deref(),
            missed: self.missed,
            next_at,
            created_by: home.by(),
            created_at: now,
        };
        if !home.db.add_schedule(&new).await? {
            return Err(Error::conflict(format!("there is a schedule named {name:?} already"))
                .advise("give another name, or remove that one first"));
        }
        show(home, &name).await
    }
}

/// The package that a request names; requests that are about one have it in this field, some with a
/// revision.
fn package_of(request: &Value) -> Option<&str> {
    reference_of(request).map(reference::package_of)
}

fn reference_of(request: &Value) -> Option<&str> {
    request.get("package").and_then(Value::as_str)
}

/// An operation that may run unattended. Those of administrators may not: whoever may make
/// schedules would then hold their rights.
fn known(operation: &str) -> Result<&'static Known> {
    let known = operation::find(operation).ok_or_else(|| {
        Error::usage(format!("there is no operation {:?}", text::clean(operation)))
            .advise("operations are named by area and verb, such as package.verify")
    })?;
    if matches!(known.right, Right::Administer | Right::Work) || known.name.starts_with("schedule.")
    {
        return Err(Error::usage(format!("{} cannot be scheduled", known.name))
            .advise("only what operators may do can be done on a schedule"));
    }
    Ok(known)
}

fn past(given: &str) -> Error {
    Error::usage(format!("{:?} has passed already", text::clean(given)))
        .advise("give a moment that is still to come, or \"now\"")
}

fn name(given: &str) -> Result<String> {
    let name = given.trim();
    match name.chars().count() {
        0 => Err(Error::usage("a schedule needs a name")),
        1..=MAX_NAME if !name.chars().any(char::is_control) => Ok(name.to_string()),
        1..=MAX_NAME => Err(Error::usage("the name of the schedule holds a control character")),
        long => Err(Error::usage(format!(
            "the name of the schedule has {long} characters; {MAX_NAME} is the most"
        ))),
    }
}

async fn show(home: &Home, name: &str) -> Result<Shown> {
    let schedule = home.db.schedule(name).await?;
    let upcoming = match (schedule.state, schedule.next_at) {
        (State::Active, Some(next)) => {
            let when = When::parse(&schedule.timing, next)?;
            std::iter::once(next).chain(when.upcoming(next, 4)).collect()
        }
        _ => Vec::new(),
    };
    let runs = home.db.schedule_runs(schedule.key).await?;
    Ok(Shown { schedule, upcoming, runs })
}

/// Schedules, in the order in which they were made. The answer is a page.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct List {
    /// Only those made after this one: what the page before said is next.
    pub after: Option<String>,
    /// No more than so many, 1 to 1,000; 100 when left out.
    pub limit: Option<u32>,
}

impl Operation for List {
    type Outcome = Page<Schedule>;
    const NAME: &'static str = "schedule.list";
    const RIGHT: Right = Right::Read;
    const REACH: Reach = Reach::Visible;

    fn limit(schedules: &mut Page<Schedule>, sight: &Sight) {
        schedules.items.retain(|one| one.package.as_deref().is_some_and(|id| sight.sees(id)));
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Page<Schedule>> {
        let limit = page::limit(self.limit)?;
        let after = self.after.as_deref().map_or(Ok(0), str::parse::<i64>).map_err(|_| {
            Error::usage("`after` is no place in the list of schedules")
                .advise("give what the page before said is next")
        })?;
        let found = home.db.schedules(after, i64::from(limit) + 1).await?;
        // A number, since a name may be that of a schedule which whoever asks must not see.
        Ok(Page::cut(found, limit, |schedule| schedule.key.to_string()))
    }
}

paged!(List);

/// A schedule with its next moments and last runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// Its name.
    pub schedule: String,
}

impl Operation for Show {
    type Outcome = Shown;
    const NAME: &'static str = "schedule.show";
    const RIGHT: Right = Right::Read;

    fn schedule(&self) -> Option<&str> {
        Some(&self.schedule)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Shown> {
        show(home, &self.schedule).await
    }
}

/// Removes a schedule. Jobs that it has made go on.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// Its name.
    pub schedule: String,
}

impl Operation for Remove {
    type Outcome = Schedule;
    const NAME: &'static str = "schedule.remove";
    const RIGHT: Right = Right::Operate;

    fn schedule(&self) -> Option<&str> {
        Some(&self.schedule)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Schedule> {
        let schedule = home.db.schedule(&self.schedule).await?;
        home.db.remove_schedule(schedule.key).await?;
        Ok(schedule)
    }
}

/// Stops a schedule for now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Its name.
    pub schedule: String,
}

impl Operation for Pause {
    type Outcome = Shown;
    const NAME: &'static str = "schedule.pause";
    const RIGHT: Right = Right::Operate;

    fn schedule(&self) -> Option<&str> {
        Some(&self.schedule)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Shown> {
        let schedule = home.db.schedule(&self.schedule).await?;
        if schedule.state == State::Active {
            home.db.set_schedule(schedule.key, State::Paused, None).await?;
        }
        show(home, &schedule.name).await
    }
}

/// Lets a schedule that was paused go on. What it missed meanwhile was meant to be left out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Its name.
    pub schedule: String,
}

impl Operation for Resume {
    type Outcome = Shown;
    const NAME: &'static str = "schedule.resume";
    const RIGHT: Right = Right::Operate;

    fn schedule(&self) -> Option<&str> {
        Some(&self.schedule)
    }

    async fn run(&self, home: &Home, _watch: Watch<'_>) -> Result<Shown> {
        let schedule = home.db.schedule(&self.schedule).await?;
        if schedule.state != State::Active {
            let now = Moment::now();
            let next = When::parse(&schedule.timing, now)?.next(now);
            let next = next.ok_or_else(|| past(&schedule.timing))?;
            home.db.set_schedule(schedule.key, State::Active, Some(next)).await?;
        }
        show(home, &schedule.name).await
    }
}

/// When a text says, without making a schedule of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    /// Cron text or words.
    pub when: String,
    /// How many moments, from 1 to 100.
    #[serde(default = "five")]
    pub count: usize,
}

const fn five() -> usize {
    5
}

/// What a text says.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Previewed {
    /// The text as a schedule would keep it, with its time zone.
    pub timing: String,
    /// The first moments from now on.
    pub upcoming: Vec<Moment>,
    /// The same on the clocks of that zone.
    pub there: Vec<String>,
}

impl Operation for Preview {
    type Outcome = Previewed;
    const NAME: &'static str = "schedule.preview";
    const RIGHT: Right = Right::Read;
    // It says nothing of what is in the store.
    const REACH: Reach = Reach::Visible;

    async fn run(&self, _home: &Home, _watch: Watch<'_>) -> Result<Previewed> {
        if !(1..=MAX_PREVIEW).contains(&self.count) {
            return Err(Error::usage(format!("the count must be from 1 to {MAX_PREVIEW}")));
        }
        let now = Moment::now();
        let when = When::parse(&self.when, now)?;
        let upcoming = when.upcoming(now, self.count);
        let there = upcoming.iter().map(|moment| when.there(*moment)).collect();
        Ok(Previewed { timing: when.text().to_string(), upcoming, there })
    }
}

/// What a look at the schedules did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Jobs that were made.
    pub submitted: u64,
    /// Moments that were missed and left out.
    pub skipped: u64,
    /// Runs of which no job could be made; the schedule's history says why.
    pub failed: u64,
}

/// Makes jobs of what is due, with `submit`, which gets a key for the job and answers its id: asked
/// twice with one key, it must make one job.
///
/// # Errors
/// When the database or the queue cannot be reached; the next call goes on from there.
pub async fn tick_with<F, S>(home: &Home, now: Moment, submit: S) -> Result<Ticked>
where
    S: Fn(String, Schedule) -> F,
    F: Future<Output = Result<String>>,
{
    let mut ticked = Ticked::default();
    let orphaned = Moment(now.0 - ORPHANED_AFTER);
    for claim in home.db.reclaim_runs(orphaned, now).await? {
        make_job(home, claim, &submit, &mut ticked).await?;
    }
    for schedule in home.db.due_schedules(now, AT_ONCE).await? {
        let due_at = schedule.next_at.unwrap_or(now);
        // A text that an older or newer osupg wrote and this one cannot read ends its schedule.
        let following = When::parse(&schedule.timing, now).ok().and_then(|when| when.next(now));
        let late = now.0 - due_at.0 > MISSED_AFTER;
        if late && schedule.missed == Missed::Skip {
            let reason = "no worker ran at that time";
            let claim =
                home.db.claim_run(&schedule, following, RunState::Skipped, reason, now).await?;
            ticked.skipped += u64::from(claim.is_some());
            continue;
        }
        if let Some(claim) =
            home.db.claim_run(&schedule, following, RunState::Claimed, "", now).await?
        {
            make_job(home, claim, &submit, &mut ticked).await?;
        }
    }
    Ok(ticked)
}

async fn make_job<F, S>(home: &Home, claim: Claim, submit: &S, ticked: &mut Ticked) -> Result<()>
where
    S: Fn(String, Schedule) -> F,
    F: Future<Output = Result<String>>,
{
    let Claim { id, schedule } = claim;
    match submit(id.clone(), schedule).await {
        Ok(job) => {
            ticked.submitted += 1;
            home.db.settle_run(&id, RunState::Submitted, &job, "").await
        }
        // The queue could not be reached: the run stays claimed and is taken up again.
        Err(error) if error.kind() == Kind::Io => Err(error),
        Err(error) => {
            ticked.failed += 1;
            home.db.settle_run(&id, RunState::Failed, "", &error.to_string()).await
        }
    }
}

#[cfg(test)]
mod tests;
