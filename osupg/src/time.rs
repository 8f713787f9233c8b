//! Times: moments of the database and modification times of files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in microseconds since 1970 UTC, as the database keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// The moment so much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// As in RFC 3339, in UTC, to the second.
    #[must_use]
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_second(self.0.div_euclid(1_000_000))
            .map_or_else(|_| "?".to_string(), |time| time.to_string())
    }

    /// In local time, to the minute, for people.
    #[must_use]
    pub fn local(self) -> String {
        self.in_words("%Y-%m-%d %H:%M")
    }

    /// In local time, to the second, for people.
    #[must_use]
    pub fn local_seconds(self) -> String {
        self.in_words("%Y-%m-%d %H:%M:%S")
    }

    fn in_words(self, format: &str) -> String {
        jiff::Timestamp::from_second(self.0.div_euclid(1_000_000)).map_or_else(
            |_| "?".to_string(),
            |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime(format).to_string(),
        )
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Self(time.as_microsecond()))
    }
}

/// Both kinds of time are texts in JSON.
macro_rules! time_schema {
    ($name:ident) => {
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": "date-time" })
            }
        }
    };
}

time_schema!(Moment);
time_schema!(FileTime);

/// A file's own time, with everything the file system keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FileTime {
    /// Seconds since 1970 UTC.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanos: u32,
}

impl FileTime {
    /// The start of 1970, for things that carry no time.
    pub const EPOCH: Self = Self { seconds: 0, nanos: 0 };

    /// As the system has it; `None` when it is beyond what the system can hold.
    #[must_use]
    pub fn to_system(self) -> Option<SystemTime> {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let start = match self.seconds {
            0.. => UNIX_EPOCH.checked_add(whole)?,
            _ => UNIX_EPOCH.checked_sub(whole)?,
        };
        start.checked_add(Duration::from_nanos(u64::from(self.nanos)))
    }
}

impl FileTime {
    /// As in RFC 3339, in UTC; seconds since 1970 for a time beyond year 9999.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let nanos = i32::try_from(self.nanos).unwrap_or(0);
        jiff::Timestamp::new(self.seconds, nanos)
            .map_or_else(|_| self.seconds.to_string(), |time| time.to_string())
    }

    /// The same without the fraction, which keeps columns straight.
    #[must_use]
    pub fn rfc3339_seconds(self) -> String {
        Self { nanos: 0, ..self }.rfc3339()
    }
}

impl From<SystemTime> for FileTime {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self {
                seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                nanos: after.subsec_nanos(),
            },
            Err(before) => {
                let before = before.duration();
                let whole = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Self { seconds: -whole, nanos: 0 },
                    nanos => Self { seconds: -whole - 1, nanos: 1_000_000_000 - nanos },
                }
            }
        }
    }
}

impl Serialize for FileTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for FileTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(seconds) = text.parse() {
            return Ok(Self { seconds, nanos: 0 });
        }
        let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        let (mut seconds, mut nanos) = (time.as_second(), time.subsec_nanosecond());
        // jiff counts the fraction towards zero, a file time always forwards.
        if nanos < 0 {
            seconds -= 1;
            nanos += 1_000_000_000;
        }
        Ok(Self { seconds, nanos: nanos.unsigned_abs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_in_utc() {
        assert_eq!(Moment(0).rfc3339(), "1970-01-01T00:00:00Z");
        assert_eq!(Moment(1_732_000_000_999_999).rfc3339(), "2024-11-19T07:06:40Z");
    }

    #[test]
    fn times_come_back_from_text() {
        for time in [(5, 999_999_999), (-2, 750_000_000), (0, 0), (1 << 40, 0)] {
            let time = FileTime { seconds: time.0, nanos: time.1 };
            let text = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<FileTime>(&text).unwrap(), time, "{text}");
        }
        let moment = Moment(1_732_000_000_000_000);
        let text = serde_json::to_string(&moment).unwrap();
        assert_eq!(serde_json::from_str::<Moment>(&text).unwrap(), moment);
        assert!(serde_json::from_str::<FileTime>("\"yesterday\"").is_err());
    }

    #[test]
    fn times_before_1970_keep_their_fraction() {
        let time = UNIX_EPOCH - Duration::new(1, 250_000_000);
        assert_eq!(FileTime::from(time), FileTime { seconds: -2, nanos: 750_000_000 });
        let whole = UNIX_EPOCH - Duration::new(3, 0);
        assert_eq!(FileTime::from(whole), FileTime { seconds: -3, nanos: 0 });
        for there in [time, whole, UNIX_EPOCH + Duration::new(5, 999_999_999)] {
            assert_eq!(FileTime::from(there).to_system(), Some(there));
        }
    }
}
