//! The order in which blobs are put together in a solid resource.

use std::sync::Arc;

use wim_format::blob_table::BlobPlace;

use super::SolidOrder;
use super::select::Selection;
use crate::archive::BlobId;
use crate::error::Error;
use crate::pipeline::Plan;
use crate::write::pack::order::SortKey;

/// Plans that together read `blobs` of a selection in their order. What is in solid resources comes
/// first and as it is there: it is in order already, and only so is each chunk decoded once.
///
/// # Errors
/// Damaged metadata.
pub(super) fn plans<'w>(
    selection: &Selection<'w>,
    blobs: &[BlobId],
    order: SolidOrder,
) -> Result<Vec<Plan<'w>>, Error> {
    let wim = selection.wim;
    if order == SolidOrder::Source {
        return Ok(vec![Plan::new(wim, blobs.iter().copied())]);
    }
    let is_single = |id: &BlobId| matches!(wim.blob(*id).place, BlobPlace::Resource(_));
    let (mut single, solid): (Vec<BlobId>, Vec<BlobId>) =
        blobs.iter().partition(|id| is_single(id));
    sort_by_name(selection, &mut single)?;
    Ok(vec![Plan::new(wim, solid), Plan::in_order(wim, single)])
}

/// Sorts blobs by the name of the first file that has each.
fn sort_by_name(selection: &Selection<'_>, blobs: &mut Vec<BlobId>) -> Result<(), Error> {
    let wim = selection.wim;
    // In the order of the file where nothing else is known: the same for any order before.
    blobs.sort_unstable();
    blobs.dedup();
    let mut keys: Vec<Option<SortKey>> = vec![None; wim.blob_count() as usize];
    for image in &selection.images {
        let tree = match &selection.images[..] {
            [_] => wim.metadata(image.index)?,
            _ => Arc::new(wim.load_metadata(image.index)?),
        };
        for id in tree.ids() {
            let dentry = tree.dentry(id);
            for stream in dentry.streams().filter(|stream| !stream.hash.is_zero()) {
                let Some(blob) = wim.find(&stream.hash) else { continue };
                let key = &mut keys[blob.index()];
                if key.is_none() && blobs.binary_search(&blob).is_ok() {
                    *key = Some(SortKey::of(dentry.name()));
                }
            }
        }
    }
    blobs.sort_by(|a, b| keys[a.index()].cmp(&keys[b.index()]));
    Ok(())
}
