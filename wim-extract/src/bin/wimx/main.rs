//! The command `wimx`: the commands of wimlib-imagex over the engine of this crate.
//!
//! A front end holds no logic of its own: arguments are read ([`habits`], [`args`]), an engine
//! operation is called (one module per command), and its outcome or failure is shown ([`stdout`],
//! [`bar`], [`failure`]). Signals set the flag that the engine obeys ([`interrupt`]). Nothing that costs time is started before a command needs it: `info` and
//! `dir` run on the first thread alone.

mod apply;
mod args;
mod bar;
mod blobs;
mod calendar;
mod capture;
mod compression;
mod convert;
mod delete;
mod diff;
mod dir;
mod export;
mod extract;
mod failure;
mod habits;
mod info;
mod interrupt;
mod join;
mod links;
mod manual;
mod mount;
mod open;
mod optimize;
mod pathlist;
mod paths;
mod reorder;
mod restore;
mod split;
mod stdout;
mod target;
mod text;
mod update;
mod verify;
mod words;
mod writing;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let mut command = Cli::command();
    if std::env::args_os().next().is_some_and(|name| habits::is_wimlibs(&command, &name)) {
        command = as_wimlib(command);
    }
    let arguments = match habits::normalise(&command, std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(ambiguous) => return failure::report_ambiguous(&ambiguous),
    };
    let names_command =
        arguments.iter().any(|argument| command.find_subcommand(argument).is_some());
    let output = failure::Output::of(&arguments);
    let matches = command.try_get_matches_from(arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error, names_command, output),
    };
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&cli.global),
    }
}

/// What differs when wimx stands in for wimlib-imagex: the version, in which scripts look for wimlib's, and
/// that there is no command `help`.
fn as_wimlib(command: clap::Command) -> clap::Command {
    let version = concat!(
        "1.14.5 (compatible: wimx ",
        env!("CARGO_PKG_VERSION"),
        ")\nThis is wimx, with the commands, options and exit codes of wimlib-imagex 1.14.5."
    );
    command.display_name("wimlib-imagex").version(version).disable_help_subcommand(true)
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Info(args) => info::run(args, global),
        Command::Dir(args) => dir::run(args, global),
        Command::Verify(args) => verify::run(args, global),
        Command::Extract(args) => extract::run(args, global),
        Command::Apply(args) => apply::run(args, global),
        Command::Export(args) => export::run(args, global),
        Command::Capture(args) => capture::run(args, capture::Kind::New, global),
        Command::Append(args) => capture::run(&args.capture, capture::Kind::of(args), global),
        Command::Delete(args) => delete::run(args, global),
        Command::Reorder(args) => reorder::run(args, global),
        Command::Optimize(args) => optimize::run(args, global),
        Command::Update(args) => update::run(args, global),
        Command::Split(args) => split::run(args, global),
        Command::Join(args) => join::run(args, global),
        Command::Convert(args) => convert::run(args, global),
        Command::Diff(args) => diff::run(args, global),
        Command::Links(args) => links::run(args, global),
        Command::Man(args) => manual::man(args, global),
        Command::Completions(args) => manual::completions(args),
        Command::Mount(_) | Command::Mountrw(_) | Command::Unmount(_) => mount::run(),
    }
}
