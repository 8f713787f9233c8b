//! `wimx update`: adds, deletes and renames files in an image.
//!
//! A command is a line: its name, options, and paths, which may stand in quotes.

use std::io::{self, Read};
use std::path::PathBuf;

use wim_extract::Error;
use wim_extract::capture::{Exclusions, Links, Replace, UnixMetadata};
use wim_extract::error::Action;
use wim_extract::export::Existing;
use wim_extract::text::to_wtf8;
use wim_extract::update::{self, AddOptions, Command, Directories, Missing, Options};

use crate::args::{Global, UpdateArgs};
use crate::bar::Bar;
use crate::capture::read_exclusions;
use crate::failure::Failure;
use crate::words::words;
use crate::writing::{Lengths, checked_table, warn_of_pipable};
use crate::{interrupt, open, paths};

/// Where the configuration of WIMBoot is in an image.
pub(crate) const WIMBOOT_CONFIG: &str = "/Windows/System32/WimBootCompress.ini";

/// Runs the command.
pub(crate) fn run(args: &UpdateArgs, global: &Global) -> Result<(), Failure> {
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let integrity = checked_table(&args.table, &args.wim, global, &bar, &cancel)?;
    let image = {
        // The file must not stay mapped while it is written to.
        let wim = open::archive(&args.wim, &[], global, &bar)?;
        warn_of_pipable(wim.header().layout, &bar);
        match open::images(&wim, args.image.as_deref())?[..] {
            [image] => image,
            _ => return Err(Failure::Choice("all: this command changes one image".into())),
        }
    };
    let commands = commands(args, &bar)?;
    let rebuild = args.rebuild || args.table.unsafe_compact;
    let options = Options {
        threads: global.threads(),
        case: paths::case_from_environment(),
        integrity,
        existing: if rebuild { Existing::Rebuild } else { Existing::Append },
        references: open::bases(&args.wim, &args.references, global)?,
        ..Default::default()
    };
    let done = update::run(&args.wim, image, &commands, &options, &bar, &cancel)?;
    let (wim, warnings) = (args.wim.display().to_string(), bar.warnings());
    let (stored, excluded) = (Some(done.stored), bar.notes().excluded);
    Lengths { wim, before: done.before, after: done.after, stored, excluded, warnings }
        .report("Updated", global)
}

fn commands(args: &UpdateArgs, bar: &Bar) -> Result<Vec<Command>, Failure> {
    let defaults = defaults(args);
    let text = match &args.command[..] {
        [command] => command.clone().into_bytes(),
        [_, ..] => {
            let message = "--command: give one only, or all commands on standard input";
            return Err(Failure::Usage(message.into()));
        }
        [] => {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(Error::io(Action::Read, "standard input"))?;
            to_wtf8(&bytes)
        }
    };
    let mut commands = Vec::new();
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let command = parse(line, &defaults)
            .map_err(|problem| Failure::Usage(format!("command in line {number}: {problem}")))?;
        commands.extend(command);
    }
    exclude(&mut commands, args, bar)?;
    commands.extend(args.wimboot_config.as_ref().map(|config| Command::Add {
        source: config.clone(),
        destination: WIMBOOT_CONFIG.into(),
        // Where it goes, nobody looks for what a link leads to here.
        options: AddOptions { links: Links::Follow, ..AddOptions::default() },
    }));
    Ok(commands)
}

/// What a command does unless it says otherwise.
struct Defaults {
    add: AddOptions,
    missing: Missing,
    directories: Directories,
}

fn defaults(args: &UpdateArgs) -> Defaults {
    Defaults {
        add: AddOptions {
            links: if args.dereference { Links::Follow } else { Links::Keep },
            unix: if args.unix_data { UnixMetadata::Keep } else { UnixMetadata::Drop },
            exclusions: Exclusions::default(),
            replace: if args.no_replace { Replace::Nothing } else { Replace::Files },
        },
        missing: if args.force { Missing::Ignore } else { Missing::Refuse },
        directories: if args.recursive { Directories::Remove } else { Directories::Refuse },
    }
}

/// Leaves out of what is added what `--config` says, which is not read where nothing is added.
fn exclude(commands: &mut [Command], args: &UpdateArgs, bar: &Bar) -> Result<(), Failure> {
    let Some(config) = &args.config else { return Ok(()) };
    let mut added = commands.iter_mut().filter_map(|command| match command {
        Command::Add { options, .. } => Some(options),
        _ => None,
    });
    let Some(first) = added.next() else { return Ok(()) };
    first.exclusions = read_exclusions(config, bar)?;
    added.for_each(|options| options.exclusions.clone_from(&first.exclusions));
    Ok(())
}

/// Reads a line; `None` when it holds no command.
fn parse(line: &[u8], defaults: &Defaults) -> Result<Option<Command>, String> {
    let words = words(line).collect::<Result<Vec<_>, _>>()?;
    let Some((name, rest)) = words.split_first() else { return Ok(None) };
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let (mut add, mut missing, mut directories) =
        (defaults.add.clone(), defaults.missing, defaults.directories);
    let mut paths = Vec::new();
    for word in rest {
        match (name.as_str(), word.as_slice()) {
            ("add", b"--dereference") => add.links = Links::Follow,
            ("add", b"--unix-data") => add.unix = UnixMetadata::Keep,
            ("add", b"--no-replace") => add.replace = Replace::Nothing,
            ("add", b"--verbose" | b"--no-acls" | b"--noacls" | b"--strict-acls") => {}
            ("delete", b"--force") => missing = Missing::Ignore,
            ("delete", b"--recursive") => directories = Directories::Remove,
            (_, [b'-', b'-', ..]) => {
                let word = String::from_utf8_lossy(word);
                return Err(format!("{name} has no option {word}"));
            }
            _ => paths.push(word.clone()),
        }
    }
    let wanted = match name.as_str() {
        "add" | "rename" => 2,
        "delete" => 1,
        _ => return Err(format!("there is no command {name:?}; use add, delete or rename")),
    };
    if paths.len() != wanted {
        return Err(format!(
            "{name} takes {wanted} paths, not {}; quote those with spaces",
            paths.len()
        ));
    }
    let last = paths.pop().unwrap_or_default();
    Ok(Some(match (name.as_str(), paths.pop()) {
        ("delete", _) => Command::Delete { path: last, missing, directories },
        ("rename", Some(from)) => Command::Rename { from, to: last },
        (_, source) => Command::Add {
            source: path(source.unwrap_or_default()),
            destination: last,
            options: add,
        },
    }))
}

fn path(bytes: Vec<u8>) -> PathBuf {
    wim_extract::text::os_string(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        let defaults = Defaults {
            add: AddOptions::default(),
            missing: Missing::Refuse,
            directories: Directories::Refuse,
        };
        let parsed = |line: &str| parse(line.as_bytes(), &defaults);
        let path = b"/a".to_vec();
        let (missing, directories) = (Missing::Ignore, Directories::Remove);
        let delete = Command::Delete { path, missing, directories };
        assert_eq!(parsed("DELETE --force --recursive /a"), Ok(Some(delete)));
        let rename = Command::Rename { from: b"/a".to_vec(), to: b"b c".to_vec() };
        assert_eq!(parsed("rename /a 'b c'"), Ok(Some(rename)));
        for bad in ["foo", "add a", "add a b c", "delete", "add --force a b", "rename --x a b"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
