//! Where the store is and which site code its packages carry.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::package::prune;
use crate::store::{cache, place};
use crate::text;

/// The folder that holds the database and the content library when nobody names another:
/// `$XDG_DATA_HOME/osupg`, or `~/.local/share/osupg`.
///
/// # Errors
/// When neither variable helps, as for a service without a home folder.
pub fn default_home() -> Result<PathBuf> {
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("osupg"))
        .ok_or_else(|| {
            Error::usage("no folder for the store: neither XDG_DATA_HOME nor HOME is set")
                .advise("name a folder with --home or the variable OSUPG_HOME")
        })
}

/// The XDG specification: a relative path is invalid and must be ignored.
fn absolute(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The folder of a person's own settings: `$XDG_CONFIG_HOME/osupg`, or `~/.config/osupg`; `None`
/// for who has no home.
#[must_use]
pub fn user_folder() -> Option<PathBuf> {
    absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|folder| folder.join("osupg"))
}

/// What can be set for a store. Every key may be left out.
///
/// The file is TOML; a key that is not known is an error, so that a misspelt one does not pass
/// unseen. Options of the command line and variables go before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The folder of the store.
    pub home: Option<PathBuf>,
    /// Three letters or digits that start the ids of new packages.
    pub site_code: Option<SiteCode>,
    /// The database: `postgres://…`; SQLite in the folder of the store when left out.
    pub database: Option<String>,
    /// The content library: a folder, `s3://bucket/prefix` or `azure://container/prefix`; a folder
    /// of the store when left out.
    pub library: Option<String>,
    /// The HTTP service.
    pub serve: crate::api::Settings,
    /// How jobs are run.
    pub jobs: crate::jobs::settings::Settings,
    /// The S3-compatible store that `library` names.
    pub s3: place::S3Settings,
    /// The Azure store that `library` names.
    pub azure: place::AzureSettings,
    /// The folder for objects of a library elsewhere, while they are worked with.
    pub cache: cache::Settings,
    /// How long revisions and unused objects are kept.
    pub retention: prune::Settings,
}

impl Config {
    /// The configuration of this user, or else of this machine; nothing is configured where
    /// neither `~/.config/osupg/osupg.toml` nor `/etc/osupg/osupg.toml` exists.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn find() -> Result<Self> {
        let user = user_folder().map(|folder| folder.join("osupg.toml"));
        let machine = PathBuf::from("/etc/osupg/osupg.toml");
        user.into_iter()
            .chain([machine])
            .find(|path| path.exists())
            .map_or_else(|| Ok(Self::default()), |path| Self::read(&path))
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or holds a key or value that is not known.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::file("read the configuration", path, &error))?;
        toml::from_str(&text).map_err(|error| {
            let shown = text::path(path);
            Error::usage(format!("the configuration {shown} is wrong: {}", error.message()))
        })
    }

    /// What starts the ids of new packages.
    #[must_use]
    pub fn site(&self) -> SiteCode {
        self.site_code.unwrap_or_default()
    }

    /// The folder of the store.
    ///
    /// # Errors
    /// As [`default_home`].
    pub fn folder(&self) -> Result<PathBuf> {
        self.home.clone().map_or_else(default_home, Ok)
    }
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

impl Default for SiteCode {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Serialize for SiteCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl schemars::JsonSchema for SiteCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SiteCode".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "Three letters or digits." })
    }
}

impl<'de> Deserialize<'de> for SiteCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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
