//! `wimx verify`: checks everything, goes on after damage, names every damaged file.

use serde::Serialize;
use wim_extract::archive::Integrity;
use wim_extract::verify::{self, FileInImage, Options, Outcome, Problem};
use wim_extract::{Cancel, Progress};

use crate::args::{Global, VerifyArgs};
use crate::bar::Bar;
use crate::failure::{self, Failure};
use crate::text::{Hex, lossy, lost};
use crate::{interrupt, open, stdout};

/// The document of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    images: u32,
    blobs: u64,
    bytes: u64,
    integrity_tables: u32,
    damage: Vec<DamageView<'a>>,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
}

/// Something that is wrong.
#[derive(Serialize)]
struct DamageView<'a> {
    /// The exit code it would have alone.
    code: u8,
    message: String,
    files: Vec<FileView<'a>>,
}

/// A file that is concerned.
#[derive(Serialize)]
struct FileView<'a> {
    image: u32,
    path: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<Hex<'a>>,
}

/// The result as a whole, in the place where every failing command has it.
#[derive(Serialize)]
struct ErrorView {
    code: u8,
    message: String,
}

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs, global: &Global) -> Result<(), Failure> {
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let integrity = if args.nocheck { Integrity::Ignore } else { Integrity::Check };
    let wim = open::archive(&args.wim, &args.references.globs, global, &bar);
    let wim = match (wim, integrity) {
        (Err(failure), Integrity::Check) => {
            return Err(cause(failure, args, global, &bar, &cancel));
        }
        (wim, _) => wim?,
    };
    if integrity == Integrity::Check {
        let without = wim.parts().iter().filter(|part| part.header.integrity.size == 0);
        let without: Vec<String> = without.map(|part| part.source.name()).collect();
        open::warn_of_no_table(&without, &bar);
    }
    let options = Options { threads: global.threads(), integrity };
    let outcome = verify::run(&wim, &options, &bar, &cancel)?;
    outcome.warnings.iter().for_each(|warning| bar.warning(warning));
    let path = args.wim.display();
    let verdict = match outcome.problems.len() {
        0 => format!("\"{path}\" was successfully verified."),
        1 => format!("{path}: failed verification; the problem is above"),
        many => format!("{path}: failed verification; the {many} problems are above"),
    };
    if global.json {
        stdout::json(&report(&outcome, &verdict, bar.warnings()))?;
    }
    if outcome.is_sound() {
        if !global.json && !global.quiet {
            stdout::line(&verdict)?;
        }
        return Ok(());
    }
    outcome.problems.iter().for_each(complain);
    failure::error(&verdict);
    Err(Failure::Reported(outcome.code()))
}

/// Why the archive cannot be opened: what the integrity table says, where it says something, is told
/// last and counts.
fn cause(
    failure: Failure,
    args: &VerifyArgs,
    global: &Global,
    bar: &Bar,
    cancel: &Cancel,
) -> Failure {
    match open::check(&args.wim, &args.references.globs, global, bar, cancel) {
        Err(cause) if cause.message() != failure.message() => {
            failure.message().iter().for_each(|message| failure::error(message));
            cause
        }
        _ => failure,
    }
}

fn complain(problem: &Problem) {
    let mut message = problem.to_string();
    for file in files(problem) {
        message.push_str(&format!("\n{file}"));
    }
    failure::error(&message);
}

fn report<'a>(outcome: &'a Outcome, verdict: &str, warnings: Vec<String>) -> Report<'a> {
    let error = ErrorView { code: outcome.code(), message: verdict.to_owned() };
    Report {
        ok: outcome.is_sound(),
        images: outcome.images,
        blobs: outcome.blobs.items,
        bytes: outcome.blobs.bytes,
        integrity_tables: outcome.integrity_tables,
        damage: outcome.problems.iter().map(damage).collect(),
        warnings,
        error: (!outcome.is_sound()).then_some(error),
    }
}

fn damage(problem: &Problem) -> DamageView<'_> {
    DamageView {
        code: problem.code(),
        message: problem.to_string(),
        files: files(problem).iter().map(file).collect(),
    }
}

fn file(file: &FileInImage) -> FileView<'_> {
    FileView { image: file.image.get(), path: lossy(&file.path), path_hex: lost(&file.path) }
}

/// The files that a problem concerns.
fn files(problem: &Problem) -> &[FileInImage] {
    match problem {
        Problem::Missing { files, .. } | Problem::Damaged { files, .. } => files,
        _ => &[],
    }
}
