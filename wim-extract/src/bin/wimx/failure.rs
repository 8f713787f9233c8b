//! How a command fails: the message on standard error and the exit code.
//!
//! Codes are wimlib's: 0 is success, the engine's errors have their own numbers
//! ([`wim_extract::error::Error::code`]), 255 is a wrong command line and 2 a missing or unknown
//! command. When the reader of standard output goes away (`wimx dir x.wim | head`) there is nothing
//! to say: the code is 141, which shells show for a program ended by SIGPIPE. A command that a
//! signal has stopped ends with 130.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::error::ErrorKind;
use serde_json::json;
use wim_extract::Error;

use crate::args::Global;
use crate::habits::Ambiguous;
use crate::{interrupt, stdout};

const USAGE: u8 = 255;
const NO_SUCH_IMAGE: u8 = 18;
const BAD_CHUNK_SIZE: u8 = 15;
const BAD_COMPRESSION: u8 = 16;
const NO_COMMAND: u8 = 2;
const NOT_UNICODE: u8 = 31;
const NO_CONFIG: u8 = 83;
const NOT_COMPACTABLE: u8 = 85;
const READER_GONE: u8 = 141;
const CANNOT_WRITE: u8 = 72;

/// What is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Output {
    /// What a command line asks for, which may be wrong otherwise.
    pub(crate) fn of(arguments: &[OsString]) -> Self {
        let mut options = arguments.iter().take_while(|argument| *argument != "--");
        if options.any(|option| option == "--json") { Self::Json } else { Self::Text }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line contradicts itself or the file it names.
    Usage(String),
    /// An image was named where that kind of choice makes no sense.
    Choice(String),
    /// The chunk size is not one that the compression takes.
    ChunkSize(String),
    /// The compression is not one that is possible there.
    Compression(String),
    /// Compacting cannot be had together with something else.
    Compaction(String),
    /// A configuration file cannot be read.
    Config(Box<Error>),
    /// The engine could not do it.
    Engine(Box<Error>),
    /// The engine could not do it, and this command knows what can be done about it.
    Hinted(Box<Error>, &'static str),
    /// All has been said already; only the exit code is left.
    Reported(u8),
    /// Standard output cannot be written.
    Stdout(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<io::Error> for Failure {
    /// Errors of writing to standard output; all others reach us through the engine.
    fn from(error: io::Error) -> Self {
        Self::Stdout(error)
    }
}

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Choice(_) => NO_SUCH_IMAGE,
            Self::ChunkSize(_) => BAD_CHUNK_SIZE,
            Self::Compression(_) => BAD_COMPRESSION,
            Self::Compaction(_) => NOT_COMPACTABLE,
            Self::Config(_) => NO_CONFIG,
            Self::Engine(error) if is_reader_gone(error) => READER_GONE,
            Self::Engine(error) if matches!(**error, Error::Cancelled) => interrupt::STOPPED,
            Self::Engine(error) | Self::Hinted(error, _) => error.code(),
            Self::Reported(code) => *code,
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => READER_GONE,
            Self::Stdout(_) => CANNOT_WRITE,
        }
    }

    /// What is wrong, in plain words; `None` when there is nobody to tell.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Usage(message)
            | Self::Choice(message)
            | Self::ChunkSize(message)
            | Self::Compression(message)
            | Self::Compaction(message) => Some(message.clone()),
            Self::Engine(error) if is_reader_gone(error) => None,
            Self::Engine(error) if matches!(**error, Error::Cancelled) => Some(
                "stopped; what was not complete is gone, what was there before is untouched".into(),
            ),
            Self::Engine(error) | Self::Config(error) => Some(error.to_string()),
            Self::Hinted(error, hint) => Some(format!("{error}\n{hint}")),
            Self::Reported(_) => None,
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Stdout(error) => Some(format!("standard output cannot be written: {error}")),
        }
    }

    /// Prints the message to standard error, and with `--json` as the document that was not made.
    pub(crate) fn report(&self, global: &Global) -> ExitCode {
        if let Some(message) = self.message() {
            error(&message);
            if global.json {
                print_document(self.code(), &message);
            }
        }
        ExitCode::from(self.code())
    }
}

/// Prints the document that stands for one that was not made.
fn print_document(code: u8, message: &str) {
    let error = json!({ "code": code, "message": message });
    // The message is out already; there is no third place to say that this one is not.
    let _ = stdout::json(&json!({ "error": error }));
}

/// Whether the engine was writing to a pipe that nobody reads any more.
fn is_reader_gone(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints what clap found on the command line: help and version to standard output with code 0, all
/// mistakes to standard error. As with wimlib-imagex, the code tells a wrong command line from one
/// that does not name a command.
pub(crate) fn report_usage(error: &clap::Error, names_command: bool, output: Output) -> ExitCode {
    let printed = error.print();
    let code = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            printed.map_or_else(|error| Failure::Stdout(error).code(), |()| 0)
        }
        ErrorKind::InvalidUtf8 => NOT_UNICODE,
        _ if names_command => USAGE,
        _ => NO_COMMAND,
    };
    if output == Output::Json && error.use_stderr() {
        print_document(code, &what_is_wrong(error));
    }
    ExitCode::from(code)
}

/// What clap says of a mistake, without what it says of every one.
fn what_is_wrong(error: &clap::Error) -> String {
    let said = error.render().to_string();
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    let end =
        ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|rest| said.find(rest)).min();
    said[..end.unwrap_or(said.len())].trim_end().to_owned()
}

/// Prints that a shortened option could mean several.
pub(crate) fn report_ambiguous(ambiguous: &Ambiguous) -> ExitCode {
    let Ambiguous { typed, candidates, arguments } = ambiguous;
    let candidates: Vec<_> = candidates.iter().map(|name| format!("--{name}")).collect();
    let message = format!("--{typed} could mean {}; write more of it", candidates.join(" or "));
    error(&message);
    if Output::of(arguments) == Output::Json {
        print_document(USAGE, &message);
    }
    ExitCode::from(USAGE)
}

/// Prints an error; following lines of the message are indented under it.
pub(crate) fn error(message: &str) {
    complain(AnsiColor::Red.on_default().bold(), "error", message);
}

/// Prints a warning.
pub(crate) fn warning(message: &str) {
    complain(AnsiColor::Yellow.on_default().bold(), "warning", message);
}

fn complain(style: Style, kind: &str, message: &str) {
    let message = message.trim_end().replace('\n', "\n  ");
    // The terminal may be gone, which is no reason to stop before everything is put away.
    let _ = writeln!(anstream::stderr(), "{style}{kind}:{style:#} {message}");
}
