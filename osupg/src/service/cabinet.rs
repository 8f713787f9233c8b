//! Reads cabinets: what updates come in.
//!
//! ```text
//! CFHEADER   "MSCF", sizes, counts        CFFOLDER  where data begins, number of blocks, codec
//! CFFILE     size, place in its folder    CFDATA    checksum, sizes, at most 32 KiB of data
//! ```
//!
//! ([MS-CAB].) The `cab` crate decodes the data. Its own way from file to file begins each time at the
//! start of the folder, and trusts the directory; so the directory is read and checked here, and the
//! crate is shown one folder at a time as a cabinet with a single file, which is read once, from its
//! first byte to its last.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use wim_extract::source::Source;

use crate::error::{Error, Result};
use crate::progress::Watch;
use crate::text;
use crate::time::FileTime;

/// Bytes of a block at most, decoded.
const MAX_BLOCK: u16 = 32_768;
/// Bytes that all files of a cabinet may have. The largest updates have some 4 GiB.
const MAX_TOTAL: u64 = 32 << 30;
/// Characters of a name at most ([MS-CAB] §2.4).
const MAX_NAME: usize = 256;
const RESERVE: u16 = 4;
const NAME_IS_UTF8: u16 = 0x80;

/// An open cabinet.
#[derive(Debug)]
pub(super) struct Cabinet {
    source: Arc<dyn Source>,
    folders: Vec<Folder>,
    files: Vec<File>,
    /// Spare bytes in front of the data of a block.
    spare: u8,
}

/// Files that are compressed as one.
#[derive(Debug)]
struct Folder {
    first: u32,
    blocks: u16,
    codec: u16,
    /// Decoded bytes.
    size: u64,
}

/// A file of a cabinet.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// Its path, parts separated by `/`. Not checked: it can be anything.
    pub(super) path: String,
    /// Bytes.
    pub(super) size: u32,
    /// When it was last written; in local time, which is taken for UTC.
    pub(super) modified: FileTime,
    folder: u16,
    offset: u32,
}

/// Where a file goes while its folder is read.
pub(super) trait Sink {
    /// Takes the next bytes of the file.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// The file is whole.
    fn end(&mut self) -> Result<()>;
}

/// Whether bytes begin as a cabinet does.
pub(super) fn begins_as_cabinet(head: &[u8]) -> bool {
    head.starts_with(b"MSCF")
}

impl Cabinet {
    /// Reads and checks the directory.
    ///
    /// # Errors
    /// It is no cabinet, one of several that belong together, or damaged.
    pub(super) fn open(source: Arc<dyn Source>) -> Result<Self> {
        let mut at = Reader { source: &*source, at: 0 };
        let head: [u8; 36] = at.take()?;
        let word = |from: usize| u16::from_le_bytes([head[from], head[from + 1]]);
        let long = |from: usize| u32::from(word(from)) | u32::from(word(from + 2)) << 16;
        if !begins_as_cabinet(&head) {
            return Err(at.damaged("does not begin as a cabinet"));
        }
        let (first_file, major, flags) = (long(16), head[25], word(30));
        let (folder_count, file_count) = (word(26), word(28));
        if major != 1 {
            return Err(at.damaged(&format!("is a cabinet of version {major}, not 1")));
        }
        if flags & 3 != 0 {
            let name = text::clean(&at.source.name()).into_owned();
            return Err(Error::usage(format!("{name} is one of several cabinets of a set"))
                .advise("join them first; updates of Windows come in one cabinet"));
        }
        let (mut folder_spare, mut spare) = (0, 0);
        if flags & RESERVE != 0 {
            let [low, high, folder, data] = at.take()?;
            (folder_spare, spare) = (folder, data);
            at.skip(u64::from(u16::from_le_bytes([low, high])));
        }
        let mut folders = Vec::new();
        for _ in 0..folder_count {
            let [a, b, c, d, e, f, g, h]: [u8; 8] = at.take()?;
            at.skip(folder_spare.into());
            folders.push(Folder {
                first: u32::from_le_bytes([a, b, c, d]),
                blocks: u16::from_le_bytes([e, f]),
                codec: u16::from_le_bytes([g, h]),
                size: 0,
            });
        }
        let mut cabinet = Self { folders, files: Vec::new(), spare, source: Arc::clone(&source) };
        cabinet.measure()?;
        cabinet.list(u64::from(first_file), file_count)?;
        Ok(cabinet)
    }

    /// Its files, in the order of its directory.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// Adds up the blocks of each folder.
    fn measure(&mut self) -> Result<()> {
        let mut total = 0_u64;
        for folder in &mut self.folders {
            let mut at = Reader { source: &*self.source, at: folder.first.into() };
            for _ in 0..folder.blocks {
                let [_, _, _, _, a, b, c, d]: [u8; 8] = at.take()?;
                let (packed, size) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
                if size > MAX_BLOCK || size == 0 {
                    return Err(at.damaged(&format!("has a block of {size} bytes")));
                }
                at.skip(u64::from(self.spare) + u64::from(packed));
                folder.size += u64::from(size);
            }
            if at.at > at.source.len() {
                return Err(at.damaged("ends within a block"));
            }
            total += folder.size;
        }
        if total > MAX_TOTAL {
            let name = text::clean(&self.source.name()).into_owned();
            return Err(Error::usage(format!(
                "{name} would give {} of files; at most {} are taken",
                text::size(total),
                text::size(MAX_TOTAL)
            )));
        }
        Ok(())
    }

    /// Reads the list of files.
    fn list(&mut self, at: u64, count: u16) -> Result<()> {
        let mut at = Reader { source: &*self.source, at };
        for _ in 0..count {
            let record: [u8; 16] = at.take()?;
            let word = |from: usize| u16::from_le_bytes([record[from], record[from + 1]]);
            let long = |from: usize| u32::from(word(from)) | u32::from(word(from + 2)) << 16;
            let (size, offset, folder) = (long(0), long(4), word(8));
            let path = at.name(word(14) & NAME_IS_UTF8 != 0)?;
            let Some(holder) = self.folders.get(usize::from(folder)) else {
                return Err(at.damaged(&format!("has {path:?} in folder {folder}, not there")));
            };
            if u64::from(offset) + u64::from(size) > holder.size {
                return Err(at.damaged(&format!("has {path:?} end behind the data of its folder")));
            }
            let modified = dos_time(word(10), word(12));
            self.files.push(File { path, size, modified, folder, offset });
        }
        Ok(())
    }

    /// Reads every file for which `sink` gives a place, folder after folder.
    ///
    /// # Errors
    /// Damaged data, files that overlap, or those of the sinks.
    pub(super) fn extract<'s>(
        &self,
        mut sink: impl FnMut(&File) -> Result<Option<Box<dyn Sink + 's>>>,
        watch: Watch<'_>,
    ) -> Result<()> {
        for (number, folder) in self.folders.iter().enumerate() {
            let mut wanted = Vec::new();
            for file in self.files.iter().filter(|file| usize::from(file.folder) == number) {
                if let Some(sink) = sink(file)? {
                    wanted.push((file, sink));
                }
            }
            if wanted.is_empty() {
                continue;
            }
            wanted.sort_by_key(|(file, _)| file.offset);
            // The decoder of LZX asserts where it should report; what it decodes is hostile.
            let done = catch_unwind(AssertUnwindSafe(|| self.read(folder, wanted, watch)));
            done.unwrap_or_else(|_| Err(self.damaged("holds data that cannot be decoded")))?;
        }
        Ok(())
    }

    fn read(
        &self,
        folder: &Folder,
        wanted: Vec<(&File, Box<dyn Sink + '_>)>,
        watch: Watch<'_>,
    ) -> Result<()> {
        let broken = |error: &io::Error| {
            self.damaged(&format!("holds data that cannot be decoded: {error}"))
        };
        let alone = cab::Cabinet::new(self.alone(folder)).map_err(|error| broken(&error))?;
        let mut alone = alone;
        let mut data = alone.read_file("data").map_err(|error| broken(&error))?;
        let (mut position, mut buffer) = (0_u64, vec![0; usize::from(MAX_BLOCK)]);
        for (file, mut sink) in wanted {
            let Some(mut gap) = u64::from(file.offset).checked_sub(position) else {
                return Err(self.damaged(&format!("has {:?} overlap another file", file.path)));
            };
            while gap > 0 {
                watch.check()?;
                let len = gap.min(buffer.len() as u64) as usize;
                data.read_exact(&mut buffer[..len]).map_err(|error| broken(&error))?;
                gap -= len as u64;
            }
            let mut left = u64::from(file.size);
            while left > 0 {
                watch.check()?;
                let len = left.min(buffer.len() as u64) as usize;
                data.read_exact(&mut buffer[..len]).map_err(|error| broken(&error))?;
                sink.write(&buffer[..len])?;
                watch.progress.advance(len as u64);
                left -= len as u64;
            }
            sink.end()?;
            position = u64::from(file.offset) + u64::from(file.size);
        }
        Ok(())
    }

    /// A folder as a cabinet with one file, `data`: a directory of its own before the same blocks.
    fn alone(&self, folder: &Folder) -> Alone<'_> {
        let spare: &[u8] = if self.spare > 0 { &[0, 0, 0, self.spare] } else { &[] };
        let (folder_at, file_at) = (36 + spare.len() as u32, 44 + spare.len() as u32);
        let data_at = file_at + 16 + 5;
        let mut head = Vec::with_capacity(data_at as usize);
        head.extend(b"MSCF\0\0\0\0");
        head.extend(data_at.to_le_bytes());
        head.extend([0; 4]);
        head.extend(file_at.to_le_bytes());
        head.extend([0, 0, 0, 0, 3, 1, 1, 0, 1, 0]);
        head.extend(if spare.is_empty() { [0, 0] } else { RESERVE.to_le_bytes() });
        head.extend([0; 4]);
        head.extend(spare);
        debug_assert_eq!(head.len(), folder_at as usize);
        head.extend(data_at.to_le_bytes());
        head.extend(folder.blocks.to_le_bytes());
        head.extend(folder.codec.to_le_bytes());
        // 65,535 blocks of 32 KiB fit.
        head.extend(u32::try_from(folder.size).unwrap_or(u32::MAX).to_le_bytes());
        head.extend([0; 12]);
        head.extend(b"data\0");
        Alone { head, source: &*self.source, from: folder.first.into(), at: 0 }
    }

    fn damaged(&self, what: &str) -> Error {
        Reader { source: &*self.source, at: 0 }.damaged(what)
    }
}

/// Reads records one after the other.
struct Reader<'a> {
    source: &'a dyn Source,
    at: u64,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.source.bytes(self.at, N).map_err(|error| self.unreadable(&error))?;
        self.at += N as u64;
        <[u8; N]>::try_from(&bytes[..]).map_err(|_| self.damaged("is cut off"))
    }

    fn skip(&mut self, bytes: u64) {
        self.at = self.at.saturating_add(bytes);
    }

    /// A name, up to its NUL. Without the mark of UTF-8 it is in a code page that nobody names; only
    /// its ASCII is sure.
    fn name(&mut self, utf8: bool) -> Result<String> {
        let left = self.source.len().saturating_sub(self.at).min(MAX_NAME as u64 + 1) as usize;
        let bytes = self.source.bytes(self.at, left).map_err(|error| self.unreadable(&error))?;
        let Some(len) = bytes.iter().position(|&byte| byte == 0) else {
            return Err(self.damaged("has a name that is too long"));
        };
        self.at += len as u64 + 1;
        let name = &bytes[..len];
        let name = match std::str::from_utf8(name) {
            Ok(name) if utf8 || name.is_ascii() => name.to_string(),
            _ => name.iter().map(|&byte| char::from(byte)).collect(),
        };
        Ok(name.replace('\\', "/"))
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("is cut off"),
            _ => Error::io(format!("cannot read {}: {error}", text::clean(&self.source.name()))),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        let name = self.source.name();
        Error::damaged(format!("{} {what}", text::clean(&name)))
            .advise("get it again from where it came from")
    }
}

/// The bytes of a cabinet with one folder of another.
struct Alone<'a> {
    head: Vec<u8>,
    source: &'a dyn Source,
    /// Where the blocks begin in the source.
    from: u64,
    at: u64,
}

impl Read for Alone<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let head = self.head.get(usize::try_from(self.at).unwrap_or(usize::MAX)..);
        let read = match head {
            Some(head) if !head.is_empty() => (&mut &*head).read(buffer)?,
            _ => {
                let at = self.from.saturating_add(self.at - self.head.len() as u64);
                let left = self.source.len().saturating_sub(at);
                let len = (buffer.len() as u64).min(left) as usize;
                buffer[..len].copy_from_slice(&self.source.bytes(at, len)?);
                len
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Alone<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(_) => None,
        };
        self.at = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// A date and time of MS-DOS; 1980 for what is none.
fn dos_time(date: u16, time: u16) -> FileTime {
    let part = |word: u16, from: u32, bits: u32| i8::try_from(word >> from & ((1 << bits) - 1));
    let civil = || {
        let year = i16::try_from(date >> 9).ok()? + 1980;
        let (month, day) = (part(date, 5, 4).ok()?, part(date, 0, 5).ok()?);
        let (hour, minute) = (part(time, 11, 5).ok()?, part(time, 5, 6).ok()?);
        let second = part(time, 0, 5).ok()? * 2;
        let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    };
    FileTime { seconds: civil().unwrap_or(315_532_800), nanos: 0 }
}

/// Keeps a small file in memory.
pub(super) struct Kept<'k> {
    bytes: Vec<u8>,
    into: &'k mut Option<Vec<u8>>,
}

impl<'k> Kept<'k> {
    /// Its bytes will be in `into`.
    pub(super) fn new(into: &'k mut Option<Vec<u8>>) -> Self {
        Self { bytes: Vec::new(), into }
    }
}

impl Sink for Kept<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        *self.into = Some(std::mem::take(&mut self.bytes));
        Ok(())
    }
}

/// Writes a file.
pub(super) struct ToFile {
    path: std::path::PathBuf,
    file: std::fs::File,
    modified: FileTime,
}

impl ToFile {
    /// Makes the file, which must not be there yet.
    pub(super) fn create(path: std::path::PathBuf, modified: FileTime) -> Result<Self> {
        let file =
            std::fs::File::create_new(&path).map_err(|error| Error::file("make", &path, &error))?;
        Ok(Self { path, file, modified })
    }
}

impl Sink for ToFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| Error::file("write", &self.path, &error))
    }

    fn end(&mut self) -> Result<()> {
        let Some(modified) = self.modified.to_system() else { return Ok(()) };
        let times = std::fs::FileTimes::new().set_modified(modified);
        self.file
            .set_times(times)
            .map_err(|error| Error::file("set the time of", &self.path, &error))
    }
}

#[cfg(test)]
pub(in crate::service) mod tests;
