//! `osupg job …`

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::Context;
use super::output::{Align, facts, lines, print, table};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::jobs;
use crate::jobs::model::{Job, Note, Priority, State};
use crate::jobs::requests::{CancelJob, List, Retry, Show, Submit};
use crate::text;
use crate::time::Moment;

/// How often a job that is followed is looked at.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List jobs, the latest first
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show everything about a job, with its timeline
    Show(Which),
    /// Show what happens to a job until it is over; ends as the job does
    Follow(Which),
    /// End a job: at once, or as soon as its worker looks
    Cancel(Which),
    /// Put an operation into the queue, for a worker to do
    Submit(SubmitArgs),
    /// Put a job that failed, was cancelled or waits for its next try into the queue again
    Retry(Which),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only jobs in this state
    #[arg(long)]
    state: Option<StateArg>,
    /// Only jobs about this package
    #[arg(long, value_name = "ID")]
    package: Option<String>,
    /// Only jobs with a smaller number: where the list before ended
    #[arg(long, value_name = "JOB")]
    before: Option<i64>,
    /// No more than these
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg job submit package.verify '{\"package\": \"OSU00001\"}' --priority low
  osupg job submit package.verify '{\"package\": \"OSU00001\"}' --not-before 2026-12-01T22:00:00+01:00")]
pub(super) struct SubmitArgs {
    /// The operation, such as package.verify
    operation: String,
    /// Its request, as JSON
    #[arg(default_value = "{}")]
    request: String,
    /// Whether it goes before others
    #[arg(long, value_enum, default_value_t = PriorityArg::Normal)]
    priority: PriorityArg,
    /// The moment before which it must not run, as in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    not_before: Option<Moment>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PriorityArg {
    Low,
    Normal,
    High,
}

impl From<PriorityArg> for Priority {
    fn from(arg: PriorityArg) -> Self {
        match arg {
            PriorityArg::Low => Self::Low,
            PriorityArg::Normal => Self::Normal,
            PriorityArg::High => Self::High,
        }
    }
}

fn moment(text: &str) -> std::result::Result<Moment, String> {
    let time: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Ok(Moment(time.as_microsecond()))
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StateArg {
    Queued,
    Waiting,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl From<StateArg> for State {
    fn from(arg: StateArg) -> Self {
        match arg {
            StateArg::Queued => Self::Queued,
            StateArg::Waiting => Self::Waiting,
            StateArg::Running => Self::Running,
            StateArg::Succeeded => Self::Succeeded,
            StateArg::Failed => Self::Failed,
            StateArg::Cancelled => Self::Cancelled,
        }
    }
}

/// Names a job.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The job's number
    #[arg(value_name = "JOB")]
    id: i64,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::List(args) => list(args, context).await,
        Command::Show(which) => {
            let job = context.call(&Show { id: which.id, after: 0 }).await?;
            context.output.show(&job, show_text)?;
            Ok(0)
        }
        Command::Follow(which) => follow(which.id, context).await,
        Command::Cancel(which) => {
            let job = context.call(&CancelJob { id: which.id }).await?;
            context.output.show(&job, |job| match job.state {
                State::Running => {
                    format!("Job {} is running; {} was asked to end it\n", job.id, job.worker)
                }
                state => format!("Job {} is {state}\n", job.id),
            })?;
            Ok(0)
        }
        Command::Submit(args) => {
            let request = serde_json::from_str(&args.request)
                .map_err(|error| Error::usage(format!("the request is no JSON: {error}")))?;
            let submit = Submit {
                operation: args.operation,
                request,
                priority: args.priority.into(),
                not_before: args.not_before,
            };
            let job = context.call(&submit).await?;
            context.output.show(&job, |job| format!("Job {} is {}\n", job.id, job.state))?;
            Ok(0)
        }
        Command::Retry(which) => {
            let job = context.call(&Retry { id: which.id }).await?;
            context.output.show(&job, |job| format!("Job {} is {}\n", job.id, job.state))?;
            Ok(0)
        }
    }
}

async fn list(args: ListArgs, context: &Context) -> Result<u8> {
    let request = List {
        state: args.state.map(State::from),
        package: args.package,
        before: args.before,
        limit: args.limit,
    };
    let jobs = context.call(&request).await?;
    context.output.show(&jobs, |jobs| list_text(jobs))?;
    Ok(0)
}

fn list_text(jobs: &[Job]) -> String {
    if jobs.is_empty() {
        return "No jobs\n".into();
    }
    let columns = [
        ("JOB", Align::Right),
        ("OPERATION", Align::Left),
        ("PACKAGE", Align::Left),
        ("STATE", Align::Left),
        ("BY", Align::Left),
        ("ASKED FOR", Align::Left),
        ("", Align::Left),
    ];
    let rows = jobs.iter().map(|job| {
        vec![
            job.id.to_string(),
            job.operation.clone(),
            job.subject.clone(),
            job.state.to_string(),
            job.by.clone(),
            job.created_at.local(),
            how_far(job),
        ]
    });
    table(&columns, rows.collect())
}

/// How far a running job is; why another one is where it is.
fn how_far(job: &Job) -> String {
    if job.state != State::Running || job.phase.is_empty() {
        return job.reason.clone();
    }
    match job.total {
        0 => format!("{} {}", job.phase, text::size(job.done)),
        total => {
            let percent = (u128::from(job.done) * 100 / u128::from(total)).min(100);
            format!("{} {percent} %, {} of {}", job.phase, text::size(job.done), text::size(total))
        }
    }
}

fn show_text(job: &Job) -> String {
    let time = |moment: Option<Moment>| moment.map_or(String::new(), |m| m.local());
    let advice = job.error.as_ref().and_then(|error| error.advice.clone()).unwrap_or_default();
    let mut shown = format!("Job {}: {}\n", job.id, job.operation);
    shown.push_str(&facts(&[
        ("package", job.subject.clone()),
        ("state", job.state.to_string()),
        ("reason", job.reason.clone()),
        ("advice", if job.state.is_over() { advice } else { String::new() }),
        ("progress", if job.state == State::Running { how_far(job) } else { String::new() }),
        ("asked for by", job.by.clone()),
        ("asked for", job.created_at.local()),
        (
            "priority",
            match job.priority {
                Priority::Low => "low".into(),
                Priority::Normal => String::new(),
                Priority::High => "high".into(),
            },
        ),
        (
            "not before",
            match job.not_before > job.created_at && !job.state.is_over() {
                true => job.not_before.local(),
                false => String::new(),
            },
        ),
        ("started", time(job.started_at)),
        ("over", time(job.finished_at)),
        ("attempts", job.attempts.to_string()),
        ("worker", job.worker.clone()),
        ("request", job.request.to_string()),
    ]));
    shown.push_str("  timeline\n");
    shown.push_str(&notes_text(&job.timeline));
    shown
}

fn notes_text(notes: &[Note]) -> String {
    lines(
        notes
            .iter()
            .map(|note| format!("    {}  {}", note.at.local_seconds(), text::clean(&note.text))),
    )
}

async fn follow(id: i64, context: &Context) -> Result<u8> {
    let live = stderr().is_terminal() && !context.global.quiet && !context.output.json;
    let store = match context.client()? {
        Some(_) => None,
        None => Some(Home::open_with(context.config()?).await?),
    };
    let mut after = 0;
    let job = loop {
        context.cancel.check().map_err(|_| Error::cancelled())?;
        let job = match &store {
            Some(home) => jobs::get_after(home, id, after).await?,
            None => context.call(&Show { id, after }).await?,
        };
        if live {
            // Back to the start of the line, and everything behind it away.
            let _ = write!(stderr(), "\r\x1b[K");
        }
        if !context.output.json {
            print(&notes_text(&job.timeline))?;
        }
        after = job.timeline.last().map_or(after, |note| note.id);
        if job.state.is_over() {
            break job;
        }
        if live {
            let _ = write!(stderr(), "    {} {}", job.state, text::clean(&how_far(&job)));
            let _ = stderr().flush();
        }
        tokio::time::sleep(LOOK).await;
    };
    context.output.show(&job, |_| String::new())?;
    Ok(match (job.state, &job.error) {
        (State::Succeeded, _) => 0,
        (State::Failed, Some(failure)) => failure.to_error().kind().exit_code(),
        _ => Kind::Cancelled.exit_code(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::model::Place;

    #[test]
    fn a_running_job_says_how_far_it_is_and_another_why_it_waits() {
        let mut job = Job {
            id: 7,
            operation: "package.verify".into(),
            request: serde_json::json!({}),
            subject: "OSU00001".into(),
            by: "anna".into(),
            place: Place::Worker,
            state: State::Running,
            reason: String::new(),
            priority: Priority::Normal,
            phase: "checking".into(),
            done: 512,
            total: 2048,
            attempts: 1,
            worker: "host/1-ab".into(),
            created_at: Moment(0),
            not_before: Moment(0),
            started_at: None,
            finished_at: None,
            outcome: None,
            error: None,
            timeline: Vec::new(),
        };
        assert_eq!(how_far(&job), "checking 25 %, 512 bytes of 2.0 KiB");
        job.done = u64::MAX;
        assert!(how_far(&job).starts_with("checking 100 %"));
        job.total = 0;
        job.done = 3;
        assert_eq!(how_far(&job), "checking 3 bytes");
        (job.state, job.reason) = (State::Waiting, "for job 6 to end".into());
        assert_eq!(how_far(&job), "for job 6 to end");
        assert!(list_text(&[job]).contains("for job 6 to end"));
    }
}
