//! Files of an image to a stream, such as standard output.

use std::io::{self, Read, Write};

use wim_format::metadata::{DentryId, FileAttributes};

use super::Selection;
use crate::{
    archive::{BlobId, ImageIndex, ImageTree, Wim},
    cancel::Cancel,
    error::{Action, Damage, Error},
    pipeline::{self, DamagedData, Order, Plan, Sink, Threads, lock::Lock},
    progress::{Phase, Progress},
};

/// Writes the data of the chosen files to `out`, one after the other, in the order in which they
/// were chosen. Named streams are not written.
///
/// # Errors
/// [`Error::NotAFile`] where a chosen path is a directory or a link (then nothing is written),
/// [`Error::NoSuchPath`], a missing or damaged blob, or what `out` says. With
/// [`DamagedData::Deliver`] damage is a warning.
pub fn to_writer(
    wim: &Wim,
    image: ImageIndex,
    selection: &Selection<'_>,
    out: &mut (dyn Write + Send),
    options: &super::Options,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), Error> {
    let tree = wim.metadata(image)?;
    let chosen = selection.find(wim, image, &tree, progress)?;
    let files: Vec<_> =
        chosen.into_iter().map(|id| data_of(wim, &tree, id)).collect::<Result<_, _>>()?;
    let out = Lock::new(out);
    for (id, blob) in files {
        let Some(blob) = blob else { continue };
        let path = String::from_utf8_lossy(&tree.path(id)).into_owned();
        let written = Lock::new(0);
        let stream = Stream { wim, out: &out, written, path, damaged: options.damaged, progress };
        stream.run(blob, options.threads, cancel)?;
    }
    out.into_inner().flush().map_err(Error::io(Action::Write, "standard output"))
}

/// The blob of a regular file; `None` for an empty one.
fn data_of(wim: &Wim, tree: &ImageTree, id: DentryId) -> Result<(DentryId, Option<BlobId>), Error> {
    let dentry = tree.dentry(id);
    let path = || String::from_utf8_lossy(&tree.path(id)).into_owned();
    let other = FileAttributes::DIRECTORY | FileAttributes::REPARSE_POINT;
    if dentry.attributes().intersects(other) {
        return Err(Error::NotAFile { file: wim.name(), path: path() });
    }
    let hash = dentry.data_hash();
    if hash.is_zero() {
        return Ok((id, None));
    }
    let blob = wim.find(&hash).ok_or_else(|| wim.missing(hash, Some(path())))?;
    Ok((id, Some(blob)))
}

/// Writes one blob.
struct Stream<'a, 'o> {
    wim: &'a Wim,
    out: &'a Lock<&'o mut (dyn Write + Send)>,
    /// Bytes written so far.
    written: Lock<u64>,
    path: String,
    damaged: DamagedData,
    progress: &'a dyn Progress,
}

impl Stream<'_, '_> {
    fn run(&self, blob: BlobId, threads: Threads, cancel: &Cancel) -> Result<(), Error> {
        let plan = Plan::new(self.wim, [blob]);
        let options = pipeline::Options { threads, order: Order::File, damaged: self.damaged };
        self.progress.begin(Phase::Extract, plan.amount());
        pipeline::run(&plan, self, &options, self.progress, cancel)?;
        self.progress.end(Phase::Extract);
        Ok(())
    }
}

impl Stream<'_, '_> {
    /// Writes zeros in place of what could not be read before `offset`.
    fn fill(&self, offset: u64) -> Result<(), Error> {
        let mut written = self.written.lock();
        let missing = offset.saturating_sub(*written);
        let zeros = io::copy(&mut io::repeat(0).take(missing), &mut **self.out.lock());
        zeros.map_err(Error::io(Action::Write, "standard output"))?;
        *written += missing;
        Ok(())
    }
}

impl Sink for Stream<'_, '_> {
    fn piece(&self, _: BlobId, offset: u64, data: &[u8]) -> Result<(), Error> {
        self.fill(offset)?;
        let written = self.out.lock().write_all(data);
        written.map_err(Error::io(Action::Write, "standard output"))?;
        *self.written.lock() += data.len() as u64;
        Ok(())
    }

    fn done(&self, blob: BlobId, result: Result<(), Damage>) -> Result<(), Error> {
        let Err(damage) = result else { return Ok(()) };
        if self.damaged == DamagedData::Deliver {
            self.progress.warning(&format!("the data of {} is damaged: {damage}", self.path));
            return self.fill(self.wim.blob(blob).size);
        }
        let file = self.wim.parts()[self.wim.part_of(blob)].source.name();
        let (path, hash) = (Some(self.path.clone()), self.wim.blob(blob).hash);
        Err(Error::Damaged { file, path, hash, damage })
    }
}
