//! How jobs are run: the section `[jobs]` of the configuration.

use std::time::Duration;

use serde::Deserialize;

/// What can be set for jobs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Packages whose content a worker sends or checks at points at the same time.
    pub packages: u32,
    /// Transfers of one package at the same time.
    pub threads: u32,
    /// Other long operations that a worker does at the same time; each uses every core.
    pub work: u32,
    /// How often a job is tried whose disk, network or worker fails.
    pub tries: u32,
    /// Seconds until the second try; each later one waits twice as long, up to a quarter of an
    /// hour.
    pub retry_seconds: u32,
    /// Seconds without a sign of life after which another worker takes a job up.
    pub lost_seconds: u32,
    /// Seconds that a worker which is stopped gives its jobs to end, before it hands them back.
    pub stop_seconds: u32,
    /// Days that jobs are kept after they are over.
    pub keep_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            packages: 3,
            threads: 5,
            work: 1,
            tries: 5,
            retry_seconds: 30,
            lost_seconds: 30,
            stop_seconds: 20,
            keep_days: 90,
        }
    }
}

/// No wait between two tries is longer.
const LONGEST_WAIT: u64 = 900;

impl Settings {
    /// After how long a silence a job counts as lost.
    #[must_use]
    pub fn lost_after(&self) -> Duration {
        Duration::from_secs(u64::from(self.lost_seconds.max(1)))
    }

    /// How long a job waits that has failed so many times.
    #[must_use]
    pub fn wait_after(&self, failures: i64) -> Duration {
        let doublings = failures.saturating_sub(1).clamp(0, 20);
        let seconds = u64::from(self.retry_seconds) << doublings;
        Duration::from_secs(seconds.min(LONGEST_WAIT))
    }

    /// Whether a job that has failed so many times is tried again.
    #[must_use]
    pub fn tries_again(&self, failures: i64) -> bool {
        failures < i64::from(self.tries.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let settings = Settings::default();
        let waits: Vec<_> = (1..9).map(|n| settings.wait_after(n).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(settings.wait_after(i64::MAX).as_secs(), 900);
        assert!(settings.tries_again(4) && !settings.tries_again(5));
        let never = Settings { tries: 0, ..settings };
        assert!(!never.tries_again(1));
    }
}
