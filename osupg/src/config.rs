//! Where the store is and which site code its packages carry.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The folder that holds the database and the content library when nobody names another:
/// `$XDG_DATA_HOME/osupg`, or `~/.local/share/osupg`.
///
/// # Errors
/// When neither variable helps, as for a service without a home folder.
pub fn default_home() -> Result<PathBuf> {
    // The XDG specification: a relative path is invalid and must be ignored.
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("osupg"))
        .ok_or_else(|| {
            Error::usage("no folder for the store: neither XDG_DATA_HOME nor HOME is set")
                .advise("name a folder with --home or the variable OSUPG_HOME")
        })
}

/// Three letters or digits that start every package id of a site, in capitals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteCode([u8; 3]);

impl SiteCode {
    /// The code of a site that has chosen none.
    pub const DEFAULT: Self = Self(*b"OSU");

    /// The three characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII gets in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The package id with this number, such as `OSU00001`; `None` beyond five digits.
    #[must_use]
    pub fn package_id(&self, number: i64) -> Option<String> {
        (1..=99_999).contains(&number).then(|| format!("{self}{number:05}"))
    }
}

impl FromStr for SiteCode {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        match <[u8; 3]>::try_from(upper.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_alphanumeric) => Ok(Self(code)),
            _ => Err("a site code is three letters or digits, such as OSU".into()),
        }
    }
}

impl fmt::Display for SiteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn site_codes_are_three_letters_or_digits() {
        assert_eq!("ams".parse::<SiteCode>().unwrap().as_str(), "AMS");
        assert_eq!("P01".parse::<SiteCode>().unwrap().as_str(), "P01");
        for bad in ["", "AB", "ABCD", "A-B", "ÄB", "../"] {
            assert!(bad.parse::<SiteCode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn package_ids_have_eight_characters() {
        assert_eq!(SiteCode::DEFAULT.package_id(1).as_deref(), Some("OSU00001"));
        assert_eq!(SiteCode::DEFAULT.package_id(99_999).as_deref(), Some("OSU99999"));
        assert_eq!(SiteCode::DEFAULT.package_id(100_000), None);
        assert_eq!(SiteCode::DEFAULT.package_id(0), None);
    }
}
