//! Where the store is and which site code its packages carry.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::package::prune;
use crate::store::{cache, place};
use crate::system;
use crate::text;

/// The folder that holds the database and the content library when nobody names another:
/// `$XDG_DATA_HOME/osupg`, or `~/.local/share/osupg`; on Windows `%LOCALAPPDATA%\osupg`.
///
/// # Errors
/// When neither variable helps, as for a service without a home folder.
pub fn default_home() -> Result<PathBuf> {
    system::data_folder().map(|data| data.join("osupg")).ok_or_else(|| {
        Error::usage(format!("no folder for the store: {}", system::DATA_VARIABLES))
            .advise("name a folder with --home or the variable OSUPG_HOME")
    })
}

/// The folder of a person's own settings: `$XDG_CONFIG_HOME/osupg`, or `~/.config/osupg`, on Windows
/// `%APPDATA%\osupg`; `None` for who has no home.
#[must_use]
pub fn user_folder() -> Option<PathBuf> {
    system::settings_folder().map(|folder| folder.join("osupg"))
}

/// What can be set for a store. Every key may be left out. `dist/osupg.toml` has each of them with
/// its default, and a test sees to it.
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
    /// How long the audit log is kept.
    pub audit: crate::audit::Settings,
    /// This osupg as a node that fetches by itself.
    pub dp: crate::points::node::settings::Settings,
    /// Servicing of images.
    pub service: crate::service::Settings,
}

impl Config {
    /// The configuration of this user, or else of this machine; nothing is configured where
    /// neither `~/.config/osupg/osupg.toml` nor `/etc/osupg/osupg.toml` exists; on Windows they are
    /// in `%APPDATA%` and `%ProgramData%`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn find() -> Result<Self> {
        let user = user_folder().map(|folder| folder.join("osupg.toml"));
        let machine = system::machine_settings().join("osupg").join("osupg.toml");
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

    /// The commented configuration that is installed.
    const SAMPLE: &str = include_str!("../dist/osupg.toml");

    /// The sample with every key set.
    fn uncommented() -> String {
        let key = |line: &&str| {
            let line = line.strip_prefix('#').unwrap_or(line);
            line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| is_key(key))
        };
        let lines = SAMPLE.lines().filter(key).map(|line| line.strip_prefix('#').unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn is_key(text: &str) -> bool {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }

    /// The keys that a section can have; empty where it is no section.
    fn keys(section: &str) -> Vec<String> {
        let path = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
        let said = toml::from_str::<Config>(&format!("{path}no-such-key = 1\n"))
            .map_err(|error| error.message().to_string());
        let Err(said) = said else { return Vec::new() };
        let names = said.split_once("expected").map(|(_, names)| names).unwrap_or_default();
        names.split('`').skip(1).step_by(2).map(str::to_string).collect()
    }

    #[test]
    fn the_sample_names_every_key_and_no_other() {
        assert_eq!(toml::from_str::<Config>(SAMPLE).unwrap(), Config::default(), "all commented");
        let all = uncommented();
        toml::from_str::<Config>(&all).unwrap_or_else(|error| panic!("{error}\n{all}"));
        let all: toml::Table = toml::from_str(&all).unwrap();
        let top = keys("");
        assert!(top.contains(&"site-code".to_string()), "{top:?}");
        for key in top {
            let section = keys(&key);
            let there = all.get(&key).unwrap_or_else(|| panic!("dist/osupg.toml lacks {key}"));
            for inner in section.iter().filter(|_| there.is_table()) {
                assert!(there.get(inner).is_some(), "dist/osupg.toml lacks {inner} in [{key}]");
            }
        }
    }

    /// What is set there to its default must be the default.
    #[test]
    fn the_sample_gives_the_defaults() {
        let all = toml::from_str::<Config>(&uncommented()).unwrap();
        // These have none.
        let serve = crate::api::Settings { tls_cert: None, tls_key: None, ..all.serve.clone() };
        let cache = crate::store::cache::Settings { folder: None, ..all.cache.clone() };
        let (s3, azure) = Default::default();
        assert!(!all.s3.allow_http && !all.azure.allow_http);
        assert_eq!(all.dp.every_seconds, Config::default().dp.every_seconds);
        let plain = Config {
            home: None,
            site_code: None,
            database: None,
            library: None,
            serve,
            cache,
            s3,
            azure,
            dp: Default::default(),
            service: Default::default(),
            ..all
        };
        assert_eq!(plain, Config::default());
    }

    /// The units that are installed start commands that exist, with few rights.
    #[test]
    fn units_start_commands_that_exist() {
        for (unit, command) in [
            (include_str!("../dist/osupg.service"), "serve"),
            (include_str!("../dist/osupg-worker.service"), "worker"),
        ] {
            assert!(unit.contains(&format!("\nExecStart=/usr/bin/osupg {command}\n")));
            assert!(crate::cli::command().find_subcommand(command).is_some(), "{command}");
            for right in ["NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"]
            {
                assert!(unit.contains(right), "{command}: {right}");
            }
        }
    }

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
