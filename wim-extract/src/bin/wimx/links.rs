//! `wimx links`: links by whose names wimx is wimlib-imagex, wimapply, wiminfo and so on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use serde::Serialize;
use wim_extract::Error;
use wim_extract::beneath::real_path;
use wim_extract::error::Action;
use wim_extract::status::Status;

use crate::args::{Cli, Global};
use crate::failure::Failure;
use crate::stdout;

/// The commands that wimlib installs links for.
const WIMLIB: [&str; 16] = [
    "append", "apply", "capture", "delete", "dir", "export", "extract", "info", "join", "mount",
    "mountrw", "optimize", "split", "unmount", "update", "verify",
];

/// Make links in DIR by whose names wimx acts as wimlib-imagex, wimapply, wiminfo and so on
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct LinksArgs {
    /// The directory for the links, such as ~/bin; it has to exist
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Make hard links instead of symbolic ones
    #[arg(long)]
    hard: bool,
}

const HELP: &str = "\
Scripts that call wimlib-imagex, wimapply or wiminfo then run wimx, if DIR comes first in PATH. Other
files are never replaced: when one has such a name, no link is made. Links that are there already
stay.

Examples:
  wimx links ~/bin
  wimx links /usr/local/bin --hard

JSON: {\"directory\", \"program\", \"made\": [name], \"kept\": [name]}.";

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    directory: String,
    /// What the links lead to.
    program: String,
    made: Vec<String>,
    /// Links that were there already.
    kept: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &LinksArgs, global: &Global) -> Result<(), Failure> {
    let directory = &args.directory;
    let program = std::env::current_exe().and_then(|path| real_path(&path));
    let program = program.map_err(Error::io(Action::Stat, "wimx"))?;
    if !fs::metadata(directory).map_err(Error::io(Action::Open, directory))?.is_dir() {
        let message = format!("{}: is no directory", directory.display());
        return Err(Failure::Usage(message));
    }
    let (mut made, mut kept) = (Vec::new(), Vec::new());
    for name in names().into_iter().map(|name| name + std::env::consts::EXE_SUFFIX) {
        match is_taken(&directory.join(&name), &program)? {
            true => kept.push(name),
            false => made.push(name),
        }
    }
    for name in &made {
        let link = directory.join(name);
        let result = match args.hard {
            true => fs::hard_link(&program, &link),
            false => symbolic_link(&program, &link),
        };
        result.map_err(Error::io(Action::Link, &link))?;
    }
    report(
        global,
        Document {
            directory: directory.display().to_string(),
            program: program.display().to_string(),
            made,
            kept,
        },
    )
}

/// The program that has all of wimlib's commands.
pub(crate) const WIMLIB_IMAGEX: &str = "wimlib-imagex";

/// The names of all links: those of wimlib's commands that wimx has.
pub(crate) fn names() -> Vec<String> {
    let command = Cli::command();
    let has = |name: &&str| command.find_subcommand(name).is_some_and(|it| !it.is_hide_set());
    let commands = WIMLIB.into_iter().filter(has).map(|name| format!("wim{name}"));
    commands.chain([WIMLIB_IMAGEX.to_owned()]).collect()
}

/// Windows lets only some accounts make symbolic links: its error says so, and `--hard` helps.
fn symbolic_link(program: &Path, link: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(program, link);
    #[cfg(windows)]
    return std::os::windows::fs::symlink_file(program, link);
}

/// Whether the link is there already.
fn is_taken(link: &Path, program: &Path) -> Result<bool, Failure> {
    if fs::symlink_metadata(link).is_err() {
        return Ok(false);
    }
    let file = |path| Status::at(path).map(|found| found.id()).ok();
    if file(link).is_some() && file(link) == file(program) {
        return Ok(true);
    }
    let exists = std::io::ErrorKind::AlreadyExists;
    let other = std::io::Error::new(exists, "another file has this name; no link was made");
    Err(Error::io(Action::Link, link)(other).into())
}

fn report(global: &Global, document: Document) -> Result<(), Failure> {
    if global.json {
        return stdout::json(&document);
    }
    if global.quiet {
        return Ok(());
    }
    let Document { directory, made, kept, .. } = document;
    stdout::line(&format!("{directory}: {} links made, {} there already.", made.len(), kept.len()))
}
