//! Copies of ranges between files that do not pass through this process where the kernel can.
//!
//! `copy_file_range(2)` shares the blocks (a clone: no byte is moved) where both files are on one
//! file system that can, and the ranges cover whole blocks; otherwise it copies inside the kernel.
//! So that it gets the chance, a range whose two offsets lie equally within a block is split into
//! the partial blocks at its ends and the whole ones between. Where the kernel declines, bytes are
//! read and written in large pieces.
//!
//! Copies of two threads to one file wait for each other, unless one of them goes through a window.

use std::{fs::File, io};

use super::write_all_at;
use crate::map::Window;
use crate::source::{FileExtent, read_exact_at};

/// The unit in which file systems share blocks; all that can clone use it or a divisor.
const BLOCK: u64 = 4096;
/// Bytes copied between two looks at the caller's callback.
const STEP: u64 = 64 << 20;
/// Bytes read and written at once where the kernel does not copy: they stay in the cache between.
const BUFFER: usize = 256 << 10;
/// Bytes mapped at once: to map them and no longer takes all threads a moment.
const WINDOW: u64 = 4 << 20;

/// How many bytes went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Cloned or copied inside the kernel.
    pub in_kernel: u64,
    /// Read into memory and written, or into a window.
    pub through_memory: u64,
}

/// How bytes get from file to file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Kernel,
    Window,
    Memory,
}

/// Copies ranges of files. Keep one for a whole operation: it remembers what the file systems
/// decline, and holds the buffer.
#[derive(Debug)]
pub struct Copier {
    way: Way,
    buffer: Vec<u8>,
    copied: Copied,
}

impl Default for Copier {
    fn default() -> Copier {
        Copier::new()
    }
}

impl Copier {
    /// A copier that has copied nothing.
    pub fn new() -> Copier {
        Copier { way: Way::Kernel, buffer: Vec::new(), copied: Copied::default() }
    }

    /// A copier that reads and writes even where the kernel could copy.
    pub fn through_memory() -> Copier {
        Copier { way: Way::Memory, ..Copier::new() }
    }

    /// A copier that reads into the mapped file, where that is possible and the file has its length already.
    pub fn through_window() -> Copier {
        Copier { way: Way::Window, ..Copier::new() }
    }

    /// What was copied so far.
    pub fn copied(&self) -> Copied {
        self.copied
    }

    /// Copies the extents one after the other to `to`, from offset `at` on. Extents that follow
    /// each other in one file are copied as one. `step` is called with the number of bytes that
    /// were copied since the last call, at least every 64 MiB, and may stop the copy by an error.
    ///
    /// # Errors
    /// Those of the files and of `step`; [`io::ErrorKind::UnexpectedEof`] where an extent reaches
    /// beyond the end of its file. `to` then holds a part of the copy.
    pub fn copy(
        &mut self,
        extents: &[FileExtent],
        to: &File,
        mut at: u64,
        step: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        for group in extents.chunk_by(|a, b| {
            std::sync::Arc::ptr_eq(&a.file, &b.file) && a.offset + a.len == b.offset
        }) {
            let Some(first) = group.first() else { continue };
            let len = group.iter().map(|extent| extent.len).sum();
            for (skip, len) in split_at_blocks(first.offset, at, len) {
                self.copy_range(&first.file, first.offset + skip, to, at + skip, len, step)?;
            }
            at += len;
        }
        Ok(())
    }

    fn copy_range(
        &mut self,
        from: &File,
        from_at: u64,
        to: &File,
        to_at: u64,
        len: u64,
        step: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            let want = (len - done).min(STEP);
            let (from_at, to_at) = (from_at + done, to_at + done);
            let copied = match self.way {
                Way::Kernel => kernel_copy(from, from_at, to, to_at, want)?,
                Way::Window => window_copy(from, from_at, to, to_at, want)?,
                Way::Memory => {
                    let want = want.min(BUFFER as u64) as usize;
                    self.buffer.resize(BUFFER, 0);
                    read_exact_at(from, &mut self.buffer[..want], from_at)?;
                    write_all_at(to, &self.buffer[..want], to_at)?;
                    Some(want as u64)
                }
            };
            let copied = match copied {
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(copied) => copied,
                None => {
                    self.way = Way::Memory;
                    continue;
                }
            };
            match self.way {
                Way::Kernel => self.copied.in_kernel += copied,
                Way::Window | Way::Memory => self.copied.through_memory += copied,
            }
            done += copied;
            step(copied)?;
        }
        Ok(())
    }
}

/// The pieces (start, length) in which `len` bytes from `from` to `at` are best copied: where whole
/// blocks fall on whole blocks, those by themselves.
fn split_at_blocks(from: u64, at: u64, len: u64) -> impl Iterator<Item = (u64, u64)> {
    let head = from.wrapping_neg() % BLOCK;
    let cuts = if from % BLOCK == at % BLOCK && len >= head + BLOCK {
        [head, head + (len - head) / BLOCK * BLOCK]
    } else {
        [0, 0]
    };
    let pieces = [(0, cuts[0]), (cuts[0], cuts[1] - cuts[0]), (cuts[1], len - cuts[1])];
    pieces.into_iter().filter(|&(_, len)| len > 0)
}

/// Copies up to `len` bytes through a window; gives how many it did, or `None` where it cannot.
fn window_copy(
    from: &File,
    from_at: u64,
    to: &File,
    to_at: u64,
    len: u64,
) -> io::Result<Option<u64>> {
    let len = len.min(WINDOW) as usize;
    let Ok(mut window) = Window::new(to, to_at, len) else { return Ok(None) };
    let mut done = 0;
    while done < len {
        let step = done..len.min(done + BUFFER);
        let end = step.end;
        if !window.read(step, from, from_at + done as u64)? {
            break;
        }
        done = end;
    }
    Ok((done > 0).then_some(done as u64))
}

/// Lets the kernel copy up to `len` bytes; gives how many it did (0 at the end of the file), or
/// `None` where it cannot copy between these two files.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn kernel_copy(
    from: &File,
    mut from_at: u64,
    to: &File,
    mut to_at: u64,
    len: u64,
) -> io::Result<Option<u64>> {
    use rustix::{
        fs::copy_file_range,
        io::{Errno, retry_on_intr},
    };
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let copy = || copy_file_range(from, Some(&mut from_at), to, Some(&mut to_at), len);
    match retry_on_intr(copy) {
        Ok(copied) => Ok(Some(copied as u64)),
        // Other file systems, old kernels, special files, sandboxes.
        Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn kernel_copy(_: &File, _: u64, _: &File, _: u64, _: u64) -> io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{io::Read, io::Seek, sync::Arc};

    use proptest::prelude::*;

    use super::*;

    fn file_of(content: &[u8]) -> Arc<File> {
        let file = tempfile::tempfile().unwrap();
        write_all_at(&file, content, 0).unwrap();
        Arc::new(file)
    }

    const COPIERS: [fn() -> Copier; 3] =
        [Copier::new, Copier::through_memory, Copier::through_window];

    fn content_of(mut file: &File) -> Vec<u8> {
        let mut content = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut content).unwrap();
        content
    }

    #[test]
    fn whole_blocks_are_split_off() {
        let pieces = |from, at, len| split_at_blocks(from, at, len).collect::<Vec<_>>();
        assert_eq!(pieces(0, 8192, 12288), [(0, 12288)]);
        assert_eq!(pieces(100, 4196, 12288), [(0, 3996), (3996, 8192), (12188, 100)]);
        assert_eq!(pieces(100, 4197, 12288), [(0, 12288)]);
        assert_eq!(pieces(4000, 8096, 4191), [(0, 4191)]);
        assert_eq!(pieces(4000, 8096, 4192), [(0, 96), (96, 4096)]);
        assert_eq!(pieces(5, 5, 0), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_copy_equals_the_ranges(
            ranges in proptest::collection::vec((0usize..2, 0u64..50_000, 1u64..50_000), 1..6),
            at in 0u64..20_000,
            way in 0usize..3,
            has_its_length: bool,
        ) {
            let contents = [3u32, 5].map(|factor| {
                (0..25_000u32).flat_map(|i| (i * factor).to_le_bytes()).collect::<Vec<u8>>()
            });
            let files = contents.clone().map(|content| file_of(&content));
            let mut expected = vec![0; at as usize];
            let mut extents = Vec::new();
            for (which, offset, len) in ranges {
                expected.extend_from_slice(&contents[which][offset as usize..][..len as usize]);
                extents.push(FileExtent { file: files[which].clone(), offset, len });
            }
            let to = tempfile::tempfile().unwrap();
            if has_its_length {
                to.set_len(expected.len() as u64).unwrap();
            }
            let mut copier = COPIERS[way]();
            let mut told = 0;
            copier.copy(&extents, &to, at, &mut |bytes| { told += bytes; Ok(()) }).unwrap();
            prop_assert_eq!(told, expected.len() as u64 - at);
            let Copied { in_kernel, through_memory } = copier.copied();
            prop_assert_eq!(in_kernel + through_memory, told);
            prop_assert!(content_of(&to) == expected);
        }
    }

    #[test]
    fn a_source_that_ends_early_is_an_error() {
        for copier in COPIERS {
            let extent = FileExtent { file: file_of(b"short"), offset: 2, len: 4 };
            let to = tempfile::tempfile().unwrap();
            to.set_len(4).unwrap();
            let mut copier = copier();
            let error = copier.copy(&[extent], &to, 0, &mut |_| Ok(())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn the_callback_can_stop_the_copy() {
        let extent = FileExtent { file: file_of(b"content"), offset: 0, len: 7 };
        let to = tempfile::tempfile().unwrap();
        let stop = &mut |_| Err(io::ErrorKind::Interrupted.into());
        let error = Copier::new().copy(&[extent], &to, 0, stop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
