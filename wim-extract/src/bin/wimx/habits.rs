//! The habits of wimlib-imagex's users, rewritten into what clap reads.
//!
//! wimlib-imagex parses its command line with getopt_long_only. One pass over the arguments turns
//! that freedom into the canonical form:
//!
//! | typed                 | handed to clap     | rule                                            |
//! |-----------------------|--------------------|-------------------------------------------------|
//! | `wiminfo x.wim`       | `wimx info x.wim`  | called as `wimCOMMAND` through a link           |
//! | `-detailed`           | `--detailed`       | one dash is as good as two                      |
//! | `--det`               | `--detailed`       | an unambiguous prefix is enough                 |
//! | `--lookup-table`      | `--blobs`          | other names of an option                        |
//! | `--path P`            | `--path=P`         | a value may stand apart, whatever it looks like |
//! | `info --bogus --help` | `wimx info --help` | help and version win over everything else       |
//! | `-- …`                | `-- …`             | everything after it is an operand               |
//!
//! `-h` and `-V` keep their usual meaning. What is not recognised is passed on as it stands, so
//! that clap reports it and suggests what was meant.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};
use wim_extract::text::{os_bytes, os_string};

use crate::links::WIMLIB_IMAGEX;

/// An abbreviated option that could mean several.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous {
    /// The option as typed, without dashes.
    pub(crate) typed: String,
    /// The full names it could stand for.
    pub(crate) candidates: Vec<String>,
    /// The rest of the command line, as clap reads it.
    pub(crate) arguments: Vec<OsString>,
}

/// What the name of an option on the command line turned out to be.
enum Meaning<'a> {
    /// Help on the command, whatever else the command line says.
    Help,
    /// The version, whatever else the command line says.
    Version,
    /// An option of the command.
    Known(&'a Arg),
    /// One of several options.
    Ambiguous(Vec<String>),
    /// Neither an option nor the beginning of one.
    Unknown,
}

/// Rewrites `arguments` (the first is the program's own name) for the clap command `cli`.
pub(crate) fn normalise(
    cli: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Vec<OsString>, Ambiguous> {
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_else(|| "wimx".into());
    let mut chosen = command_in_name(cli, &program);
    let mut ambiguous = None;
    let mut output = vec![OsString::from("wimx")];
    output.extend(chosen.map(|command| OsString::from(command.get_name())));

    while let Some(argument) = arguments.next() {
        let Some((name, value)) = split_option(&argument) else {
            if argument == "--" {
                output.push(argument);
                output.extend(arguments);
                break;
            }
            if chosen.is_none() {
                chosen = argument.to_str().and_then(|name| cli.find_subcommand(name));
            }
            output.push(argument);
            continue;
        };
        match resolve(cli, chosen, &name) {
            Meaning::Version => return Ok(vec!["wimx".into(), "--version".into()]),
            Meaning::Help => {
                let command = chosen.map(|command| OsString::from(command.get_name()));
                let words = [Some("wimx".into()), command, Some("--help".into())];
                return Ok(words.into_iter().flatten().collect());
            }
            Meaning::Known(option) => {
                let wanted = value.is_none() && option.get_action().takes_values();
                let apart = if wanted { arguments.next() } else { None };
                output.push(canonical(option, value.or(apart)));
            }
            Meaning::Ambiguous(candidates) => {
                ambiguous.get_or_insert((name, candidates));
            }
            Meaning::Unknown if argument.len() == 2 => output.push(argument),
            Meaning::Unknown => output.push(with_two_dashes(&argument)),
        }
    }
    match ambiguous {
        None => Ok(output),
        Some((typed, candidates)) => Err(Ambiguous { typed, candidates, arguments: output }),
    }
}

/// Whether this is a name by which wimx stands in for wimlib-imagex.
pub(crate) fn is_wimlibs(cli: &Command, program: &OsStr) -> bool {
    file_name(program) == Some(WIMLIB_IMAGEX) || command_in_name(cli, program).is_some()
}

/// The command named by the program itself: `wiminfo`, `wimapply` and so on.
fn command_in_name<'a>(cli: &'a Command, program: &OsStr) -> Option<&'a Command> {
    cli.find_subcommand(file_name(program)?.strip_prefix("wim")?)
}

fn file_name(program: &OsStr) -> Option<&str> {
    let file_name = std::path::Path::new(program).file_name()?.to_str()?;
    file_name.strip_suffix(std::env::consts::EXE_SUFFIX)
}

/// Splits `-name`, `--name`, `-name=value` or `--name=value`; `None` for operands, `-` and `--`.
fn split_option(argument: &OsStr) -> Option<(String, Option<OsString>)> {
    let bytes = os_bytes(argument);
    let text = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    let mut halves = text.splitn(2, |&byte| byte == b'=');
    let name = std::str::from_utf8(halves.next()?).ok().filter(|name| !name.is_empty())?;
    Some((name.to_owned(), halves.next().map(|value| os_string(value.to_vec()))))
}

/// Finds the one option that `name` stands for in full, by another name or as a prefix.
fn resolve<'a>(cli: &'a Command, chosen: Option<&'a Command>, name: &str) -> Meaning<'a> {
    match name {
        "h" | "help" => return Meaning::Help,
        "V" | "version" => return Meaning::Version,
        _ => {}
    }
    let everywhere = cli.get_arguments().filter(|arg| arg.is_global_set());
    let options = chosen.into_iter().flat_map(Command::get_arguments).chain(everywhere);
    let mut matching: Vec<(String, &Arg)> = Vec::new();
    for option in options {
        for long in names(option) {
            if long == name {
                return Meaning::Known(option);
            }
            if long.starts_with(name) && !matching.iter().any(|(_, known)| known == &option) {
                matching.push((long, option));
            }
        }
    }
    match matching.as_slice() {
        [] => Meaning::Unknown,
        [(_, option)] => Meaning::Known(option),
        _ => Meaning::Ambiguous(matching.into_iter().map(|(long, _)| long).collect()),
    }
}

/// All long names of an option, its own first.
fn names(option: &Arg) -> impl Iterator<Item = String> {
    let own = option.get_long().map(str::to_owned);
    let others = option.get_all_aliases().unwrap_or_default().into_iter().map(str::to_owned);
    own.into_iter().chain(others)
}

/// `--name`, or `--name=value`.
fn canonical(option: &Arg, value: Option<OsString>) -> OsString {
    let mut text = OsString::from("--");
    text.push(option.get_long().unwrap_or_default());
    if let Some(value) = value {
        text.push("=");
        text.push(value);
    }
    text
}

fn with_two_dashes(argument: &OsStr) -> OsString {
    let name = &*os_bytes(argument);
    let name = name.strip_prefix(b"--").or_else(|| name.strip_prefix(b"-")).unwrap_or(name);
    os_string([b"--", name].concat())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    fn normalised(typed: &str) -> String {
        let words = typed.split(' ').map(OsString::from);
        let words = normalise(&Cli::command(), words).expect("not ambiguous");
        words.join(OsStr::new(" ")).into_string().expect("UTF-8")
    }

    #[test]
    fn one_dash_prefixes_and_values_become_canonical() {
        for (typed, expected) in [
            ("wimx dir x.wim -det", "wimx dir x.wim --detailed"),
            ("wimx dir --pa /a x.wim", "wimx dir --path=/a x.wim"),
            ("wimx dir -path --det x.wim", "wimx dir --path=--det x.wim"),
            ("wimx info --lookup x.wim", "wimx info --blobs x.wim"),
            ("wimx info x.wim --nocheck --no-ch", "wimx info x.wim --nocheck --nocheck"),
            ("wimx --quiet --threads 3 info x.wim", "wimx --quiet --threads=3 info x.wim"),
            ("wimx extract a 1 --no-wild /b", "wimx extract a 1 --no-globs /b"),
            ("wimx export a 1 b --solid", "wimx export a 1 b --solid"),
            ("wimx apply - 1 dir", "wimx apply - 1 dir"),
            ("wimx dir -- --detailed -x", "wimx dir -- --detailed -x"),
            ("/usr/bin/wiminfo x.wim -head", "wimx info x.wim --header"),
            ("wimbogus info", "wimx info"),
        ] {
            assert_eq!(normalised(typed), expected, "{typed}");
        }
    }

    #[test]
    fn help_and_version_win() {
        assert_eq!(normalised("wimx info --bogus -h"), "wimx info --help");
        assert_eq!(normalised("wimverify a b --version"), "wimx --version");
        assert_eq!(normalised("wimx --help"), "wimx --help");
        assert_eq!(normalised("wimx dir --path --help x"), "wimx dir --path=--help x");
    }

    #[test]
    fn unknown_options_reach_clap() {
        assert_eq!(normalised("wimx info -bogus=1 x"), "wimx info --bogus=1 x");
        assert_eq!(normalised("wimx info -1"), "wimx info -1");
        assert_eq!(normalised("wimx dir x --path"), "wimx dir x --path");
    }

    #[test]
    fn an_ambiguous_prefix_lists_its_candidates() {
        let words = ["wimx", "export", "--solid-c", "a", "--js"].map(OsString::from);
        let ambiguous = normalise(&Cli::command(), words).expect_err("two options");
        assert_eq!(ambiguous.typed, "solid-c");
        assert_eq!(ambiguous.candidates, ["solid-compress", "solid-chunk-size"]);
        assert_eq!(ambiguous.arguments, ["wimx", "export", "a", "--json"]);
        assert_eq!(normalised("wimx export --solid-c --help"), "wimx export --help");
    }
}
