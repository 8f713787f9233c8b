//! A command line of Windows, with its quoting.

use crate::error::{Error, Result};
use crate::text;

/// Characters that a Windows command line may have (`CreateProcess`).
const MAX_LINE: usize = 32_767;
/// Characters of product keys: consonants and digits that cannot be confused, and N.
const KEY_CHARACTERS: &str = "BCDFGHJKMNPQRTVWXY2346789";

/// An argument as a program started through `CreateProcess` and `CommandLineToArgvW` gets it back.
pub(super) fn quoted(argument: &str) -> String {
    let plain = !argument.is_empty() && !argument.contains([' ', '\t', '"']);
    if plain {
        return argument.to_string();
    }
    // Backslashes count only in front of a quotation mark, where they are doubled.
    let mut line = String::from("\"");
    let mut backslashes = 0;
    for c in argument.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                line.push_str(&"\\".repeat(backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        line.push(c);
    }
    line.push_str(&"\\".repeat(backslashes));
    line.push('"');
    line
}

/// The whole line.
pub(super) fn joined(program: &str, arguments: &[String]) -> Result<String> {
    let quoted: Vec<_> =
        std::iter::once(program).chain(arguments.iter().map(String::as_str)).map(quoted).collect();
    let line = quoted.join(" ");
    match line.chars().count() {
        ..=MAX_LINE => Ok(line),
        long => Err(Error::usage(format!(
            "the command line has {long} characters; Windows takes {MAX_LINE} at most"
        ))),
    }
}

/// A path on the device: absolute with a drive or a share, or a variable such as `%drivers01%`.
pub(super) fn path(what: &str, given: &str) -> Result<String> {
    let given = given.trim();
    let bad = |why: &str| {
        Error::usage(format!("the {what} {:?} {why}", text::clean(given))).advise(
            "give a path as the device sees it, such as C:\\Drivers, \\\\server\\share\\drivers or \
             a variable such as %drivers01%",
        )
    };
    let bytes = given.as_bytes();
    let drive = bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':');
    if given.is_empty() || given.chars().count() > 260 {
        return Err(bad("is empty or longer than the 260 characters that Setup can use"));
    }
    if given.chars().any(char::is_control) || given.contains(['"', '<', '>', '|', '?', '*']) {
        return Err(bad("holds a character that Windows forbids in paths"));
    }
    if !(drive && bytes.get(2) == Some(&b'\\') || given.starts_with("\\\\") || bytes[0] == b'%') {
        return Err(bad("is not absolute"));
    }
    Ok(given.to_string())
}

/// A product key: five groups of five characters.
///
/// # Errors
/// When it is none. The key itself is not in the message, which may end up in a log.
pub fn product_key(given: &str) -> Result<String> {
    let key = given.trim().to_ascii_uppercase();
    let bad = |why: String| {
        Error::usage(format!("this is no product key: {why}"))
            .advise("a key has five groups of five characters, as in XXXXX-XXXXX-XXXXX-XXXXX-XXXXX")
    };
    let groups: Vec<&str> = key.split('-').collect();
    if groups.len() != 5 {
        let count = groups.len();
        return Err(bad(format!("it has {count} group{}", text::plural(count as u64))));
    }
    for (position, group) in groups.iter().enumerate() {
        if group.chars().count() != 5 {
            return Err(bad(format!("group {} does not have five characters", position + 1)));
        }
        if !group.chars().all(|c| KEY_CHARACTERS.contains(c)) {
            return Err(bad(format!(
                "group {} holds a character that no product key has",
                position + 1
            )));
        }
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_as_windows_takes_them_apart() {
        assert_eq!(quoted("/auto"), "/auto");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("C:\\a b"), "\"C:\\a b\"");
        assert_eq!(quoted("C:\\a b\\"), "\"C:\\a b\\\\\"");
        assert_eq!(quoted("say \"hi\""), "\"say \\\"hi\\\"\"");
        assert_eq!(quoted("a\\\" b"), "\"a\\\\\\\" b\"");
    }

    #[test]
    fn product_keys_have_five_groups_of_five() {
        let good = "vk7jg-nphtm-c97jm-9mpgt-3v66t";
        assert_eq!(product_key(good).unwrap(), good.to_ascii_uppercase());
        for bad in [
            "",
            "VK7JG-NPHTM-C97JM-9MPGT",
            "VK7JG-NPHTM-C97JM-9MPGT-3V66T-3V66T",
            "VK7JG-NPHTM-C97JM-9MPGT-3V66",
            "VK7JG-NPHTM-C97JM-9MPGT-3V66O",
            "VK7JGNPHTMC97JM9MPGT3V66T",
            "VK7JG-NPHTM-C97JM-9MPGT-3V6\"T",
        ] {
            let error = product_key(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn paths_are_those_of_a_device() {
        for good in ["C:\\Drivers", "\\\\server\\share\\x y", "%content01%\\x"] {
            assert_eq!(path("folder", good).unwrap(), good);
        }
        for bad in ["", "drivers", "/etc", "C:drivers", "C:\\a\"b", "C:\\a\nb", &"C:\\x".repeat(99)]
        {
            assert!(path("folder", bad).is_err(), "{bad}");
        }
    }
}
