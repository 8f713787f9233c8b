//! Unpacks one wheel into an image.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use zip::ZipArchive;

use super::packages::Package;

/// Unpacks the zip file `wheel` under `image`, in the package's folder.
pub(super) fn unpack(wheel: &Path, image: &Path, package: &Package) -> Result<()> {
    let mut archive = ZipArchive::new(io::BufReader::new(File::open(wheel)?))?;
    let folder = image.join(package.folder);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name =
            entry.enclosed_name().with_context(|| format!("entry {index} has a bad name"))?;
        let path = folder.join(name);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        fs::create_dir_all(path.parent().context("a file has a parent")?)?;
        io::copy(&mut entry, &mut File::create(&path)?)?;
    }
    Ok(())
}
