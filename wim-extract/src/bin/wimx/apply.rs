//! `wimx apply`: brings whole images to a directory.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, absolute};

use wim_extract::apply::{self, LinkTargets, Options, Outcome};
use wim_extract::archive::{ImageIndex, Wim};
use wim_extract::error::Action;
use wim_extract::piped::PipedWim;
use wim_extract::{Cancel, Error};

use crate::args::{ApplyArgs, Global};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::{interrupt, open, restore, stdout};

/// What standard input is called in messages.
const STDIN: &str = "standard input";

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
    if args.wim.as_os_str() == "-" {
        let outcome = run_piped(args, &options, global, &bar, &cancel)?;
        return restore::report(outcome, "Done applying WIM image.", global, &bar);
    }
    if args.restore.check {
        open::check(&args.wim, &args.references.globs, global, &bar, &cancel)?;
    }
    let wim = open::archive(&args.wim, &args.references.globs, global, &bar)?;
    let images = open::images(&wim, args.image.as_deref())?;
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

/// Applies an image of the archive on standard input.
fn run_piped(
    args: &ApplyArgs,
    options: &Options,
    global: &Global,
    bar: &Bar,
    cancel: &Cancel,
) -> Result<Outcome, Failure> {
    if !args.references.globs.is_empty() {
        let message = "--ref: an archive on standard input has to be whole; leave it out";
        return Err(Failure::Usage(message.into()));
    }
    let input = io::stdin();
    if input.is_terminal() {
        let message = "an archive is not read from a terminal; give a file, or pipe one in";
        return Err(Failure::Usage(message.into()));
    }
    #[cfg(unix)]
    let input = std::os::fd::AsFd::as_fd(&input).try_clone_to_owned();
    #[cfg(windows)]
    let input = std::os::windows::io::AsHandle::as_handle(&input).try_clone_to_owned();
    let input = input.map(File::from).map_err(Error::io(Action::Open, STDIN))?;
    let wim = PipedWim::open(input, STDIN, cancel)?;
    let image = wim.resolve(args.image.as_deref())?;
    if !global.quiet && !global.json {
        let name = wim.xml().image(image).and_then(|image| image.name).unwrap_or_default();
        stdout::line(&format!(
            "Applying image {image} (\"{name}\") from {STDIN} to directory \"{}\"",
            args.target.display()
        ))?;
    }
    Ok(apply::run_piped(wim, image, &args.target, options, bar, cancel)?)
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
