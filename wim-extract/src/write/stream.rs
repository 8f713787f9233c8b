//! Writing a layout where bytes go one after the other.

use std::sync::Arc;

use super::layout::Segment;
use super::place::Output;
use crate::cancel::Cancel;
use crate::error::{Action, Error};
use crate::progress::{Amount, Progress};
use crate::source::Source;

/// Bytes read and written at a time.
const STEP: u64 = 4 << 20;

/// Smaller pieces are gathered, and written together.
const GATHER: usize = 1 << 20;

/// Writes the segments from `start` on, each at its place, in their order. What has been written
/// already is passed over.
///
/// # Errors
/// Those of reading and writing; a segment that is known only when all else is written;
/// [`Error::Cancelled`].
pub(crate) fn write(
    segments: &[(u64, Segment)],
    sources: &[Arc<dyn Source>],
    start: u64,
    out: Output<'_>,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), Error> {
    let first = segments.partition_point(|(at, _)| *at < start);
    let mut writer = Writer { out, gathered: Vec::new(), at: start, progress };
    for (at, segment) in &segments[first..] {
        cancel.check()?;
        match segment {
            Segment::Literal(bytes) => writer.put(bytes, *at)?,
            Segment::Copy { source, offset, len } => {
                let source = &*sources[*source];
                let mut done = 0;
                while done < *len {
                    cancel.check()?;
                    let step = (len - done).min(STEP);
                    let bytes = source.bytes(offset + done, step as usize);
                    let bytes = bytes.map_err(Error::io(Action::Read, source.name()))?;
                    writer.put(&bytes, at + done)?;
                    done += step;
                }
            }
            Segment::Written { .. } => {}
            Segment::Decoded { .. } | Segment::Integrity { .. } => {
                return Err(Error::Unsupported(format!(
                    "{}: cannot be written in order; write to a file",
                    out.name().display()
                )));
            }
        }
    }
    writer.flush()
}

/// Gathers small pieces.
struct Writer<'a> {
    out: Output<'a>,
    gathered: Vec<u8>,
    /// Where the gathered bytes go.
    at: u64,
    progress: &'a dyn Progress,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let continues = self.at + self.gathered.len() as u64 == at;
        if !continues || self.gathered.len() + bytes.len() > GATHER {
            self.flush()?;
            self.at = at;
        }
        if bytes.len() >= GATHER {
            self.write(bytes, at)?;
            self.at += bytes.len() as u64;
        } else {
            self.gathered.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let gathered = std::mem::take(&mut self.gathered);
        self.write(&gathered, self.at)?;
        self.at += gathered.len() as u64;
        self.gathered = gathered;
        self.gathered.clear();
        Ok(())
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        self.out.write_at(bytes, at)?;
        self.progress.advance(Amount::new(bytes.len() as u64, 0));
        Ok(())
    }
}
