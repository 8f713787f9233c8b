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
/// Characters in the name of a manufacturer.
pub const MAX_MANUFACTURER: usize = 32;
/// Characters in the name of a folder or security scope.
const MAX_LABEL: usize = 50;
/// Folders in a path of folders.
const MAX_DEPTH: usize = 10;
/// Security scopes that a package may belong to.
const MAX_SCOPES: usize = 64;
/// Languages that a package may list.
const MAX_LANGUAGES: usize = 64;
/// Characters in the name of a device model.
const MAX_MODEL: usize = 64;
/// Device models that a package may list.
const MAX_MODELS: usize = 64;

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

/// A manufacturer: up to 32 characters.
///
/// # Errors
/// When it is too long or holds a control character.
pub fn manufacturer(given: &str) -> Result<String> {
    line("manufacturer", given, MAX_MANUFACTURER)
}

/// A path of at most ten folders such as `/Windows 11/Pro`, each of 1 to 50 characters; `/` for
/// none. It is written with one slash before each folder, and none at the end.
///
/// # Errors
/// When there are too many, or one is too long or holds a control character.
pub fn folder(given: &str) -> Result<String> {
    let names = given.split('/').map(str::trim).filter(|name| !name.is_empty());
    let names = names.map(|name| line("folder", name, MAX_LABEL)).collect::<Result<Vec<_>>>()?;
    if names.len() > MAX_DEPTH {
        return Err(Error::usage(format!(
            "the folder is {} deep; {MAX_DEPTH} is the deepest there can be",
            names.len()
        )));
    }
    Ok(format!("/{}", names.join("/")))
}

/// Names of security scopes, each of 1 to 50 characters, in order and each once.
///
/// # Errors
/// When there is none, or too many, or one is too long or holds a control character.
pub fn scopes(given: &[String]) -> Result<Vec<String>> {
    let mut scopes = Vec::new();
    for scope in given {
        let scope = line("security scope", scope, MAX_LABEL)?;
        if scope.is_empty() {
            return Err(Error::usage("a security scope needs a name"));
        }
        scopes.push(scope);
    }
    scopes.sort();
    scopes.dedup();
    match scopes.len() {
        0 => Err(Error::usage("a package belongs to at least one security scope")
            .advise("the usual one is Default")),
        1..=MAX_SCOPES => Ok(scopes),
        many => Err(Error::usage(format!(
            "{many} security scopes are given; {MAX_SCOPES} is the most a package can belong to"
        ))),
    }
}

/// Names of device models, each of 1 to 64 characters, in order and each once, whatever its capitals.
///
/// # Errors
/// When there are too many, or one is empty, too long or holds a control character.
pub fn models(given: &[String]) -> Result<Vec<String>> {
    let mut models = given.iter().map(|model| self::model(model)).collect::<Result<Vec<_>>>()?;
    models.sort_by_key(|model| model.to_lowercase());
    models.dedup_by_key(|model| model.to_lowercase());
    match models.len() {
        0..=MAX_MODELS => Ok(models),
        many => Err(Error::usage(format!(
            "{many} device models are given; {MAX_MODELS} is the most a package can be for"
        ))),
    }
}

/// The name of a device model: 1 to 64 characters.
///
/// # Errors
/// When it is empty, too long or holds a control character.
pub fn model(given: &str) -> Result<String> {
    match line("device model", given, MAX_MODEL)? {
        model if model.is_empty() => Err(Error::usage("a device model needs a name")),
        model => Ok(model),
    }
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
        for (check, limit) in [
            (name as fn(&str) -> Result<String>, 50),
            (version, 32),
            (comment, 127),
            (manufacturer, 32),
        ] {
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
    fn folders_are_written_in_one_way() {
        for (given, written) in [
            ("", "/"),
            ("/", "/"),
            ("Windows 11", "/Windows 11"),
            ("//Windows 11/ Pro /", "/Windows 11/Pro"),
        ] {
            assert_eq!(folder(given).unwrap(), written);
        }
        assert!(folder(&"a/".repeat(11)).is_err());
        assert!(folder(&"x".repeat(51)).is_err());
        assert!(folder("a/b\n").is_ok_and(|path| path == "/a/b"));
        assert!(folder("a/b\nc").is_err());
    }

    #[test]
    fn scopes_are_named_and_few() {
        let of =
            |names: &[&str]| scopes(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["West", "Default", "West"]).unwrap(), ["Default", "West"]);
        for bad in [&[][..], &[""], &["two\nlines"], &["x".repeat(51).as_str()]] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
        let many: Vec<_> = (0..65).map(|number| number.to_string()).collect();
        assert!(scopes(&many).is_err());
    }

    #[test]
    fn models_are_named_and_few() {
        let of =
            |names: &[&str]| models(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["Latitude 5450", " elite X2 ", "Elite x2"]).unwrap().len(), 2);
        assert_eq!(of(&[]).unwrap(), [""; 0]);
        assert!(of(&["ä".repeat(64).as_str()]).is_ok());
        for bad in [&[""][..], &["two\nlines"], &["x".repeat(65).as_str()]] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
        let many: Vec<_> = (0..65).map(|number| number.to_string()).collect();
        assert!(models(&many[..64]).is_ok());
        assert!(models(&many).unwrap_err().to_string().contains("64 is the most"));
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
