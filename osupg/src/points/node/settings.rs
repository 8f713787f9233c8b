//! What a node is told by its configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// The section `[dp]`: this osupg is a node that fetches by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The name of its point at the server.
    pub point: Option<String>,
    /// The server that says what is wanted: `https://…`, or the folder of a store on this machine.
    pub server: Option<String>,
    /// The file that holds the token for the server.
    pub token_file: Option<PathBuf>,
    /// A PEM file with the certificates to trust, beside those of the system.
    pub certificates: Option<PathBuf>,
    /// Where to fetch from, as `[[dp.sources]]`; the server when left out.
    pub sources: Vec<SourceSettings>,
    /// A folder in which ready media trees are kept, if they are to be.
    pub tree: Option<PathBuf>,
    /// Seconds between two rounds: 10 to 86,400.
    pub every_seconds: u64,
    /// Seconds without a byte after which a source is left, and the next one asked: 1 to 86,400.
    pub timeout_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            point: None,
            server: None,
            token_file: None,
            certificates: None,
            sources: Vec::new(),
            tree: None,
            every_seconds: 300,
            timeout_seconds: 60,
        }
    }
}

/// Where a node fetches from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceSettings {
    /// `https://…` for an osupg, `s3://…`, `azure://…` or `file:///…` for the prefix of a point, or
    /// the folder of a store on this machine.
    pub from: String,
    /// The lowest number is asked first; those of one number in the order in which they stand.
    #[serde(default)]
    pub priority: i64,
    /// The file that holds the token for it.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// A PEM file with the certificates to trust, beside those of the system.
    #[serde(default)]
    pub certificates: Option<PathBuf>,
}

impl Settings {
    /// How long a source may be silent.
    #[must_use]
    pub fn silence(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.clamp(1, 86_400))
    }

    /// The sources in the order in which they are asked.
    #[must_use]
    pub fn ordered(&self) -> Vec<SourceSettings> {
        if self.sources.is_empty() {
            let server = self.server.clone().map(|from| SourceSettings {
                from,
                token_file: self.token_file.clone(),
                certificates: self.certificates.clone(),
                ..SourceSettings::default()
            });
            return server.into_iter().collect();
        }
        let mut sources = self.sources.clone();
        sources.sort_by_key(|source| source.priority);
        sources
    }
}

/// Whether an address is one of HTTP.
#[must_use]
pub fn is_http(address: &str) -> bool {
    address.starts_with("https://") || address.starts_with("http://")
}

/// The folder that an address names, if it names one of this machine.
#[must_use]
pub fn folder(address: &str) -> Option<&Path> {
    (!address.contains("://")).then(|| Path::new(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_go_by_their_number_and_then_by_their_place() {
        let source = |from: &str, priority| SourceSettings {
            from: from.into(),
            priority,
            ..SourceSettings::default()
        };
        let settings = Settings {
            server: Some("https://server".into()),
            sources: vec![source("b", 5), source("c", 5), source("a", 1)],
            ..Settings::default()
        };
        let order: Vec<_> = settings.ordered().into_iter().map(|source| source.from).collect();
        assert_eq!(order, ["a", "b", "c"]);
        let alone = Settings { sources: Vec::new(), ..settings };
        assert_eq!(alone.ordered()[0].from, "https://server");
        assert!(is_http("https://x") && !is_http("s3://x") && folder("/srv").is_some());
    }
}
