//! Opening archives and choosing images, as every command does it.

use std::path::Path;

use wim_extract::archive::{ImageIndex, Integrity, OpenOptions, Wim};
use wim_extract::source::Access;

use crate::args::Global;
use crate::failure::{self, Failure};

/// Opens the archive at `path` and prints what was odd about it.
pub(crate) fn archive(
    path: &Path,
    references: &[String],
    integrity: Integrity,
    global: &Global,
) -> Result<Wim, Failure> {
    let access = if global.no_mmap { Access::Read } else { Access::Map };
    let options = OpenOptions { access, references: references.to_vec(), integrity };
    let wim = Wim::open(path, &options)?;
    wim.warnings().iter().for_each(|warning| failure::warning(warning));
    Ok(wim)
}

/// The images that the operand means; without one, the only image there is.
pub(crate) fn images(wim: &Wim, operand: Option<&str>) -> Result<Vec<ImageIndex>, Failure> {
    match operand {
        Some(operand) => Ok(wim.resolve(operand)?),
        None if wim.image_count() == 1 => Ok(wim.images().collect()),
        None => Err(Failure::Usage(format!(
            "{}: has {} images; say which one, or all (`wimx info` lists them)",
            wim.name(),
            wim.image_count()
        ))),
    }
}

/// The one image that the operand means, for commands that cannot take all of them.
pub(crate) fn image(wim: &Wim, operand: &str) -> Result<ImageIndex, Failure> {
    if let [image] = wim.resolve(operand)?[..] {
        return Ok(image);
    }
    Err(Failure::Choice(format!("{operand:?} means all images; this command takes one")))
}
