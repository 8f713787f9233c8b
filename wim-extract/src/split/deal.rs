//! Which blob goes to which part.

use wim_format::blob_table::BlobPlace;

use crate::archive::BlobId;
use crate::error::Error;
use crate::export::select::Selection;
use crate::write::parts::MOST;

/// What a part gets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Its blobs, in the order of the file.
    pub(super) blobs: Vec<BlobId>,
    /// Bytes of its resources.
    size: u64,
}

/// Deals out everything that is selected: the metadata, and then blob by blob.
pub(super) fn deal(selection: &Selection<'_>, part_size: u64) -> Result<Vec<Share>, Error> {
    if part_size == 0 {
        return Err(no_room());
    }
    let metadata = selection.images.iter().map(|image| image.metadata.resource.size);
    let metadata = metadata.fold(0, u64::saturating_add);
    let blobs = in_file_order(selection);
    let shares = cut(metadata, blobs, part_size);
    if shares.len() > MOST {
        return Err(too_many(part_size, shares.len()));
    }
    Ok(shares)
}

/// The error of parts of no size.
pub(super) fn no_room() -> Error {
    Error::Parameter("parts of 0 bytes can hold nothing; choose a larger size".to_owned())
}

/// The error of a set of so many parts.
pub(super) fn too_many(part_size: u64, parts: usize) -> Error {
    Error::Parameter(format!(
        "parts of {part_size} bytes would be {parts}, and a set has {MOST} at most; choose a larger \
         size"
    ))
}

/// Cuts the row of blobs, each with its size, where a part is full.
fn cut(
    metadata: u64,
    blobs: impl IntoIterator<Item = (BlobId, u64)>,
    part_size: u64,
) -> Vec<Share> {
    let mut shares = Vec::new();
    let mut share = Share { blobs: Vec::new(), size: metadata };
    for (blob, size) in blobs {
        if share.size > 0 && share.size.saturating_add(size) > part_size {
            shares.push(std::mem::take(&mut share));
        }
        share.blobs.push(blob);
        share.size = share.size.saturating_add(size);
    }
    shares.push(share);
    shares
}

/// The blobs with the bytes they will take.
fn in_file_order(selection: &Selection<'_>) -> Vec<(BlobId, u64)> {
    let wim = selection.wim;
    let mut blobs: Vec<_> = selection.blobs().collect();
    let within = |id| match wim.blob(id).place {
        BlobPlace::Resource(_) => 0,
        BlobPlace::Solid { offset, .. } => offset,
    };
    blobs.sort_by_cached_key(|&id| (wim.part_of(id), wim.file_offset(id), within(id), id));
    let size = |id| match wim.blob(id).place {
        BlobPlace::Resource(resource) => resource.size,
        // Never copied: what is in solid resources is compressed anew, and dealt out then.
        BlobPlace::Solid { .. } => wim.blob(id).size,
    };
    blobs.into_iter().map(|id| (id, size(id))).collect()
}
