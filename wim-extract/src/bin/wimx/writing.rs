//! What the commands that write archives have in common.

use std::path::Path;

use serde::Serialize;
use wim_extract::export::IntegrityTable;
use wim_extract::{Cancel, Error};

use crate::args::{Global, TableArgs};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::restore::contradiction;
use crate::{open, stdout};

/// What becomes of the integrity table.
pub(crate) fn integrity(omit: bool, write: bool) -> IntegrityTable {
    match (omit, write) {
        (true, _) => IntegrityTable::Omit,
        (false, true) => IntegrityTable::Write,
        (false, false) => IntegrityTable::Keep,
    }
}

/// Options about the integrity table that contradict each other.
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
        open::check(&open::archive(path, &[], global, bar)?, global, bar, cancel)?;
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
        let Self { wim, before, after, .. } = self;
        let change = match before.checked_sub(*after) {
            Some(saved) => format!("{saved} bytes saved"),
            None => format!("{} bytes more", after - before),
        };
        stdout::line(&format!("{done} \"{wim}\": {after} bytes, {change}."))
    }
}

/// Layouts that cannot be written.
pub(crate) fn refuse_layouts(pipable: bool, solid: bool) -> Result<(), Failure> {
    let unsupported = [(pipable, "--pipable"), (solid, "--solid")];
    match unsupported.into_iter().find(|(wanted, _)| *wanted) {
        None => Ok(()),
        Some((_, option)) => Err(cannot_yet(option)),
    }
}

/// The failure of what a later version may do.
pub(crate) fn cannot_yet(what: &str) -> Failure {
    Error::Unsupported(format!(
        "{what}: this version writes archives of the normal layout, not solid; leave it out"
    ))
    .into()
}
