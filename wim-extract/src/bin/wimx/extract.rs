//! `wimx extract`: extracts files and directories of an image.

use std::path::{Path, PathBuf};

use wim_extract::Error;
use wim_extract::apply::{self, LinkTargets, Matching, Outcome, Selection, Structure, Unmatched};
use wim_extract::error::Action;
use wim_extract::text::{os_bytes, os_string};

use crate::args::{ExtractArgs, Global};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::{interrupt, open, pathlist, paths, restore, stdout};

/// Runs the command.
pub(crate) fn run(args: &ExtractArgs, global: &Global) -> Result<(), Failure> {
    if args.no_globs && args.nullglob {
        let message = "--no-globs and --nullglob exclude each other; leave one of them out";
        return Err(Failure::Usage(message.into()));
    }
    let options = restore::options(&args.restore, LinkTargets::Keep, global)?;
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    if args.restore.check {
        open::check(&args.wim, &args.references.globs, global, &bar, &cancel)?;
    }
    let wim = open::archive(&args.wim, &args.references.globs, global, &bar)?;
    let image = open::image(&wim, &args.image)?;
    let mut outcome = Outcome::default();
    for group in groups(args)? {
        let selection = group.selection(args);
        if args.to_stdout {
            let mut out = stdout::bytes()?;
            apply::to_writer(&wim, image, &selection, &mut out, &options, &bar, &cancel)
        } else {
            let target = args.dest_dir.as_deref().unwrap_or(Path::new("."));
            apply::extract(&wim, image, &selection, target, &options, &bar, &cancel)
                .map(|extracted| outcome += extracted)
        }
        .map_err(with_hint)?;
    }
    match args.to_stdout {
        true => Ok(()),
        false => restore::report(outcome, "Done extracting files.", global, &bar),
    }
}

/// Paths that go to the destination in the same way.
struct Group {
    /// WTF-8.
    paths: Vec<Vec<u8>>,
    structure: Structure,
}

/// The operands in their order: neighbouring paths together, each list by itself.
fn groups(args: &ExtractArgs) -> Result<Vec<Group>, Failure> {
    let structure = match args.preserve_dir_structure {
        true => Structure::Preserve,
        false => Structure::Flat,
    };
    let mut groups: Vec<Group> = Vec::new();
    let mut extends_last = false;
    for operand in &args.paths {
        let operand = os_bytes(operand);
        if let Some(list) = operand.strip_prefix(b"@") {
            let list = PathBuf::from(os_string(list.to_vec()));
            let paths = pathlist::read(&list).map_err(Error::io(Action::Open, list))?;
            let paths = paths.iter().map(|path| os_bytes(path).into_owned()).collect();
            groups.push(Group { paths, structure: Structure::Preserve });
            extends_last = false;
        } else if let Some(last) = groups.last_mut().filter(|_| extends_last) {
            last.paths.push(operand.into_owned());
        } else {
            groups.push(Group { paths: vec![operand.into_owned()], structure });
            extends_last = true;
        }
    }
    if groups.is_empty() {
        // The empty path is the root: everything.
        groups.push(Group { paths: vec![Default::default()], structure });
    }
    Ok(groups)
}

impl Group {
    fn selection(&self, args: &ExtractArgs) -> Selection<'_> {
        Selection {
            paths: self.paths.iter().map(Vec::as_slice).collect(),
            matching: if args.no_globs { Matching::Literal } else { Matching::Globs },
            case: paths::case_from_environment(),
            unmatched: if args.nullglob { Unmatched::Warn } else { Unmatched::Fail },
            structure: self.structure,
        }
    }
}

fn with_hint(error: Error) -> Failure {
    match error {
        Error::NoSuchPath { .. } => Failure::Hinted(
            Box::new(error),
            "`wimx dir` lists what there is; with --nullglob paths that match nothing are left out",
        ),
        error => error.into(),
    }
}
