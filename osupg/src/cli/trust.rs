//! `osupg trust …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, table};
use crate::error::{Error, Result};
use crate::text;
use crate::trust::list::{Source, Trusted};
use crate::trust::manage;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the keys whose signatures count here, and those that are revoked
    #[command(visible_alias = "ls")]
    List,
    /// Trust a public key, or a new key by the statement of one that is trusted
    Add(AddArgs),
    /// Revoke a key: nothing counts any more that it has signed
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg trust add main-site.pem --name 'main site'
  osupg trust add rotation.json                     the successor of a key that is trusted")]
pub(super) struct AddArgs {
    /// What `osupg key show` or `osupg key rotate` printed; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to call the key: 1 to 64 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The key's name, its id, or eight or more of its first digits
    #[arg(value_name = "KEY")]
    key: String,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::List => {
            let keys = context.call(&manage::List {}).await?;
            context.output.show(&keys, |keys| list_text(keys))?;
        }
        Command::Add(args) => {
            let request = manage::Add { key: read(&args.file)?, name: args.name };
            let added = context.call(&request).await?;
            context.output.show(&added, |added| {
                format!("Trusted: {} \"{}\"\n", added.id, text::clean(&added.name))
            })?;
        }
        Command::Remove(args) => {
            let removed = context.call(&manage::Remove { key: args.key }).await?;
            context.output.show(&removed, |removed| {
                format!("Revoked: {} \"{}\"\n", removed.id, text::clean(&removed.name))
            })?;
        }
    }
    Ok(0)
}

/// A key or statement: a text of a few hundred bytes.
fn read(file: &std::path::Path) -> Result<String> {
    use std::io::Read;
    const LIMIT: u64 = 64 << 10;
    let mut text = String::new();
    let result = if file.as_os_str() == "-" {
        std::io::stdin().take(LIMIT).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(LIMIT).read_to_string(&mut text))
    };
    result.map_err(|error| Error::file("read the key", file, &error))?;
    Ok(text)
}

fn list_text(keys: &[Trusted]) -> String {
    let columns = [
        ("KEY", Align::Left),
        ("NAME", Align::Left),
        ("FROM", Align::Left),
        ("STATE", Align::Left),
    ];
    let row = |key: &Trusted| {
        let source = match key.source {
            Source::Own => "this store",
            Source::Hand => "given by hand",
            Source::Rotation => "a key before it",
        };
        let state = match key.revoked_at {
            None => format!("trusted since {}", key.added_at.local()),
            Some(at) => format!("revoked {}", at.local()),
        };
        vec![key.id.to_string(), key.name.clone(), source.to_string(), state]
    };
    table(&columns, keys.iter().map(row).collect())
}
