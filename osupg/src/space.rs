//! Whether something fits, asked before its first byte.

use std::path::Path;

use wim_extract::output::available_space;

use crate::error::{Error, Result};
use crate::text;

/// Checks that the file system of the existing folder `on` can take so many more bytes for what is
/// to be at `place`.
///
/// # Errors
/// When it cannot; the place and both numbers are named.
pub fn require(on: &Path, place: &Path, bytes: u64) -> Result<()> {
    let free =
        available_space(on).map_err(|error| Error::file("examine the disk of", on, &error))?;
    match free {
        Some(free) if free < bytes => Err(Error::io(format!(
            "{} needs {} ({bytes} bytes), and there is room for {} ({free} bytes)",
            text::path(place),
            text::size(bytes),
            text::size(free)
        ))
        .advise("free some space or choose a folder on another disk")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_space_is_said_beforehand() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        require(folder.path(), &place, 1).unwrap();
        let error = require(folder.path(), &place, u64::MAX).unwrap_err().to_string();
        assert!(error.contains("16.0 EiB") && error.contains(&text::path(&place)), "{error}");
    }
}
