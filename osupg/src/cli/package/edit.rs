//! `osupg package edit | accept-licence | history`

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::super::Context;
use super::super::output::{Align, lines, table};
use super::{SelectArgs, notes};
use crate::db::edits::Recorded;
use crate::error::{Error, Result};
use crate::package::edit::{AcceptLicence, Edited, Fields, History, Request};
use crate::package::model::Priority;
use crate::text;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg package edit OSU00001 --name 'Windows 11 24H2 Pro' --version 2025-02
  osupg package edit OSU00001 --folder '/Windows 11/Pro' --priority high
  osupg package edit OSU00001 --comment 'for the pilot' --if-edit 4")]
pub(crate) struct EditArgs {
    /// The package's id, such as OSU00001, or its name
    #[arg(value_name = "ID")]
    id: String,
    /// Refuse if somebody has edited it since this edit, which `package show` tells
    #[arg(long, value_name = "N")]
    if_edit: Option<i64>,
    /// The name: 1 to 50 characters, unique
    #[arg(long)]
    name: Option<String>,
    /// Your own version: up to 32 characters
    #[arg(long)]
    version: Option<String>,
    /// A comment: up to 127 characters
    #[arg(long)]
    comment: Option<String>,
    /// The manufacturer: up to 32 characters
    #[arg(long)]
    manufacturer: Option<String>,
    /// The architecture; empty for what the images say
    #[arg(long, value_name = "ARCH")]
    architecture: Option<String>,
    /// The language, such as en-US; empty for what the images say
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// The order in which packages are sent: high, medium or low
    #[arg(long, value_name = "WORD")]
    priority: Option<Priority>,
    /// Whether clients keep it in their cache
    #[arg(long, value_name = "YES|NO", value_parser = yes_or_no, action = ArgAction::Set)]
    persist_in_cache: Option<bool>,
    /// The folder to list it in, such as '/Windows 11/Pro'; / for none
    #[arg(long, value_name = "PATH")]
    folder: Option<String>,
    /// The security scopes it belongs to; may be repeated
    #[arg(long, value_name = "NAME")]
    scope: Vec<String>,
    /// A device model it is for; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "all_models")]
    model: Vec<String>,
    /// It is for devices of all models again
    #[arg(long)]
    all_models: bool,
    /// Whether somebody has to accept its licence terms before it is used
    #[arg(long, value_name = "YES|NO", value_parser = yes_or_no, action = ArgAction::Set)]
    licence_required: Option<bool>,
    /// The source that the next refresh reads
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    #[command(flatten)]
    select: SelectArgs,
    /// Keep all images of the source again
    #[arg(long, conflicts_with_all = ["index", "edition"])]
    all_images: bool,
}

fn yes_or_no(text: &str) -> std::result::Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no".into()),
    }
}

pub(super) async fn edit(args: EditArgs, context: &Context) -> Result<u8> {
    let selection =
        if args.all_images { Some(Default::default()) } else { args.select.selection() };
    let set = Fields {
        name: args.name,
        version: args.version,
        comment: args.comment,
        manufacturer: args.manufacturer,
        architecture: args.architecture,
        language: args.language,
        priority: args.priority,
        persist_in_cache: args.persist_in_cache,
        folder: args.folder,
        scopes: Some(args.scope).filter(|scopes| !scopes.is_empty()),
        models: Some(args.model).filter(|models| args.all_models || !models.is_empty()),
        licence_required: args.licence_required,
        source: args.source,
        selection,
    };
    if set == Fields::default() {
        return Err(Error::usage("nothing to change is named")
            .advise("`osupg package edit --help` lists the fields"));
    }
    let edited = context.call(&Request { package: args.id, seen: args.if_edit, set }).await?;
    context.output.show(&edited, edited_text)?;
    Ok(0)
}

fn edited_text(edited: &Edited) -> String {
    let Edited { package, changes, warnings } = edited;
    if changes.is_empty() {
        return format!("{} \"{}\" is so already\n", package.id, text::clean(&package.name));
    }
    let mut text = format!("Changed {} \"{}\"\n", package.id, text::clean(&package.name));
    text.push_str(&lines(changes.iter().map(|change| {
        format!(
            "  {}: {:?}, was {:?}",
            change.field,
            text::clean(&change.new),
            text::clean(&change.old)
        )
    })));
    text + &notes(warnings)
}

pub(super) async fn accept_licence(id: String, context: &Context) -> Result<u8> {
    let edited = context.call(&AcceptLicence { package: id }).await?;
    context.output.show(&edited, |edited| {
        let Edited { package, changes, .. } = edited;
        let accepted = package.licence.accepted.as_ref();
        let by = accepted.map_or_else(String::new, |accepted| {
            format!("by {} on {}", accepted.by, accepted.at.local())
        });
        let before = if changes.is_empty() { "had been" } else { "are" };
        format!("The licence terms of {} {before} accepted {}\n", package.id, text::clean(&by))
    })?;
    Ok(0)
}

pub(super) async fn history(id: String, context: &Context) -> Result<u8> {
    let changes = context.call(&History { package: id }).await?;
    context.output.show(&changes, |changes| {
        use Align::{Left, Right};
        if changes.is_empty() {
            return "Its fields are as they were when it was added.\n".to_string();
        }
        let columns = [
            ("EDIT", Right),
            ("WHEN", Left),
            ("BY", Left),
            ("FIELD", Left),
            ("NOW", Left),
            ("BEFORE", Left),
        ];
        let row = |change: &Recorded| {
            vec![
                change.edit_count.to_string(),
                change.at.local(),
                change.by.clone(),
                change.edit.field.clone(),
                change.edit.new.clone(),
                change.edit.old.clone(),
            ]
        };
        table(&columns, changes.iter().map(row).collect())
    })?;
    Ok(0)
}
