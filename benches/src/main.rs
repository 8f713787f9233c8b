//! `osupg-benches`: builds the corpus and runs the comparison.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use osupg_benches::corpus::{self, Size};
use osupg_benches::{compare, import, scale};

#[derive(Debug, Parser)]
#[command(about = "The corpus of real files, and the comparison with other tools")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds the corpus in a folder, once; packages are fetched with pip.
    Corpus {
        /// How much to build.
        #[arg(long, value_enum, default_value_t = Size::Small)]
        size: Size,
        /// Read an existing corpus completely and compare its checksum.
        #[arg(long)]
        check: bool,
        /// Where to build it; downloads are kept in `wheels` beside it.
        folder: PathBuf,
    },
    /// Measures wimx against wimlib-imagex, 7-Zip, cp and dd.
    Compare(compare::Options),
    /// Measures how fast osupg takes in media, and what the next month's add.
    Import(import::Options),
    /// Measures lists, roll-ups and scheduling of osupg over the rows of a large site.
    Scale(scale::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Corpus { size, check, folder } => {
            let folder = std::path::absolute(folder)?;
            let checksum =
                if check { corpus::check(size, &folder)? } else { corpus::build(size, &folder)? };
            println!("corpus {}: {checksum}", folder.display());
            Ok(())
        }
        Command::Compare(options) => compare::run(&options),
        Command::Import(options) => import::run(&options),
        Command::Scale(options) => scale::run(&options),
    }
}
