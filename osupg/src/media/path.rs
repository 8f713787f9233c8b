//! Names of files inside media.
//!
//! A media tree is made for Windows Setup, so a name in it must be one that Windows can hold: this
//! also keeps every name harmless on any system it is written to. The check runs when media are
//! read and again when a manifest comes back from the database.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// UTF-16 units in one name: the limit of NTFS.
const MAX_NAME: usize = 255;
/// UTF-8 bytes in one name: the limit of the file systems the tree is rebuilt on.
const MAX_NAME_BYTES: usize = 255;
/// Bytes in a whole path, far above what setup.exe itself can use.
const MAX_PATH: usize = 4000;

/// A relative path in a media tree: names that Windows can hold, separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaPath(String);

impl MediaPath {
    /// Checks a relative path.
    ///
    /// # Errors
    /// Says which rule the path breaks, as the end of a sentence: "… contains a control character".
    pub fn new(path: &str) -> Result<Self, BadName> {
        if path.len() > MAX_PATH {
            return Err(BadName::LongPath);
        }
        path.split('/').try_for_each(check_name)?;
        Ok(Self(path.to_string()))
    }

    /// The path of `name` in this folder.
    ///
    /// # Errors
    /// As [`MediaPath::new`].
    pub fn join(&self, name: &str) -> Result<Self, BadName> {
        check_name(name)?;
        Self::new(&format!("{}/{name}", self.0))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The folder it is in; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_string()))
    }

    /// The form under which Windows would take two paths for the same one.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_uppercase()
    }

    /// Whether it is `path`, whatever the capitals.
    #[must_use]
    pub fn is(&self, path: &str) -> bool {
        self.0.eq_ignore_ascii_case(path)
    }
}

impl fmt::Display for MediaPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::text::clean(&self.0))
    }
}

impl Serialize for MediaPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl schemars::JsonSchema for MediaPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MediaPath".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A path in the media, with slashes." })
    }
}

impl<'de> Deserialize<'de> for MediaPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(|bad| {
            serde::de::Error::custom(format!("the path {:?} {bad}", crate::text::clean(&text)))
        })
    }
}

/// The rule that a name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadName {
    /// Nothing between two separators, or nothing at all.
    #[error("has an empty name in it")]
    Empty,
    /// `.` or `..`.
    #[error("contains the name . or ..")]
    Dots,
    /// Not text.
    #[error("is not UTF-8")]
    NotText,
    /// Below U+0020.
    #[error("contains a control character")]
    Control,
    /// One of `< > : " | ? * \`.
    #[error("contains a character that Windows forbids in names")]
    Forbidden,
    /// A last character that Windows drops.
    #[error("ends in a dot or a blank, which Windows drops")]
    Ending,
    /// A device of DOS.
    #[error("has the name of a DOS device")]
    Device,
    /// More than 255 units.
    #[error("has a name longer than 255 characters")]
    LongName,
    /// More than 4000 bytes.
    #[error("is longer than 4000 bytes")]
    LongPath,
}

fn check_name(name: &str) -> Result<(), BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name == "." || name == ".." {
        return Err(BadName::Dots);
    }
    if name.chars().any(char::is_control) {
        return Err(BadName::Control);
    }
    if name.contains(['<', '>', ':', '"', '|', '?', '*', '\\', '/']) {
        return Err(BadName::Forbidden);
    }
    if name.ends_with(['.', ' ']) {
        return Err(BadName::Ending);
    }
    if is_device(name) {
        return Err(BadName::Device);
    }
    if name.len() > MAX_NAME_BYTES || name.encode_utf16().count() > MAX_NAME {
        return Err(BadName::LongName);
    }
    Ok(())
}

/// Names that Windows gives to devices, with or without an extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let upper = stem.to_ascii_uppercase();
    match upper.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ => upper.strip_prefix("COM").or_else(|| upper.strip_prefix("LPT")).is_some_and(|digit| {
            matches!(digit, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_pass() {
        for path in [
            "setup.exe",
            "sources/install.wim",
            "sources/en-us/a b.mui",
            "Größe/ファイル",
            ".hidden",
            "console",
            "com10",
            "a..b",
        ] {
            assert_eq!(MediaPath::new(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn each_rule_is_named() {
        let long = "x".repeat(256);
        for (path, rule) in [
            ("", BadName::Empty),
            ("/etc/passwd", BadName::Empty),
            ("a//b", BadName::Empty),
            ("a/", BadName::Empty),
            ("..", BadName::Dots),
            ("a/../b", BadName::Dots),
            ("./a", BadName::Dots),
            ("a\nb", BadName::Control),
            ("a\u{85}b", BadName::Control),
            ("a\\b", BadName::Forbidden),
            ("C:", BadName::Forbidden),
            ("a?", BadName::Forbidden),
            ("a.", BadName::Ending),
            ("a ", BadName::Ending),
            ("NUL", BadName::Device),
            ("sources/aux.txt", BadName::Device),
            ("com1.tar.gz", BadName::Device),
            (long.as_str(), BadName::LongName),
        ] {
            assert_eq!(MediaPath::new(path), Err(rule), "{path:?}");
        }
        assert_eq!(MediaPath::new(&"x/".repeat(2001)), Err(BadName::LongPath));
    }

    #[test]
    fn parents_and_names() {
        let path = MediaPath::new("a/b/c").unwrap();
        assert_eq!(path.name(), "c");
        assert_eq!(path.parent().unwrap().as_str(), "a/b");
        assert_eq!(MediaPath::new("a").unwrap().parent(), None);
        assert!(MediaPath::new("SOURCES/Install.WIM").unwrap().is("sources/install.wim"));
    }

    proptest! {
        #[test]
        fn what_passes_stays_below_its_folder(path in "\\PC{0,40}|[./a\\\\:]{0,12}") {
            if let Ok(path) = MediaPath::new(&path) {
                let path = std::path::Path::new(path.as_str());
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert!(path.components().count() >= 1);
            }
        }
    }
}
