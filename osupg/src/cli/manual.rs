//! `osupg man` and `osupg completions`: manual pages and completions for shells, from the same
//! description of the command line that the commands themselves are read with.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde::Serialize;

use super::Context;
use super::output::{count, print};
use crate::error::{Error, Result};
use crate::text;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg man ~/.local/share/man/man1
  osupg man . && man ./osupg-package-add.1")]
pub(super) struct ManArgs {
    /// The folder for osupg.1, osupg-package.1, osupg-package-add.1 and so on; made when it is
    /// missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  osupg completions bash > ~/.local/share/bash-completion/completions/osupg
  osupg completions zsh > ~/.zfunc/_osupg
  osupg completions fish > ~/.config/fish/completions/osupg.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    folder: PathBuf,
    pages: Vec<String>,
}

/// Runs `osupg man`.
pub(super) fn man(args: ManArgs, command: Command, context: &Context) -> Result<u8> {
    let folder = args.folder;
    fs::create_dir_all(&folder).map_err(|error| Error::file("make", &folder, &error))?;
    let mut pages = Vec::new();
    for command in all(command) {
        let page = format!("{}.1", command.get_name());
        let path = folder.join(&page);
        render(command)
            .and_then(|text| fs::write(&path, text))
            .map_err(|error| Error::file("write", &path, &error))?;
        pages.push(page);
    }
    let written = Written { folder, pages };
    context.output.show(&written, |written| {
        let pages = count(written.pages.len() as u64, "manual page");
        format!("Wrote {pages} to {}\n", text::path(&written.folder))
    })?;
    Ok(0)
}

/// Runs `osupg completions`.
pub(super) fn completions(args: CompletionsArgs, mut command: Command) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "osupg", &mut text);
    print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

/// osupg and every command below it, named as their pages are.
fn all(mut whole: Command) -> Vec<Command> {
    // Options that are good everywhere are known to every command only then.
    whole.build();
    let mut found = Vec::new();
    collect(&whole, "osupg", &mut found);
    found
}

/// Nobody nests commands deeper than the command line does.
fn collect(command: &Command, words: &str, found: &mut Vec<Command>) {
    // Clap names commands by text that lives as long as the program.
    let name: &'static str = String::leak(words.replace(' ', "-"));
    let named = command.clone().version(env!("CARGO_PKG_VERSION")).name(name);
    found.push(named.bin_name(words.to_string()));
    for inner in command.get_subcommands() {
        if !inner.is_hide_set() && inner.get_name() != "help" {
            collect(inner, &format!("{words} {}", inner.get_name()), found);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_says_how_to_call_it() {
        let pages = all(crate::cli::command());
        let names: Vec<_> = pages.iter().map(|page| page.get_name().to_string()).collect();
        for wanted in ["osupg", "osupg-package", "osupg-package-add", "osupg-schedule-preview"] {
            assert!(names.iter().any(|name| name == wanted), "{wanted}: {names:?}");
        }
        for page in pages {
            let name = page.get_name().to_string();
            let text = String::from_utf8(render(page).unwrap()).unwrap();
            assert!(text.contains(&format!(".TH {name} 1")), "{name}: {text}");
            assert!(text.contains("Exit codes"), "{name}");
        }
    }

    #[test]
    fn completions_know_commands_and_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut crate::cli::command(), "osupg", &mut text);
            let text = String::from_utf8(text).unwrap();
            for wanted in ["schedule", "os-language", "bundle"] {
                assert!(text.contains(wanted), "{shell}: {wanted}");
            }
        }
    }
}
