//! `osupg schedule …`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::Context;
use super::output::{Align, facts, lines, table};
use crate::error::{Error, Result};
use crate::page::LONGEST;
use crate::schedule::model::{Missed, RunState, Schedule, State};
use crate::schedule::{Add, List, Pause, Preview, Remove, Resume, Show, Shown};
use crate::text;

/// What a time may look like; part of several helps.
const TIMES: &str = "\
Times are cron text or words, with a time zone or in that of this machine:
  0 22 * * TUE#2 Europe/Amsterdam       minute, hour, day, month, weekday; # and L as usual
  every day 03:00                       every Monday, Thursday 22:00; every weekday 20:00
  every 15 minutes                      every 6 hours
  second Tuesday + 3 days 22:00         of every month; last Friday 21:30; day 15 06:00
  Patch Tuesday + 5 days 22:00          the second Tuesday
  in 2 hours; 2026-12-01 22:00          once
Where clocks change, a time that is skipped moves on by an hour and one that comes twice counts the
first time.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Have an operation done at set times
    Add(AddArgs),
    /// Refresh a package from its source at set times
    Refresh(RefreshArgs),
    /// Validate what a point has at set times
    Validate(ValidateArgs),
    /// List all schedules
    #[command(visible_alias = "ls")]
    List,
    /// Show a schedule with its next moments and what came of it
    Show(Which),
    /// Stop a schedule for now
    Pause(Which),
    /// Let a paused schedule go on
    Resume(Which),
    /// Remove a schedule; jobs that it has made go on
    #[command(visible_alias = "rm")]
    Remove(Which),
    /// Show when a text says, without making a schedule of it
    #[command(after_help = TIMES)]
    Preview(PreviewArgs),
}

#[derive(Debug, Args)]
#[command(after_help = format!("{TIMES}\n\n{ADD_EXAMPLES}"))]
pub(super) struct AddArgs {
    /// What to call it: 1 to 64 characters, unique
    name: String,
    /// When
    #[arg(long, value_name = "TIME")]
    when: String,
    /// The operation, by area and verb
    #[arg(long, value_name = "AREA.VERB")]
    operation: String,
    /// Its request as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    request: String,
    /// What becomes of moments that pass while no worker runs
    #[arg(long, value_enum, default_value_t = MissedArg::Once)]
    missed: MissedArg,
}

const ADD_EXAMPLES: &str = "\
Examples:
  osupg schedule add 'Weekly check' --when 'every Sunday 04:00' \\
      --operation package.verify --request '{\"package\": \"OSU00001\"}'";

#[derive(Debug, Args)]
#[command(after_help = TIMES)]
pub(super) struct RefreshArgs {
    /// The package's id or name
    #[arg(value_name = "ID")]
    package: String,
    /// When
    #[arg(long, value_name = "TIME")]
    when: String,
    /// What to call the schedule [default: Refresh ID]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = TIMES)]
pub(super) struct ValidateArgs {
    /// The point's name
    point: String,
    /// When
    #[arg(long, value_name = "TIME")]
    when: String,
    /// Send again what is found missing or damaged
    #[arg(long)]
    repair: bool,
    /// What to call the schedule [default: Validate POINT]
    #[arg(long)]
    name: Option<String>,
}

/// Names a schedule.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The schedule's name
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// Cron text or words
    #[arg(value_name = "TIME")]
    when: String,
    /// How many moments
    #[arg(long, value_name = "N", default_value_t = 5)]
    count: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MissedArg {
    /// One run stands for all of them
    Once,
    /// They are left out
    Skip,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Add(args) => add(add_request(args)?, context).await?,
        Command::Refresh(args) => add(refresh_request(args), context).await?,
        Command::Validate(args) => add(validate_request(args), context).await?,
        Command::List => {
            let request = List { limit: Some(LONGEST), after: None };
            let schedules = context.call_all(&request).await?.items;
            context.output.show(&schedules, |schedules| list_text(schedules))?;
        }
        Command::Show(which) => {
            let shown = context.call(&Show { schedule: which.name }).await?;
            context.output.show(&shown, shown_text)?;
        }
        Command::Pause(which) => {
            let shown = context.call(&Pause { schedule: which.name }).await?;
            context.output.show(&shown, shown_text)?;
        }
        Command::Resume(which) => {
            let shown = context.call(&Resume { schedule: which.name }).await?;
            context.output.show(&shown, shown_text)?;
        }
        Command::Remove(which) => {
            let removed = context.call(&Remove { schedule: which.name }).await?;
            context.output.show(&removed, |removed| {
                format!("Removed the schedule \"{}\"\n", text::clean(&removed.name))
            })?;
        }
        Command::Preview(args) => {
            let previewed = context.call(&Preview { when: args.when, count: args.count }).await?;
            context.output.show(&previewed, |previewed| {
                format!("{}\n", text::clean(&previewed.timing))
                    + &lines(previewed.there.iter().map(|moment| format!("  {moment}")))
            })?;
        }
    }
    Ok(0)
}

async fn add(request: Add, context: &Context) -> Result<()> {
    let shown = context.call(&request).await?;
    context.output.show(&shown, shown_text)
}

fn add_request(args: AddArgs) -> Result<Add> {
    let request = serde_json::from_str(&args.request)
        .map_err(|error| Error::usage(format!("the request is no JSON: {error}")))?;
    let missed = match args.missed {
        MissedArg::Once => Missed::Once,
        MissedArg::Skip => Missed::Skip,
    };
    Ok(Add { name: args.name, when: args.when, operation: args.operation, request, missed })
}

fn refresh_request(args: RefreshArgs) -> Add {
    Add {
        name: args.name.unwrap_or_else(|| format!("Refresh {}", args.package)),
        when: args.when,
        operation: "package.refresh".into(),
        request: json!({ "package": args.package }),
        missed: Missed::Once,
    }
}

fn validate_request(args: ValidateArgs) -> Add {
    Add {
        name: args.name.unwrap_or_else(|| format!("Validate {}", args.point)),
        when: args.when,
        operation: "point.validate".into(),
        request: match args.repair {
            true => json!({ "at": [args.point], "then": "repair" }),
            false => json!({ "at": [args.point] }),
        },
        missed: Missed::Once,
    }
}

fn state(schedule: &Schedule) -> String {
    match (schedule.state, schedule.next_at) {
        (State::Active, Some(next)) => next.local(),
        (State::Active, None) => String::new(),
        (State::Paused, _) => "paused".into(),
        (State::Done, _) => "done".into(),
    }
}

fn list_text(schedules: &[Schedule]) -> String {
    if schedules.is_empty() {
        return "There are no schedules yet. `osupg schedule add` makes one.\n".to_string();
    }
    let columns = [
        ("NAME", Align::Left),
        ("WHEN", Align::Left),
        ("DOES", Align::Left),
        ("NEXT", Align::Left),
    ];
    let row = |schedule: &Schedule| {
        let does = match &schedule.package {
            Some(package) => format!("{} {package}", schedule.operation),
            None => schedule.operation.clone(),
        };
        vec![schedule.name.clone(), schedule.timing.clone(), does, state(schedule)]
    };
    table(&columns, schedules.iter().map(row).collect())
}

fn shown_text(shown: &Shown) -> String {
    let schedule = &shown.schedule;
    let upcoming: Vec<_> = shown.upcoming.iter().map(|moment| moment.local()).collect();
    let mut text = format!("Schedule \"{}\"\n", text::clean(&schedule.name));
    text.push_str(&facts(&[
        ("when", schedule.timing.clone()),
        ("does", format!("{} {}", schedule.operation, schedule.request)),
        ("state", format!("{:?}", schedule.state).to_lowercase()),
        ("next", upcoming.join(", ")),
        ("missed", schedule.missed.word().to_string()),
        ("made", format!("{} by {}", schedule.created_at.local(), schedule.created_by)),
    ]));
    if !shown.runs.is_empty() {
        text.push_str("Runs:\n");
    }
    text + &lines(shown.runs.iter().map(|run| {
        let what = match run.state {
            RunState::Submitted => format!("job {}", run.job),
            RunState::Claimed => "being submitted".to_string(),
            RunState::Skipped => format!("left out: {}", run.reason),
            RunState::Failed => format!("no job: {}", text::clean(&run.reason)),
        };
        format!("  {}  {what}", run.due_at.local())
    }))
}
