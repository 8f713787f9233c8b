//! Slows down whoever guesses passwords: after a few failures a name, and an address, has to wait.
//!
//! The counts are those of one process and are lost when it ends. A second process of the same
//! service counts for itself, so that guessing at two of them is twice as fast, and still hopeless.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;
/// The wait after the first failure beyond; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// After this long without a failure all is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);
/// Names and addresses remembered. When there are more the oldest go, so that a flood of names
/// takes no memory.
const MOST: usize = 10_000;

/// The failures of late.
#[derive(Debug, Default)]
pub struct Limiter {
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE) {
            None | Some(0) => Duration::ZERO,
            Some(beyond) => {
                let factor = 1_u32.checked_shl(beyond - 1).unwrap_or(u32::MAX);
                FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT)
            }
        }
    }
}

impl Limiter {
    /// How long whoever is called `key` still has to wait before it may try; zero for now.
    #[must_use]
    pub fn wait(&self, key: &str, now: Instant) -> Duration {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(key).map_or(Duration::ZERO, |failures| {
            failures.wait().saturating_sub(now.saturating_duration_since(failures.last))
        })
    }

    /// It has tried and failed.
    pub fn failed(&self, key: &str, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST && !failures.contains_key(key) {
            make_room(&mut failures, now);
        }
        let entry = failures.entry(key.to_string()).or_insert(Failures { count: 0, last: now });
        if now.saturating_duration_since(entry.last) > FORGOTTEN {
            entry.count = 0;
        }
        *entry = Failures { count: entry.count.saturating_add(1), last: now };
    }

    /// It has tried and was right.
    pub fn succeeded(&self, key: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// What is forgotten goes; if nothing is, the half that failed longest ago.
fn make_room(failures: &mut HashMap<String, Failures>, now: Instant) {
    failures.retain(|_, failures| now.saturating_duration_since(failures.last) <= FORGOTTEN);
    if failures.len() >= MOST {
        let mut times: Vec<_> = failures.values().map(|failures| failures.last).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        failures.retain(|_, failures| failures.last > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_after_some_failures_and_end_with_a_success() {
        let limiter = Limiter::default();
        let now = Instant::now();
        for _ in 0..FREE {
            limiter.failed("anna", now);
            assert_eq!(limiter.wait("anna", now), Duration::ZERO);
        }
        for wanted in [1, 2, 4, 8] {
            limiter.failed("anna", now);
            assert_eq!(limiter.wait("anna", now), Duration::from_secs(wanted));
        }
        assert_eq!(limiter.wait("anna", now + Duration::from_secs(3)), Duration::from_secs(5));
        assert_eq!(limiter.wait("anna", now + Duration::from_secs(9)), Duration::ZERO);
        assert_eq!(limiter.wait("bert", now), Duration::ZERO);
        for _ in 0..100 {
            limiter.failed("anna", now);
        }
        assert_eq!(limiter.wait("anna", now), LONGEST_WAIT);
        limiter.succeeded("anna");
        assert_eq!(limiter.wait("anna", now), Duration::ZERO);
    }

    #[test]
    fn old_failures_are_forgotten_and_memory_is_bounded() {
        let limiter = Limiter::default();
        let now = Instant::now();
        for _ in 0..20 {
            limiter.failed("anna", now);
        }
        let later = now + FORGOTTEN + Duration::from_secs(1);
        limiter.failed("anna", later);
        assert_eq!(limiter.wait("anna", later), Duration::ZERO);
        for name in 0..3 * MOST {
            limiter.failed(&format!("name {name}"), later);
        }
        assert!(limiter.failures.lock().unwrap().len() <= MOST);
    }
}
