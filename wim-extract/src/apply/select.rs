//! Which files of an image are meant: paths, with or without wildcards.

use wim_format::{
    metadata::DentryId,
    name::{CaseSensitivity, Utf16NameBuf},
};

use crate::{
    archive::{ImageIndex, ImageTree, Wim},
    error::Error,
    progress::Progress,
};

/// Whether `*` and `?` in a path stand for other characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Matching {
    /// `*` stands for any characters but a separator, `?` for one. Where case does not matter, a
    /// path means every file whose path is alike.
    #[default]
    Globs,
    /// They stand for themselves, and a path means one file.
    Literal,
}

/// What to do about a path that nothing matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// It is an error.
    #[default]
    Fail,
    /// It is a warning.
    Warn,
}

/// Whether an extracted file keeps its place in the tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Structure {
    /// Every chosen file or directory goes into the destination itself. Of several with the same
    /// name the last stays.
    #[default]
    Flat,
    /// The directories above it are made too.
    Preserve,
}

/// Paths in an image, as a user gives them.
#[derive(Debug, Clone, Default)]
pub struct Selection<'a> {
    /// The paths, in WTF-8; parts separated by `/` or `\`, from the root whether or not they begin
    /// with a separator. The empty path is the root.
    pub paths: Vec<&'a [u8]>,
    /// Whether they have wildcards.
    pub matching: Matching,
    /// Whether upper and lower case are alike.
    pub case: CaseSensitivity,
    /// Whether each path must match something.
    pub unmatched: Unmatched,
    /// Where the files go; of no meaning for a stream.
    pub structure: Structure,
}

impl Selection<'_> {
    /// The chosen files and directories in the order of the paths and, for one path, of the image;
    /// each once, and none that is below another.
    ///
    /// # Errors
    /// [`Error::NoSuchPath`] for the first path that nothing matches, if that is an error.
    pub fn find(
        &self,
        wim: &Wim,
        image: ImageIndex,
        tree: &ImageTree,
        progress: &dyn Progress,
    ) -> Result<Vec<DentryId>, Error> {
        let mut chosen = Vec::new();
        for path in &self.paths {
            let before = chosen.len();
            match self.matching {
                Matching::Literal => chosen.extend(tree.lookup(with_slashes(path), self.case)),
                Matching::Globs => self.expand(tree, path, &mut chosen),
            }
            if chosen.len() > before {
                continue;
            }
            let shown = String::from_utf8_lossy(path).into_owned();
            match self.unmatched {
                Unmatched::Warn => progress.warning(&format!("nothing matches {shown:?}")),
                Unmatched::Fail => {
                    let (file, image) = (wim.name(), image.get());
                    return Err(Error::NoSuchPath { file, image, path: shown });
                }
            }
        }
        Ok(without_nested(tree, chosen))
    }

    fn expand(&self, tree: &ImageTree, path: &[u8], out: &mut Vec<DentryId>) {
        let path = with_slashes(path);
        let mut here = vec![DentryId::ROOT];
        for part in path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
            // A name that is not Unicode is in no image.
            let Ok(pattern) = Utf16NameBuf::from_wtf8(part) else { return };
            let has_wildcard = part.iter().any(|byte| matches!(byte, b'*' | b'?'));
            let exact = !has_wildcard && self.case == CaseSensitivity::Sensitive;
            let mut next = Vec::new();
            for directory in here {
                if exact {
                    next.extend(tree.child(directory, pattern.as_name(), self.case));
                    continue;
                }
                let pattern = Pattern::new(&pattern, self.case);
                let children = tree.children(directory);
                next.extend(children.filter(|&id| pattern.matches(tree.dentry(id).name().units())));
            }
            here = next;
        }
        out.extend(here);
    }
}

/// `chosen` in order, without repetitions and without what is below another chosen one.
fn without_nested(tree: &ImageTree, chosen: Vec<DentryId>) -> Vec<DentryId> {
    let mut free: Vec<bool> = vec![false; tree.len()];
    chosen.iter().for_each(|id| free[id.0 as usize] = true);
    // Whether a chosen one is above; parents come before their children.
    let mut covered: Vec<bool> = vec![false; tree.len()];
    for id in tree.ids().skip(1) {
        let parent = tree.parent(id).0 as usize;
        covered[id.0 as usize] = covered[parent] || free[parent];
    }
    let mut first = |id: &DentryId| std::mem::take(&mut free[id.0 as usize]);
    chosen.into_iter().filter(|id| !covered[id.0 as usize] && first(id)).collect()
}

/// The path with forward slashes only.
fn with_slashes(path: &[u8]) -> Vec<u8> {
    path.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

/// A name with wildcards.
struct Pattern {
    units: Vec<u16>,
    case: CaseSensitivity,
}

impl Pattern {
    fn new(name: &Utf16NameBuf, case: CaseSensitivity) -> Pattern {
        Pattern { units: name.as_name().units().map(|unit| fold(unit, case)).collect(), case }
    }

    /// Whether the whole name matches. When a `*` turns out to have taken too little, it takes one
    /// character more; only the last `*` need ever be asked, so this takes no more than the product
    /// of both lengths.
    fn matches(&self, name: impl Iterator<Item = u16>) -> bool {
        let name: Vec<u16> = name.map(|unit| fold(unit, self.case)).collect();
        let (mut at, mut in_name) = (0, 0);
        let mut last_star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            let taken = char_len(&name[in_name..]);
            match self.units.get(at) {
                Some(&STAR) => {
                    last_star = Some((at, in_name));
                    at += 1;
                }
                Some(&QUESTION) => (at, in_name) = (at + 1, in_name + taken),
                Some(&unit) if unit == name[in_name] => (at, in_name) = (at + 1, in_name + 1),
                _ => {
                    let Some((star, from)) = last_star else { return false };
                    let from = from + char_len(&name[from..]);
                    last_star = Some((star, from));
                    (at, in_name) = (star + 1, from);
                }
            }
        }
        self.units[at..].iter().all(|&unit| unit == STAR)
    }
}

const STAR: u16 = b'*' as u16;
const QUESTION: u16 = b'?' as u16;

fn fold(unit: u16, case: CaseSensitivity) -> u16 {
    match case {
        CaseSensitivity::Sensitive => unit,
        CaseSensitivity::Insensitive => wim_format::name::upcase(unit),
    }
}

/// Code units of the first character: 2 for a surrogate pair.
fn char_len(units: &[u16]) -> usize {
    match units {
        [0xd800..0xdc00, 0xdc00..0xe000, ..] => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str, case: CaseSensitivity) -> bool {
        Pattern::new(&Utf16NameBuf::from(pattern), case).matches(name.encode_utf16())
    }

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("?", "", false),
            ("?", "a", true),
            ("?", "😀", true),
            ("??", "😀", false),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.bak", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("**", "x", true),
            ("*?", "", false),
            ("*a", "aaaa", true),
            ("a?c*", "abc", true),
            ("[a]", "a", false),
        ] {
            assert_eq!(matches(pattern, name, CaseSensitivity::Sensitive), expected, "{pattern}");
        }
        assert!(matches("*.TXT", "ä.txt", CaseSensitivity::Insensitive));
        assert!(matches("Ä*", "ä.txt", CaseSensitivity::Insensitive));
        assert!(!matches("*.TXT", "a.txt", CaseSensitivity::Sensitive));
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let name = "a".repeat(30_000);
        let pattern = "*a".repeat(500) + "b";
        assert!(!matches(&pattern, &name, CaseSensitivity::Sensitive));
    }
}
