//! Opening archives and choosing images, as every command does it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wim_extract::archive::{ImageIndex, OpenOptions, Wim};
use wim_extract::error::Action;
use wim_extract::rebuild::Old;
use wim_extract::source::Access;
use wim_extract::{Cancel, Error, Progress, verify};

use crate::args::Global;
use crate::bar::Bar;
use crate::failure::Failure;

/// Opens the archive at `path` with what it refers to, and tells what was odd about it.
pub(crate) fn archive(
    path: &Path,
    references: &[String],
    global: &Global,
    bar: &Bar,
) -> Result<Wim, Failure> {
    refuse_stdin(path)?;
    let wim = Wim::open(path, &options(references, global))?;
    wim.warnings().iter().for_each(|warning| bar.warning(warning));
    Ok(wim)
}

/// Opens by themselves the archives that the one at `path` builds on.
pub(crate) fn bases(
    path: &Path,
    references: &[String],
    global: &Global,
) -> Result<Vec<Arc<Wim>>, Failure> {
    let bases = Wim::open_references(path, &options(references, global))?;
    Ok(bases.into_iter().map(Arc::new).collect())
}

/// Opens the archive at `path` that is to be written anew, and tells what was odd about it.
pub(crate) fn to_rebuild(path: &Path, bar: &Bar) -> Result<Old, Failure> {
    refuse_stdin(path)?;
    let old = Old::open(path)?;
    old.wim().warnings().iter().for_each(|warning| bar.warning(warning));
    Ok(old)
}

/// Like wimlib, which knows standard input in `apply` alone; a file of that name may be meant.
fn refuse_stdin(path: &Path) -> Result<(), Failure> {
    if path.as_os_str() != "-" || path.exists() {
        return Ok(());
    }
    let message =
        "this command cannot read an archive from a pipe; save it to a file and name that";
    let missing = io::Error::new(io::ErrorKind::NotFound, message);
    Err(Error::io(Action::Open, path)(missing).into())
}

/// How archives are to be opened.
fn options(references: &[String], global: &Global) -> OpenOptions {
    let (access, references) = (access(global), references.to_vec());
    OpenOptions { access, references, threads: global.threads(), ..OpenOptions::default() }
}

/// How files are to be read.
pub(crate) fn access(global: &Global) -> Access {
    if global.no_mmap { Access::Read } else { Access::Map }
}

/// Checks the integrity tables of the archive at `path` and of what it refers to, where there are any,
/// before anything else is read: what `--check` asks for.
pub(crate) fn check(
    path: &Path,
    references: &[String],
    global: &Global,
    bar: &Bar,
    cancel: &Cancel,
) -> Result<(), Failure> {
    refuse_stdin(path)?;
    let files = Wim::files(path, &options(references, global))?;
    let without = verify::check_integrity(&files, global.threads(), bar, cancel)?;
    warn_of_no_table(&without, bar);
    Ok(())
}

/// Says of files by their names that they have no integrity table to be checked by.
pub(crate) fn warn_of_no_table(files: &[String], bar: &Bar) {
    for file in files {
        bar.warning(&format!("{file}: has no integrity table; that check is left out"));
    }
}

/// The images that the operand means; without one, the only image there is.
pub(crate) fn images(wim: &Wim, operand: Option<&OsStr>) -> Result<Vec<ImageIndex>, Failure> {
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

/// Whether the operand means all images, however many there are.
pub(crate) fn means_all(operand: impl AsRef<OsStr>) -> bool {
    let operand = operand.as_ref();
    operand == "*" || operand.eq_ignore_ascii_case("all")
}

/// The one image that the operand means, for commands that cannot take all of them.
pub(crate) fn image(wim: &Wim, operand: &OsStr) -> Result<ImageIndex, Failure> {
    match wim.resolve(operand)?[..] {
        [image] if !means_all(operand) => Ok(image),
        _ => Err(Failure::Choice(format!("{operand:?} means all images; this command takes one"))),
    }
}
