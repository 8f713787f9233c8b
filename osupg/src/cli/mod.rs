//! The command line: arguments in, calls to the modules that do the work, results out.

mod bar;
mod image;
mod output;
mod package;
mod sample;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;
use wim_extract::Cancel;

use crate::config::{self, SiteCode};
use crate::error::{Error, Kind, Result};
use crate::home::Home;
use crate::progress::{Progress, Watch};
use output::Output;

/// Appended to the help of every command that has sub-commands.
const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    done, and something was found that needs attention
  2    the request cannot be met as it was made; nothing was changed
  3    damaged: the source, or what the store holds
  4    a file, disk or database could not be read or written
  130  stopped by a signal; nothing was changed";

/// Keeps operating-system upgrade packages: Windows Setup media, stored once, verified, and given
/// back bit for bit.
#[derive(Debug, Parser)]
#[command(name = "osupg", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Global {
    /// The folder of the store [default: $XDG_DATA_HOME/osupg or ~/.local/share/osupg]
    #[arg(long, value_name = "DIR", env = "OSUPG_HOME", global = true, hide_env_values = true)]
    home: Option<PathBuf>,
    /// Three letters or digits that start the ids of new packages
    #[arg(long, value_name = "ABC", env = "OSUPG_SITE_CODE", default_value_t = SiteCode::DEFAULT)]
    #[arg(global = true, hide_env_values = true)]
    site_code: SiteCode,
    /// Print results, and errors, as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Show no progress
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add, look at, check, rebuild and remove packages
    #[command(subcommand, after_help = EXIT_CODES)]
    Package(package::Command),
    /// Look at the images of a WIM or ISO
    #[command(subcommand)]
    Image(image::Command),
    /// Make a small but real media tree with three editions, to try things with
    SampleMedia(sample::MediaArgs),
    /// Show the whole way once: make sample media, keep one edition of them, verify the package
    Demo(sample::DemoArgs),
}

/// What every command needs.
struct Context {
    global: Global,
    output: Output,
    progress: Box<dyn Progress>,
    cancel: Cancel,
}

impl Context {
    fn watch(&self) -> Watch<'_> {
        Watch { progress: &*self.progress, cancel: &self.cancel }
    }

    /// The folder of the store that the options name.
    fn home_root(&self) -> Result<PathBuf> {
        self.global.home.clone().map_or_else(config::default_home, Ok)
    }

    /// The store that the options name.
    async fn home(&self) -> Result<Home> {
        Home::open(&self.home_root()?).await
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io(format!("cannot start: {error}")))
        .and_then(|runtime| runtime.block_on(run(cli)));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report(&error, json);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<u8> {
    let cancel = Cancel::new();
    tokio::spawn(obey_signals(cancel.clone()));
    let context = Context {
        output: Output { json: cli.global.json },
        progress: bar::Bar::or_silence(cli.global.quiet || cli.global.json),
        global: cli.global,
        cancel,
    };
    match cli.command {
        Command::Package(command) => package::run(command, &context).await,
        Command::Image(command) => image::run(command, &context).await,
        Command::SampleMedia(args) => sample::media(args, &context).await,
        Command::Demo(args) => sample::demo(args, &context).await,
    }
}

/// The first signal asks the command to stop and clean up; a second one ends it on the spot.
async fn obey_signals(cancel: Cancel) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for first in [true, false] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if first {
            cancel.cancel();
        }
    }
    std::process::exit(i32::from(Kind::Cancelled.exit_code()));
}

fn report(error: &Error, json: bool) {
    if json {
        let report = json!({
            "error": {
                "kind": error.kind().word(),
                "message": error.to_string(),
                "advice": error.advice(),
            }
        });
        eprintln!("{report:#}");
        return;
    }
    eprintln!("osupg: {error}");
    if let Some(advice) = error.advice() {
        eprintln!("       {advice}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
