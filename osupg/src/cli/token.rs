//! `osupg token …`

use clap::{Args, Subcommand};

use super::Context;
use super::account::{scopes_text, words};
use super::output::{Align, print, table};
use crate::accounts::Token;
use crate::accounts::operations::{CreateToken, ListTokens, RevokeToken};
use crate::error::Result;
use crate::operation::Right;
use crate::time::Moment;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token for a program; it is shown once
    Create(CreateArgs),
    /// List all tokens, without their secrets
    #[command(visible_alias = "ls")]
    List,
    /// End a token at once
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg token create nightly-build --right operate --scope Retail --expires 90d
  osupg token create grafana --right read --expires never
  osupg token create windows-worker --right work --expires 52w
  OSUPG_TOKEN=$(osupg token create ci --right operate --expires 1h --quiet) ./publish")]
pub(super) struct CreateArgs {
    /// What it is for: 1 to 64 characters
    name: String,
    /// What it may be used for. To operate includes to read and to work, which is what `osupg worker
    /// --dism` does and nothing else
    #[arg(long, value_parser = words(&Right::ALL))]
    right: Right,
    /// A security scope whose packages it may be used for; all when none is given
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The account it belongs to: it can do no more than that, and ends with it
    #[arg(long)]
    account: Option<String>,
    /// How long it lasts, such as 12h, 90d or 52w; or `never`
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = lifetime)]
    expires: Lifetime,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// Its id: the sixteen digits after `osupg_`
    id: String,
}

/// Seconds that a token lasts; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lifetime(Option<u64>);

fn lifetime(text: &str) -> std::result::Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime(None));
    }
    let wrong = || "write a number with s, m, h, d or w, such as 90d; or never".to_string();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    match number.checked_mul(seconds) {
        Some(0) | None => Err(wrong()),
        some => Ok(Lifetime(some)),
    }
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Create(args) => create(args, context).await?,
        Command::List => {
            let tokens = context.call(&ListTokens {}).await?;
            context.output.show(&tokens, |tokens| list_text(tokens))?;
        }
        Command::Revoke(args) => {
            let token = context.call(&RevokeToken { id: args.id }).await?;
            context.output.show(&token, |token| {
                format!("Revoked the token {} ({})\n", token.id, token.name)
            })?;
        }
    }
    Ok(0)
}

async fn create(args: CreateArgs, context: &Context) -> Result<()> {
    let CreateArgs { name, right, scopes, account, expires: Lifetime(lifetime) } = args;
    let created = context.call(&CreateToken { name, right, scopes, account, lifetime }).await?;
    if context.global.quiet && !context.output.json {
        return print(&format!("{}\n", created.secret.0));
    }
    context.output.show(&created, |created| {
        let end = match created.token.expires_at {
            Some(end) => format!("It ends at {}.", end.local()),
            None => "It does not end by itself.".to_string(),
        };
        format!(
            "{}\nThis is the token {:?}. It cannot be shown again. {end}\n",
            created.secret.0, created.token.name
        )
    })
}

fn list_text(tokens: &[Token]) -> String {
    use Align::Left;
    if tokens.is_empty() {
        return "There are no tokens yet. `osupg token create` makes one.\n".to_string();
    }
    let columns = [
        ("ID", Left),
        ("NAME", Left),
        ("ACCOUNT", Left),
        ("RIGHT", Left),
        ("SCOPES", Left),
        ("LAST USED", Left),
        ("ENDS", Left),
    ];
    let now = Moment::now();
    let row = |token: &Token| {
        let ends = match (token.revoked_at, token.expires_at) {
            (Some(_), _) => "revoked".to_string(),
            (None, Some(end)) if end <= now => "expired".to_string(),
            (None, Some(end)) => end.local(),
            (None, None) => "never".to_string(),
        };
        vec![
            token.id.clone(),
            token.name.clone(),
            token.account.clone().unwrap_or_default(),
            token.right.word().to_string(),
            scopes_text(&token.scopes),
            token.used_at.map(Moment::local).unwrap_or_default(),
            ends,
        ]
    };
    table(&columns, tokens.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_a_number_and_a_unit() {
        assert_eq!(lifetime("90d"), Ok(Lifetime(Some(7_776_000))));
        assert_eq!(lifetime("1s"), Ok(Lifetime(Some(1))));
        assert_eq!(lifetime("never"), Ok(Lifetime(None)));
        for bad in
            ["", "d", "90", "0d", "-1d", "1.5d", "9999999999999999999d", "99999999999999999w", "3é"]
        {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }
}
