//! `osupg publish` and `osupg withdraw`

use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::Context;
use super::output::{Align, count, lines, table};
use crate::error::{Error, Kind, Result};
use crate::package::reference::Reference;
use crate::points::deliver::{self, Delivered};
use crate::points::model::State;
use crate::points::plan::{self, Planned};
use crate::points::publish::{self, Assigned, Carrier};
use crate::points::window::Priority;
use crate::points::withdraw;
use crate::text;

/// Points that are delivered to at the same time.
const AT_ONCE: usize = 8;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg publish OSU00001 --to Amsterdam --dry-run
  osupg publish OSU00001 --to Amsterdam Berlin
  osupg publish 'Windows 11 24H2@3' --to group:Pilot --priority high

What is published to a group reaches points that join it later. Publishing an older revision is how
to go back to it.")]
pub(super) struct PublishArgs {
    /// The package's id or name; ID@N for its revision N instead of the current one
    #[arg(value_name = "REV")]
    package: Reference,
    /// Points and groups; a name that is both is written point:NAME or group:NAME
    #[arg(long, value_name = "NAME", required = true, num_args = 1..)]
    to: Vec<String>,
    /// How urgent it is: low, medium or high; windows of points let it through accordingly
    /// [default: the package's own priority]
    #[arg(long, value_name = "WORD")]
    priority: Option<Priority>,
    /// Only say how many bytes would travel
    #[arg(long)]
    dry_run: bool,
    /// Leave the deliveries to a worker
    #[arg(long)]
    queue: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  osupg withdraw OSU00001 --from Amsterdam group:Pilot

Content that other packages share stays.")]
pub(super) struct WithdrawArgs {
    /// The package's id or name
    #[arg(value_name = "ID")]
    package: String,
    /// Points and groups; a name that is both is written point:NAME or group:NAME
    #[arg(long, value_name = "NAME", required = true, num_args = 1..)]
    from: Vec<String>,
    /// Leave the removals to a worker
    #[arg(long)]
    queue: bool,
}

pub(super) async fn publish(args: PublishArgs, context: &Context) -> Result<u8> {
    let PublishArgs { package, to, priority, dry_run, queue } = args;
    let plan = plan::Request { package: package.clone(), to: to.clone(), priority };
    let planned = context.call(&plan).await?;
    if dry_run {
        context.output.show(&planned, planned_text)?;
        return Ok(0);
    }
    if !context.output.json {
        super::output::print(&planned_text(&planned))?;
    }
    let carrier = carrier(queue, context);
    let request = publish::Request { package, to, priority, carrier };
    let assigned = context.call(&request).await?;
    carry(context, vec![assigned], carrier).await
}

pub(super) async fn withdraw(args: WithdrawArgs, context: &Context) -> Result<u8> {
    let carrier = carrier(args.queue, context);
    let request = withdraw::Request { package: args.package, from: args.from, carrier };
    let assigned = context.call(&request).await?;
    carry(context, vec![assigned], carrier).await
}

/// Who carries: this command, unless it is to leave that to a worker, as it does where a service
/// is asked.
pub(super) fn carrier(queue: bool, context: &Context) -> Carrier {
    if queue || context.global.server.is_some() { Carrier::Worker } else { Carrier::Caller }
}

fn planned_text(planned: &Planned) -> String {
    let Planned { package, revision, points } = planned;
    let sum: u64 = points.iter().filter_map(|point| Some(point.plan?.send)).sum();
    let head = format!(
        "{package} revision {revision} to {}: {} to send\n",
        count(points.len() as u64, "point"),
        text::size(sum)
    );
    let columns = [
        ("POINT", Align::Left),
        ("TO SEND", Align::Right),
        ("THERE", Align::Right),
        ("NOTE", Align::Left),
    ];
    let row = |point: &plan::PlannedPoint| {
        let size = |bytes: Option<u64>| bytes.map(text::size).unwrap_or_default();
        vec![
            point.point.clone(),
            size(point.plan.map(|plan| plan.send)),
            size(point.plan.map(|plan| plan.present)),
            point.note.clone(),
        ]
    };
    match points.is_empty() {
        true => head,
        false => head + &table(&columns, points.iter().map(row).collect()),
    }
}

/// What became of the deliveries.
#[derive(Debug, Serialize)]
struct Carried {
    /// The deliveries, and the jobs that make them where a worker does.
    assigned: Vec<Assigned>,
    /// What each came to.
    delivered: Vec<Delivered>,
    /// Those that failed.
    failed: Vec<Failed>,
}

/// A delivery that failed.
#[derive(Debug, Serialize)]
struct Failed {
    package: String,
    point: String,
    kind: &'static str,
    reason: String,
    #[serde(skip)]
    code: u8,
}

/// Makes the deliveries, several at a time, and says what each came to. One that fails fails
/// alone; the command ends with its code.
pub(super) async fn carry(
    context: &Context,
    assigned: Vec<Assigned>,
    carrier: Carrier,
) -> Result<u8> {
    let mut carried = Carried { assigned, delivered: Vec::new(), failed: Vec::new() };
    if carrier == Carrier::Caller {
        let requests: Vec<deliver::Request> = carried
            .assigned
            .iter()
            .flat_map(|one| {
                one.deliveries.iter().map(|delivery| deliver::Request {
                    point: delivery.point.clone(),
                    package: one.package.clone(),
                })
            })
            .collect();
        let mut done = stream::iter(&requests)
            .map(|request| async move { (request, context.call(request).await) })
            .buffered(AT_ONCE);
        while let Some((request, result)) = done.next().await {
            match result {
                Ok(one) => carried.delivered.push(one),
                Err(error) if error.kind() == Kind::Cancelled => return Err(error),
                Err(error) => carried.failed.push(failed(request, &error)),
            }
        }
    }
    context.output.show(&carried, carried_text)?;
    Ok(carried.failed.iter().map(|failed| failed.code).max().unwrap_or(0))
}

fn failed(request: &deliver::Request, error: &Error) -> Failed {
    let mut reason = error.to_string();
    if let Some(advice) = error.advice() {
        reason.push_str("\n       ");
        reason.push_str(advice);
    }
    Failed {
        package: request.package.clone(),
        point: request.point.clone(),
        kind: error.kind().word(),
        reason,
        code: error.kind().exit_code(),
    }
}

fn carried_text(carried: &Carried) -> String {
    let mut shown = String::new();
    for one in &carried.delivered {
        let Delivered { point, package, .. } = one;
        shown.push_str(&match (one.state, one.revision) {
            (None, _) => format!("{point}: {package} withdrawn\n"),
            (Some(State::Installed), Some(number)) => format!(
                "{point}: {package} revision {number} installed; {} sent, {} were there\n",
                text::size(one.sent),
                text::size(one.reused)
            ),
            (Some(state), _) => {
                let why = if one.reason.is_empty() { state.word() } else { &*one.reason };
                format!("{point}: {package}: {}\n", text::clean(why))
            }
        });
    }
    for one in &carried.failed {
        shown.push_str(&format!("{}: {} failed: {}\n", one.point, one.package, one.reason));
    }
    let jobs = carried.assigned.iter().flat_map(|one| {
        one.deliveries.iter().filter_map(|delivery| {
            let job = delivery.job?;
            Some(format!("{}: {} is job {job}", delivery.point, one.package))
        })
    });
    shown.push_str(&lines(jobs));
    let notes = carried.assigned.iter().flat_map(|one| &one.notes);
    shown + &lines(notes.map(|note| format!("Note: {}", text::clean(note))))
}
