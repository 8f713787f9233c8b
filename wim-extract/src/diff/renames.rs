//! Removed and added files that have the same data.

use std::collections::HashMap;
use std::hash::Hash;

use wim_format::Sha1Hash;
use wim_format::metadata::DentryId;

use super::{Aspects, Comparison, Pair, Side};

/// Makes one pair of a file that was removed and one that was added, if they have the same data:
/// first those that kept their names, then any. The pair stands where the new file does.
pub(super) fn find(comparison: &Comparison<'_>, pairs: Vec<Pair>, ignored: Aspects) -> Vec<Pair> {
    let mut search =
        Search { comparison, ignored, pairs: pairs.into_iter().map(Some).collect::<Vec<_>>() };
    let old_name = |id| comparison.old.tree.dentry(id).name().as_bytes();
    let new_name = |id| comparison.new.tree.dentry(id).name().as_bytes();
    search.match_up(|id, hash| (hash, old_name(id)), |id, hash| (hash, new_name(id)));
    search.match_up(|_, hash| hash, |_, hash| hash);
    search.pairs.into_iter().flatten().collect()
}

struct Search<'c, 't> {
    comparison: &'c Comparison<'t>,
    ignored: Aspects,
    /// `None` for a removed file that was found again.
    pairs: Vec<Option<Pair>>,
}

impl Search<'_, '_> {
    /// Makes pairs of those that have the same key.
    fn match_up<Key: Eq + Hash>(
        &mut self,
        old_key: impl Fn(DentryId, Sha1Hash) -> Key,
        new_key: impl Fn(DentryId, Sha1Hash) -> Key,
    ) {
        let Comparison { old: old_side, new: new_side } = self.comparison;
        // Where the removed files are; the last of each list is the first in order.
        let mut removed: HashMap<Key, Vec<(usize, DentryId)>> = HashMap::new();
        for (at, pair) in self.pairs.iter().enumerate().rev() {
            if let Some(Pair::Old(old)) = *pair
                && let Some(hash) = data(old_side, old)
            {
                removed.entry(old_key(old, hash)).or_default().push((at, old));
            }
        }
        for at in 0..self.pairs.len() {
            if let Some(Pair::New(new)) = self.pairs[at]
                && let Some(hash) = data(new_side, new)
                && let Some((from, old)) = removed.get_mut(&new_key(new, hash)).and_then(Vec::pop)
            {
                let aspects = self.comparison.aspects_but_names(old, new) - self.ignored;
                self.pairs[at] = Some(Pair::Moved(old, new, aspects));
                self.pairs[from] = None;
            }
        }
    }
}

/// The hash by which a file is known again: not that of links and directories, and not that of no
/// data at all.
fn data(side: &Side<'_>, id: DentryId) -> Option<Sha1Hash> {
    let file = side.file(id);
    let hash = file.data_hash();
    (!file.is_directory() && !file.is_reparse_point() && !hash.is_zero()).then_some(hash)
}
