//! What `apply` and `extract` have in common: what is brought back, and how the result is told.

use serde::Serialize;
use wim_extract::Error;
use wim_extract::apply::{InvalidNames, LinkTargets, Options, Outcome, UnixData, Unsupported};
use wim_extract::pipeline::DamagedData;

use crate::args::{Global, Restore};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::stdout;

/// The engine's options for those of the command line.
pub(crate) fn options(
    restore: &Restore,
    links: LinkTargets,
    global: &Global,
) -> Result<Options, Failure> {
    if let Some(format) = &restore.compact {
        let known = ["xpress4k", "xpress8k", "xpress16k", "lzx"];
        if !known.iter().any(|known| known.eq_ignore_ascii_case(format)) {
            let message = format!("--compact={format}: there are {}", known.join(", "));
            return Err(Failure::Usage(message));
        }
    }
    let windows_only = restore.compact.as_ref().map(|_| "--compact");
    if let Some(option) = windows_only.or(restore.wimboot.then_some("--wimboot")) {
        let message = format!("{option}: is not supported; leave it out");
        return Err(Error::Unsupported(message).into());
    }
    if restore.no_acls && restore.strict_acls {
        return Err(contradiction("--no-acls", "--strict-acls"));
    }
    let unix_data = match (restore.unix_data, restore.strict_acls) {
        (false, _) => UnixData::Ignore,
        (true, false) => UnixData::Restore,
        (true, true) => UnixData::RestoreStrictly,
    };
    let security = match (restore.no_acls, restore.strict_acls) {
        (true, _) => Unsupported::Ignore,
        (false, true) => Unsupported::Refuse,
        (false, false) => Unsupported::Warn,
    };
    Ok(Options {
        links,
        unix_data,
        invalid_names: match restore.include_invalid_names {
            true => InvalidNames::Escape,
            false => InvalidNames::Skip,
        },
        security,
        attributes: match restore.no_attributes {
            true => Unsupported::Ignore,
            false => Unsupported::Warn,
        },
        damaged: match restore.recover_data {
            true => DamagedData::Deliver,
            false => DamagedData::Withhold,
        },
        threads: global.threads(),
    })
}

/// The failure of two options that exclude each other, which has wimlib's code for it.
pub(crate) fn contradiction(one: &str, other: &str) -> Failure {
    Error::Parameter(format!("{one} and {other} exclude each other; leave one of them out")).into()
}

/// Tells the result: as `done` says, or as a document.
pub(crate) fn report(
    outcome: Outcome,
    done: &str,
    global: &Global,
    bar: &Bar,
) -> Result<(), Failure> {
    /// The document of `--json`.
    #[derive(Serialize)]
    struct Document {
        directories: u64,
        files: u64,
        hard_links: u64,
        bytes: u64,
        warnings: Vec<String>,
    }

    if global.json {
        let Outcome { directories, files, hard_links, bytes } = outcome;
        let warnings = bar.warnings();
        return stdout::json(&Document { directories, files, hard_links, bytes, warnings });
    }
    if global.quiet { Ok(()) } else { stdout::line(done) }
}
