//! `wimx delete`: removes images.

use wim_extract::rebuild::{self, Pipable};
use wim_extract::update;

use crate::args::{DeleteArgs, Global};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::writing::{Lengths, checked_table, warn_of_pipable};
use crate::{interrupt, open};

/// Runs the command.
pub(crate) fn run(args: &DeleteArgs, global: &Global) -> Result<(), Failure> {
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let integrity = checked_table(&args.table, &args.wim, global, &bar, &cancel)?;
    // The file must not stay mapped while it is written to.
    let images = {
        let wim = open::archive(&args.wim, &[], global, &bar)?;
        let images = wim.resolve(&args.image)?;
        warn_of_pipable(wim.header().layout, &bar);
        images
    };
    let threads = global.threads();
    let (before, after) = if args.soft {
        let options = update::Options { threads, integrity, ..Default::default() };
        let done = update::remove_images(&args.wim, &images, &options, &bar, &cancel)?;
        (done.before, done.after)
    } else {
        let options = rebuild::Options {
            threads,
            without: images,
            integrity,
            pipable: Pipable::Keep,
            ..Default::default()
        };
        let done = rebuild::run(&args.wim, &options, &bar, &cancel)?;
        (done.before, done.after)
    };
    let (wim, warnings) = (args.wim.display().to_string(), bar.warnings());
    Lengths { wim, before, after, stored: None, excluded: Vec::new(), warnings }
        .report(&format!("Deleted image {} of", args.image.display()), global)
}
