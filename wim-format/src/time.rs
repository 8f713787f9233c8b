//! Windows file times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1601-01-01 to 1970-01-01.
const UNIX_EPOCH_SECONDS: i64 = 11_644_473_600;
const TICKS_PER_SECOND: u64 = 10_000_000;
const NANOS_PER_TICK: u32 = 100;

/// A point in time: 100-nanosecond ticks since 1601-01-01 00:00 UTC. 0 means "not set".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime(pub u64);

impl FileTime {
    /// Seconds since 1970-01-01 UTC (negative before it) and nanoseconds within the second.
    #[must_use]
    pub const fn to_unix(self) -> (i64, u32) {
        let seconds = (self.0 / TICKS_PER_SECOND) as i64 - UNIX_EPOCH_SECONDS;
        let nanos = (self.0 % TICKS_PER_SECOND) as u32 * NANOS_PER_TICK;
        (seconds, nanos)
    }

    /// The time of `seconds` since 1970-01-01 UTC plus `nanos`, cut to the tick below.
    ///
    /// Times before 1601 become 0 and times after the year 60056 the last tick, as no other value
    /// is nearer.
    #[must_use]
    pub const fn from_unix(seconds: i64, nanos: u32) -> Self {
        let seconds = seconds.saturating_add(UNIX_EPOCH_SECONDS);
        if seconds < 0 {
            return Self(0);
        }
        let ticks = (seconds as u64).saturating_mul(TICKS_PER_SECOND);
        Self(ticks.saturating_add((nanos / NANOS_PER_TICK) as u64))
    }

    /// The time made of the two halves that the XML gives (`HIGHPART`, `LOWPART`).
    #[must_use]
    pub const fn from_parts(high: u32, low: u32) -> Self {
        Self((high as u64) << 32 | low as u64)
    }

    /// The halves `(high, low)` that the XML holds.
    #[must_use]
    pub const fn to_parts(self) -> (u32, u32) {
        ((self.0 >> 32) as u32, self.0 as u32)
    }
}

impl From<SystemTime> for FileTime {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => {
                let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
                Self::from_unix(seconds, after.subsec_nanos())
            }
            Err(error) => {
                // Count whole seconds down and the fraction up, as Unix times do.
                let before = error.duration();
                let up = u32::from(before.subsec_nanos() > 0);
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                let nanos = up * 1_000_000_000 - before.subsec_nanos();
                Self::from_unix(-seconds - i64::from(up), nanos)
            }
        }
    }
}

impl From<FileTime> for SystemTime {
    fn from(time: FileTime) -> Self {
        let (seconds, nanos) = time.to_unix();
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let base = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
        base + Duration::from_nanos(u64::from(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        // The time of the root directory of the vector v1.wim.
        assert_eq!(FileTime(0x01d5_c119_4ad6_d707).to_unix(), (1_577_934_245, 123_456_700));
        assert_eq!(FileTime::from_unix(0, 0), FileTime(116_444_736_000_000_000));
        assert_eq!(FileTime::from_unix(-11_644_473_601, 0), FileTime(0));
        assert_eq!(FileTime::from_unix(i64::MAX, 0), FileTime(u64::MAX));
        assert_eq!(FileTime::from_parts(1, 2).0, 0x1_0000_0002);
    }

    proptest::proptest! {
        #[test]
        fn unix_and_back(ticks: u64) {
            let time = FileTime(ticks);
            let (seconds, nanos) = time.to_unix();
            assert_eq!(FileTime::from_unix(seconds, nanos), time);
            assert_eq!(FileTime::from(SystemTime::from(time)), time);
            let (high, low) = time.to_parts();
            assert_eq!(FileTime::from_parts(high, low), time);
        }
    }
}
