//! Copying what needs no decoding to its places in a file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ahead::Run;
use super::layout::{Drafted, Segment};
use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::output::{Copier, is_memory, shares_blocks, write_all_at};
use crate::pipeline::Threads;
use crate::pipeline::lock::Lock;
use crate::pipeline::team::work_together;
use crate::progress::{Amount, Progress};
use crate::source::Source;

/// Threads that copy at once. Writes to one file wait for each other, so a second thread does what it
/// can between them: read; or goes another way. A third would find nothing to do.
const TOGETHER: usize = 2;

/// Bytes that a thread copies before it looks for more.
const SHARE: u64 = 4 << 20;

/// Smaller ranges are gathered in memory and written together.
const GATHERED: u64 = 64 << 10;

/// Memory in which they are gathered.
const GATHER: usize = 1 << 20;

/// Bytes read at a time from a source that is no file.
const READ: u64 = 4 << 20;

/// Copies all literal bytes and ranges of sources of `drafted` to `file`.
///
/// Where the file system shares blocks between files, or copies on a server, the kernel is asked to, by
/// one thread. On others (ext4, tmpfs) the kernel's copy is a loop that keeps one core busy, and two
/// threads that read and write take 0.75 of its time. (That loop in steps of 1 MiB by one thread costs
/// half of their processor time, but makes export, split and join take 1.1 to 1.2 times as long where both
/// cores are free; by two threads they wait for each other. One thread that reads and one that writes what it has
/// read take a fifth less processor time, but wake each other for every buffer: 1.08 to 1.2 times as long.)
///
/// In memory (tmpfs) that loop by one thread, and reading into windows by another, take 0.55 of its time, since they
/// do not wait for each other. On ext4, where whoever writes takes many pages at once, they take 1.4 times as long as two
/// threads that read and write.
pub(super) fn copy(
    drafted: &Drafted,
    threads: Threads,
    file: &File,
    name: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), Error> {
    let together = threads.get() >= TOGETHER && !shares_blocks(file);
    let (workers, share) = if together { (TOGETHER, SHARE) } else { (1, u64::MAX) };
    let pieces = pieces(drafted, share);
    let left = pieces.iter().map(|(_, piece)| piece.len()).sum();
    progress.advance(Amount::new(wanted(drafted).saturating_sub(left), 0));
    let shares: Vec<_> = pieces.chunk_by(|a, b| a.0 / share == b.0 / share).collect();
    let (next, failure) = (AtomicUsize::new(0), Lock::new(None));
    let ways: [fn() -> Copier; TOGETHER] = if !together {
        [Copier::new; TOGETHER]
    } else if is_memory(file) && lengthen(file, &pieces).is_ok() {
        [Copier::new, Copier::through_window]
    } else {
        [Copier::through_memory; TOGETHER]
    };
    let seat = AtomicUsize::new(0);
    work_together(workers.min(shares.len()), || {
        let mut copier = ways[seat.fetch_add(1, Ordering::Relaxed) % TOGETHER]();
        let mut writer =
            Writer { file, name, gathered: Vec::new(), gathered_at: 0, progress, cancel };
        while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut pieces = share.iter();
            let copied = pieces.try_for_each(|&(at, piece)| writer.piece(&mut copier, at, piece));
            if let Err(error) = copied.and_then(|()| writer.flush()) {
                next.store(shares.len(), Ordering::Relaxed);
                failure.lock().get_or_insert(error);
            }
        }
    });
    failure.into_inner().map_or(Ok(()), Err)
}

/// Bytes that go to one place of the output.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Bytes(&'a [u8]),
    Range { source: &'a dyn Source, offset: u64, len: u64 },
}

impl Piece<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Range { len, .. } => *len,
        }
    }
}

/// How many bytes are copied in all, with those that are in their places already.
fn wanted(drafted: &Drafted) -> u64 {
    let copied = drafted.segments.iter().map(|(_, segment)| match segment {
        Segment::Literal(_) | Segment::Copy { .. } => segment.len(),
        Segment::Decoded { .. } | Segment::Written { .. } | Segment::Integrity { .. } => 0,
    });
    copied.sum()
}

/// What is still to be copied, and to where, in the order of the output. Ranges are cut at multiples of
/// `share` in the output, so that whole blocks stay whole.
fn pieces(drafted: &Drafted, share: u64) -> Vec<(u64, Piece<'_>)> {
    let mut pieces = Vec::new();
    for &(at, ref segment) in &drafted.segments {
        match *segment {
            Segment::Literal(ref bytes) => pieces.push((at, Piece::Bytes(bytes))),
            Segment::Copy { source, offset, len } => {
                let source = &drafted.sources[source];
                for mut rest in drafted.in_place.missing(source, Run { at, offset, len }) {
                    while rest.len > 0 {
                        let Run { at, offset, len } = rest.first(share - rest.at % share);
                        pieces.push((at, Piece::Range { source: &**source, offset, len }));
                        rest = rest.without_first(len);
                    }
                }
            }
            Segment::Decoded { .. } | Segment::Written { .. } | Segment::Integrity { .. } => {}
        }
    }
    pieces
}

/// Makes the file as long as the pieces reach, so that they can be mapped.
fn lengthen(file: &File, pieces: &[(u64, Piece<'_>)]) -> io::Result<()> {
    let end = pieces.iter().map(|(at, piece)| at + piece.len()).max().unwrap_or_default();
    if file.metadata()?.len() < end { file.set_len(end) } else { Ok(()) }
}

/// Writes at known places.
struct Writer<'a> {
    file: &'a File,
    name: &'a Path,
    gathered: Vec<u8>,
    gathered_at: u64,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

impl Writer<'_> {
    fn piece(&mut self, copier: &mut Copier, at: u64, piece: Piece<'_>) -> Result<(), Error> {
        match piece {
            Piece::Bytes(bytes) => self.gather(at, bytes),
            Piece::Range { source, offset, len } if len < GATHERED => {
                let bytes = source.bytes(offset, len as usize);
                self.gather(at, &bytes.map_err(Error::io(Action::Read, source.name()))?)
            }
            Piece::Range { source, offset, len } => self.copy(copier, source, offset, len, at),
        }
    }

    /// Takes bytes that may be written later, together with their neighbours.
    fn gather(&mut self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        let continues = self.gathered_at + self.gathered.len() as u64 == at;
        if !continues || self.gathered.len() >= GATHER {
            self.flush()?;
            self.gathered_at = at;
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.cancel.check()?;
        self.write(&self.gathered, self.gathered_at)?;
        self.gathered.clear();
        Ok(())
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        write_all_at(self.file, bytes, at).map_err(Error::io(Action::Write, self.name))?;
        self.progress.advance(Amount::new(bytes.len() as u64, 0));
        Ok(())
    }

    fn copy(
        &self,
        copier: &mut Copier,
        source: &dyn Source,
        offset: u64,
        len: u64,
        at: u64,
    ) -> Result<(), Error> {
        let Some(extents) = source.file_extents(offset, len) else {
            return self.copy_through_memory(source, offset, len, at);
        };
        let mut step = |bytes| {
            self.progress.advance(Amount::new(bytes, 0));
            if self.cancel.is_cancelled() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        };
        copier.copy(&extents, self.file, at, &mut step).map_err(|error| {
            if self.cancel.is_cancelled() {
                Error::Cancelled
            } else if error.kind() == io::ErrorKind::UnexpectedEof {
                Error::io(Action::Read, source.name())(error)
            } else {
                Error::io(Action::Write, self.name)(error)
            }
        })
    }

    fn copy_through_memory(
        &self,
        source: &dyn Source,
        offset: u64,
        len: u64,
        at: u64,
    ) -> Result<(), Error> {
        let mut done = 0;
        while done < len {
            self.cancel.check()?;
            let step = (len - done).min(READ);
            let bytes = source.bytes(offset + done, step as usize);
            self.write(&bytes.map_err(Error::io(Action::Read, source.name()))?, at + done)?;
            done += step;
        }
        Ok(())
    }
}
