//! `osupg precache …`

use clap::{Args, Subcommand};

use super::Context;
use super::output::{Align, count, lines, table};
use crate::error::Result;
use crate::package::reference::Reference;
use crate::precache::{Answer, Choice, Request};
use crate::text;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show which packages a device would fetch before its upgrade, and why
    Simulate(SimulateArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Architecture and language are those that the package's images have; where its tags say something
else, that is told.

Examples:
  osupg precache simulate --arch x64 --os-language en-US
  osupg precache simulate --arch x64 --os-language 1031 --edition Professional OSU00001 OSU00002")]
pub(super) struct SimulateArgs {
    /// The packages that the task sequence refers to [default: all]
    #[arg(value_name = "ID[@N]")]
    packages: Vec<Reference>,
    /// The device's architecture
    #[arg(long, value_name = "ARCH")]
    arch: String,
    /// The language of its Windows: a tag such as en-US, or a number such as 1033
    #[arg(long, value_name = "LANGUAGE")]
    os_language: String,
    /// Its model; packages that are for other models are not fetched
    #[arg(long)]
    model: Option<String>,
    /// The edition of its Windows
    #[arg(long, value_name = "ID")]
    edition: Option<String>,
    /// The build of its Windows, such as 22631.3880
    #[arg(long, value_name = "BUILD")]
    os_build: Option<String>,
}

pub(super) async fn run(command: Command, context: &Context) -> Result<u8> {
    let Command::Simulate(args) = command;
    let request = Request {
        architecture: args.arch,
        os_language: args.os_language,
        model: args.model,
        edition: args.edition,
        os_build: args.os_build,
        packages: args.packages,
    };
    let answer = context.call(&request).await?;
    context.output.show(&answer, answer_text)?;
    Ok(0)
}

fn answer_text(answer: &Answer) -> String {
    use Align::{Left, Right};
    let fetched = answer.packages.iter().filter(|choice| choice.fetch).count() as u64;
    let mut text = format!(
        "A device with {} and {} would fetch {} of {}: {}\n",
        answer.architecture,
        answer.os_language,
        fetched,
        count(answer.packages.len() as u64, "package"),
        text::size(answer.size)
    );
    if !answer.packages.is_empty() {
        let columns =
            [("FETCH", Left), ("ID", Left), ("REV", Right), ("NAME", Left), ("WHY", Left)];
        let row = |choice: &Choice| {
            vec![
                if choice.fetch { "yes" } else { "no" }.to_string(),
                choice.package.clone(),
                choice.revision.to_string(),
                choice.name.clone(),
                choice.reasons.join("; "),
            ]
        };
        text.push_str(&table(&columns, answer.packages.iter().map(row).collect()));
    }
    let warnings = answer.packages.iter().flat_map(|choice| {
        choice.warnings.iter().map(|warning| format!("Note: {}: {warning}", choice.package))
    });
    text + &lines(warnings)
}
