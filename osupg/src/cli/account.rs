//! `osupg account …`, `osupg login` and `osupg logout`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, print, table};
use super::secret;
use crate::accounts::Account;
use crate::accounts::operations::{Add, Edit, List, Remove};
use crate::error::{Error, Result};
use crate::operation::Right;
use crate::remote::{Client, tokens};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account; its password is asked for
    Add(AddArgs),
    /// List all accounts
    #[command(visible_alias = "ls")]
    List,
    /// Change what an account may do
    Edit(EditArgs),
    /// Give an account another password; its sessions end
    Password(PasswordArgs),
    /// Let an account do nothing any more; its sessions end
    Disable(Name),
    /// Let a disabled account do what it could before
    Enable(Name),
    /// Remove an account with its tokens
    #[command(visible_alias = "rm")]
    Remove(Name),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg account add anna --right administer
  osupg account add kiosk --right read --scope Retail --password-file /run/secrets/kiosk
  pass show osupg/bert | osupg account add bert --right operate")]
pub(super) struct AddArgs {
    /// The name: 1 to 64 characters, unique
    name: String,
    /// What it may do; each right includes those before it
    #[arg(long, value_parser = right())]
    right: Right,
    /// A security scope whose packages it may see; all when none is given
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    #[command(flatten)]
    password: PasswordSource,
}

#[derive(Debug, Args)]
struct PasswordSource {
    /// Read the password from the first line of this file; otherwise it is asked for on the
    /// terminal, or read from standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct EditArgs {
    /// The account
    name: String,
    /// What it may do from now on
    #[arg(long, value_parser = right())]
    right: Option<Right>,
    /// A security scope that it is limited to from now on
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "all_scopes")]
    scopes: Vec<String>,
    /// Let it see the packages of all scopes from now on
    #[arg(long)]
    all_scopes: bool,
}

#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// The account
    name: String,
    #[command(flatten)]
    password: PasswordSource,
}

/// Names an account.
#[derive(Debug, Args)]
pub(super) struct Name {
    /// The account
    name: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg --server https://osupg.example:8473 login anna
  osupg --server https://osupg.example:8473 package list")]
pub(super) struct LoginArgs {
    /// The account
    name: String,
    #[command(flatten)]
    password: PasswordSource,
}

/// The words for the rights of accounts.
pub(super) fn right() -> impl clap::builder::TypedValueParser<Value = Right> {
    words(&[Right::Read, Right::Operate, Right::Administer])
}

/// The words for rights.
pub(super) fn words(
    rights: &[Right],
) -> impl clap::builder::TypedValueParser<Value = Right> + use<> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(rights.iter().map(|right| right.word()))
        .try_map(|word| Right::from_word(&word).ok_or_else(|| format!("{word:?} is no right")))
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Add(args) => {
            let password = secret::read(args.password.password_file, "New password", 2)?;
            let AddArgs { name, right, scopes, .. } = args;
            let account = context.call(&Add { name, password, right, scopes }).await?;
            context.output.show(&account, |account| {
                format!(
                    "Added the account {} with the right to {}\n",
                    account.name,
                    account.right.word()
                )
            })?;
        }
        Command::List => {
            let accounts = context.call(&List {}).await?;
            context.output.show(&accounts, |accounts| list_text(accounts))?;
        }
        Command::Edit(args) => {
            let scopes = match (args.all_scopes, args.scopes.is_empty()) {
                (true, _) => Some(Vec::new()),
                (false, true) => None,
                (false, false) => Some(args.scopes),
            };
            if args.right.is_none() && scopes.is_none() {
                return Err(Error::usage("nothing is to be changed")
                    .advise("give --right, --scope or --all-scopes"));
            }
            change(Edit { right: args.right, scopes, ..of(args.name) }, context).await?;
        }
        Command::Password(args) => {
            let password = secret::read(args.password.password_file, "New password", 2)?;
            change(Edit { password: Some(password), ..of(args.name) }, context).await?;
        }
        Command::Disable(Name { name }) => {
            change(Edit { disabled: Some(true), ..of(name) }, context).await?;
        }
        Command::Enable(Name { name }) => {
            change(Edit { disabled: Some(false), ..of(name) }, context).await?;
        }
        Command::Remove(Name { name }) => {
            let account = context.call(&Remove { name }).await?;
            context.output.show(&account, |account| {
                format!("Removed the account {} and its tokens\n", account.name)
            })?;
        }
    }
    Ok(0)
}

fn of(name: String) -> Edit {
    Edit { name, ..Edit::default() }
}

async fn change(edit: Edit, context: &Context) -> Result<()> {
    let account = context.call(&edit).await?;
    context.output.show(&account, |account| format!("Changed the account {}\n", account.name))
}

fn list_text(accounts: &[Account]) -> String {
    use Align::Left;
    if accounts.is_empty() {
        return "There are no accounts yet. `osupg account add` makes one.\n".to_string();
    }
    let columns =
        [("NAME", Left), ("RIGHT", Left), ("SCOPES", Left), ("STATE", Left), ("ADDED", Left)];
    let row = |account: &Account| {
        vec![
            account.name.clone(),
            account.right.word().to_string(),
            scopes_text(&account.scopes),
            if account.disabled { "disabled" } else { "enabled" }.to_string(),
            account.created_at.local(),
        ]
    };
    table(&columns, accounts.iter().map(row).collect())
}

/// A list of scopes, for people.
pub(super) fn scopes_text(scopes: &[String]) -> String {
    if scopes.is_empty() { "all".to_string() } else { scopes.join(", ") }
}

fn client(context: &Context) -> Result<Client> {
    context.client()?.ok_or_else(|| {
        Error::usage("this needs a service").advise("name it with --server or OSUPG_SERVER")
    })
}

fn token_file() -> Result<PathBuf> {
    tokens::file().ok_or_else(|| {
        Error::usage("there is no folder to keep the token in: HOME is not set")
            .advise("give the token in OSUPG_TOKEN instead")
    })
}

pub(super) async fn login(args: LoginArgs, context: &Context) -> Result<u8> {
    let (client, file) = (client(context)?, token_file()?);
    let password = secret::read(args.password.password_file, "Password", 1)?;
    let begun = client.login(&args.name, password).await?;
    tokens::write(&file, client.url(), Some(&begun.token))?;
    if !context.output.json {
        print(&format!(
            "Logged in at {} until {}; the token is in {}\n",
            client.url(),
            begun.expires_at.local(),
            text::path(&file)
        ))?;
    }
    Ok(0)
}

pub(super) async fn logout(context: &Context) -> Result<u8> {
    let (client, file) = (client(context)?, token_file()?);
    let ended = client.logout().await;
    // Whatever the service says of it, it is not to be used any more.
    tokens::write(&file, client.url(), None)?;
    match ended {
        Err(error) if error.kind() != crate::error::Kind::Unauthorised => return Err(error),
        _ => {}
    }
    if !context.output.json {
        print(&format!("Logged out at {}\n", client.url()))?;
    }
    Ok(0)
}
