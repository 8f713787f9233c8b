//! The counts that the XML gives for an image.

use super::{FileAttributes, Metadata};
use crate::Sha1Hash;

/// Counts of an image, as wimlib and the Microsoft tools count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageStats {
    /// Directories, the root included; links to directories are files.
    pub dir_count: u64,
    /// Names of files, links included.
    pub file_count: u64,
    /// Sizes of all streams (reparse data too), once for each name of the file.
    pub total_bytes: u64,
    /// The part of `total_bytes` that is not the first name's.
    pub hard_link_bytes: u64,
}

impl<B: AsRef<[u8]>> Metadata<B> {
    /// Counts the image. `size_of` gives the size of a blob; one that is not known counts as 0.
    pub fn stats(&self, mut size_of: impl FnMut(&Sha1Hash) -> Option<u64>) -> ImageStats {
        let links = self.hard_links();
        let mut stats = ImageStats::default();
        for id in self.ids() {
            let dentry = self.dentry(id);
            let kind =
                dentry.attributes() & (FileAttributes::DIRECTORY | FileAttributes::REPARSE_POINT);
            match kind == FileAttributes::DIRECTORY {
                true => stats.dir_count += 1,
                false => stats.file_count += 1,
            }
            let first = links.first(id);
            let hashes = self.dentry(first).streams().map(|stream| stream.hash);
            let sizes = hashes.filter(|hash| !hash.is_zero()).filter_map(|hash| size_of(&hash));
            let bytes = sizes.fold(0, u64::saturating_add);
            stats.total_bytes = stats.total_bytes.saturating_add(bytes);
            if first != id {
                stats.hard_link_bytes = stats.hard_link_bytes.saturating_add(bytes);
            }
        }
        stats
    }
}
