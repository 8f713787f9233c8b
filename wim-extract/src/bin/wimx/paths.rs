//! Paths inside images, as users type them.

use std::ffi::OsStr;

use wim_extract::Error;
use wim_extract::archive::{ImageIndex, ImageTree, Wim};
use wim_extract::text::os_bytes;
use wim_format::metadata::DentryId;
use wim_format::name::CaseSensitivity;

use crate::failure;
use crate::text::lossy;

/// Whether case matters in paths: it does, unless `WIMLIB_IMAGEX_IGNORE_CASE` says 1 or yes.
pub(crate) fn case_from_environment() -> CaseSensitivity {
    const NAME: &str = "WIMLIB_IMAGEX_IGNORE_CASE";
    match std::env::var_os(NAME).as_deref().map(OsStr::as_encoded_bytes) {
        Some(b"1" | b"yes") => CaseSensitivity::Insensitive,
        None | Some(b"0" | b"no") => CaseSensitivity::Sensitive,
        Some(_) => {
            failure::warning(&format!("{NAME} is ignored: it is neither 1 nor 0"));
            CaseSensitivity::Sensitive
        }
    }
}

/// Finds the file at `path`. Slashes may lean either way and the first one is optional; a name with
/// a backslash in it, which Windows does not allow, is found all the same.
pub(crate) fn find(tree: &ImageTree, path: &OsStr, case: CaseSensitivity) -> Option<DentryId> {
    let typed = &*os_bytes(path);
    tree.lookup(with_slashes(typed), case).or_else(|| tree.lookup(typed, case))
}

/// The path with forward slashes.
pub(crate) fn with_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

/// The error of a path that the image does not have.
pub(crate) fn not_found(wim: &Wim, image: ImageIndex, path: &OsStr) -> Error {
    let path = lossy(&os_bytes(path)).into_owned();
    Error::NoSuchPath { file: wim.name(), image: image.get(), path }
}
