//! What the commands that write archives have in common.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;

use serde::Serialize;
use wim_extract::export::{IntegrityTable, Pipable};
use wim_extract::{Cancel, Progress};
use wim_format::header::Layout;

use crate::args::{Global, TableArgs};
use crate::bar::{Bar, Notes};
use crate::failure::Failure;
use crate::restore::contradiction;
use crate::{open, stdout};

/// What becomes of the integrity table. Where both may be said, to write one counts.
pub(crate) fn integrity(omit: bool, write: bool) -> IntegrityTable {
    match (omit, write) {
        (_, true) => IntegrityTable::Write,
        (true, false) => IntegrityTable::Omit,
        (false, false) => IntegrityTable::Keep,
    }
}

/// Options about the integrity table that contradict each other. wimlib refuses them for a file that is
/// written as a whole; what is added to in place gets a table.
pub(crate) fn refuse_contradictions(
    nocheck: bool,
    check: bool,
    include_integrity: bool,
) -> Result<(), Failure> {
    match (nocheck, check, include_integrity) {
        (true, true, _) => Err(contradiction("--nocheck", "--check")),
        (true, _, true) => Err(contradiction("--nocheck", "--include-integrity")),
        _ => Ok(()),
    }
}

/// What becomes of the integrity table of a file that is changed, once the old one was checked as
/// far as that was asked for.
pub(crate) fn checked_table(
    args: &TableArgs,
    path: &Path,
    global: &Global,
    bar: &Bar,
    cancel: &Cancel,
) -> Result<IntegrityTable, Failure> {
    refuse_contradictions(args.nocheck, args.check, args.include_integrity)?;
    if args.check {
        open::check(path, &[], global, bar, cancel)?;
    }
    Ok(integrity(args.nocheck, args.check || args.include_integrity))
}

/// A document with the length of a file before and after.
#[derive(Serialize)]
pub(crate) struct Lengths {
    pub(crate) wim: String,
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// Bytes of new file data, as they are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stored: Option<u64>,
    /// Files and directories that were not added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) excluded: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

impl Lengths {
    /// Prints them: as a document, or as the sentence `done` and the lengths.
    pub(crate) fn report(&self, done: &str, global: &Global) -> Result<(), Failure> {
        if global.json {
            return stdout::json(self);
        }
        if global.quiet {
            return Ok(());
        }
        let Self { wim, before, after, excluded, .. } = self;
        let excluded = Notes { excluded: excluded.clone(), ..Notes::default() };
        excluded.counts().iter().try_for_each(|line| stdout::line(line))?;
        let change = match before.checked_sub(*after) {
            Some(saved) => format!("{saved} bytes saved"),
            None => format!("{} bytes more", after - before),
        };
        stdout::line(&format!("{done} \"{wim}\": {after} bytes, {change}."))
    }
}

/// What is said of the layout: whether the archive is pipable from now on.
pub(crate) fn pipable(pipable: bool, not_pipable: bool) -> Result<Pipable, Failure> {
    match (pipable, not_pipable) {
        (true, true) => Err(contradiction("--pipable", "--not-pipable")),
        (true, false) => Ok(Pipable::Yes),
        (false, true) => Ok(Pipable::No),
        (false, false) => Ok(Pipable::Keep),
    }
}

/// The layout of a new archive: to a pipe none but the pipable one can be written.
pub(crate) fn new_layout(pipable: Pipable, path: &Path) -> Layout {
    if is_stdout(path) { Layout::Pipable } else { pipable.layout(Layout::Normal) }
}

/// Says what a pipable file is not good for.
pub(crate) fn warn_of_pipable(layout: Layout, bar: &Bar) {
    if layout == Layout::Pipable {
        bar.warning("a pipable archive cannot be read by Windows and the tools of Microsoft");
    }
}

/// Whether an operand means standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Standard output, to write an archive to.
pub(crate) fn archive_to_stdout(global: &Global) -> Result<File, Failure> {
    if io::stdout().is_terminal() {
        let message = "an archive is not written to a terminal; give a file, or pipe it somewhere";
        return Err(Failure::Usage(message.into()));
    }
    if global.json {
        let message = "--json: standard output is taken by the archive; leave it out";
        return Err(Failure::Usage(message.into()));
    }
    stdout::bytes()
}
