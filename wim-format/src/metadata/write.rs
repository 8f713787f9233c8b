//! Writing a parsed tree again, without loss.

use super::{DentryId, Metadata};

/// Offset of the field `subdir_offset` in a dentry.
const SUBDIR_OFFSET_AT: usize = 0x10;
/// What ends a list of children.
pub(super) const END_OF_LIST: [u8; 8] = [0; 8];

/// Makes the end of `out` the list of children of the dentry written at `dentry`.
pub(super) fn enter_list(out: &mut [u8], dentry: usize) {
    let list = out.len() as u64;
    set_list(out, dentry, list);
}

fn set_list(out: &mut [u8], dentry: usize, list: u64) {
    let field = dentry + SUBDIR_OFFSET_AT;
    out[field..field + 8].copy_from_slice(&list.to_le_bytes());
}

/// Lays the tree out again: see [`Metadata::to_bytes`].
pub(super) fn rewrite<B: AsRef<[u8]>>(metadata: &Metadata<B>) -> Vec<u8> {
    let mut out = Vec::with_capacity(metadata.bytes().len());
    out.extend(metadata.security().as_bytes());
    // Where the copy of each dentry begins, for the lists to be entered in.
    let mut copies = vec![0; metadata.len()];
    copies[0] = out.len();
    out.extend(metadata.dentry(DentryId::ROOT).record());
    out.extend(END_OF_LIST);
    let directories = lists_in_file_order(metadata);
    let mut lists = Vec::with_capacity(directories.len());
    for &directory in &directories {
        lists.push(out.len() as u64);
        let mut children: Vec<_> = metadata.children(directory).collect();
        children.sort_unstable_by_key(|child| metadata.nodes[child.index()].offset);
        for child in children {
            copies[child.index()] = out.len();
            out.extend(metadata.dentry(child).record());
        }
        out.extend(END_OF_LIST);
    }
    for (directory, list) in directories.into_iter().zip(lists) {
        set_list(&mut out, copies[directory.index()], list);
    }
    out
}

/// The directories that have a list of children, even an empty one, in the order of the lists.
/// wimlib writes parents before children and children in order; other writers need not.
fn lists_in_file_order<B: AsRef<[u8]>>(metadata: &Metadata<B>) -> Vec<DentryId> {
    let list = |id: &DentryId| metadata.dentry(*id).subdir_offset();
    let has_list = |id: &DentryId| metadata.dentry(*id).is_directory() && list(id) != 0;
    let mut directories: Vec<_> = metadata.ids().filter(has_list).collect();
    directories.sort_by_key(list);
    directories
}
