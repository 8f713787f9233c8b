//! Which files are left out: the capture configuration.
//!
//! ```text
//! [ExclusionList]
//! \hiberfil.sys            from the root of the tree
//! *.tmp                    this name anywhere
//! [ExclusionException]
//! \keep\this.tmp
//! ```
//!
//! `*` and `?` stand for any part of one name. What matches is left out with all below it, unless
//! an exception matches. Case does not count where wimlib ignores it: on Windows; here it does.

use crate::error::Error;
use crate::progress::Progress;

/// What wimlib leaves out unless told otherwise: files of a running Windows.
const DEFAULT: [&str; 9] = [
    r"\$ntfs.log",
    r"\hiberfil.sys",
    r"\pagefile.sys",
    r"\swapfile.sys",
    r"\System Volume Information",
    r"\RECYCLER",
    r"\$RECYCLE.BIN",
    r"\$Recycle.Bin",
    r"\Windows\CSC",
];

/// What is left out, and what is not even so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusions {
    excluded: Vec<Pattern>,
    excepted: Vec<Pattern>,
}

impl Default for Exclusions {
    fn default() -> Self {
        let pattern = |text: &&str| Pattern::parse(text.as_bytes());
        Self { excluded: DEFAULT.iter().filter_map(pattern).collect(), excepted: Vec::new() }
    }
}

/// A pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// The patterns of the names on the way from the root, none for the root; a single one of any file.
    names: Vec<Vec<u8>>,
    is_anchored: bool,
}

impl Exclusions {
    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { excluded: Vec::new(), excepted: Vec::new() }
    }

    /// Reads a configuration, UTF-8 or UTF-16LE, in place of the default one. `name` is the file's,
    /// for messages. Of sections that nobody knows, and of what is in none, `progress` is warned.
    ///
    /// # Errors
    /// [`Error::Configuration`] that names the line.
    pub fn parse(text: &[u8], name: &str, progress: &dyn Progress) -> Result<Self, Error> {
        let text = crate::text::to_wtf8(text);
        let mut exclusions = Self::none();
        let mut section = Section::None;
        for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let at_line = |problem: &str| format!("{name}: line {number}: {problem}");
            let line = line.trim_ascii();
            if line.is_empty() || matches!(line[0], b'#' | b';') {
                continue;
            }
            if let [b'[', title @ .., b']'] = line {
                section = Section::titled(title).unwrap_or_else(|| {
                    let what = "there is no section of this name; what is in it has no effect";
                    progress.warning(&at_line(what));
                    Section::Other
                });
                continue;
            }
            let list = match section {
                Section::Exclusion => &mut exclusions.excluded,
                Section::Exception => &mut exclusions.excepted,
                Section::Other => continue,
                Section::None => {
                    progress.warning(&at_line("is in no section, and has no effect"));
                    continue;
                }
            };
            if let [letter, b':', ..] = unquoted(line)
                && letter.is_ascii_alphabetic()
            {
                progress.warning(&at_line("the drive letter has no meaning here, and is left out"));
            }
            let pattern = Pattern::parse(unquoted(line));
            list.push(pattern.ok_or_else(|| {
                Error::Configuration(at_line(
                    "a pattern is one name, or a whole path that begins with a backslash; \
                     put one in front",
                ))
            })?);
        }
        Ok(exclusions)
    }

    /// Whether the file at `path`, counted from the root of the tree with a slash in front, is left
    /// out. A directory of which an exception needs something stays.
    pub(super) fn exclude(&self, path: &[u8], is_directory: bool) -> bool {
        let names: Vec<&[u8]> =
            path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        // A pattern stands for all that is below what it matches.
        let matches =
            |pattern: &Pattern| (0..=names.len()).any(|len| pattern.matches(&names[..len]));
        let any = |patterns: &[Pattern]| patterns.iter().any(matches);
        let leads = || is_directory && self.excepted.iter().any(|pattern| pattern.leads(&names));
        any(&self.excluded) && !any(&self.excepted) && !leads()
    }
}

/// The sections of a configuration; those that say how to compress what have no effect.
#[derive(Clone, Copy)]
enum Section {
    None,
    Exclusion,
    Exception,
    Other,
}

impl Section {
    fn titled(title: &[u8]) -> Option<Self> {
        let is = |name: &str| title == name.as_bytes();
        let other = [
            "PrepopulateList",
            "CompressionExclusionList",
            "CompressionFolderList",
            "AlignmentList",
        ];
        Some(match () {
            () if is("ExclusionList") => Self::Exclusion,
            () if is("ExclusionException") => Self::Exception,
            () if other.into_iter().any(is) => Self::Other,
            () => return None,
        })
    }
}

fn unquoted(line: &[u8]) -> &[u8] {
    match line {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        line => line,
    }
}

impl Pattern {
    /// `None` for a path of several names that does not begin at the root, and for none at all.
    fn parse(text: &[u8]) -> Option<Self> {
        let is_separator = |byte: &u8| matches!(byte, b'\\' | b'/');
        // The drive is where the tree is.
        let text = match text {
            [letter, b':', rest @ ..] if letter.is_ascii_alphabetic() => rest,
            text => text,
        };
        let is_anchored = text.first().is_some_and(is_separator);
        let names = text.split(is_separator).filter(|name| !name.is_empty());
        let names: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).collect();
        match names.len() {
            1 => Some(Self { names, is_anchored }),
            _ => is_anchored.then_some(Self { names, is_anchored }),
        }
    }

    fn matches(&self, path: &[&[u8]]) -> bool {
        if !self.is_anchored {
            return path.last().is_some_and(|name| matches(&self.names[0], name));
        }
        self.names.len() == path.len() && self.leads(path)
    }

    /// Whether something that matches may be at or below this path.
    fn leads(&self, path: &[&[u8]]) -> bool {
        // Any file is below the root.
        if path.is_empty() {
            return true;
        }
        self.is_anchored
            && self.names.len() >= path.len()
            && self.names.iter().zip(path).all(|(pattern, name)| matches(pattern, name))
    }
}

/// Whether a name matches a pattern with `*` and `?`. Takes time in proportion to the product of
/// their lengths at most.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Behind the last star, and what it has taken so far ends here.
    let mut star = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, from));
                at += 1;
            }
            Some(&byte) if byte == name[from] || byte == b'?' => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                (at, from) = (behind, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::progress::Silent;

    fn parsed(config: &str) -> Exclusions {
        Exclusions::parse(config.as_bytes(), "config", &Silent).expect("a configuration")
    }

    fn excluded(config: &str, path: &str) -> bool {
        let exclusions = parsed(config);
        exclusions.exclude(path.as_bytes(), false)
    }

    #[test]
    fn patterns() {
        let config = "# comment\n[ExclusionList]\n*.tmp\n\"\\a b\\c\"\nC:\\d\\*\n/e\n\
                      [ExclusionException]\n\\d\\keep\n; comment\n[PrepopulateList]\nx\n";
        for (path, out) in [
            ("/x.tmp", true),
            ("/y/x.tmp", true),
            ("/x.tmp/below", true),
            ("/x.tmpa", false),
            ("/a b/c", true),
            ("/a b/c/below", true),
            ("/z/a b/c", false),
            ("/d", false),
            ("/d/any", true),
            ("/d/keep", false),
            ("/e", true),
            ("/f/e", false),
            ("/x", false),
        ] {
            assert_eq!(excluded(config, path), out, "{path}");
        }
    }

    #[test]
    fn an_exception_keeps_the_way_to_it() {
        let config = "[ExclusionList]\n\\a\n[ExclusionException]\n\\a\\b\\c\n";
        let exclusions = parsed(config);
        for (path, is_directory, out) in [
            ("/a", true, false),
            ("/a/b", true, false),
            ("/a/b/c", false, false),
            ("/a/x", true, true),
        ] {
            assert_eq!(exclusions.exclude(path.as_bytes(), is_directory), out, "{path}");
        }
    }

    #[test]
    fn all_but_exceptions() {
        let only = "[ExclusionList]\n\\\n";
        let one = "[ExclusionList]\n/\n[ExclusionException]\n\\a\\b\n";
        let named = "[ExclusionList]\nC:\\\n[ExclusionException]\nb\n";
        let nothing = "[ExclusionList]\n\\a\n[ExclusionException]\n\\\n";
        for (config, path, is_directory, out) in [
            (only, "/", true, true),
            (only, "/a", false, true),
            (one, "/", true, false),
            (one, "/a", true, false),
            (one, "/a/b", false, false),
            (one, "/a/c", false, true),
            (named, "/", true, false),
            (named, "/b", false, false),
            (named, "/a", true, true),
            (nothing, "/a", false, false),
        ] {
            let found = parsed(config).exclude(path.as_bytes(), is_directory);
            assert_eq!(found, out, "{config} {path}");
        }
    }

    #[test]
    fn malformed_ones_name_the_line() {
        for (config, line) in [("[ExclusionList]\na\\b", 2), ("#\n[ExclusionException]\nC:", 3)] {
            let error = Exclusions::parse(config.as_bytes(), "f.ini", &Silent).expect_err(config);
            assert!(error.to_string().starts_with(&format!("f.ini: line {line}: ")), "{error}");
            assert_eq!(error.code(), 14);
        }
    }

    #[test]
    fn what_nobody_knows_is_warned_of() {
        #[derive(Default)]
        struct Warnings(Mutex<Vec<String>>);
        impl Progress for Warnings {
            fn warning(&self, text: &str) {
                self.0.lock().expect("no panic").push(text.to_owned());
            }
        }
        let warnings = Warnings::default();
        let config = "early\n[Foo]\na\\b\n[ExclusionList]\n*.tmp\nC:\\x\n";
        let exclusions =
            Exclusions::parse(config.as_bytes(), "f.ini", &warnings).expect("it is read");
        assert!(exclusions.exclude(b"/x.tmp", false) && !exclusions.exclude(b"/early", false));
        let warnings = warnings.0.into_inner().expect("no panic");
        let lines: Vec<_> = warnings.iter().map(|text| &text[..13]).collect();
        assert_eq!(lines, ["f.ini: line 1", "f.ini: line 2", "f.ini: line 6"]);
    }

    #[test]
    fn stars() {
        for (pattern, name, is) in [
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("?", "", false),
            ("a?", "ab", true),
            ("**a**b", "xaxb", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), is, "{pattern} {name}");
        }
    }
}
