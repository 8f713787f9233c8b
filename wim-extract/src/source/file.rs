//! A plain file, mapped or read, and bytes in memory.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};

use super::{Access, Expect, FileExtent, Source, SourceError, out_of_range, range_end};
use crate::map::Map;

/// A whole file as a source.
#[derive(Debug)]
pub struct FileSource {
    file: Arc<File>,
    /// `None` when the file is read and not mapped.
    map: Option<Map>,
    len: u64,
    name: String,
}

impl FileSource {
    /// Opens the file at `path` as it is, whatever it holds.
    ///
    /// # Errors
    /// [`SourceError`] where it cannot be opened or has no fixed length (a directory, a pipe).
    pub fn open(path: &Path, access: Access) -> Result<FileSource, SourceError> {
        let failed = |error| SourceError::Open { path: path.to_owned(), error };
        // A named pipe would block here for ever, waiting for a writer.
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        let refuse = |what| Err(SourceError::NotAFile { path: path.to_owned(), what });
        if kind.is_dir() {
            return refuse("this is a directory; give the path of a file");
        }
        if !kind.is_file() && !is_block_device(kind) {
            return refuse("this is neither a file nor a disk and cannot be read at any place");
        }
        let mut file = File::open(path).map_err(failed)?;
        let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
        // Devices may not be mapped everywhere, and their metadata gives no length.
        let map = match access {
            Access::Map if kind.is_file() => Some(Map::new(&file).map_err(failed)?),
            Access::Map | Access::Read => None,
        };
        let len = map.as_ref().map_or(len, |map| map.bytes().len() as u64);
        Ok(FileSource { file: Arc::new(file), map, len, name: path.display().to_string() })
    }
}

#[cfg(unix)]
fn is_block_device(kind: std::fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_block_device(&kind)
}

#[cfg(not(unix))]
fn is_block_device(_: std::fs::FileType) -> bool {
    false
}

/// Fills `buffer` from `offset` of `file`, without use of the file's own position.
///
/// # Errors
/// Those of reading; [`io::ErrorKind::UnexpectedEof`] where the file ends before.
#[cfg(unix)]
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Fills `buffer` from `offset` of `file`.
///
/// # Errors
/// Those of reading; [`io::ErrorKind::UnexpectedEof`] where the file ends before.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => (buffer, offset) = (&mut buffer[n..], offset + n as u64),
        }
    }
    Ok(())
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn bytes(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let Some(end) = range_end(self.len, offset, len as u64) else {
            return Err(out_of_range(self, offset, len as u64));
        };
        match &self.map {
            // Both fit: the map holds `len` bytes of address space.
            Some(map) => Ok(map.bytes().slice(offset as usize..end as usize)),
            None => {
                let mut buffer = BytesMut::zeroed(len);
                self.read_at(offset, &mut buffer)?;
                Ok(buffer.freeze())
            }
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let Some(end) = range_end(self.len, offset, buffer.len() as u64) else {
            return Err(out_of_range(self, offset, buffer.len() as u64));
        };
        match &self.map {
            Some(map) => {
                buffer.copy_from_slice(&map.bytes()[offset as usize..end as usize]);
                Ok(())
            }
            None => read_exact_at(&self.file, buffer, offset).map_err(|error| {
                let message = format!("{}: reading at offset {offset}: {error}", self.name);
                io::Error::new(error.kind(), message)
            }),
        }
    }

    fn file_extents(&self, offset: u64, len: u64) -> Option<Vec<FileExtent>> {
        range_end(self.len, offset, len)?;
        let extent = (len > 0).then(|| FileExtent { file: self.file.clone(), offset, len });
        Some(extent.into_iter().collect())
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn expect(&self, what: Expect, offset: u64, len: u64) {
        if let Some(map) = &self.map {
            map.expect(what, offset, len);
        }
    }
}

/// Bytes that are in memory already.
#[derive(Debug)]
pub struct MemorySource {
    bytes: Bytes,
    name: String,
}

impl MemorySource {
    /// The bytes as a source; `name` is used in messages.
    pub fn new(bytes: impl Into<Bytes>, name: impl Into<String>) -> MemorySource {
        MemorySource { bytes: bytes.into(), name: name.into() }
    }
}

impl Source for MemorySource {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn bytes(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        match range_end(self.len(), offset, len as u64) {
            Some(end) => Ok(self.bytes.slice(offset as usize..end as usize)),
            None => Err(out_of_range(self, offset, len as u64)),
        }
    }

    fn file_extents(&self, _offset: u64, _len: u64) -> Option<Vec<FileExtent>> {
        None
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn sample() -> (tempfile::NamedTempFile, Vec<u8>) {
        let content: Vec<u8> = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&content).unwrap();
        (file, content)
    }

    #[test]
    fn every_access_gives_the_same_bytes() {
        let (file, content) = sample();
        let sources: [Box<dyn Source>; 3] = [
            Box::new(FileSource::open(file.path(), Access::Map).unwrap()),
            Box::new(FileSource::open(file.path(), Access::Read).unwrap()),
            Box::new(MemorySource::new(content.clone(), "memory")),
        ];
        for source in sources {
            assert_eq!(source.len(), 40_000);
            assert_eq!(source.bytes(0, 40_000).unwrap(), content);
            assert_eq!(source.bytes(39_999, 1).unwrap(), content[39_999..]);
            assert_eq!(source.bytes(40_000, 0).unwrap(), b""[..]);
            let mut buffer = [0; 77];
            source.read_at(123, &mut buffer).unwrap();
            assert_eq!(buffer, content[123..200]);
            for (offset, len) in [(40_000, 1), (39_999, 2), (u64::MAX, 1), (0, usize::MAX)] {
                let error = source.bytes(offset, len).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                assert!(error.to_string().contains(&source.name()), "{error}");
            }
            assert!(source.read_at(39_990, &mut buffer).is_err());
        }
    }

    #[test]
    fn extents_name_the_file() {
        let (file, _) = sample();
        let source = FileSource::open(file.path(), Access::Map).unwrap();
        let extents = source.file_extents(5, 100).unwrap();
        assert_eq!((extents.len(), extents[0].offset, extents[0].len), (1, 5, 100));
        assert!(source.file_extents(0, 0).unwrap().is_empty());
        assert!(source.file_extents(1, 40_000).is_none());
        assert!(MemorySource::new(vec![1, 2], "m").file_extents(0, 1).is_none());
    }

    #[test]
    fn a_file_that_shrinks_is_an_error_when_read() {
        let (file, _) = sample();
        let source = FileSource::open(file.path(), Access::Read).unwrap();
        file.as_file().set_len(100).unwrap();
        let error = source.bytes(50, 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn directories_and_missing_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("none.wim")] {
            let error = FileSource::open(&path, Access::Map).unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }
}
