//! What differs between two manifests: by paths, hashes and times, without reading a byte.

use std::collections::HashMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::Entry;
use crate::media::path::MediaPath;

/// What became of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only the new side has it.
    Added,
    /// Only the old side has it.
    Removed,
    /// Its bytes differ.
    Changed,
    /// The old side has the same bytes under another path, which the new one has not.
    Renamed,
    /// Nothing but its time differs.
    Touched,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Renamed => "renamed",
            Self::Touched => "touched",
        })
    }
}

/// A file or folder that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileChange {
    /// Where it is; where it was, if it was removed.
    pub path: MediaPath,
    /// What became of it.
    pub kind: ChangeKind,
    /// Where it was, if it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<MediaPath>,
    /// Bytes before; `None` for a folder, or if it was not there.
    pub old_size: Option<u64>,
    /// Bytes now; `None` for a folder, or if it is gone.
    pub new_size: Option<u64>,
}

/// Two manifests side by side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// All that differs, ordered by path.
    pub changes: Vec<FileChange>,
    /// Files and folders that are the same.
    pub same: u64,
}

/// Compares two manifests, each ordered by path.
pub(crate) fn compare(old: &[Entry], new: &[Entry]) -> Comparison {
    let before: HashMap<&MediaPath, &Entry> = old.iter().map(|e| (&e.path, e)).collect();
    let after: HashMap<&MediaPath, &Entry> = new.iter().map(|e| (&e.path, e)).collect();
    let mut gone: Vec<&Entry> =
        old.iter().filter(|entry| !after.contains_key(&entry.path)).collect();
    let mut comparison = Comparison::default();
    // The removed files by content, the first in order at the end of each list.
    let mut movable: HashMap<[u8; 32], Vec<&Entry>> = HashMap::new();
    for entry in gone.iter().rev() {
        // Empty files are all the same, which says nothing.
        if let Some(content) = entry.content.as_ref().filter(|content| content.size > 0) {
            movable.entry(content.sha256).or_default().push(entry);
        }
    }
    for entry in new {
        let (kind, from) = match before.get(&entry.path) {
            Some(was) => match difference(was, entry) {
                Some(kind) => (kind, Some(*was)),
                None => {
                    comparison.same += 1;
                    continue;
                }
            },
            None => {
                let content = entry.content.as_ref();
                match content.and_then(|content| movable.get_mut(&content.sha256)?.pop()) {
                    Some(was) => {
                        gone.retain(|other| other.path != was.path);
                        (ChangeKind::Renamed, Some(was))
                    }
                    None => (ChangeKind::Added, None),
                }
            }
        };
        comparison.changes.push(FileChange {
            path: entry.path.clone(),
            kind,
            from: from.filter(|_| kind == ChangeKind::Renamed).map(|was| was.path.clone()),
            old_size: from.and_then(size),
            new_size: size(entry),
        });
    }
    comparison.changes.extend(gone.into_iter().map(|entry| FileChange {
        path: entry.path.clone(),
        kind: ChangeKind::Removed,
        from: None,
        old_size: size(entry),
        new_size: None,
    }));
    comparison.changes.sort_by(|a, b| a.path.cmp(&b.path));
    comparison
}

/// In what two entries of one path differ.
fn difference(old: &Entry, new: &Entry) -> Option<ChangeKind> {
    let bytes = |entry: &Entry| entry.content.as_ref().map(|content| content.sha256);
    if bytes(old) != bytes(new) {
        Some(ChangeKind::Changed)
    } else if old.modified != new.modified {
        Some(ChangeKind::Touched)
    } else {
        None
    }
}

fn size(entry: &Entry) -> Option<u64> {
    entry.content.as_ref().map(|content| content.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::model::Content;
    use crate::time::FileTime;

    fn file(path: &str, byte: u8, seconds: i64) -> Entry {
        Entry {
            path: MediaPath::new(path).unwrap(),
            modified: FileTime { seconds, nanos: 0 },
            content: Some(Content { size: 5, sha256: [byte; 32], pieces: Vec::new() }),
        }
    }

    fn folder(path: &str) -> Entry {
        Entry { content: None, ..file(path, 0, 0) }
    }

    #[test]
    fn each_kind_of_change_is_told() {
        let old = [
            folder("a"),
            file("a/changed", 1, 0),
            file("a/gone", 2, 0),
            file("a/moved", 3, 0),
            file("a/same", 4, 0),
            file("a/touched", 5, 0),
        ];
        let new = [
            folder("a"),
            file("a/changed", 9, 0),
            file("a/new", 8, 0),
            file("a/same", 4, 0),
            file("a/touched", 5, 1),
            folder("b"),
            file("b/moved", 3, 0),
        ];
        let comparison = compare(&old, &new);
        let told: Vec<_> =
            comparison.changes.iter().map(|c| (c.path.as_str(), c.kind, c.new_size)).collect();
        use ChangeKind::{Added, Changed, Removed, Renamed, Touched};
        assert_eq!(
            told,
            [
                ("a/changed", Changed, Some(5)),
                ("a/gone", Removed, None),
                ("a/new", Added, Some(5)),
                ("a/touched", Touched, Some(5)),
                ("b", Added, None),
                ("b/moved", Renamed, Some(5)),
            ]
        );
        assert_eq!(comparison.changes[5].from.as_ref().unwrap().as_str(), "a/moved");
        assert_eq!(comparison.same, 2);
        assert_eq!(compare(&new, &new).changes, []);
    }

    #[test]
    fn a_copy_is_no_rename_and_each_original_moves_once() {
        let old = [file("one", 1, 0)];
        let copied = compare(&old, &[file("one", 1, 0), file("two", 1, 0)]);
        assert_eq!(copied.changes[0].kind, ChangeKind::Added);
        let twice = compare(&old, &[file("three", 1, 0), file("two", 1, 0)]);
        let kinds: Vec<_> = twice.changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Renamed, ChangeKind::Added]);
    }
}
