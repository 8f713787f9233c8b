//! The identity of a package of Windows' servicing stack, and the versions that order them.
//!
//! ```text
//! Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.2033.1.5
//! name                 ~token           ~arch ~language~version
//! ```
//!
//! This is how `Windows/servicing/Packages` and the registry of an image name what is installed. A
//! neutral language is written as nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Characters that one part of an identity may have: no manifest in use comes near.
const MAX_PART: usize = 255;

/// A version of four numbers, such as `26100.2033.1.5`; those that are not written are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub [u32; 4]);

impl Version {
    /// The build of Windows and its revision, where the version is that of a cumulative update
    /// (`26100.2033.1.5`) or of a part of Windows (`10.0.26100.1`).
    #[must_use]
    pub fn build(self) -> Option<(u32, u32)> {
        match self.0 {
            [10, 0, build, revision] if build >= 10_000 => Some((build, revision)),
            [build, revision, ..] if build >= 10_000 => Some((build, revision)),
            _ => None,
        }
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = [0; 4];
        let mut parts = text.trim().split('.');
        for number in &mut numbers {
            match parts.next() {
                // `parse` would take a sign.
                Some(part) if part.bytes().all(|byte| byte.is_ascii_digit()) => {
                    *number = part.parse().map_err(|_| ())?;
                }
                Some(_) => return Err(()),
                None => break,
            }
        }
        if parts.next().is_some() { Err(()) } else { Ok(Self(numbers)) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom("a version is four numbers"))
    }
}

impl schemars::JsonSchema for Version {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A version of four numbers: 26100.2033.1.5." })
    }
}

/// Name, signer, architecture, language and version of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Such as `Package_for_RollupFix`.
    pub name: String,
    /// Public key token of who signed it.
    pub token: String,
    /// As Microsoft writes it: `amd64`, `arm64`, `x86`.
    pub architecture: String,
    /// A language tag; empty for neutral.
    pub language: String,
    /// The version.
    pub version: Version,
}

impl Identity {
    /// Whether both are versions of the same package.
    #[must_use]
    pub fn is_version_of(&self, other: &Self) -> bool {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        same(&self.name, &other.name)
            && same(&self.architecture, &other.architecture)
            && same(&self.language, &other.language)
    }

    /// Whether they are the same package in the same version.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.version == other.version && self.is_version_of(other)
    }
}

/// Whether a text can be a part of an identity: it ends up in file names and output.
#[must_use]
pub(super) fn is_part(text: &str) -> bool {
    text.chars().count() <= MAX_PART
        && !text.chars().any(|c| c.is_control() || matches!(c, '~' | '/' | '\\'))
}

impl FromStr for Identity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('~');
        let mut part = || parts.next().filter(|part| is_part(part)).ok_or(());
        let identity = Self {
            name: part()?.into(),
            token: part()?.into(),
            architecture: part()?.into(),
            language: part()?.into(),
            version: part()?.parse()?,
        };
        if parts.next().is_some() || identity.name.is_empty() { Err(()) } else { Ok(identity) }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, token, architecture, language, version } = self;
        write!(f, "{name}~{token}~{architecture}~{language}~{version}")
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom("not the identity of a package"))
    }
}

impl schemars::JsonSchema for Identity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Identity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A package of the servicing stack: name~token~architecture~language~version." })
    }
}

/// An architecture as Microsoft's manifests write it, in the word that packages use.
#[must_use]
pub(super) fn architecture_word(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "amd64" | "x64" => "x64".into(),
        "neutral" | "msil" | "wow64" => String::new(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLUP: &str = "Package_for_RollupFix~31bf3856ad364e35~amd64~~26100.2033.1.5";

    #[test]
    fn identities_come_back() {
        let identity: Identity = ROLLUP.parse().unwrap();
        assert_eq!(identity.version.build(), Some((26100, 2033)));
        assert_eq!(identity.to_string(), ROLLUP);
        for bad in ["", "a~b~c~d", "a~b~c~d~1.2.3.4.5", "a~b~c~d~+1", "~b~c~d~1", "a/b~c~d~e~1"] {
            assert!(bad.parse::<Identity>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("26100.1000") > version("26100.999.9.9"));
        assert_eq!(version("10.0.19041.1").build(), Some((19041, 1)));
        assert_eq!(version("10.0.4690.1").build(), None);
        assert!("4294967296".parse::<Version>().is_err());
    }

    #[test]
    fn another_version_of_a_package_is_known_as_such() {
        let old: Identity = ROLLUP.parse().unwrap();
        let new: Identity = ROLLUP.replace("2033", "2314").parse().unwrap();
        assert!(new.is_version_of(&old) && !new.is(&old) && new.version > old.version);
        let other: Identity = ROLLUP.replace("amd64", "arm64").parse().unwrap();
        assert!(!other.is_version_of(&old));
    }
}
