//! The canonical form of a manifest, and its digest.
//!
//! ```text
//! osupg-manifest 1
//! D <mtime> .
//! D <mtime> <path>
//! F <mtime> <size> <sha256> <path>
//! ```
//!
//! The top folder first, then one line an entry, ordered by the bytes of the path; `mtime` is seconds since 1970 UTC, a dot
//! and nine digits of nanoseconds. Paths hold no line breaks. The digest is the SHA-256 of these
//! bytes: it stands for the whole revision, and two revisions with equal digests are the same media.

use sha2::{Digest, Sha256};

use super::model::Entry;
use crate::text;
use crate::time::FileTime;

/// The canonical bytes of `entries`, which are ordered by path; `root` is the top folder's time.
#[must_use]
pub fn canonical(root: FileTime, entries: &[Entry]) -> String {
    let time = |time: FileTime| format!("{}.{:09}", time.seconds, time.nanos);
    let mut lines = format!("osupg-manifest 1\nD {} .\n", time(root));
    for entry in entries {
        let time = time(entry.modified);
        let path = entry.path.as_str();
        lines.push_str(&match &entry.content {
            None => format!("D {time} {path}\n"),
            Some(content) => {
                format!("F {time} {} {} {path}\n", content.size, text::hex(&content.sha256))
            }
        });
    }
    lines
}

/// The digest of a revision with these entries.
#[must_use]
pub fn digest(root: FileTime, entries: &[Entry]) -> [u8; 32] {
    Sha256::digest(canonical(root, entries).as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::path::MediaPath;
    use crate::package::model::Content;

    const ROOT: FileTime = FileTime { seconds: 1, nanos: 2 };

    fn entries() -> Vec<Entry> {
        let content = Content { size: 5, sha256: [0xab; 32], pieces: Vec::new() };
        let modified = FileTime { seconds: -1, nanos: 7 };
        vec![
            Entry { path: MediaPath::new("a").unwrap(), modified, content: None },
            Entry { path: MediaPath::new("a/b c").unwrap(), modified, content: Some(content) },
        ]
    }

    #[test]
    fn the_form_is_fixed() {
        let expected = format!(
            "osupg-manifest 1\nD 1.000000002 .\nD -1.000000007 a\nF -1.000000007 5 {} a/b c\n",
            "ab".repeat(32)
        );
        assert_eq!(canonical(ROOT, &entries()), expected);
    }

    #[test]
    fn every_field_counts() {
        let before = digest(ROOT, &entries());
        assert_ne!(digest(FileTime::EPOCH, &entries()), before);
        let mut changed = entries();
        changed[0].modified.nanos += 1;
        assert_ne!(digest(ROOT, &changed), before);
        let mut changed = entries();
        changed[1].content.as_mut().unwrap().size += 1;
        assert_ne!(digest(ROOT, &changed), before);
        assert_ne!(digest(ROOT, &entries()[..1]), before);
    }
}
