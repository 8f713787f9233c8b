//! How people name a revision: `OSU00001` for the current one, `OSU00001@3` for the third.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A package by id or name, and a revision of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The package's id or name.
    pub package: String,
    /// The revision's number, from 1; `None` for the current one.
    pub revision: Option<i64>,
}

/// The package in such a text, without the revision.
#[must_use]
pub fn package_of(text: &str) -> &str {
    match text.rsplit_once('@') {
        Some((package, number)) if number.parse::<i64>().is_ok_and(|number| number > 0) => package,
        _ => text,
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (package, revision) = match text.rsplit_once('@') {
            None => (text, None),
            Some((package, number)) => match number.parse::<i64>() {
                Ok(number) if number > 0 => (package, Some(number)),
                _ => return Err("a revision is written ID@N, with N from 1".into()),
            },
        };
        if package.trim().is_empty() {
            return Err("a package id or name must stand before the revision".into());
        }
        Ok(Self { package: package.to_string(), revision })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision {
            Some(number) => write!(f, "{}@{number}", self.package),
            None => f.write_str(&self.package),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for Reference {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reference".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A package by id or name, and maybe a revision: OSU00001@3." })
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_a_package_and_maybe_a_revision() {
        for (text, package, revision) in
            [("OSU00001", "OSU00001", None), ("OSU00001@3", "OSU00001", Some(3))]
        {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.package.as_str(), reference.revision), (package, revision));
            assert_eq!(reference.to_string(), text);
        }
        for bad in ["", "@1", "OSU00001@", "OSU00001@0", "OSU00001@-1", "OSU00001@x"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
