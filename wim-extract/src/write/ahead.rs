//! Copying what an archive that is written anew will most likely have, while its images are looked at.
//!
//! What it will have is known for certain only when the metadata of all images is decoded and checked,
//! which on two cores takes half as long as the copy itself. The blob table says the same unless it is
//! wrong, so one thread copies by that meanwhile, and metadata and layout have the others. Nothing is
//! believed: what was copied counts only where the finished layout wants the same bytes at the same
//! place, and all else is written over it.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use wim_format::blob_table::BlobPlace;
use wim_format::header::HEADER_LEN;

use crate::archive::Wim;
use crate::cancel::Cancel;
use crate::output::{AtomicFile, Copier, available_space, shares_blocks};
use crate::source::Source;

/// Bytes copied between two looks at whether to stop. The kernel's copy takes a tenth less time in
/// such steps than in large ones (ext4, tmpfs), and leaves the other core to the decoders.
const STEP: u64 = 1 << 20;

/// A thread that copies. Dropped, it stops.
#[derive(Debug)]
pub(crate) struct Ahead {
    copy: InPlace,
    stop: Cancel,
    /// Gives how many bytes of `copy` were copied.
    thread: Option<JoinHandle<u64>>,
}

impl Ahead {
    /// Begins to copy the data of `old` to where it goes in `file` when all of it is kept as it is;
    /// `None` where that is not worth it or not safe to do.
    pub(crate) fn begin(old: &Wim, file: &AtomicFile, cancel: &Cancel) -> Option<Self> {
        let source = Arc::clone(&old.parts()[0].source);
        // Shared blocks take no time. Whether what is left when all is known fits is not known yet.
        let has_room = available_space(file.directory()).ok().flatten()? >= source.len();
        if !has_room || shares_blocks(file.file()) {
            return None;
        }
        let runs = expected(old);
        if runs.iter().all(|run| run.at == run.offset) {
            // Most likely it will be left as it is.
            return None;
        }
        let copy = InPlace { runs, source: Some(Arc::clone(&source)) };
        let (runs, file, stop) = (copy.runs.clone(), Arc::clone(file.file()), cancel.child());
        let until = stop.clone();
        let work = move || copy_runs(&runs, &*source, &file, &until);
        let thread = thread::Builder::new().spawn(work).ok()?;
        Some(Self { copy, stop, thread: Some(thread) })
    }

    /// Stops the copy. Gives what is in its place by then.
    pub(crate) fn stop(mut self) -> InPlace {
        let done = self.join();
        let mut copy = std::mem::take(&mut self.copy);
        copy.truncate(done);
        copy
    }

    fn join(&mut self) -> u64 {
        self.stop.cancel();
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or(0)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.join();
    }
}

/// Copies until told to stop, or until something fails: whoever copies the rest meets that again, and
/// reports it. Gives how many bytes were copied.
fn copy_runs(runs: &[Run], source: &dyn Source, file: &File, stop: &Cancel) -> u64 {
    let mut copier = Copier::new();
    let mut done = 0;
    for run in runs {
        let mut rest = *run;
        while rest.len > 0 && !stop.is_cancelled() {
            // Steps end at whole blocks of the output.
            let step = rest.first(STEP - rest.at % STEP);
            let Some(extents) = source.file_extents(step.offset, step.len) else { return done };
            let copied: io::Result<()> = copier.copy(&extents, file, step.at, &mut |_| Ok(()));
            if copied.is_err() {
                return done;
            }
            done += step.len;
            rest = rest.without_first(step.len);
        }
    }
    done
}

/// Where the data of an archive goes when all of it is kept: blobs in the order of the file, one behind
/// the other. What a solid resource will be depends on what is needed of it, so this ends before the
/// first.
fn expected(wim: &Wim) -> Vec<Run> {
    let part = &wim.parts()[0];
    let len = part.source.len();
    let solid = part.blobs.solid.iter().map(|solid| solid.resource.offset).min();
    let blobs = part.blobs.blobs.iter().filter(|blob| blob.refcount > 0);
    let places = blobs.filter_map(|blob| match blob.place {
        BlobPlace::Resource(place) => Some((place.offset, place.size)),
        BlobPlace::Solid { .. } => None,
    });
    let mut places: Vec<_> =
        places.filter(|&(offset, _)| solid.is_none_or(|solid| offset < solid)).collect();
    places.sort_unstable();
    let mut runs: Vec<Run> = Vec::new();
    let mut at = HEADER_LEN as u64;
    for (offset, size) in places {
        let is_inside = offset.checked_add(size).is_some_and(|end| end <= len);
        // A table whose blobs overlap could ask for any number of bytes.
        if !is_inside || at + size > len {
            break;
        }
        match runs.last_mut() {
            Some(last) if last.offset + last.len == offset => last.len += size,
            _ => runs.push(Run { at, offset, len: size }),
        }
        at += size;
    }
    runs
}

/// Bytes of a source and their place in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// In the output.
    pub(crate) at: u64,
    /// In the source.
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Run {
    fn end(self) -> u64 {
        self.at + self.len
    }

    /// No more than `len` bytes of it.
    pub(crate) fn first(self, len: u64) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// What is behind its first `len` bytes, of which there are as many.
    pub(crate) fn without_first(self, len: u64) -> Self {
        Self { at: self.at + len, offset: self.offset + len, len: self.len - len }
    }

    /// Whether the same bytes stand at a place that both have.
    fn agrees_with(self, other: Self) -> bool {
        self.at.wrapping_sub(self.offset) == other.at.wrapping_sub(other.offset)
    }
}

/// Bytes of one source that are in their places in the output already.
#[derive(Debug, Default)]
pub(crate) struct InPlace {
    source: Option<Arc<dyn Source>>,
    /// In the order of the output, without overlaps.
    runs: Vec<Run>,
}

impl InPlace {
    /// How many bytes.
    pub(crate) fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.len).sum()
    }

    /// Keeps the first `len` bytes.
    fn truncate(&mut self, mut len: u64) {
        for run in &mut self.runs {
            *run = run.first(len);
            len -= run.len;
        }
        self.runs.retain(|run| run.len > 0);
    }

    /// What is not in place yet of `wanted`, a run of `source`.
    pub(crate) fn missing(&self, source: &Arc<dyn Source>, wanted: Run) -> Vec<Run> {
        let is_source = self.source.as_ref().is_some_and(|known| Arc::ptr_eq(known, source));
        let runs = if is_source { &self.runs[..] } else { &[] };
        let first = runs.partition_point(|run| run.end() <= wanted.at);
        let found = runs[first..].iter().take_while(|run| run.at < wanted.end());
        let (mut missing, mut rest) = (Vec::new(), wanted);
        for run in found.filter(|run| run.agrees_with(wanted)) {
            let before = run.at.saturating_sub(rest.at);
            missing.extend((before > 0).then(|| rest.first(before)));
            rest = rest.without_first(run.end().min(rest.end()) - rest.at);
        }
        missing.extend((rest.len > 0).then_some(rest));
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemorySource;

    fn source() -> Arc<dyn Source> {
        Arc::new(MemorySource::new(vec![0; 1], "memory"))
    }

    fn run(at: u64, offset: u64, len: u64) -> Run {
        Run { at, offset, len }
    }

    #[test]
    fn only_the_same_bytes_at_the_same_place_are_not_missing() {
        let here = source();
        let runs = vec![run(100, 200, 50), run(150, 400, 50), run(200, 450, 100)];
        let in_place = InPlace { source: Some(Arc::clone(&here)), runs };
        let missing = |wanted| in_place.missing(&here, wanted);
        assert_eq!(missing(run(100, 200, 50)), []);
        assert_eq!(missing(run(110, 210, 10)), []);
        assert_eq!(missing(run(90, 190, 100)), [run(90, 190, 10), run(150, 250, 40)]);
        assert_eq!(missing(run(140, 390, 300)), [run(140, 390, 10), run(300, 550, 140)]);
        assert_eq!(missing(run(100, 201, 50)), [run(100, 201, 50)]);
        assert_eq!(missing(run(300, 550, 7)), [run(300, 550, 7)]);
        assert_eq!(in_place.missing(&source(), run(100, 200, 50)), [run(100, 200, 50)]);
    }

    #[test]
    fn what_was_not_copied_any_more_is_missing() {
        let here = source();
        let runs = vec![run(100, 200, 50), run(150, 400, 50)];
        let mut in_place = InPlace { source: Some(Arc::clone(&here)), runs };
        in_place.truncate(60);
        assert_eq!(in_place.len(), 60);
        assert_eq!(in_place.missing(&here, run(150, 400, 50)), [run(160, 410, 40)]);
        in_place.truncate(50);
        assert_eq!(in_place.missing(&here, run(150, 400, 50)), [run(150, 400, 50)]);
    }
}
