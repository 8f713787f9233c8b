//! The order of blobs in a solid resource. What is alike compresses well when it is near.

use wim_format::name::{Utf16Name, upcase};

/// In which order blobs are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SolidOrder {
    /// By the extension of the first file that has them, then by its name: files of one kind, and
    /// versions of one file, are neighbours.
    #[default]
    Name,
    /// As they come: in the order of the tree, or of the archive that they are in.
    Source,
}

/// Where files of a name go among others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SortKey(Box<[u16]>);

impl SortKey {
    /// The key of a name. Upper and lower case are the same.
    pub(crate) fn of(name: Utf16Name<'_>) -> Self {
        let units = || name.units().map(upcase);
        let dot = units().rposition(|unit| unit == u16::from(b'.'));
        let extension = units().skip(dot.map_or(name.len(), |dot| dot + 1));
        Self(extension.chain([0]).chain(units()).collect())
    }
}

#[cfg(test)]
mod tests {
    use wim_format::name::Utf16NameBuf;

    use super::*;

    #[test]
    fn extensions_come_first() {
        let mut names = ["b.txt", "A.TXT", "z.dll", "README", "a.dll.mui", "c.", "a.txt", ".txt"];
        names.sort_by_key(|name| {
            let name = Utf16NameBuf::from_wtf8(name.as_bytes()).expect("a name");
            SortKey::of(name.as_name())
        });
        let expected = ["c.", "README", "z.dll", "a.dll.mui", ".txt", "A.TXT", "a.txt", "b.txt"];
        assert_eq!(names, expected);
    }
}
