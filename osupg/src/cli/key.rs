//! `osupg key …`

use clap::Subcommand;

use super::Context;
use super::output::facts;
use crate::error::Result;
use crate::trust::manage::{OwnKey, RotateKey, ShowKey};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the public key that signs for this store; it is made when it is first needed
    #[command(after_help = "\
Examples:
  osupg key show                        the key as PEM: give it to those who are to trust it
  osupg key show --json | jq .statement the statement by which it took over from the key before")]
    Show,
    /// Make a new key that signs from now on; the old one stays trusted until it is revoked
    #[command(after_help = "\
Others take the new key over from the printed statement, which the old key has signed:
  osupg key rotate --json | jq .statement > rotation.json
  osupg trust add rotation.json         on each store that trusts the old key

Bundles that were encrypted to the old key can no longer be opened: import them first.")]
    Rotate,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    match command {
        Command::Show => {
            let key = context.call(&ShowKey {}).await?;
            context.output.show(&key, |key| key.key.pem())?;
        }
        Command::Rotate => {
            let key = context.call(&RotateKey {}).await?;
            context.output.show(&key, rotated_text)?;
        }
    }
    Ok(0)
}

fn rotated_text(key: &OwnKey) -> String {
    let statement = key.statement.as_ref().map(|one| one.to_json()).unwrap_or_default();
    let shown = facts(&[("key", key.id.to_string()), ("statement", statement)]);
    format!("A new key signs from now on:\n{shown}{}", key.key.pem())
}
