//! `wimx delete`: removes images.

use wim_extract::rebuild::{self, Pipable};
use wim_extract::update;

use crate::args::{DeleteArgs, Global};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::writing::{Lengths, checked_table};
use crate::{interrupt, open};

/// Runs the command.
pub(crate) fn run(args: &DeleteArgs, global: &Global) -> Result<(), Failure> {
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let integrity = checked_table(&args.table, &args.wim, global, &bar, &cancel)?;
    // The file must not stay mapped while it is written to.
    let images = open::archive(&args.wim, &[], global, &bar)?.resolve(&args.image)?;
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
    Lengths { wim, before, after, stored: None, warnings }
        .report(&format!("Deleted image {} of", args.image.display()), global)
}
