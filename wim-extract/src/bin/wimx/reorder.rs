//! `wimx reorder`: puts images into another order.

use serde::Serialize;
use wim_extract::update;

use crate::args::{Global, ReorderArgs};
use crate::bar::Bar;
use crate::failure::Failure;
use crate::writing::{checked_table, warn_of_pipable};
use crate::{interrupt, open, stdout};

/// The document of `--json`.
#[derive(Serialize)]
struct Document {
    wim: String,
    /// The former index of each image, in the new order.
    order: Vec<u32>,
    warnings: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &ReorderArgs, global: &Global) -> Result<(), Failure> {
    let (bar, cancel) = (Bar::new(global), interrupt::obey());
    let integrity = checked_table(&args.table, &args.wim, global, &bar, &cancel)?;
    let mut order = Vec::new();
    // The file must not stay mapped while it is written to.
    let wim = open::archive(&args.wim, &[], global, &bar)?;
    for image in &args.images {
        order.extend(wim.resolve(image)?);
    }
    warn_of_pipable(wim.header().layout, &bar);
    drop(wim);
    let options = update::Options { threads: global.threads(), integrity, ..Default::default() };
    let order = update::reorder_images(&args.wim, &order, &options, &bar, &cancel)?;
    let order: Vec<u32> = order.into_iter().map(|image| image.get()).collect();
    let wim = args.wim.display().to_string();
    if global.json {
        return stdout::json(&Document { wim, order, warnings: bar.warnings() });
    }
    if !global.quiet {
        let words: Vec<String> = order.iter().map(u32::to_string).collect();
        stdout::line(&format!("The images of \"{wim}\" are now the former {}.", words.join(", ")))?;
    }
    Ok(())
}
