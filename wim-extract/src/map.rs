//! Read-only memory maps of files, handed out as [`Bytes`]; windows to write files through; and memory
//! straight from the system.
//!
//! This is the only module that maps memory. A slice of a map costs nothing to make and keeps the
//! map alive for as long as anyone holds it.
//!
//! # What a map cannot promise
//!
//! The bytes are those of the file *now*. Two things follow, and no program can prevent them:
//!
//! * A file that another process **shrinks** while it is mapped makes an access beyond its new end
//!   raise `SIGBUS`, which ends the process. The same happens when the medium under the file fails
//!   to read. Nothing is lost by that beyond the run itself (outputs are temporary files until they
//!   are complete), but the error message is the shell's, not ours.
//! * A file that another process **rewrites** may give different bytes at two readings of one
//!   place. Every parser copies or validates a value once and uses that one, and every blob is
//!   hashed, so that this leads to an error and never to an unsound state.
//!
//! Who cannot rule this out (a network share, a file being downloaded, a failing disk) reads
//! instead of mapping: [`Access::Read`](crate::source::Access::Read), `--no-mmap` on the command
//! line, where both cases come back as ordinary errors.

use std::{
    collections::TryReserveError,
    fs::File,
    io,
    ops::{Deref, DerefMut, Range},
    sync::Arc,
};

use bytes::Bytes;
use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::source::read_exact_at;

/// A whole file mapped for reading.
#[derive(Debug, Clone)]
pub struct Map {
    /// `None` for an empty file, which the kernel refuses to map.
    mapping: Option<Arc<Mmap>>,
    bytes: Bytes,
}

/// What a caller is about to do with a range of a map, so that the kernel can prepare for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// Read from start to end: read ahead generously.
    Sequential,
    /// Read here and there: do not read ahead.
    Random,
    /// Read soon: begin to load it now.
    Soon,
}

/// Lets [`Bytes`] own a share of the mapping.
struct Shared(Arc<Mmap>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Map {
    /// Maps the whole of `file` for reading; the file handle may be closed afterwards.
    ///
    /// # Errors
    /// Those of `mmap(2)`, and [`io::ErrorKind::FileTooLarge`] where the file exceeds the address
    /// space.
    pub fn new(file: &File) -> io::Result<Map> {
        let len = file.metadata()?.len();
        if usize::try_from(len).is_err() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // SAFETY: the mapping is read-only and private to this module, which gives it out as
        // `&[u8]` only. That another process may alter the file meanwhile cannot be excluded on any
        // system; the module documentation says what happens then and how to avoid it.
        let mapping = match unsafe { Mmap::map(file) } {
            Ok(mapping) => Arc::new(mapping),
            Err(_) if len == 0 => return Ok(Map { mapping: None, bytes: Bytes::new() }),
            Err(error) => return Err(error),
        };
        let bytes = Bytes::from_owner(Shared(mapping.clone()));
        Ok(Map { mapping: Some(mapping), bytes })
    }

    /// The bytes of the file, as long as it was when it was mapped.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Tells the kernel what is going to happen to `len` bytes from `offset`. A hint only: ranges
    /// outside the map and refusals of the kernel are ignored.
    pub fn expect(&self, what: Expect, offset: u64, len: u64) {
        let (Some(mapping), Ok(offset), Ok(len)) =
            (&self.mapping, usize::try_from(offset), usize::try_from(len))
        else {
            return;
        };
        let size = mapping.len();
        let (start, end) = (offset.min(size), offset.saturating_add(len).min(size));
        advise(mapping, what, start, end - start);
    }
}

/// A hint that fails changes nothing, so there is nothing to report.
#[cfg(unix)]
fn advise(mapping: &Mmap, what: Expect, start: usize, len: usize) {
    use memmap2::Advice;
    let advice = match what {
        Expect::Sequential => Advice::Sequential,
        Expect::Random => Advice::Random,
        Expect::Soon => Advice::WillNeed,
    };
    let _ = mapping.advise_range(advice, start, len);
}

/// Windows reads ahead as it sees the pages being touched.
#[cfg(not(unix))]
fn advise(_: &Mmap, _: Expect, _: usize, _: usize) {}

/// A part of a file that is mapped to be written. What is written through it does not wait for others who
/// write to the file, as they do for each other.
#[derive(Debug)]
pub(crate) struct Window(MmapMut);

impl Window {
    /// Maps `len` bytes of `file` from `offset`, which it has.
    ///
    /// # Errors
    /// Those of `mmap(2)`; [`io::ErrorKind::UnexpectedEof`] where the file is too short.
    pub(crate) fn new(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        if file.metadata()?.len().checked_sub(offset).is_none_or(|rest| rest < len as u64) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: the bytes are only made a slice in `read`, for the system to read into, and not looked at
        // by this process. Where another one shrinks the file, the system says that it cannot read.
        let map = unsafe { MmapOptions::new().offset(offset).len(len).map_mut(file)? };
        Ok(Self(map))
    }

    /// Reads the bytes of `from` at `from_at` into those at `range`. `false` says that it did not: there is no
    /// room for them, or no way to know that before they are written.
    ///
    /// # Errors
    /// Those of reading, [`io::ErrorKind::UnexpectedEof`] among them.
    pub(crate) fn read(
        &mut self,
        range: Range<usize>,
        from: &File,
        from_at: u64,
    ) -> io::Result<bool> {
        if !populate(&self.0, &range) {
            return Ok(false);
        }
        read_exact_at(from, &mut self.0[range], from_at)?;
        Ok(true)
    }
}

/// Has the system make all pages at `range`. Whether it could.
#[cfg(target_os = "linux")]
fn populate(map: &MmapMut, range: &Range<usize>) -> bool {
    map.advise_range(memmap2::Advice::PopulateWrite, range.start, range.len()).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn populate(_: &MmapMut, _: &Range<usize>) -> bool {
    false
}

/// A large buffer, of zeros at first. The system has it back as soon as it is dropped; an allocator
/// keeps what a thread gives back for that thread, and it counts as taken to the end.
#[derive(Debug)]
pub(crate) enum Area {
    /// From the system.
    Mapped(MmapMut),
    /// Where that gives none.
    Allocated(Vec<u8>),
}

impl Area {
    pub(crate) fn new(len: usize) -> Result<Self, TryReserveError> {
        if let Ok(mapped) = MmapMut::map_anon(len) {
            return Ok(Self::Mapped(mapped));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len)?;
        bytes.resize(len, 0);
        Ok(Self::Allocated(bytes))
    }
}

impl Deref for Area {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Allocated(bytes) => bytes,
        }
    }
}

impl DerefMut for Area {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Allocated(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_area_is_as_long_as_was_asked_for() {
        for len in [0, 1, 5000] {
            let mut area = Area::new(len).unwrap();
            assert!(area.len() == len && area.iter().all(|&byte| byte == 0), "{len}");
            area.fill(7);
            assert!(area.iter().all(|&byte| byte == 7));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_window_takes_what_there_is_room_for() {
        let (mut from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.write_all(&[7; 9000]).unwrap();
        to.set_len(10_000).unwrap();
        assert_eq!(Window::new(&to, 999, 9002).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut window = Window::new(&to, 999, 9001).unwrap();
        assert!(window.read(1..9001, &from, 0).unwrap());
        let error = window.read(0..9001, &from, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        // Pages that are not there any more cannot be made, as on a full disk.
        to.set_len(0).unwrap();
        assert!(!window.read(1..9001, &from, 0).unwrap());
        to.set_len(10_000).unwrap();
        assert!(window.read(1..2000, &from, 0).unwrap());
        drop(window);
        let map = Map::new(&to).unwrap();
        let expected = [&[0; 1000][..], &[7; 1999], &[0; 7001]].concat();
        assert!(map.bytes()[..] == expected);
    }

    #[test]
    fn slices_outlive_the_map_and_the_file_handle() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello, map").unwrap();
        let map = Map::new(&file).unwrap();
        drop(file);
        let slice = map.bytes().slice(7..);
        map.expect(Expect::Sequential, 0, u64::MAX);
        map.expect(Expect::Soon, 3, 4);
        map.expect(Expect::Random, u64::MAX, 1);
        drop(map);
        assert_eq!(&slice[..], b"map");
    }

    #[test]
    fn an_empty_file_is_an_empty_map() {
        let map = Map::new(&tempfile::tempfile().unwrap()).unwrap();
        assert!(map.bytes().is_empty());
        map.expect(Expect::Soon, 0, 1);
    }
}
