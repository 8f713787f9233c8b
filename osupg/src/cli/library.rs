//! `osupg library …`

use clap::{Args, Subcommand};

use super::Context;
use super::output::{count, lines};
use crate::error::{Kind, Result};
use crate::library::check::{self, Affected, Checked};
use crate::library::gc::{self, Collected};
use crate::library::repair::{self, Repaired};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every object of the library; names what is missing or damaged, and what nobody uses
    Check,
    /// Put missing and damaged objects back from the sources of packages or from points
    Repair,
    /// Take away objects that nobody uses
    Gc(GcArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg library gc --dry-run
  osupg library gc --grace-hours 24")]
pub(super) struct GcArgs {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Leave what became unused less than so many hours ago
    #[arg(long, value_name = "N")]
    grace_hours: Option<u32>,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Check => check(context).await,
        Command::Repair => repair(context).await,
        Command::Gc(args) => gc(args, context).await,
    }
}

async fn check(context: &Context) -> Result<u8> {
    let checked = context.call(&check::Request {}).await?;
    context.output.show(&checked, checked_text)?;
    Ok(if checked.sound { 0 } else { Kind::Damaged.exit_code() })
}

fn checked_text(checked: &Checked) -> String {
    let mut text = format!(
        "{} with {} checked: {}\n",
        count(checked.objects, "object"),
        text::size(checked.bytes),
        match checked.problems.len() as u64 {
            0 => "all whole".to_string(),
            problems => format!("{problems} missing or damaged"),
        }
    );
    for problem in &checked.problems {
        let what = if problem.missing { "missing" } else { "damaged" };
        text.push_str(&format!("  object {} is {what}\n", problem.object));
        text.push_str(&files_text(&problem.files));
    }
    if checked.unused > 0 {
        text.push_str(&format!(
            "{} with {} are used by no revision; `osupg library gc` takes them away\n",
            count(checked.unused, "object"),
            text::size(checked.unused_bytes)
        ));
    }
    if !checked.sound {
        text.push_str("`osupg library repair` puts back what the sources still have\n");
    }
    text
}

fn files_text(files: &[Affected]) -> String {
    lines(files.iter().map(|file| format!("    {}@{} {}", file.package, file.revision, file.path)))
}

async fn repair(context: &Context) -> Result<u8> {
    let repaired = context.call(&repair::Request {}).await?;
    context.output.show(&repaired, repaired_text)?;
    Ok(if repaired.sound { 0 } else { Kind::Damaged.exit_code() })
}

fn repaired_text(repaired: &Repaired) -> String {
    let back = repaired.from_source + repaired.from_points;
    let mut text = match (back, repaired.sound) {
        (0, true) => "Nothing to repair: every object is whole\n".to_string(),
        _ => format!(
            "{} with {} put back: {} from sources, {} from distribution points\n",
            count(back, "object"),
            text::size(repaired.bytes),
            repaired.from_source,
            repaired.from_points
        ),
    };
    for lost in &repaired.lost {
        text.push_str(&format!("  object {} could be found nowhere\n", lost.object));
        text.push_str(&files_text(&lost.files));
        text.push_str(&lines(
            lost.reasons.iter().map(|reason| format!("    {}", text::clean(reason))),
        ));
    }
    text
}

async fn gc(args: GcArgs, context: &Context) -> Result<u8> {
    let request = gc::Request { grace_hours: args.grace_hours, dry_run: args.dry_run };
    let collected = context.call(&request).await?;
    context.output.show(&collected, collected_text)?;
    Ok(0)
}

fn collected_text(collected: &Collected) -> String {
    let Collected { dry_run, busy, swept } = collected;
    if *busy {
        return "An import is running: what it uses cannot be told yet. Run this again later.\n"
            .to_string();
    }
    let mut text = format!(
        "{} with {} {}\n",
        count(swept.objects, "object"),
        text::size(swept.bytes),
        if *dry_run { "would go" } else { "taken away" }
    );
    if swept.imports > 0 {
        text.push_str(&format!("{} had been cut off\n", count(swept.imports, "import")));
    }
    if swept.young > 0 {
        text.push_str(&format!("{} stay for now\n", count(swept.young, "unused object")));
    }
    text
}
