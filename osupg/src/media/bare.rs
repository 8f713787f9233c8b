//! A WIM or ESD by itself. In the package it is `sources/install.wim` or `.esd`, where Windows
//! Setup and every later step look for it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::FileReader;
use super::path::MediaPath;
use super::{MediaEntry, OpenFile, Reader, changed};
use crate::db::sources::Identity;
use crate::error::{Error, Result};
use crate::text;

/// The first bytes of a WIM, and of one that can be piped.
const MAGICS: [&[u8; 8]; 2] = [b"MSWIM\0\0\0", b"WLPWM\0\0\0"];
/// The version that WIMs with solid resources carry ([MS-WIM] has only the older 0x00010d00).
const VERSION_SOLID: [u8; 4] = [0, 0x0e, 0, 0];

/// Whether the file begins as a WIM does.
pub(super) fn is_wim(path: &Path) -> Result<bool> {
    Ok(head(path)?.is_some_and(|head| begins_as_wim(&head)))
}

/// Whether a file that begins with these bytes is a WIM.
pub(super) fn begins_as_wim(head: &[u8]) -> bool {
    MAGICS.iter().any(|magic| head.starts_with(*magic))
}

/// The first sixteen bytes, if there are so many.
fn head(path: &Path) -> Result<Option<[u8; 16]>> {
    let mut head = [0; 16];
    let mut file = File::open(path).map_err(|error| Error::file("open", path, &error))?;
    match file.read_exact(&mut head) {
        Ok(()) => Ok(Some(head)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(Error::file("read", path, &error)),
    }
}

/// Reads one file.
pub(super) struct Bare {
    path: PathBuf,
    listed: Identity,
}

/// Lists a bare image: a folder with one file.
pub(super) fn open(path: &Path) -> Result<(Vec<MediaEntry>, Bare)> {
    let (_, state, _) = FileReader::open(path)?;
    let solid = head(path)?.is_some_and(|head| head[12..] == VERSION_SOLID);
    let name = if solid { "sources/install.esd" } else { "sources/install.wim" };
    let folder = MediaPath::new("sources");
    let file = MediaPath::new(name);
    let (Ok(folder), Ok(file)) = (folder, file) else {
        return Err(Error::io("internal: a fixed name was refused"));
    };
    let entries = vec![
        MediaEntry { path: folder, modified: state.mtime, size: None, place: 0 },
        MediaEntry { path: file, modified: state.mtime, size: Some(state.size), place: 0 },
    ];
    Ok((entries, Bare { path: path.to_path_buf(), listed: state }))
}

impl Reader for Bare {
    fn open(&self, _place: usize) -> Result<OpenFile> {
        let (source, identity, file) = FileReader::open(&self.path)?;
        if identity != self.listed {
            return Err(changed(&text::path(&self.path)));
        }
        Ok(OpenFile { source: Arc::new(source), identity, file })
    }

    fn identity(&self, _place: usize) -> Option<Identity> {
        Some(self.listed)
    }
}
