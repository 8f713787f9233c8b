//! `osupg point …` and `osupg group …`

use clap::{Args, Subcommand, ValueEnum};

use super::Context;
use super::output::{Align, count, facts, lines, table};
use super::publish::{carrier, carry};
use crate::error::{Kind, Result};
use crate::page::LONGEST;
use crate::points::model::{Group, Kind as PointKind, Point, Presence, Tally};
use crate::points::validate::{RepairRequest, Request as ValidateRequest, Then, Validated};
use crate::points::window::Windows;
use crate::points::{control, group, manage, status};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a folder, an object store or another osupg a point
    Add(AddArgs),
    /// List all points and how their packages stand
    #[command(visible_alias = "ls")]
    List,
    /// Show everything about a point
    Show(Named),
    /// Change the fields of a point
    Edit(EditArgs),
    /// Remove a point, and what it holds
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Send nothing to a point for now, or end that
    Maintenance(MaintenanceArgs),
    /// Show where packages are, and why they are not where they should be
    Status(StatusArgs),
    /// Read what points hold and compare every byte with what was signed
    Validate(ValidateArgs),
    /// Validate, and send again what is bad and nothing else
    Repair(WhatAt),
    /// Stop sending a package
    Cancel(OneAt),
    /// Try again to send or withdraw a package
    Retry(RetryArgs),
    /// Do now what is due: what has waited, and what removed packages have left; workers do so by
    /// themselves
    CatchUp,
}

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// Make a group of points
    Add(GroupAddArgs),
    /// List all groups with their points
    #[command(visible_alias = "ls")]
    List,
    /// Let a point join a group; it gets what the group has
    AddMember(Member),
    /// Take a point out of a group; what it has stays there
    RemoveMember(Member),
    /// Dissolve a group; what its points have stays there
    #[command(visible_alias = "rm")]
    Remove(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its name; capitals do not matter
    name: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg point add Amsterdam /srv/media
  osupg point add Cloud s3://bucket/media --threads 16
  osupg point add Berlin --node
  osupg point add Branch /mnt/branch --rate 2M --windows 'mon-fri 7-19 high' \\
      --time-zone Europe/Amsterdam")]
pub(super) struct AddArgs {
    /// The name: 1 to 50 characters, unique
    name: String,
    /// A folder or mounted share that exists; s3://bucket/prefix, azure://container/prefix or
    /// file:///folder for an object store
    #[arg(required_unless_present = "node")]
    target: Option<String>,
    /// It is another osupg, which fetches by itself with `osupg dp`
    #[arg(long, conflicts_with = "target")]
    node: bool,
    #[command(flatten)]
    fields: Fields,
}

#[derive(Debug, Args)]
pub(super) struct EditArgs {
    /// The point's name
    name: String,
    /// A new name
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    #[command(flatten)]
    fields: Fields,
}

/// The fields of a point.
#[derive(Debug, Args)]
struct Fields {
    /// A comment: up to 127 characters
    #[arg(long)]
    comment: Option<String>,
    /// When what may travel: days, hours and open, medium, high or closed, separated by semicolons;
    /// '' for always
    #[arg(long, value_name = "RULES")]
    windows: Option<Windows>,
    /// The time zone of the windows, such as Europe/Amsterdam [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Bytes a second that may travel, such as 500K or 2M; 0 for any number
    #[arg(long, value_parser = rate)]
    rate: Option<i64>,
    /// Packages that are sent at the same time: 1 to 50 [default: 3]
    #[arg(long, value_name = "N")]
    packages: Option<i64>,
    /// Files or pieces of a package under way at the same time: 1 to 99 [default: 5]
    #[arg(long, value_name = "N")]
    threads: Option<i64>,
    /// Seconds without an answer after which the point counts as gone [default: 120]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<i64>,
}

impl Fields {
    fn change(self, name: Option<String>) -> manage::Change {
        manage::Change {
            name,
            comment: self.comment,
            time_zone: self.time_zone,
            windows: self.windows,
            rate: self.rate,
            packages_at_once: self.packages,
            threads: self.threads,
            timeout_seconds: self.timeout,
        }
    }
}

/// A number of bytes with K, M or G behind it for 1024, 1024² or 1024³ of them.
fn rate(text: &str) -> std::result::Result<i64, String> {
    let bad = || "a rate is a number of bytes a second, such as 500K or 2M".to_string();
    let (digits, factor) = match text.to_ascii_uppercase().strip_suffix(['K', 'M', 'G']) {
        None => (text.to_string(), 1),
        Some(digits) => {
            let factor = match text.as_bytes().last() {
                Some(b'k' | b'K') => 1 << 10,
                Some(b'm' | b'M') => 1 << 20,
                _ => 1_i64 << 30,
            };
            (digits.to_string(), factor)
        }
    };
    let number: i64 = digits.parse().map_err(|_| bad())?;
    number.checked_mul(factor).filter(|rate| *rate >= 0).ok_or_else(bad)
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The point's name
    name: String,
    /// Leave what it holds where it is, as when the place is gone for good
    #[arg(long)]
    leave_content: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnOff {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(super) struct MaintenanceArgs {
    /// The point's name
    name: String,
    /// Whether it is to be in maintenance
    #[arg(value_enum)]
    switch: OnOff,
    /// Leave what has waited for its end to a worker
    #[arg(long)]
    queue: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg point status
  osupg point status --package OSU00001
  osupg point status --point Amsterdam")]
pub(super) struct StatusArgs {
    /// One package at all its points
    #[arg(long, value_name = "ID", conflicts_with = "point")]
    package: Option<String>,
    /// One point with all its packages
    #[arg(long, value_name = "NAME")]
    point: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg point validate
  osupg point validate OSU00001 --at Amsterdam group:Pilot
  osupg point validate --at Amsterdam --repair")]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    what: WhatAt,
    /// Send again what is bad
    #[arg(long)]
    repair: bool,
}

#[derive(Debug, Args)]
pub(super) struct WhatAt {
    /// The package's id or name [default: all]
    #[arg(value_name = "ID")]
    package: Option<String>,
    /// Points and groups [default: all]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    at: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct OneAt {
    /// The package's id or name
    #[arg(value_name = "ID")]
    package: String,
    /// Points and groups [default: all]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    at: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    what: OneAt,
    /// Leave it to a worker
    #[arg(long)]
    queue: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  osupg group add Pilot --points Amsterdam Berlin")]
pub(super) struct GroupAddArgs {
    /// The name: 1 to 50 characters, unique among groups
    name: String,
    /// A comment: up to 127 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
    /// Its first points
    #[arg(long, value_name = "NAME", num_args = 1..)]
    points: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Member {
    /// The group's name
    group: String,
    /// The point's name
    point: String,
    /// Leave what the group gives the point to a worker
    #[arg(long)]
    queue: bool,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Add(args) => add(args, context).await,
        Command::List => {
            let request = manage::List { limit: Some(LONGEST), ..Default::default() };
            let listed = context.call_all(&request).await?.items;
            context.output.show(&listed, |listed| list_text(listed))?;
            Ok(0)
        }
        Command::Show(Named { name }) => {
            let shown = context.call(&manage::Show { point: name }).await?;
            context.output.show(&shown, show_text)?;
            Ok(0)
        }
        Command::Edit(args) => {
            let change = args.fields.change(args.rename);
            let point = context.call(&manage::Edit { point: args.name, change }).await?;
            context
                .output
                .show(&point, |point| format!("Changed {}\n{}", point.name, fields(point)))?;
            Ok(0)
        }
        Command::Remove(args) => remove(args, context).await,
        Command::Maintenance(args) => maintenance(args, context).await,
        Command::Status(args) => show_status(args, context).await,
        Command::Validate(args) => {
            let then = if args.repair { Then::Repair } else { Then::Report };
            let WhatAt { package, at } = args.what;
            let found = context.call(&ValidateRequest { package, at, then }).await?;
            validated(&found, context)
        }
        Command::Repair(WhatAt { package, at }) => {
            let found = context.call(&RepairRequest { package, at }).await?;
            validated(&found, context)
        }
        Command::Cancel(OneAt { package, at }) => {
            let stopped = context.call(&control::CancelRequest { package, at }).await?;
            context.output.show(&stopped, |stopped| match stopped.points.len() {
                0 => format!("{} is not on its way anywhere\n", stopped.package),
                _ => format!("{} stopped at {}\n", stopped.package, stopped.points.join(", ")),
            })?;
            Ok(0)
        }
        Command::CatchUp => {
            let done = context.call(&control::CatchUp {}).await?;
            context.output.show(&done, |done| {
                let count = done.delivered.len() as u64;
                let mut said = format!("Made {}\n", deliveries(count));
                said.push_str(&lines(done.failed.iter().map(|why| text::clean(why).into_owned())));
                said
            })?;
            Ok(if done.failed.is_empty() { 0 } else { Kind::Io.exit_code() })
        }
        Command::Retry(args) => {
            let carrier = carrier(args.queue, context);
            let OneAt { package, at } = args.what;
            let again = context.call(&control::RetryRequest { package, at, carrier }).await?;
            carry(context, vec![again], carrier).await
        }
    }
}

fn deliveries(number: u64) -> String {
    if number == 1 { "1 delivery".into() } else { format!("{number} deliveries") }
}

async fn add(args: AddArgs, context: &Context) -> Result<u8> {
    let (kind, target) = match args.target {
        None => (PointKind::Node, args.name.clone()),
        Some(target) if target.contains("://") => (PointKind::Objects, target),
        // A service would take it from its own working folder.
        Some(target) => {
            let absolute = std::path::absolute(&target).unwrap_or_else(|_| target.clone().into());
            (PointKind::Folder, absolute.to_str().unwrap_or(&target).to_string())
        }
    };
    let change = args.fields.change(None);
    let point = context.call(&manage::Add { name: args.name, kind, target, change }).await?;
    context.output.show(&point, |point| format!("Added {}\n{}", point.name, fields(point)))?;
    Ok(0)
}

async fn remove(args: RemoveArgs, context: &Context) -> Result<u8> {
    let content = if args.leave_content { manage::Content::Leave } else { manage::Content::Remove };
    let removed = context.call(&manage::Remove { point: args.name, content }).await?;
    context.output.show(&removed, |removed| match removed.packages.len() as u64 {
        0 => format!("Removed {}\n", removed.point),
        packages => {
            format!("Removed {} with {}\n", removed.point, count(packages, "package"))
        }
    })?;
    Ok(0)
}

async fn maintenance(args: MaintenanceArgs, context: &Context) -> Result<u8> {
    let carrier = carrier(args.queue, context);
    let maintenance = match args.switch {
        OnOff::On => manage::Switch::On,
        OnOff::Off => manage::Switch::Off,
    };
    let request = manage::Maintenance { point: args.name, maintenance, carrier };
    let changed = context.call(&request).await?;
    if !changed.deliveries.is_empty() {
        return carry(context, changed.deliveries, carrier).await;
    }
    context.output.show(&changed, |changed| {
        let what = if changed.point.maintenance { "is in maintenance" } else { "takes content" };
        format!("{} {what}\n", changed.point.name)
    })?;
    Ok(0)
}

async fn show_status(args: StatusArgs, context: &Context) -> Result<u8> {
    match (args.package, args.point) {
        (Some(package), _) => {
            let limit = Some(LONGEST);
            let request = status::PackageRequest { package, limit, after: None };
            let shown = context.call_all(&request).await?;
            context.output.show(&shown, |shown| {
                let head = format!(
                    "{} revision {}: {}\n",
                    shown.package,
                    shown.current,
                    tally(&shown.tally)
                );
                head + &presence_table(&shown.points)
            })?;
        }
        (None, Some(point)) => {
            let limit = Some(LONGEST);
            let request = status::PointRequest { point, limit, after: None };
            let shown = context.call_all(&request).await?.items;
            context.output.show(&shown, |shown| presence_table(shown))?;
        }
        (None, None) => {
            let request = status::OverviewRequest { limit: Some(LONGEST), after: None };
            let all = context.call_all(&request).await?.items;
            context.output.show(&all, |all| {
                if all.is_empty() {
                    return "No package has been published yet.\n".into();
                }
                let columns = [
                    ("PACKAGE", Align::Left),
                    ("POINTS", Align::Right),
                    ("SUCCESS", Align::Right),
                    ("PROGRESS", Align::Right),
                    ("ERROR", Align::Right),
                    ("UNKNOWN", Align::Right),
                ];
                let row = |one: &status::Overview| {
                    let Tally { success, progress, error, unknown } = one.tally;
                    let numbers = [one.tally.total(), success, progress, error, unknown];
                    std::iter::once(one.package.clone())
                        .chain(numbers.map(|number| number.to_string()))
                        .collect()
                };
                table(&columns, all.iter().map(row).collect())
            })?;
        }
    }
    Ok(0)
}

fn validated(found: &Vec<Validated>, context: &Context) -> Result<u8> {
    context.output.show(found, |found| {
        if found.is_empty() {
            return "Nothing is published there.\n".into();
        }
        let mut shown = String::new();
        for one in found {
            let revision =
                one.revision.map(|number| format!(" revision {number}")).unwrap_or_default();
            let head = format!("{}: {}{revision}", one.point, one.package);
            shown.push_str(&match (&one.repair, one.sound, one.flaws.is_empty()) {
                (Some(repair), true, _) => {
                    format!("{head} is repaired; {} sent\n", text::size(repair.sent))
                }
                (_, true, _) => format!("{head} is sound\n"),
                (_, false, false) => {
                    format!("{head} is damaged: {}\n", count(one.flaws.len() as u64, "problem"))
                }
                _ => format!("{head}: {}\n", text::clean(&one.note)),
            });
            shown.push_str(&lines(one.flaws.iter().map(|flaw| {
                format!("  {} {}", text::clean(&flaw.path), text::clean(&flaw.what))
                    .trim_end()
                    .to_string()
            })));
        }
        shown
    })?;
    let bad = found.iter().any(|one| !one.sound && !one.flaws.is_empty());
    Ok(if bad { Kind::Damaged.exit_code() } else { 0 })
}

fn list_text(listed: &[manage::Listed]) -> String {
    if listed.is_empty() {
        return "There are no points yet. `osupg point add` adds one.\n".into();
    }
    let columns = [
        ("NAME", Align::Left),
        ("KIND", Align::Left),
        ("TARGET", Align::Left),
        ("PACKAGES", Align::Right),
        ("STATE", Align::Left),
    ];
    let row = |one: &manage::Listed| {
        let state =
            if one.point.maintenance { "in maintenance".to_string() } else { tally(&one.packages) };
        vec![
            one.point.name.clone(),
            one.point.kind.to_string(),
            one.point.target.clone(),
            one.packages.total().to_string(),
            state,
        ]
    };
    table(&columns, listed.iter().map(row).collect())
}

/// What there is of each standing: `2 success, 1 error`.
fn tally(tally: &Tally) -> String {
    let parts = [
        (tally.success, "success"),
        (tally.progress, "in progress"),
        (tally.error, "error"),
        (tally.unknown, "unknown"),
    ];
    let said: Vec<_> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    said.join(", ")
}

fn fields(point: &Point) -> String {
    let settings = &point.settings;
    let windows = match settings.windows.rules() {
        "" => "always open".to_string(),
        rules => format!("{rules} ({})", settings.time_zone),
    };
    let rate = match settings.rate {
        0 => "unlimited".to_string(),
        rate => format!("{} a second", text::size(rate.unsigned_abs())),
    };
    facts(&[
        ("kind", point.kind.to_string()),
        ("target", point.target.clone()),
        ("comment", settings.comment.clone()),
        ("windows", windows),
        ("rate", rate),
        (
            "at once",
            format!(
                "{}, {}",
                count(settings.lanes().unsigned_abs(), "package"),
                count(settings.threads.unsigned_abs(), "thread")
            ),
        ),
        ("time-out", count(settings.timeout_seconds.unsigned_abs(), "second")),
        ("maintenance", if point.maintenance { "on".into() } else { String::new() }),
        ("seen", point.seen_at.map(|at| at.local()).unwrap_or_default()),
        ("added", point.created_at.local()),
    ])
}

fn show_text(shown: &manage::Shown) -> String {
    let mut said = format!("{}\n{}", shown.point.name, fields(&shown.point));
    if !shown.groups.is_empty() {
        said.push_str(&format!("Groups: {}\n", text::clean(&shown.groups.join(", "))));
    }
    if shown.packages.total() > 0 {
        said.push_str(&format!(
            "Packages: {}; `osupg point status --point {}` lists them\n",
            tally(&shown.packages),
            text::clean(&shown.point.name)
        ));
    }
    said
}

fn presence_table(presences: &[Presence]) -> String {
    if presences.is_empty() {
        return "Nothing is published there.\n".into();
    }
    let columns = [
        ("POINT", Align::Left),
        ("PACKAGE", Align::Left),
        ("WANTED", Align::Right),
        ("HELD", Align::Right),
        ("STATE", Align::Left),
        ("SENT", Align::Right),
        ("SINCE", Align::Left),
        ("REASON", Align::Left),
    ];
    let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
    let row = |one: &Presence| {
        let sent = match one.to_send {
            0 => String::new(),
            total => format!("{} of {}", text::size(one.sent), text::size(total)),
        };
        vec![
            one.point.clone(),
            one.package.clone(),
            number(one.wanted),
            number(one.held),
            one.state.to_string(),
            sent,
            one.changed_at.local(),
            one.reason.clone(),
        ]
    };
    table(&columns, presences.iter().map(row).collect())
}

pub(super) async fn run_group(command: GroupCommand, context: &Context) -> Result<u8> {
    match command {
        GroupCommand::Add(args) => {
            let GroupAddArgs { name, comment, points } = args;
            let group = context.call(&group::Add { name, comment, points }).await?;
            context.output.show(&group, |group| format!("Added {}", group_line(group)))?;
        }
        GroupCommand::List => {
            let groups = context.call(&group::List {}).await?;
            context.output.show(&groups, |groups| match groups.is_empty() {
                true => "There are no groups yet. `osupg group add` makes one.\n".into(),
                false => groups.iter().map(group_line).collect(),
            })?;
        }
        GroupCommand::AddMember(Member { group, point, queue }) => {
            let carrier = carrier(queue, context);
            let changed = context.call(&group::AddMember { group, point, carrier }).await?;
            if !changed.deliveries.is_empty() {
                return carry(context, changed.deliveries, carrier).await;
            }
            context.output.show(&changed, |changed| group_line(&changed.group))?;
        }
        GroupCommand::RemoveMember(Member { group, point, .. }) => {
            let group = context.call(&group::RemoveMember { group, point }).await?;
            context.output.show(&group, group_line)?;
        }
        GroupCommand::Remove(Named { name }) => {
            let group = context.call(&group::Remove { group: name }).await?;
            context
                .output
                .show(&group, |group| format!("Dissolved {}\n", text::clean(&group.name)))?;
        }
    }
    Ok(0)
}

fn group_line(group: &Group) -> String {
    let points = match group.points.len() {
        0 => "no points".to_string(),
        _ => group.points.join(", "),
    };
    text::clean(&format!("{}: {points}", group.name)).into_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        assert_eq!(rate("0"), Ok(0));
        assert_eq!(rate("1500"), Ok(1500));
        assert_eq!(rate("500K"), Ok(500 << 10));
        assert_eq!(rate("2m"), Ok(2 << 20));
        assert_eq!(rate("1G"), Ok(1 << 30));
        for bad in ["", "K", "-1", "1.5M", "2T", "9999999999G"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
