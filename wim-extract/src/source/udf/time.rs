//! Timestamps ([ECMA-167] 1/7.3).

use std::time::{Duration, SystemTime};

/// The time in a 12-byte timestamp; `None` where it is none.
pub(super) fn parse(bytes: &[u8]) -> Option<SystemTime> {
    let &[zone, kind, year, century, month, day, hour, minute, second, centi, hundreds, micro] =
        bytes
    else {
        return None;
    };
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && centi < 100
        && hundreds < 100
        && micro < 100;
    if !valid {
        return None;
    }
    let year = i64::from(i16::from_le_bytes([year, century]));
    let days = days_from_civil(year, i64::from(month), i64::from(day));
    let time_of_day = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    let seconds = days * 86_400 + time_of_day - i64::from(zone_minutes(zone, kind)) * 60;
    let micros = (u32::from(centi) * 100 + u32::from(hundreds)) * 100 + u32::from(micro);
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    time?.checked_add(Duration::from_micros(u64::from(micros)))
}

/// Minutes that local time is ahead of UTC: a signed number of 12 bits below the four bits of the
/// type, which is 1 for local time. −2047 says that the zone is not known; UTC is assumed.
fn zone_minutes(low: u8, high: u8) -> i16 {
    let field = i16::from_le_bytes([low, high]);
    let minutes = field << 4 >> 4;
    match high >> 4 {
        1 if (-1440..=1440).contains(&minutes) => minutes,
        _ => 0,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March end with the leap day, so a month's first day is a linear function.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(bytes: [u8; 12]) -> Option<f64> {
        let time = parse(&bytes)?;
        Some(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => after.as_secs_f64(),
            Err(before) => -before.duration().as_secs_f64(),
        })
    }

    #[test]
    fn known_times() {
        // 2024-02-29 12:34:56.789012 UTC
        let time = [0, 0x10, 0xE8, 0x07, 2, 29, 12, 34, 56, 78, 90, 12];
        assert_eq!(unix(time), Some(1_709_210_096.789_012));
        // The same moment as told in a zone two hours ahead, and in one 210 minutes behind.
        assert_eq!(unix([120, 0x10, 0xE8, 7, 2, 29, 14, 34, 56, 78, 90, 12]), unix(time));
        assert_eq!(unix([0x2E, 0x1F, 0xE8, 7, 2, 29, 9, 4, 56, 78, 90, 12]), unix(time));
        // Zone not known.
        assert_eq!(unix([0x01, 0x18, 0xE8, 7, 2, 29, 12, 34, 56, 78, 90, 12]), unix(time));
        assert_eq!(unix([0, 0x10, 0xB1, 7, 12, 31, 23, 59, 59, 0, 0, 0]), Some(-1.0));
        assert_eq!(unix([0, 0x10, 0xB2, 7, 1, 1, 0, 0, 0, 0, 0, 0]), Some(0.0));
    }

    #[test]
    fn what_is_no_time() {
        assert_eq!(unix([0; 12]), None);
        assert_eq!(unix([0, 0x10, 0xE8, 7, 13, 1, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(unix([0, 0x10, 0xE8, 7, 1, 1, 24, 0, 0, 0, 0, 0]), None);
        assert_eq!(parse(&[1, 2, 3]), None);
    }
}
