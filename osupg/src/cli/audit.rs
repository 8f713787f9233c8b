//! `osupg audit …`

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, table};
use crate::audit::{Line, Query};
use crate::error::Result;
use crate::time::Moment;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List who changed what, and what was refused; the latest first
    #[command(visible_alias = "ls")]
    List(ListArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg audit list
  osupg audit list --package OSU00001 --since 2025-01-01T00:00:00Z
  osupg audit list --outcome refused --limit 1000 --json")]
pub(super) struct ListArgs {
    /// Only of this account, token or user, as the list names it
    #[arg(long)]
    who: Option<String>,
    /// Only about this package, as it was named in the request
    #[arg(long, value_name = "ID")]
    package: Option<String>,
    /// Only of this operation, such as package.add
    #[arg(long)]
    operation: Option<String>,
    /// Only with this outcome
    #[arg(long, value_parser = ["done", "accepted", "failed", "refused"])]
    outcome: Option<String>,
    /// Only from this moment on, such as 2025-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Only with a number less than this, to go on where a list ended
    #[arg(long, value_name = "N")]
    before: Option<i64>,
    /// At most so many lines, up to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

fn moment(text: &str) -> std::result::Result<Moment, String> {
    text.parse::<jiff::Timestamp>()
        .map(|time| Moment(time.as_microsecond()))
        .map_err(|_| "write it as in RFC 3339, such as 2025-01-31T08:00:00Z".to_string())
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    let Command::List(args) = command;
    let query = Query {
        who: args.who,
        subject: args.package,
        operation: args.operation,
        outcome: args.outcome,
        since: args.since,
        before: args.before,
        limit: args.limit,
    };
    let found = context.call(&query).await?;
    context.output.show(&found, |found| list_text(found))?;
    Ok(0)
}

fn list_text(found: &[Line]) -> String {
    use Align::{Left, Right};
    if found.is_empty() {
        return "Nothing has been written down that fits.\n".to_string();
    }
    let columns = [
        ("NUMBER", Right),
        ("TIME", Left),
        ("WHO", Left),
        ("FROM", Left),
        ("OPERATION", Left),
        ("PACKAGE", Left),
        ("OUTCOME", Left),
        ("DETAIL", Left),
    ];
    let row = |line: &Line| {
        vec![
            line.number.to_string(),
            line.at.local(),
            line.who.clone(),
            line.address.clone(),
            line.operation.clone(),
            line.subject.clone(),
            line.outcome.clone(),
            line.detail.clone(),
        ]
    };
    table(&columns, found.iter().map(row).collect())
}
