//! `osupg package refresh | revisions | diff | drift | rollback | prune`

use std::path::PathBuf;

use clap::Args;

use super::super::Context;
use super::super::output::{Align, count, facts, lines, table};
use super::{media_size, notes, reading, work_facts};
use crate::error::Result;
use crate::package::compare::FileChange;
use crate::package::diff::{self, Difference, ImageDifference};
use crate::package::drift::{self, Drift};
use crate::package::prune::{self, Pruned};
use crate::package::reference::Reference;
use crate::package::refresh::{self, Refreshed};
use crate::package::revisions::{self, Revisions};
use crate::package::rollback::{self, RolledBack};
use crate::package::{add, compare};
use crate::text;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg package refresh OSU00001
  osupg package refresh OSU00001 --source win11-2025-02.iso")]
pub(crate) struct RefreshArgs {
    /// The package's id, such as OSU00001, or its name
    #[arg(value_name = "ID")]
    id: String,
    /// Read another source, now and from now on
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// Read every file, even those that are as they were when they were last read, and check what
    /// the library holds of them
    #[arg(long)]
    rehash: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg package diff OSU00001@1 OSU00001@2
  osupg package diff OSU00001@1 OSU00001 --limit 50 --json")]
pub(crate) struct DiffArgs {
    /// The old revision, such as OSU00001@1
    #[arg(value_name = "OLD")]
    old: Reference,
    /// The new revision, such as OSU00001@2; the current one is OSU00001
    #[arg(value_name = "NEW")]
    new: Reference,
    /// The most changes to list inside an image
    #[arg(long, value_name = "N", default_value_t = diff::USUAL_LIMIT)]
    limit: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg package drift OSU00001
  osupg package drift OSU00001@2 --rehash")]
pub(crate) struct DriftArgs {
    /// The package's id or name, or a revision, such as OSU00001@2
    #[arg(value_name = "ID[@N]")]
    id: Reference,
    /// Read every file, even those that are as they were when they were last read
    #[arg(long)]
    rehash: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg package revisions OSU00001
  osupg package rollback OSU00001@1")]
pub(crate) struct RollbackArgs {
    /// The revision to go back to, such as OSU00001@1
    #[arg(value_name = "ID@N")]
    id: Reference,
}

#[derive(Debug, Args)]
#[command(long_about = "\
Remove old revisions that no rule keeps.

A revision is kept if it is the current one, if it is published to a distribution point, if it is \
among the newest of its package, or if it is young enough. The rules are those of the section \
[retention] of the configuration unless they are given here.")]
#[command(after_help = "\
Examples:
  osupg package prune --dry-run
  osupg package prune OSU00001 --keep-last 2 --keep-days 30")]
pub(crate) struct PruneArgs {
    /// The package's id or name; all packages when left out
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Keep so many of the newest revisions
    #[arg(long, value_name = "N")]
    keep_last: Option<u32>,
    /// Keep revisions for so many days
    #[arg(long, value_name = "DAYS")]
    keep_days: Option<u32>,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn refresh(args: RefreshArgs, context: &Context) -> Result<u8> {
    if let Some(source) = &args.source {
        add::check_store_outside(&context.config()?.folder()?, source)?;
    }
    let request =
        refresh::Request { package: args.id, source: args.source, reading: reading(args.rehash) };
    let refreshed = context.call(&request).await?;
    context.output.show(&refreshed, refreshed_text)?;
    Ok(0)
}

fn refreshed_text(refreshed: &Refreshed) -> String {
    let Refreshed { package, changed, work, .. } = refreshed;
    let revision = &package.revision;
    if !changed {
        return format!(
            "{} \"{}\" stays at revision {}: its source is as it was\n",
            package.id, package.name, revision.number
        );
    }
    let text = format!(
        "{} \"{}\" is at revision {} now, made from {}\n",
        package.id,
        package.name,
        revision.number,
        parent(revision.parent)
    );
    let mut rows = vec![
        ("edition", revision.editions.clone()),
        ("build", revision.builds.clone()),
        ("media", media_size(package)),
    ];
    rows.extend(work_facts(work));
    text + &facts(&rows) + &notes(&refreshed.warnings)
}

fn parent(parent: Option<i64>) -> String {
    parent.map_or_else(String::new, |number| number.to_string())
}

pub(super) async fn list(id: String, context: &Context) -> Result<u8> {
    let listed = context.call(&revisions::Request { package: id }).await?;
    context.output.show(&listed, revisions_text)?;
    Ok(0)
}

fn revisions_text(listed: &Revisions) -> String {
    use Align::{Left, Right};
    let columns = [
        ("REV", Right),
        ("", Left),
        ("FROM", Right),
        ("CAUSE", Left),
        ("KEPT", Left),
        ("BUILD", Left),
        ("FILES", Right),
        ("SIZE", Right),
        ("NEW THEN", Right),
        ("ONLY HERE", Right),
        ("MADE", Left),
        ("BY", Left),
    ];
    let row = |listed_revision: &revisions::Listed| {
        let revision = &listed_revision.revision;
        let current = revision.number == listed.current;
        let kept = if revision.selection.is_empty() { "all" } else { &revision.selection };
        vec![
            revision.number.to_string(),
            if current { "current" } else { "" }.to_string(),
            parent(revision.parent),
            revision.cause.clone(),
            kept.to_string(),
            revision.builds.clone(),
            revision.file_count.to_string(),
            text::size(revision.total_size),
            text::size(revision.new_size),
            text::size(listed_revision.frees),
            revision.created_at.local(),
            revision.made_by.clone(),
        ]
    };
    table(&columns, listed.revisions.iter().map(row).collect())
}

pub(super) async fn diff(args: DiffArgs, context: &Context) -> Result<u8> {
    let request = diff::Request { old: args.old, new: args.new, limit: args.limit };
    let difference = context.call(&request).await?;
    context.output.show(&difference, difference_text)?;
    Ok(0)
}

fn difference_text(difference: &Difference) -> String {
    let Difference { old, new, files, same, new_bytes, images } = difference;
    if files.is_empty() {
        return format!("{old} and {new} hold the same files\n");
    }
    let mut text = format!("From {old} to {new}\n");
    text.push_str(&changes_text(files));
    for image in images {
        text.push_str(&image_text(image));
    }
    text + &format!(
        "{} differ, {same} are the same; {} of objects are new\n",
        count(files.len() as u64, "file or folder").replace("folders", "folder"),
        text::size(*new_bytes)
    )
}

fn changes_text(changes: &[FileChange]) -> String {
    lines(changes.iter().map(|change| {
        let sizes = match (change.old_size, change.new_size) {
            (Some(old), Some(new)) if old != new => {
                format!("  {} to {}", text::size(old), text::size(new))
            }
            (_, Some(size)) | (Some(size), None) => format!("  {}", text::size(size)),
            (None, None) => String::new(),
        };
        let from = change.from.as_ref().map_or_else(String::new, |from| format!("  from {from}"));
        format!("  {:8} {}{from}{sizes}", change.kind, change.path)
    }))
}

fn image_text(image: &ImageDifference) -> String {
    let index = match (image.old, image.new) {
        (Some(old), Some(new)) if old == new => format!("image {new}"),
        (Some(old), Some(new)) => format!("image {old}, now {new}"),
        (None, Some(new)) => format!("image {new}, added"),
        (Some(old), None) => format!("image {old}, removed"),
        (None, None) => String::new(),
    };
    let builds = match &image.builds {
        [old, new] if old == new || old.is_empty() || new.is_empty() => String::new(),
        [old, new] => format!(", build {old} to {new}"),
    };
    let mut text = format!("{}, {index} \"{}\"{builds}\n", image.path, text::clean(&image.name));
    text.push_str(&lines(image.changes.iter().map(|change| {
        let from = change.from.as_ref();
        let from = from.map_or_else(String::new, |from| format!("  from {}", text::clean(from)));
        let aspects = match change.aspects.is_empty() {
            true => String::new(),
            false => format!("  ({})", change.aspects.join(", ")),
        };
        format!("    {:8} {}{from}{aspects}", change.kind, text::clean(&change.path))
    })));
    let all = image.added + image.removed + image.changed + image.renamed;
    let more = all.saturating_sub(image.changes.len() as u64);
    if more > 0 {
        text.push_str(&format!("    and {more} more\n"));
    }
    if image.old.is_some() && image.new.is_some() {
        text.push_str(&format!(
            "    {} added, {} removed, {} changed, {} renamed, {} the same\n",
            image.added, image.removed, image.changed, image.renamed, image.same
        ));
    }
    text
}

pub(super) async fn drift(args: DriftArgs, context: &Context) -> Result<u8> {
    let request = drift::Request { package: args.id, reading: reading(args.rehash) };
    let drift = context.call(&request).await?;
    context.output.show(&drift, drift_text)?;
    Ok(0)
}

fn drift_text(drift: &Drift) -> String {
    let Drift { id, revision, source, .. } = drift;
    let source = text::clean(source);
    if !drift.drifted {
        return format!("{source} is what {id} revision {revision} holds\n");
    }
    let mut text = format!("{source} has drifted from {id} revision {revision}\n");
    text.push_str(&changes_text(&drift.files));
    if drift.files.iter().all(|change| change.kind == compare::ChangeKind::Touched) {
        text.push_str("  only times differ\n");
    }
    text + &format!("`osupg package refresh {id}` makes a new revision of it\n")
}

pub(super) async fn rollback(args: RollbackArgs, context: &Context) -> Result<u8> {
    let done = context.call(&rollback::Request { package: args.id }).await?;
    context.output.show(&done, rolled_back_text)?;
    Ok(0)
}

fn rolled_back_text(done: &RolledBack) -> String {
    let RolledBack { package, target, changed } = done;
    let (id, number) = (&package.id, package.revision.number);
    if *changed {
        let before = parent(package.revision.parent);
        format!(
            "{id} \"{}\" is at revision {number} now, which is revision {target} again\n\
             `osupg package rollback {id}@{before}` undoes it\n",
            package.name
        )
    } else {
        format!(
            "{id} \"{}\" stays at revision {number}: it holds what revision {target} does\n",
            package.name
        )
    }
}

pub(super) async fn prune(args: PruneArgs, context: &Context) -> Result<u8> {
    let request = prune::Request {
        package: args.id,
        keep_last: args.keep_last,
        keep_days: args.keep_days,
        dry_run: args.dry_run,
    };
    let pruned = context.call(&request).await?;
    context.output.show(&pruned, pruned_text)?;
    Ok(0)
}

fn pruned_text(pruned: &Pruned) -> String {
    let Pruned { dry_run, revisions, kept, freed_objects, freed_size, collected } = pruned;
    if revisions.is_empty() {
        return format!("No revision has to go; {kept} are kept\n");
    }
    let mut text = lines(revisions.iter().map(|gone| {
        format!(
            "{} {}@{} ({}, {}): {} only there",
            if *dry_run { "Would remove" } else { "Removed" },
            gone.id,
            gone.number,
            gone.cause,
            gone.created_at.local(),
            text::size(gone.frees)
        )
    }));
    let freed = format!("{} in {}", text::size(*freed_size), count(*freed_objects, "object"));
    text.push_str(&match (dry_run, collected) {
        (true, _) => format!("{freed} would be freed\n"),
        (false, true) => format!("{freed} freed\n"),
        (false, false) => format!("{freed} will be freed by a later command\n"),
    });
    text
}
