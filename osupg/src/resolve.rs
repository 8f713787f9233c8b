//! Where a path leads of which the end may not be there yet.

use std::path::{Path, PathBuf};

use wim_extract::beneath::real_path;

/// The path with its links resolved as far as it exists. A link that leads nowhere could be made to
/// lead anywhere: what is below it is the empty path, which is below nothing.
pub(crate) fn resolve(place: &Path) -> PathBuf {
    for above in place.ancestors() {
        if let Ok(real) = real_path(above) {
            return match place.strip_prefix(above) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                _ => real,
            };
        }
        if above.is_symlink() {
            return PathBuf::new();
        }
    }
    PathBuf::new()
}
