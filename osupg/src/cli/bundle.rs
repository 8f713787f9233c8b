//! `osupg bundle …`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, count, facts, table};
use crate::bundle::create::{self, Created};
use crate::bundle::import::{self, Imported};
use crate::bundle::inspect::{self, Inspected};
use crate::error::{Error, Kind, Result};
use crate::package::reference::Reference;
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put revisions into one signed file, for stores that no network reaches
    Create(CreateArgs),
    /// Look at a bundle without taking it in
    Inspect(ReadArgs),
    /// Take the revisions of a bundle into the store
    #[command(after_help = "\
The bundle must be signed by a key that is trusted here (`osupg trust add`). One that is older than
what the store has, or the difference to something that it has not got, is refused. Stopped on the
way, the same command goes on from there.")]
    Import(ReadArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg bundle create OSU00001 --out win11.osupg
  osupg bundle create OSU00001@4 --since OSU00001@3 --out december.osupg
  osupg bundle create OSU00001 --for Amsterdam --out amsterdam.osupg
  osupg bundle create OSU00001 OSU00002 --encrypt-to 'branch office' --out office.osupg
  osupg bundle create OSU00001 --passphrase-file phrase.txt --out win11.osupg

A bundle that is encrypted to a key can be opened by the store that has it, until that store makes
another key.")]
pub(super) struct CreateArgs {
    /// The packages, and maybe revisions of them
    #[arg(value_name = "ID[@N]", required = true)]
    revisions: Vec<Reference>,
    /// The file to make
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Leave out what this revision has, for a store that has it; may be given several times
    #[arg(long, value_name = "ID@N")]
    since: Vec<Reference>,
    /// Leave out what this point has, for a point that no network reaches
    #[arg(long, value_name = "POINT")]
    r#for: Option<String>,
    /// Encrypt to a trusted key, by its name or id
    #[arg(long, value_name = "KEY", conflicts_with = "passphrase_file")]
    encrypt_to: Option<String>,
    /// Encrypt with the passphrase in the first line of this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Something to say about it: up to 127 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    comment: String,
}

#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    /// The bundle
    file: PathBuf,
    /// A file with the passphrase that opens it
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Create(args) => {
            let request = create::Request {
                revisions: args.revisions,
                file: absolute(&args.out)?,
                since: args.since,
                for_point: args.r#for,
                encrypt_to: args.encrypt_to,
                passphrase_file: args.passphrase_file.as_deref().map(absolute).transpose()?,
                comment: args.comment,
            };
            let created = context.call(&request).await?;
            context.output.show(&created, created_text)?;
        }
        Command::Inspect(args) => {
            let request = inspect::Request {
                file: absolute(&args.file)?,
                passphrase_file: args.passphrase_file.as_deref().map(absolute).transpose()?,
            };
            let inspected = context.call(&request).await?;
            context.output.show(&inspected, inspected_text)?;
            if !inspected.trusted {
                return Ok(Kind::Damaged.exit_code());
            }
        }
        Command::Import(args) => {
            let request = import::Request {
                file: absolute(&args.file)?,
                passphrase_file: args.passphrase_file.as_deref().map(absolute).transpose()?,
            };
            let imported = context.call(&request).await?;
            context.output.show(&imported, imported_text)?;
        }
    }
    Ok(0)
}

/// The same file for whoever does the work, wherever it runs.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::file("find", path, &error))
}

fn created_text(created: &Created) -> String {
    let mut text = format!("Made {}: {}\n", text::path(&created.file), text::size(created.size));
    let left_out = match (created.base.is_empty(), created.left_out) {
        (true, _) => String::new(),
        (false, bytes) => format!("{}, which {} has", text::size(bytes), created.base.join(", ")),
    };
    text.push_str(&facts(&[
        ("revisions", created.revisions.join(", ")),
        ("pieces", created.pieces.to_string()),
        ("left out", left_out),
        ("encrypted", if created.locked { "yes" } else { "no" }.to_string()),
    ]));
    text
}

fn inspected_text(inspected: &Inspected) -> String {
    let signed = match inspected.trusted {
        true => format!("by {:?}, which is trusted here", text::clean(&inspected.signer)),
        false => format!("NOT TRUSTED: {}", text::clean(&inspected.signer)),
    };
    let base = match inspected.base.is_empty() {
        true => "a full bundle".to_string(),
        false => format!("the difference to {}", inspected.base.join(", ")),
    };
    let mut text = facts(&[
        ("signed", signed),
        ("made", inspected.made_at.local()),
        ("comment", inspected.comment.clone()),
        ("kind", base),
        ("encrypted", if inspected.locked { "yes" } else { "no" }.to_string()),
        ("pieces", format!("{}, {}", inspected.pieces, text::size(inspected.pieces_size))),
        ("size", text::size(inspected.size)),
    ]);
    use Align::{Left, Right};
    let columns = [
        ("REVISION", Left),
        ("NAME", Left),
        ("EDITION", Left),
        ("BUILD", Left),
        ("FILES", Right),
        ("SIZE", Right),
    ];
    let rows = inspected.revisions.iter().map(|one| {
        vec![
            format!("{}@{}", one.package, one.number),
            one.name.clone(),
            one.editions.clone(),
            one.builds.clone(),
            one.files.to_string(),
            text::size(one.size),
        ]
    });
    text.push_str(&table(&columns, rows.collect()));
    text
}

fn imported_text(imported: &Imported) -> String {
    let mut text = String::new();
    for one in &imported.revisions {
        let (id, number, name) = (&one.package, one.number, text::clean(&one.name));
        text.push_str(&match one.new {
            true => format!("Took in {id} revision {number} \"{name}\"\n"),
            false => format!("{id} revision {number} \"{name}\" was there already\n"),
        });
    }
    text + &facts(&[
        ("signed by", imported.signer.clone()),
        (
            "stored",
            format!("{} in {}", text::size(imported.stored_size), count(imported.stored, "piece")),
        ),
        ("had", count(imported.present, "piece")),
    ])
}
