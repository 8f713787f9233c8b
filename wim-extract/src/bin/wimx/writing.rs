//! What the commands that write archives have in common.

use wim_extract::Error;
use wim_extract::export::IntegrityTable;

use crate::failure::Failure;
use crate::restore::contradiction;

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
