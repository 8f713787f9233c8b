//! `wimx apply`: brings whole images to a directory.

use std::path::{Path, absolute};

use wim_extract::apply::{self, LinkTargets};
use wim_extract::archive::{ImageIndex, Wim};

use crate::args::{ApplyArgs, Global};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::{interrupt, open, restore, stdout};

/// Runs the command.
pub(crate) fn run(args: &ApplyArgs, global: &Global) -> Result<(), Failure> {
    let links = match (args.rpfix, args.norpfix) {
        (false, false) => LinkTargets::AsArchiveSays,
        (true, false) => LinkTargets::Fix,
        (false, true) => LinkTargets::Keep,
        (true, true) => return Err(restore::contradiction("--rpfix", "--norpfix")),
    };
    let options = restore::options(&args.restore, links, global)?;
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let wim = open::archive(&args.wim, &args.references.globs, global, &bar)?;
    let images = open::images(&wim, args.image.as_deref())?;
    if args.restore.check {
        open::check(&wim, global, &bar, &cancel)?;
    }
    let outcome = match images[..] {
        // `all` means a directory for each image, even where there is only one.
        [image] if !args.image.as_deref().is_some_and(open::means_all) => {
            announce(&wim, args, image, &args.target, global)?;
            apply::run(&wim, image, &args.target, &options, &bar, &cancel)?
        }
        _ => {
            for image in images {
                let name = wim.xml().image(image.get()).and_then(|image| image.name);
                let directory = apply::image_directory(image, name.as_deref());
                announce(&wim, args, image, &args.target.join(directory), global)?;
            }
            apply::run_all(&wim, &args.target, &options, &bar, &cancel)?
        }
    };
    restore::report(outcome, "Done applying WIM image.", global, &bar)
}

/// Says what goes where, in wimlib's words.
fn announce(
    wim: &Wim,
    args: &ApplyArgs,
    image: ImageIndex,
    directory: &Path,
    global: &Global,
) -> Result<(), Failure> {
    if global.quiet || global.json {
        return Ok(());
    }
    let name = wim.xml().image(image.get()).and_then(|image| image.name).unwrap_or_default();
    // Only a path that is empty has no absolute form, and that one was not opened.
    let source = absolute(&args.wim).unwrap_or_else(|_| args.wim.clone());
    stdout::line(&format!(
        "Applying image {image} (\"{name}\") from \"{}\" to directory \"{}\"",
        source.display(),
        directory.display()
    ))
}
