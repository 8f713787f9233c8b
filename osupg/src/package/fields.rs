//! The fields that people fill in, and their limits.
//!
//! The limits are those of Configuration Manager's operating-system upgrade packages, so that a
//! package can move between the two. A character is a Unicode character.

use crate::error::{Error, Result};
use crate::text;

/// Characters in a name.
pub const MAX_NAME: usize = 50;
/// Characters in a version.
pub const MAX_VERSION: usize = 32;
/// Characters in a comment.
pub const MAX_COMMENT: usize = 127;
/// Languages that a package may list.
const MAX_LANGUAGES: usize = 64;

/// A package name: 1 to 50 characters, blanks at both ends dropped.
///
/// # Errors
/// When it is empty, too long or holds a control character.
pub fn name(given: &str) -> Result<String> {
    let name = line("name", given, MAX_NAME)?;
    if name.is_empty() {
        return Err(Error::usage("a package needs a name").advise("give one with --name"));
    }
    Ok(name)
}

/// A version: up to 32 characters.
///
/// # Errors
/// When it is too long or holds a control character.
pub fn version(given: &str) -> Result<String> {
    line("version", given, MAX_VERSION)
}

/// A comment: up to 127 characters.
///
/// # Errors
/// When it is too long or holds a control character.
pub fn comment(given: &str) -> Result<String> {
    line("comment", given, MAX_COMMENT)
}

fn line(field: &str, given: &str, limit: usize) -> Result<String> {
    let value = given.trim();
    let count = value.chars().count();
    if count > limit {
        return Err(Error::usage(format!(
            "the {field} has {count} characters; {limit} is the most a {field} can have"
        )));
    }
    if let Some(control) = value.chars().find(|c| c.is_control()) {
        return Err(Error::usage(format!(
            "the {field} holds the control character {}",
            control.escape_unicode()
        )));
    }
    Ok(value.to_string())
}

/// An architecture under the name this project uses: `x86`, `x64`, `arm`, `arm64` or `ia64`.
///
/// # Errors
/// When it is none of these nor an alias of one.
pub fn architecture(given: &str) -> Result<String> {
    Ok(match given.trim().to_ascii_lowercase().as_str() {
        "x64" | "amd64" | "x86_64" => "x64",
        "x86" | "i386" | "i686" => "x86",
        "arm64" | "aarch64" => "arm64",
        "arm" => "arm",
        "ia64" => "ia64",
        _ => {
            return Err(Error::usage(format!(
                "{:?} is not an architecture; there are x64, arm64, x86, arm and ia64",
                text::clean(given)
            )));
        }
    }
    .to_string())
}

/// Languages, separated by blanks or commas, each such as `en-US`; written as is customary.
///
/// # Errors
/// When one does not look like a language tag of Windows.
pub fn languages(given: &str) -> Result<String> {
    let tags = given.split([' ', ',']).filter(|tag| !tag.is_empty());
    let tags = tags.map(language).collect::<Result<Vec<_>>>()?;
    match tags.len() {
        0 => Err(Error::usage("the language is empty; give one such as en-US")),
        1..=MAX_LANGUAGES => Ok(tags.join(" ")),
        many => Err(Error::usage(format!(
            "{many} languages are given; {MAX_LANGUAGES} is the most a package can list"
        ))),
    }
}

/// One tag: a language of two or three letters, then script, region or variant.
fn language(tag: &str) -> Result<String> {
    let bad = || {
        Error::usage(format!(
            "{:?} is not a language; write it as Windows does, such as en-US or zh-Hans-CN",
            text::clean(tag)
        ))
    };
    let mut parts = Vec::new();
    for (position, part) in tag.split('-').enumerate() {
        let lower = part.to_ascii_lowercase();
        let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
        if part.is_empty() || part.len() > 8 || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(bad());
        }
        parts.push(match (position, part.len(), letters) {
            (0, 2..=3, true) => lower,
            (0, ..) => return Err(bad()),
            (_, 2, true) => part.to_ascii_uppercase(),
            (_, 4, true) => format!("{}{}", lower[..1].to_ascii_uppercase(), &lower[1..]),
            _ => lower,
        });
    }
    if parts.len() > 4 { Err(bad()) } else { Ok(parts.join("-")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_hold_at_and_beyond() {
        for (check, limit) in
            [(name as fn(&str) -> Result<String>, 50), (version, 32), (comment, 127)]
        {
            for fill in ["x", "ä", "漢", "𝄞"] {
                assert_eq!(check(&fill.repeat(limit)).unwrap(), fill.repeat(limit));
                let error = check(&fill.repeat(limit + 1)).unwrap_err();
                assert!(error.to_string().contains(&limit.to_string()), "{error}");
                assert!(check(&fill.repeat(1_000_000)).is_err());
            }
            assert!(check("bell\u{7}").is_err());
            assert!(check("two\nlines").is_err());
        }
        assert!(name("").is_err());
        assert!(name("  \t ").is_err());
        assert_eq!(name("  kept inside  only ").unwrap(), "kept inside  only");
        assert_eq!(version("").unwrap(), "");
    }

    #[test]
    fn architectures_have_one_name() {
        assert_eq!(architecture("AMD64").unwrap(), "x64");
        assert_eq!(architecture("aarch64").unwrap(), "arm64");
        assert!(architecture("sparc").is_err());
        assert!(architecture("").is_err());
    }

    #[test]
    fn languages_are_written_as_customary() {
        assert_eq!(languages("EN-us").unwrap(), "en-US");
        assert_eq!(languages("de-de, zh-hans-cn").unwrap(), "de-DE zh-Hans-CN");
        for bad in ["", ",", "english-", "e", "en--US", "en_US", "en-US-x-y-z", "日本"] {
            assert!(languages(bad).is_err(), "{bad}");
        }
        assert!(languages(&"en-US ".repeat(65)).is_err());
    }

    proptest! {
        #[test]
        fn what_passes_is_clean_and_within_limits(given in "\\PC{0,140}|.{0,140}") {
            if let Ok(value) = comment(&given) {
                prop_assert!(value.chars().count() <= MAX_COMMENT);
                prop_assert!(!value.chars().any(char::is_control));
            }
            if let Ok(value) = name(&given) {
                prop_assert!((1..=MAX_NAME).contains(&value.chars().count()));
            }
            if let Ok(value) = languages(&given) {
                prop_assert_eq!(languages(&value).unwrap(), value);
            }
        }
    }
}
