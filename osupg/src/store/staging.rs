//! What a killed process leaves in a folder that serves as an object store.
//!
//! `object_store` writes an object as `name#number` beside its place and then links it there; it
//! leaves such files out of its listings. Whoever removes them must know that nobody writes there.

use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::OBJECTS;
use crate::error::{Error, Result};

/// Removes half-written objects in this folder, of those whose names are `ours`.
///
/// # Errors
/// When the folder cannot be read, or a file cannot be removed. There need be no such folder.
pub(crate) fn remove(folder: &Path, ours: impl Fn(&str) -> bool) -> Result<()> {
    for file in list(folder)? {
        let name = file.file_name();
        let staging =
            name.to_str().and_then(|name| name.rsplit_once('#')).is_some_and(|(name, number)| {
                ours(name) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
            });
        if staging && file.file_type().is_ok_and(|kind| kind.is_file()) {
            std::fs::remove_file(file.path())
                .map_err(|error| Error::file("remove", &file.path(), &error))?;
        }
    }
    Ok(())
}

/// Removes half-written pieces below this root of a store.
///
/// # Errors
/// As [`remove`].
pub(crate) fn remove_pieces(root: &Path) -> Result<()> {
    let is_hash = |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let folders = list(&root.join(OBJECTS))?.into_iter();
    let folders = folders.filter(|folder| folder.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|folder| folder.path()).try_for_each(|folder: PathBuf| remove(&folder, is_hash))
}

fn list(folder: &Path) -> Result<Vec<DirEntry>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            entries.collect::<io::Result<_>>().map_err(|error| Error::file("list", folder, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file("list", folder, &error)),
    }
}
