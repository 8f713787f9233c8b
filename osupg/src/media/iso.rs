//! An ISO image as a source: the files of its UDF file system.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use wim_extract::source::udf::{self, EntryKind, Iso};

use super::folder::FileReader;
use super::path::MediaPath;
use super::{MAX_ENTRIES, MediaEntry, OpenFile, Reader, Refused, too_many};
use crate::db::sources::Identity;
use crate::error::{Error, Result};
use crate::text;
use crate::time::FileTime;

/// Reads the files of an ISO.
pub(super) struct IsoReader {
    iso: Iso,
    files: Vec<udf::Entry>,
    /// The ISO itself.
    file: Arc<File>,
    state: Identity,
}

/// Lists an ISO.
pub(super) fn open(path: &Path) -> Result<(Vec<MediaEntry>, IsoReader)> {
    let (source, state, file) = FileReader::open(path)?;
    let iso = Iso::from_source(Arc::new(source)).map_err(|error| {
        Error::usage(text::clean(&error.to_string()))
            .advise("a source is a folder with Windows Setup media, an ISO of it, a WIM or an ESD")
    })?;
    let mut entries = Vec::new();
    let mut files = Vec::new();
    let mut refused = Refused::default();
    for entry in iso.entries().map_err(damaged)? {
        if entries.len() >= MAX_ENTRIES {
            return Err(too_many());
        }
        let path = match MediaPath::new(&entry.path) {
            Ok(path) => path,
            Err(bad) => {
                refused.add(&text::clean(&entry.path), &bad.to_string());
                continue;
            }
        };
        let modified = entry.modified.map_or(FileTime::EPOCH, FileTime::from);
        let size = (entry.kind == EntryKind::File).then_some(entry.size);
        entries.push(MediaEntry { path, modified, size, place: files.len() });
        files.push(entry);
    }
    refused.check()?;
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((entries, IsoReader { iso, files, file, state }))
}

impl Reader for IsoReader {
    fn open(&self, place: usize) -> Result<OpenFile> {
        let Some(entry) = self.files.get(place) else {
            return Err(Error::io("internal: no such file in the listing"));
        };
        let source = self.iso.source(entry).map_err(damaged)?;
        Ok(OpenFile { source, identity: self.state, file: self.file.clone() })
    }

    fn identity(&self, _place: usize) -> Option<Identity> {
        Some(self.state)
    }
}

fn damaged(error: wim_extract::source::SourceError) -> Error {
    Error::damaged(text::clean(&error.to_string()).into_owned())
}
