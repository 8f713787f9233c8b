//! Files that are as they were when another image was made: they need not be read.

use std::sync::Arc;

use wim_format::Sha1Hash;
use wim_format::metadata::{DentryId, Inode};
use wim_format::name::CaseSensitivity;

use super::image::Pending;
use crate::archive::{ImageIndex, ImageTree, Wim};
use crate::error::Error;

/// An image that most files are taken to be unchanged since.
#[derive(Debug, Clone)]
pub struct Template {
    /// The archive that has it; `None` for the one that is added to.
    pub wim: Option<Arc<Wim>>,
    /// The image.
    pub image: ImageIndex,
}

/// Takes over the hashes of files that have not changed since `image` of `wim`, as far as their data
/// `is_there`. They have not changed if path, length and the times of creation and of writing are the
/// same, there are no named streams, and they were not read before the image was made: so wimlib
/// decides.
///
/// # Errors
/// Damaged metadata.
pub(super) fn take_over(
    pending: &mut Pending,
    wim: &Wim,
    image: ImageIndex,
    is_there: &dyn Fn(&Sha1Hash) -> bool,
) -> Result<(), Error> {
    let tree = wim.metadata(image)?;
    pending.take_over(|path, inode, len| {
        let id = tree.lookup(path, CaseSensitivity::Sensitive)?;
        let hash = unchanged(wim, &tree, id, inode, len)?;
        is_there(&hash).then_some(hash)
    });
    Ok(())
}

/// The hash of the file's data, if it is as it was.
fn unchanged(
    wim: &Wim,
    tree: &ImageTree,
    id: DentryId,
    inode: &Inode,
    len: u64,
) -> Option<Sha1Hash> {
    let dentry = tree.dentry(id);
    let is_file = !dentry.is_directory() && !dentry.is_reparse_point();
    let hash = dentry.data_hash();
    let is_all = dentry.streams().filter(|stream| !stream.hash.is_zero()).count() == 1;
    let same = is_file
        && is_all
        && dentry.creation_time() == inode.creation_time
        && dentry.write_time() == inode.write_time
        && dentry.access_time() <= inode.access_time
        && wim.find(&hash).is_some_and(|blob| wim.blob(blob).size == len);
    same.then_some(hash)
}
