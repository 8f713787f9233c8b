//! `osupg update …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, count, facts, lines, table};
use crate::error::{Error, Kind, Result};
use crate::service::update::import::{self, Imported};
use crate::service::update::list::{self, Shown};
use crate::service::update::{self, Update, remove};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Import updates and drivers, so that servicing can put them in
    Import(ImportArgs),
    /// List the updates that were imported
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show everything about an update
    Show(Which),
    /// Remove an update; what it was put into stays as it is
    #[command(visible_alias = "rm")]
    Remove(Which),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg update import windows11.0-kb5044284-x64.msu windows11.0-kb5044611-x64.cab
  osupg update import /srv/updates/2024-10 /srv/drivers/network

What Windows can install only while it runs (.exe, .msi, .msp, apps) is refused, with the reason; the
command then ends with code 2, after importing the rest.")]
pub(super) struct ImportArgs {
    /// Cabinets (.cab), update packages (.msu), and folders with updates or a driver
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only this kind: cumulative, servicing-stack, dotnet, safe-os, setup, driver, feature, language
    /// or other
    #[arg(long)]
    kind: Option<update::Kind>,
    /// Only for this architecture, such as x64
    #[arg(long, value_name = "ARCH")]
    architecture: Option<String>,
}

/// Names an update.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The update's id, such as UPD00001, or its article, such as KB5044284
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Import(args) => import(args, context).await,
        Command::List(args) => {
            let request = list::Request { kind: args.kind, architecture: args.architecture };
            let updates = context.call(&request).await?;
            context.output.show(&updates, |updates| list_text(updates))?;
            Ok(0)
        }
        Command::Show(which) => {
            let shown = context.call(&list::ShowRequest { update: which.id }).await?;
            context.output.show(&shown, show_text)?;
            Ok(0)
        }
        Command::Remove(which) => {
            let removed = context.call(&remove::Request { update: which.id }).await?;
            context.output.show(&removed, |removed| {
                format!("Removed {}; {} freed\n", removed.called, text::size(removed.size))
            })?;
            Ok(0)
        }
    }
}

/// Where a file is, whatever folder whoever reads it works in.
pub(super) fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(|error| Error::file("find", &path, &error))
}

async fn import(args: ImportArgs, context: &Context) -> Result<u8> {
    let files = args.files.into_iter().map(absolute).collect::<Result<_>>()?;
    let imported = context.call(&import::Request { files }).await?;
    context.output.show(&imported, import_text)?;
    Ok(if imported.refused.is_empty() { 0 } else { Kind::Usage.exit_code() })
}

fn import_text(imported: &Imported) -> String {
    let mut shown = String::new();
    for new in &imported.updates {
        let known = if new.known { " (was there)" } else { "" };
        shown.push_str(&format!("{}{known}\n", headline(&new.update)));
    }
    for refused in &imported.refused {
        shown.push_str(&format!("Refused {}: {}\n", text::path(&refused.file), refused.reason));
    }
    let new = text::size(imported.new_size);
    shown.push_str(&format!(
        "{} imported, {new} new\n",
        count(imported.updates.len() as u64, "update")
    ));
    shown
}

/// `UPD00001  KB5044284  cumulative  x64  Fix for KB5044284`.
fn headline(update: &Update) -> String {
    let facts = &update.facts;
    let parts = [&update.id, &facts.kb, &facts.kind.to_string(), &facts.architecture, &facts.title];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).cloned().collect();
    text::clean(&parts.join("  ")).into_owned()
}

fn list_text(updates: &[Update]) -> String {
    if updates.is_empty() {
        return "No updates. `osupg update import` brings some in.\n".into();
    }
    let columns = [
        ("Id", Align::Left),
        ("Article", Align::Left),
        ("Kind", Align::Left),
        ("Arch", Align::Left),
        ("Builds", Align::Left),
        ("Version", Align::Left),
        ("Size", Align::Right),
        ("Title", Align::Left),
    ];
    let rows = updates.iter().map(|update| {
        let facts = &update.facts;
        vec![
            update.id.clone(),
            facts.kb.clone(),
            facts.kind.to_string(),
            facts.architecture.clone(),
            builds(update),
            facts.version.to_string(),
            text::size(update.size),
            facts.title.clone(),
        ]
    });
    table(&columns, rows.collect())
}

fn builds(update: &Update) -> String {
    let builds: Vec<_> = update.facts.builds.iter().map(u32::to_string).collect();
    builds.join(" ")
}

fn show_text(shown: &Shown) -> String {
    let update = &shown.update;
    let about = &update.facts;
    let all = |identities: &[crate::service::Identity]| {
        let all: Vec<_> = identities.iter().map(ToString::to_string).collect();
        all.join(" ")
    };
    let mut lines_of = format!("{}\n", headline(update));
    lines_of.push_str(&facts(&[
        ("package", about.identity.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("contains", all(&about.contains)),
        ("version", about.version.to_string()),
        ("builds", builds(update)),
        ("language", about.language.clone()),
        ("checkpoints", all(&about.checkpoints)),
        ("servicing stack", about.servicing_stack.map(|v| v.to_string()).unwrap_or_default()),
        ("not offline", about.online_only.clone()),
        ("imported from", update.file.clone()),
        ("imported", update.imported_at.local()),
        ("size", format!("{} in {}", text::size(update.size), count(update.files, "file"))),
        ("sha256", update.sha256.clone()),
    ]));
    if shown.contents.len() > 1 {
        lines_of.push_str(&lines(
            shown.contents.iter().map(|(path, size)| format!("{size:>12}  {}", text::clean(path))),
        ));
    }
    lines_of
}
