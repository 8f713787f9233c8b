//! From what a user types to a source.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Access, FileSource, Source, SourceError,
    udf::{EntryKind, Iso},
};

/// Where an archive is on installation media, in order of preference.
pub const INSTALL_IMAGES: [&str; 3] =
    ["sources/install.wim", "sources/install.esd", "sources/install.swm"];

/// Opens `path`: a file; `image.iso:path/in/iso`; or an ISO image alone, for the archive in it (the
/// first of [`INSTALL_IMAGES`] that is there). Upper and lower case are alike inside an ISO image.
///
/// A file that is no ISO image is opened as it is; what it holds is for the reader to judge.
///
/// # Errors
/// [`SourceError`], which names the file and what can be done.
pub fn open(path: &Path, access: Access) -> Result<Arc<dyn Source>, SourceError> {
    if let Some((iso, inner)) = split(path) {
        let image = Iso::open(iso, access)?;
        return open_inside(&image, inner, iso);
    }
    let file: Arc<dyn Source> = Arc::new(FileSource::open(path, access)?);
    if !is_optical_image(&*file) {
        return Ok(file);
    }
    let image = Iso::from_source(file)?;
    for candidate in INSTALL_IMAGES {
        if let Some(entry) = image.find(candidate)? {
            return image.source(&entry);
        }
    }
    Err(SourceError::NotInIso {
        iso: path.to_owned(),
        wanted: "sources/install.wim, .esd or .swm".to_owned(),
        advice: format!("name the archive in it, as in {}:path/file.wim", path.display()),
    })
}

fn open_inside(image: &Iso, inner: &str, iso: &Path) -> Result<Arc<dyn Source>, SourceError> {
    let not_there = |advice: String| SourceError::NotInIso {
        iso: iso.to_owned(),
        wanted: inner.to_owned(),
        advice,
    };
    match image.find(inner)? {
        Some(entry) if entry.kind == EntryKind::File => image.source(&entry),
        Some(entry) => Err(not_there(format!("{} is a directory", entry.path))),
        None => {
            let entries = image.entries()?;
            let archives = entries.iter().map(|entry| entry.path.as_str()).filter(|path| {
                let extension = Path::new(path).extension().and_then(OsStr::to_str);
                extension.is_some_and(|e| ["wim", "esd", "swm"].contains(&&*e.to_lowercase()))
            });
            Err(not_there(match archives.take(20).collect::<Vec<_>>() {
                none if none.is_empty() => "it holds no .wim, .esd or .swm file".to_owned(),
                some => format!("it holds {}", some.join(", ")),
            }))
        }
    }
}

/// The files that `pattern` means, in order: a glob over the file system, or
/// `image.iso:pattern` over the files inside an ISO image. As `--ref` takes it.
///
/// # Errors
/// [`SourceError::Pattern`] for a pattern that is no glob, else those of [`open`]. A pattern that
/// matches nothing is no error and gives an empty list.
pub fn expand(pattern: &str, access: Access) -> Result<Vec<PathBuf>, SourceError> {
    let invalid = |error| SourceError::Pattern { pattern: pattern.to_owned(), error };
    if let Some((iso, inner)) = split(Path::new(pattern)) {
        // As on Windows: case does not matter, and `*` stays within a directory.
        let options = glob::MatchOptions {
            case_sensitive: false,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        let inner = glob::Pattern::new(&inner.replace('\\', "/")).map_err(invalid)?;
        let image = Iso::open(iso, access)?;
        let mut files = image.entries()?;
        files.retain(|e| e.kind == EntryKind::File && inner.matches_with(&e.path, options));
        let full = files.into_iter().map(|e| format!("{}:{}", iso.display(), e.path).into());
        let mut paths: Vec<PathBuf> = full.collect();
        paths.sort();
        return Ok(paths);
    }
    let mut paths = Vec::new();
    for found in glob::glob(pattern).map_err(invalid)? {
        paths.push(found.map_err(|error| SourceError::Open {
            path: error.path().to_owned(),
            error: error.into(),
        })?);
    }
    Ok(paths)
}

/// Splits `image.iso:path/in/iso` at the first colon behind the name of an existing file. A path
/// that exists as it stands is not split.
fn split(path: &Path) -> Option<(&Path, &str)> {
    if path.exists() {
        return None;
    }
    // Names that are not UTF-8 are opened as they stand.
    let text = path.to_str()?;
    text.match_indices(':')
        .map(|(at, _)| (Path::new(&text[..at]), text[at + 1..].trim_start_matches(['/', '\\'])))
        .find(|(iso, inner)| iso.is_file() && !inner.is_empty())
}

/// Whether sector 16 (of 2048 bytes) begins a volume recognition sequence: descriptors with an
/// identifier of five letters at byte 1 ([ECMA-167] 2/9, ISO 9660 §8.1). An archive may have any
/// bytes there, but begins with its own magic.
fn is_optical_image(source: &dyn Source) -> bool {
    const RECOGNISED: [&[u8; 5]; 4] = [b"CD001", b"BEA01", b"NSR02", b"NSR03"];
    const ARCHIVES: [&[u8; 8]; 2] = [b"MSWIM\0\0\0", b"WLPWM\0\0\0"];
    let (Ok(magic), Ok(identifier)) = (source.bytes(0, 8), source.bytes(16 * 2048 + 1, 5)) else {
        return false;
    };
    ARCHIVES.iter().all(|archive| magic != archive[..])
        && RECOGNISED.iter().any(|known| identifier == known[..])
}
