//! `wimx man` and `wimx completions`: manual pages and completions for shells, from the same
//! description of the command line that the commands themselves are read with.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde::Serialize;
use wim_extract::Error;
use wim_extract::error::Action;

use crate::args::{Cli, Global};
use crate::failure::Failure;
use crate::{links, stdout};

/// Write manual pages for wimx, its commands and its links to DIR
#[derive(Debug, Args)]
#[command(after_help = MAN_HELP)]
pub(crate) struct ManArgs {
    /// The directory for wimx.1, wimx-info.1, wiminfo.1 and so on; made when it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

const MAN_HELP: &str = "\
Examples:
  wimx man ~/.local/share/man/man1
  wimx man . && man ./wimx-split.1

JSON: {\"directory\", \"pages\": [name]}.";

/// Print completions of commands and options for a shell
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  wimx completions bash > ~/.local/share/bash-completion/completions/wimx
  wimx completions zsh > ~/.zfunc/_wimx
  wimx completions fish > ~/.config/fish/completions/wimx.fish";

/// The document of `man --json`.
#[derive(Serialize)]
struct Document {
    directory: String,
    pages: Vec<String>,
}

/// Runs `wimx man`.
pub(crate) fn man(args: &ManArgs, global: &Global) -> Result<(), Failure> {
    let directory = &args.directory;
    fs::create_dir_all(directory).map_err(Error::io(Action::MakeDirectory, directory))?;
    let mut pages = Vec::new();
    for (name, command) in commands() {
        let page = format!("{name}.1");
        let path = directory.join(&page);
        let text = render(command).map_err(Error::io(Action::Write, &path))?;
        fs::write(&path, text).map_err(Error::io(Action::Write, &path))?;
        pages.push(page);
    }
    let directory = directory.display().to_string();
    if global.json {
        return stdout::json(&Document { directory, pages });
    }
    if global.quiet {
        return Ok(());
    }
    stdout::line(&format!("{directory}: {} manual pages written.", pages.len()))
}

/// wimx, each of its commands, and what links to it are called; with the names of their pages.
fn commands() -> Vec<(String, Command)> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    // Options that are good everywhere are known to every command only then.
    whole.build();
    let subcommands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    let page = |name: String, words: String, command: &Command| {
        // Clap names commands by text that lives as long as the program.
        let command = command.clone().version(env!("CARGO_PKG_VERSION"));
        let command = command.name(String::leak(name.clone()) as &'static str).bin_name(words);
        let command = command.display_name(name.clone());
        (name, command)
    };
    let links = links::names();
    let mut pages = Vec::new();
    for command in subcommands {
        let name = command.get_name();
        pages.push(page(format!("wimx-{name}"), format!("wimx {name}"), command));
        let link = format!("wim{name}");
        if links.contains(&link) {
            pages.push(page(link.clone(), link, command));
        }
    }
    // It refers to the pages of wimx, being the same program.
    pages.push((links::WIMLIB_IMAGEX.to_owned(), whole.clone()));
    pages.push(("wimx".to_owned(), whole));
    pages
}

/// A manual page. What follows the options in the help has its lines already and keeps them.
fn render(mut command: Command) -> io::Result<Vec<u8>> {
    let notes = command.get_after_help().map(|text| text.to_string());
    command = command.after_help("");
    let has_commands = command.has_subcommands();
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = notes {
        let mut roff = Roff::new();
        roff.control("SH", ["NOTES"]).control("nf", []);
        for line in notes.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []).to_writer(&mut page)?;
    }
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// Runs `wimx completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wimx", &mut text);
    stdout::with(|out| Ok(io::Write::write_all(out, &text)?))
}
