//! What the images to be exported refer to.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wim_format::Sha1Hash;
use wim_format::blob_table::MetadataEntry;
use wim_format::metadata::ImageStats;
use wim_format::xml::{EditError, WimXml};

use crate::archive::{BlobId, ImageIndex, ImageTree, Wim};
use crate::cancel::Cancel;
use crate::error::Error;
use crate::pipeline::lock::Lock;
use crate::pipeline::{Task, Threads, run_tasks};
use crate::write::session::set_counts;

/// Images of one archive, and the blobs they refer to.
#[derive(Debug)]
pub(crate) struct Selection<'w> {
    pub(crate) wim: &'w Wim,
    pub(crate) images: Vec<SelectedImage>,
    /// Of every blob of the archive, how many streams of the images refer to it.
    counts: Vec<AtomicU32>,
}

/// What becomes of an image that refers to a blob that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It is not taken.
    Refuse,
    /// It is taken as it is: where it stays in its archive, which had the blob no more than before.
    Leave,
}

/// An image to be exported.
#[derive(Debug, Clone)]
pub(crate) struct SelectedImage {
    pub(crate) index: ImageIndex,
    pub(crate) metadata: MetadataEntry,
    /// Unless the sizes of some blobs are not known.
    stats: Option<ImageStats>,
}

impl<'w> Selection<'w> {
    /// Looks at the metadata of `images`.
    ///
    /// # Errors
    /// It is damaged, or a blob is missing that must not be.
    pub(crate) fn of(
        wim: &'w Wim,
        images: &[ImageIndex],
        absent: Absent,
        threads: Threads,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let counts = (0..wim.blob_count()).map(|_| AtomicU32::new(0)).collect();
        let mut selection = Self { wim, images: Vec::new(), counts };
        let found: Vec<Lock<Option<SelectedImage>>> =
            images.iter().map(|_| Lock::new(None)).collect();
        let tasks = images.iter().zip(&found).map(|(&image, found)| -> Task<'_> {
            let selection = &selection;
            Box::new(move || {
                let tree = match images {
                    [_] => wim.metadata(image)?,
                    _ => Arc::new(wim.load_metadata(image)?),
                };
                *found.lock() = Some(selection.look_at(image, &tree, absent)?);
                Ok(())
            })
        });
        run_tasks(tasks.collect(), threads, cancel)?;
        selection.images = found.into_iter().filter_map(Lock::into_inner).collect();
        Ok(selection)
    }

    /// All images and all blobs, those too that no image refers to; the counts are those of the
    /// archive's own tables.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(crate) fn everything(
        wim: &'w Wim,
        threads: Threads,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let images: Vec<_> = wim.images().collect();
        let selection = Self::of(wim, &images, Absent::Refuse, threads, cancel)?;
        for (id, blob) in wim.blobs() {
            selection.counts[id.index()].store(blob.refcount.max(1), Ordering::Relaxed);
        }
        Ok(selection)
    }

    /// Some of its blobs and images, with the counts that they have here.
    pub(crate) fn some(&self, blobs: &[BlobId], images: &[SelectedImage]) -> Self {
        let counts: Vec<_> = self.counts.iter().map(|_| AtomicU32::new(0)).collect();
        for id in blobs {
            counts[id.index()].store(self.count(*id), Ordering::Relaxed);
        }
        Self { wim: self.wim, images: images.to_vec(), counts }
    }

    /// Adds a reference to each blob with one of these hashes that no image refers to; gives their
    /// hashes.
    pub(crate) fn lend(&self, hashes: &HashSet<Sha1Hash>) -> Vec<Sha1Hash> {
        let all = hashes.iter().filter_map(|hash| Some((*hash, self.wim.find(hash)?)));
        let free = all.filter(|&(_, id)| self.count(id) == 0);
        free.map(|(hash, id)| {
            self.counts[id.index()].store(1, Ordering::Relaxed);
            hash
        })
        .collect()
    }

    fn look_at(
        &self,
        image: ImageIndex,
        tree: &ImageTree,
        absent: Absent,
    ) -> Result<SelectedImage, Error> {
        let mut is_whole = true;
        for id in tree.ids() {
            for stream in tree.dentry(id).streams() {
                if stream.hash.is_zero() {
                    continue;
                }
                let Some(blob) = self.wim.find(&stream.hash) else {
                    if absent == Absent::Leave {
                        is_whole = false;
                        continue;
                    }
                    let path = String::from_utf8_lossy(&tree.path(id)).into_owned();
                    let path = format!("image {image}: {path}");
                    return Err(self.wim.missing(stream.hash, Some(path)));
                };
                self.counts[blob.index()].fetch_add(1, Ordering::Relaxed);
            }
        }
        let size_of = |hash: &_| self.wim.find(hash).map(|id| self.wim.blob(id).size);
        let stats = is_whole.then(|| tree.stats(size_of));
        let metadata = *self.wim.metadata_entry(image)?;
        Ok(SelectedImage { index: image, metadata, stats })
    }

    /// The blobs referred to.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = BlobId> {
        self.wim.blobs().map(|(id, _)| id).filter(|&id| self.count(id) > 0)
    }

    /// How many streams refer to a blob.
    pub(crate) fn count(&self, id: BlobId) -> u32 {
        self.counts[id.index()].load(Ordering::Relaxed)
    }
}

impl SelectedImage {
    /// Makes the counts of image `index` of `xml` those of the metadata, where they can be told.
    pub(crate) fn correct_counts(&self, xml: &mut WimXml, index: u32) -> Result<(), EditError> {
        self.stats.as_ref().map_or(Ok(()), |stats| set_counts(xml, index, stats))
    }
}
