//! Times of WIM files as text: wimlib's form for people, RFC 3339 for machines.
//!
//! A [`FileTime`] reaches from 1601 to the year 60056, further than calendar crates go, and listing
//! an image formats three for each file; both speak for these few lines of the proleptic Gregorian
//! calendar (the day count is Howard Hinnant's `civil_from_days`).

use std::fmt;

use wim_format::time::FileTime;

const SECONDS_PER_DAY: i64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Thu Jan 02 03:04:05 2020 UTC`
pub(crate) struct Plain(pub(crate) FileTime);

/// `2020-01-02T03:04:05.1234567Z`
pub(crate) struct Rfc3339(pub(crate) FileTime);

/// A moment taken apart.
struct Civil {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
    tick: u32,
}

impl From<FileTime> for Civil {
    fn from(time: FileTime) -> Self {
        let (seconds, nanos) = time.to_unix();
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let second = seconds.rem_euclid(SECONDS_PER_DAY);
        // Days since 0000-03-01, in eras of 400 years; years begin in March, so that a leap day is
        // the last of its year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = (march_month + 2) % 12;
        Self {
            year: era * 400 + year_of_era + i64::from(month < 2),
            month: month as usize,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            weekday: days.rem_euclid(7) as usize,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            tick: nanos / 100,
        }
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, weekday, hour, minute, second, .. } = self.0.into();
        let (weekday, month) = (WEEKDAYS[weekday], MONTHS[month]);
        write!(f, "{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} {year} UTC")
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, tick, .. } = self.0.into();
        let month = month + 1;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{tick:07}Z")
    }
}

impl serde::Serialize for Rfc3339 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_wimlib_prints() {
        for (ticks, plain) in [
            (0, "Mon Jan 01 00:00:00 1601 UTC"),
            (u64::MAX, "Sun May 28 05:36:10 60056 UTC"),
            (0x7fff_ffff_ffff_ffff, "Thu Sep 14 02:48:05 30828 UTC"),
            (2_650_467_744_000_000_000, "Sat Jan 01 00:00:00 10000 UTC"),
            (2_650_467_743_990_000_000, "Fri Dec 31 23:59:59 9999 UTC"),
            (0x24d_6aa0_ef7a_8000, "Thu Sep 26 20:01:12 2126 UTC"),
            (116_444_735_999_999_999, "Wed Dec 31 23:59:59 1969 UTC"),
            (116_444_736_000_000_000, "Thu Jan 01 00:00:00 1970 UTC"),
        ] {
            assert_eq!(Plain(FileTime(ticks)).to_string(), plain, "{ticks}");
        }
    }

    #[test]
    fn leap_days_and_ticks() {
        let leap_day = FileTime::from_unix(951_782_400, 123_456_700);
        assert_eq!(Plain(leap_day).to_string(), "Tue Feb 29 00:00:00 2000 UTC");
        assert_eq!(Rfc3339(leap_day).to_string(), "2000-02-29T00:00:00.1234567Z");
        let day_after = FileTime::from_unix(951_868_799 + 1, 0);
        assert_eq!(Rfc3339(day_after).to_string(), "2000-03-01T00:00:00.0000000Z");
    }
}
